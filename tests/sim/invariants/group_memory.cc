#include "tests/sim/invariants/group_memory.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/consensus/membership.h"
#include "coordinator/decision_store/runtime/batch_codec.h"
#include "coordinator/decision_store/runtime/record_codec.h"

namespace troth::sim {
namespace {

using namespace coordinator::consensus;
using namespace coordinator::store;

std::string text_of(const Ballot& ballot) {
  return fmt::format("{}.{}", ballot.round, ballot.leader.value);
}

// How many of these vote in it.
template <typename Accepted>
std::size_t votes_in(const Configuration& configuration, const Accepted& accepted) {
  return static_cast<std::size_t>(
      std::ranges::count_if(configuration.voters, [&](ReplicaId each) { return accepted.contains(each); }));
}

// Every set of so many of these.
std::vector<Replicas> sets_of(const Replicas& voters, std::uint32_t size) {
  const std::vector<ReplicaId> all(voters.begin(), voters.end());
  std::vector<Replicas> sets;
  for (std::uint32_t chosen = 0; chosen < (1U << all.size()); ++chosen) {
    Replicas set;
    for (std::size_t i = 0; i < all.size(); ++i)
      if ((chosen >> i & 1U) != 0) set.insert(all[i]);
    if (set.size() == size) sets.push_back(std::move(set));
  }
  return sets;
}

// Not by the sum that the product looks at: each pair is.
bool do_meet(const Replicas& some, std::uint32_t some_size, const Replicas& others,
             std::uint32_t others_size) {
  const auto those = sets_of(others, others_size);
  return std::ranges::all_of(sets_of(some, some_size), [&](const Replicas& one) {
    return std::ranges::all_of(those, [&](const Replicas& other) {
      return std::ranges::any_of(one, [&](ReplicaId each) { return other.contains(each); });
    });
  });
}

bool do_meet(const Configuration& writers, const Configuration& others) {
  return do_meet(writers.voters, writers.quorums.write, others.voters, others.quorums.elect) &&
         do_meet(writers.voters, writers.quorums.write, others.voters, others.quorums.read);
}

// Nobody: its tickets are none of ours.
constexpr BatchOrigin kNobody{};

}  // namespace

GroupMemory::GroupMemory(Configuration beginning, std::function<void(std::string_view)> on_rare)
    : configured_{{Slot{}, std::move(beginning)}}, on_rare_(std::move(on_rare)), engine_(kNobody, {}) {}

void GroupMemory::cut(ReplicaId replica) {
  replicas_[replica].takes_over = true;
}

void GroupMemory::opens(ReplicaId replica) {
  auto& known = replicas_[replica];
  known = {.promised = {},
           .said = known.said,
           .accepted = {},
           .told = known.told,
           .takes_over = false,
           .taken_over = std::move(known.taken_over),
           .restates = false};
}

GroupMemory::Chosen GroupMemory::found(ReplicaId replica, const DurableRecord& record, Broken& broken) {
  auto& known = replicas_[replica];
  if (const auto* promised = std::get_if<Promised>(&record)) {
    known.promised = std::max(known.promised, promised->ballot);
  } else if (const auto* accepted = std::get_if<Accepted>(&record)) {
    note_proposal(replica, *accepted, broken);
  } else if (const auto* learned = std::get_if<Learned>(&record)) {
    known.accepted[learned->slot] = learned->entry;
  }
  return count(replica, record, broken);
}

void GroupMemory::appended(ReplicaId replica, const DurableRecord& record, Broken& broken) {
  auto& known = replicas_[replica];
  if (const auto* promised = std::get_if<Promised>(&record)) {
    known.promised = std::max(known.promised, promised->ballot);
  } else if (const auto* accepted = std::get_if<Accepted>(&record)) {
    judge_promise(replica, *accepted, broken);
    if (known.takes_over && accepted->ballot < known.said)
      known.taken_over.emplace(accepted->slot, accepted->ballot);
    note_proposal(replica, *accepted, broken);
  } else if (const auto* learned = std::get_if<Learned>(&record)) {
    known.accepted[learned->slot] = learned->entry;
    judge_told(replica, learned->slot, broken);
    on_rare_("a replica learned what others had chosen");
  } else if (const auto* through = std::get_if<ChosenThrough>(&record)) {
    // Behind a snapshot's word it says nothing of what was accepted here.
    if (known.restates && through->slot > known.told && !known.accepted.contains(through->slot))
      on_rare_("a replica was brought up by a snapshot");
    if (known.restates)
      known.told = std::max(known.told, through->slot);
    else
      judge_told(replica, through->slot, broken);
  }
  known.restates = std::holds_alternative<WaitsAfterStart>(record) ||
                   (known.restates && std::holds_alternative<ConfiguredFrom>(record));
}

GroupMemory::Chosen GroupMemory::durable(ReplicaId replica, const DurableRecord& record, Broken& broken) {
  return count(replica, record, broken);
}

// When it is written: what a replica took over behind a cut tail lies below its promise in its log from then on.
void GroupMemory::judge_promise(ReplicaId replica, const Accepted& accepted, Broken& broken) {
  const auto& [slot, ballot, entry] = accepted;
  const auto& known = replicas_[replica];
  if (ballot < known.promised && !known.takes_over)
    broken.push_back(fmt::format("group: replica {} accepts slot {} in ballot {} behind its promise of {}",
                                 replica.value, slot.value, text_of(ballot), text_of(known.promised)));
}

void GroupMemory::note_proposal(ReplicaId replica, const Accepted& accepted, Broken& broken) {
  const auto& [slot, ballot, entry] = accepted;
  auto& known = replicas_[replica];
  judge_leader(accepted, broken);
  led_.insert(ballot);
  auto [at, is_new] = proposals_[slot].try_emplace(ballot, Proposal{entry, {}});
  if (!is_new && at->second.entry != entry)
    broken.push_back(fmt::format("group: ballot {} has two values for slot {}", text_of(ballot), slot.value));
  const auto chosen = chosen_.find(slot);
  if (chosen != chosen_.end() && ballot > chosen->second.ballot && entry != chosen->second.entry)
    broken.push_back(fmt::format(
        "group: slot {} was chosen in ballot {}, and replica {} accepts something else in ballot {}",
        slot.value, text_of(chosen->second.ballot), replica.value, text_of(ballot)));
  known.accepted[slot] = entry;
}

GroupMemory::Chosen GroupMemory::count(ReplicaId replica, const DurableRecord& record, Broken& broken) {
  auto& known = replicas_[replica];
  if (const auto* promised = std::get_if<Promised>(&record))
    known.said = std::max(known.said, promised->ballot);
  const auto* accepted = std::get_if<Accepted>(&record);
  if (accepted == nullptr) return {};
  const auto& [slot, ballot, entry] = *accepted;
  // What was taken over below a promise is no vote: no leader of that ballot hears of it.
  if (known.taken_over.contains({slot, ballot})) return {};
  known.said = std::max(known.said, ballot);
  auto& proposal = proposals_[slot].at(ballot);
  proposal.accepted.try_emplace(replica, ++acceptances_);
  if (chosen_.contains(slot) || !is_chosen(slot, proposal)) return {};
  judge_chosen(slot, ballot, broken);
  if (leader() && *leader() != ballot.leader) on_rare_("the lead went to another replica");
  if (proposals_[slot].size() > 1 && proposals_[slot].begin()->second.entry != entry)
    on_rare_("a proposal was lost with its leader");
  chosen_.emplace(slot, Value{ballot, entry});
  return apply(broken);
}

const Configuration& GroupMemory::configuration(Slot slot) const {
  return std::prev(configured_.upper_bound(slot))->second;
}

bool GroupMemory::is_settled() const {
  return configured_.rbegin()->first.value <= applied().value + 1;
}

bool GroupMemory::is_chosen(Slot slot, const Proposal& proposal) const {
  const auto& by = configuration(slot);
  return votes_in(by, proposal.accepted) >= by.quorums.write;
}

// At the first that is proposed in a ballot: all configurations that may count it had to be asked.
void GroupMemory::judge_leader(const Accepted& accepted, Broken& broken) const {
  const auto& [slot, ballot, entry] = accepted;
  if (slot.value > applied().value + kWindow)
    broken.push_back(
        fmt::format("group: slot {} is proposed, and only {} is chosen: who counts it is not known",
                    slot.value, applied().value));
  if (led_.contains(ballot)) return;
  const auto& by = configuration(slot);
  const auto promised = std::ranges::count_if(by.voters, [&](ReplicaId each) {
    const auto known = replicas_.find(each);
    return known != replicas_.end() && known->second.said >= ballot;
  });
  if (promised < by.quorums.elect)
    broken.push_back(
        fmt::format("group: replica {} leads in ballot {}, which {} of {} voters promised, not {}",
                    ballot.leader.value, text_of(ballot), promised, by.size(), by.quorums.elect));
}

// It had to know all slots but the last window of them: a removal that counts by then was known, too. What others had proposed it
// may finish, and who is going to vote may lead before.
void GroupMemory::judge_chosen(Slot slot, const Ballot& ballot, Broken& broken) const {
  const auto votes = [&](const Configuration& each) { return each.voters.contains(ballot.leader); };
  const auto& proposals = proposals_.at(slot);
  const bool is_own =
      proposals.begin()->first == ballot && !std::holds_alternative<NoOp>(proposals.begin()->second.entry);
  if (!is_own || slot.value <= kWindow || votes(configuration(slot)) ||
      votes(configuration({slot.value - kWindow})) || votes(configured_.rbegin()->second))
    return;
  broken.push_back(fmt::format("group: replica {} has slot {} chosen, and was removed more than {} slots ago",
                               ballot.leader.value, slot.value, kWindow));
}

void GroupMemory::take(Slot slot, const ChangeConfiguration& change, Broken& broken) {
  const auto& before = configured_.rbegin()->second;
  const auto& next = change.next;
  if (configured_.rbegin()->first.value > slot.value + 1)
    return on_rare_("a change of the group came too early, and changed nothing");
  if (!do_meet(next, next) || !do_meet(before, next) || !do_meet(next, before))
    broken.push_back(
        fmt::format("group: behind the change of slot {} two quorums need not meet", slot.value));
  for (const auto& learner : next.learners)
    if (!before.everybody().contains(learner)) on_rare_("a learner was added");
  for (const auto& voter : next.voters)
    if (before.learners.contains(voter)) on_rare_("a learner was promoted");
  for (const auto& voter : before.voters)
    if (!next.voters.contains(voter))
      on_rare_(voter == chosen_.at(slot).ballot.leader ? "the leader was removed" : "a voter was removed");
  if (const auto adopted = proposals_.at(slot).size() > 1; adopted)
    on_rare_("a change of the group was chosen by the next leader");
  configured_.emplace(Slot{slot.value + kWindow}, next);
}

GroupMemory::Chosen GroupMemory::apply(Broken& broken) {
  Chosen taken;
  for (auto next = chosen_.find({applied().value + 1}); next != chosen_.end();
       next = chosen_.find({applied().value + 1})) {
    const auto slot = next->first;
    const auto* command = std::get_if<Command>(&next->second.entry);
    if (const auto* change = std::get_if<ChangeConfiguration>(&next->second.entry))
      take(slot, *change, broken);
    if (command == nullptr) {
      static_cast<void>(engine_.step(GroupEngine::SlotPassed{slot}));
      continue;
    }
    auto batch = decode_batch(*command->bytes);
    CHECK(batch.has_value(), "slot {}: {}", slot.value, batch.error().message);
    note_rare(slot, *batch);
    for (auto& effect : engine_.step(GroupEngine::BatchDelivered{slot, *batch})) {
      auto* applied = std::get_if<GroupEngine::Applied>(&effect);
      if (applied == nullptr) continue;
      for (auto& record : applied->records) {
        judge_applied(*batch, record, broken);
        taken.push_back(std::move(record));
      }
    }
  }
  return taken;
}

void GroupMemory::note_rare(Slot slot, const Batch& batch) const {
  const bool is_adopted = chosen_.at(slot).ballot.leader != batch.origin.replica;
  for (const auto& asked : batch.requests) {
    const auto* choose = std::get_if<Choose>(&asked.request);
    if (choose == nullptr) continue;
    // Its leader answered "unknown", or nothing.
    if (is_adopted) on_rare_("a choose was chosen by the next leader");
    if (epoch_ && choose->epoch < epoch_->number) on_rare_("a choose of an earlier leader was fenced");
  }
}

void GroupMemory::judge_applied(const Batch& batch, const LogRecord& record, Broken& broken) {
  if (const auto* epoch = std::get_if<EpochRecord>(&record)) {
    if (epoch_ && epoch->epoch.number <= epoch_->number)
      broken.push_back(fmt::format("T8: epoch {} is chosen behind epoch {}", epoch->epoch.number.value,
                                   epoch_->number.value));
    epoch_ = epoch->epoch;
    ruler_ = batch.origin;
    return;
  }
  if (!epoch_ || ruler_ != batch.origin)
    broken.push_back(fmt::format("group: replica {} has something chosen behind the epoch of another leader",
                                 batch.origin.replica.value));
  const auto* commit = std::get_if<CommitRecord>(&record);
  if (commit != nullptr && epoch_ && commit->transaction.epoch != epoch_->number)
    broken.push_back(
        fmt::format("T5: {} is committed under epoch {}", commit->transaction.text(), epoch_->number.value));
}

void GroupMemory::judge_told(ReplicaId replica, Slot through, Broken& broken) {
  auto& known = replicas_[replica];
  for (Slot slot{known.told.value + 1}; slot <= through; ++slot.value) {
    const auto own = known.accepted.find(slot);
    if (own == known.accepted.end()) continue;  // a snapshot has it
    const auto chosen = chosen_.find(slot);
    if (chosen == chosen_.end())
      broken.push_back(
          fmt::format("group: replica {} takes slot {} for chosen, and no write quorum has accepted it",
                      replica.value, slot.value));
    else if (chosen->second.entry != own->second)
      broken.push_back(fmt::format("group: replica {} takes slot {} for chosen, and has another value there",
                                   replica.value, slot.value));
  }
  known.told = std::max(known.told, through);
}

std::optional<ReplicaId> GroupMemory::leader() const {
  if (chosen_.empty()) return std::nullopt;
  return chosen_.rbegin()->second.ballot.leader;
}

std::multiset<std::string> GroupMemory::state_on(AppliedState snapshot) const {
  GroupEngine engine(kNobody, {});
  const auto begin = snapshot.slot;
  static_cast<void>(engine.install(std::move(snapshot)));
  for (Slot slot{begin.value + 1}; slot <= applied(); ++slot.value) {
    const auto* command = std::get_if<Command>(&chosen_.at(slot).entry);
    if (command == nullptr)
      static_cast<void>(engine.step(GroupEngine::SlotPassed{slot}));
    else
      static_cast<void>(engine.step(GroupEngine::BatchDelivered{slot, *decode_batch(*command->bytes)}));
  }
  std::multiset<std::string> state;
  RecordTable::CopyCursor cursor;
  constexpr std::size_t kPiece = 1'000;
  RecordEncoder encoder;
  while (cursor.stage != RecordTable::CopyCursor::Stage::kDone) {
    for (const auto& record : engine.copy_live(cursor, kPiece)) {
      const auto bytes = encoder.encode(record);
      state.emplace(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
  }
  return state;
}

bool GroupMemory::hangs_on(ReplicaId replica, std::uint64_t since) const {
  return std::ranges::any_of(chosen_, [&](const auto& chosen) {
    const auto& [slot, value] = chosen;
    const auto& accepted = proposals_.at(slot).at(value.ballot).accepted;
    const auto& by = configuration(slot);
    const auto own = accepted.find(replica);
    return own != accepted.end() && own->second > since && by.voters.contains(replica) &&
           votes_in(by, accepted) <= by.quorums.write;
  });
}

void GroupMemory::set_back(ReplicaId replica, std::uint64_t since) {
  for (auto& [slot, proposals] : proposals_)
    for (auto& [ballot, proposal] : proposals)
      std::erase_if(proposal.accepted,
                    [&](const auto& each) { return each.first == replica && each.second > since; });
}

}  // namespace troth::sim
