#include "participant_agent/journal_replay.h"

#include <algorithm>

namespace troth::agent {
namespace {

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

void finish(JournalState& state, const Finished& record) {
  // An end other than a commit is never asked for again under its id: presumed abort, and [T12] after a
  // restart.
  if (record.end == BranchEnd::kRolledBack || record.id.transaction.is_one_phase()) {
    state.branches.erase(record.id);
    return;
  }
  auto& open = state.branches[record.id];
  open.resource = record.resource;
  open.end = record.end;
  open.begun.reset();
  open.resolution.reset();
}

void forget(JournalState& state, const TransactionId& transaction) {
  auto at = state.branches.lower_bound(BranchId{transaction, {0}});
  while (at != state.branches.end() && at->first.transaction == transaction) {
    at = at->second.end ? state.branches.erase(at) : std::next(at);
  }
}

}  // namespace

void OwnershipMemory::claim(const OwnerRow& row) {
  std::erase_if(claims, [&](const OwnerRow& entry) { return entry.same_owner(row); });
  if (claims.size() == kMaxClaims) claims.erase(claims.begin());
  claims.push_back(row);
}

void OwnershipMemory::own(const OwnerRow& row) {
  owned = row;
  claims.clear();
}

bool OwnershipMemory::knows(const OwnerRow& row) const {
  const auto is_it = [&](const OwnerRow& entry) { return entry.same_owner(row); };
  return (owned && is_it(*owned)) || std::ranges::any_of(claims, is_it);
}

void JournalState::apply(const JournalRecord& record) {
  std::visit(
      Overloaded{
          [this](const AgentStarted& started) { last_start = std::max(last_start, started.incarnation); },
          [this](const EpochSeen& seen) {
            if (!epoch || seen.epoch.number > epoch->number) rival.reset();
            if (!epoch || seen.epoch.number >= epoch->number) epoch = seen.epoch;
          },
          [this](const WatermarkRaised& raised) { watermark = std::max(watermark, raised.watermark); },
          [this](const Claiming& claiming) { ownership[claiming.resource].claim(claiming.row); },
          [this](const Owns& owns) {
            auto& memory = ownership[owns.resource];
            if (!memory.owned || !memory.owned->same_owner(owns.row)) memory.counter = owns.row.counter;
            memory.own(owns.row);
          },
          [this](const CounterRaised& raised) {
            auto& memory = ownership[raised.resource];
            memory.counter = raised.counter;
            if (raised.gtid) memory.gtid = *raised.gtid;
          },
          [this](const ResourceIdentity& identity) { ownership[identity.resource].identity = identity; },
          [this](const BranchBegun& begun) {
            auto& open = branches[begun.work.id];
            open.resource = begun.work.resource;
            if (!open.end) open.begun = begun;
          },
          [this](const DecisionLearned& learned) {
            auto& open = branches[learned.id];
            open.resource = learned.resource;
            open.commit_learned = true;
          },
          [this](const Finished& finished) { finish(*this, finished); },
          [this](const Resolved& resolved) {  // until its Finished
            auto& open = branches[resolved.id];
            open.resource = resolved.resource;
            if (!open.end) open.resolution = resolved;
          },
          [this](const EndedByLeader& ended) {
            for (const auto& transaction : ended.transactions)
              forget(*this, transaction);
          },
          [this](const SetBackAccepted& accepted) {
            floors.erase(accepted.resource);  // the server may have others now
            for (auto& [id, open] : branches)
              if (open.begun && open.resource == accepted.resource) open.begun->set_back = true;
          },
          [this](const TakeOverUsed& used) { ownership[used.resource].take_over_untold = true; },
          [this](const TakeOverTold& told) { ownership[told.resource].take_over_untold = false; },
          [this](const ReignDoubted& doubted) { rival = doubted.rival; },
          [this](const FloorRaised& raised) {
            auto& floor = floors[raised.resource];
            floor.position = std::max(floor.position, raised.floors.position);
            floor.request_ms = std::max(floor.request_ms, raised.floors.request_ms);
          },
      },
      record);
}

Incarnation JournalState::next_incarnation() const {
  std::uint64_t highest = last_start.value;
  for (const auto& [name, memory] : ownership) {
    for (const auto& claimed : memory.claims)
      highest = std::max(highest, claimed.incarnation.value);
    if (memory.owned) highest = std::max(highest, memory.owned->incarnation.value);
  }
  return {highest + 1};
}

}  // namespace troth::agent
