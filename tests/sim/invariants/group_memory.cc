#include "tests/sim/invariants/group_memory.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/decision_store/runtime/batch_codec.h"
#include "coordinator/decision_store/runtime/record_codec.h"

namespace troth::sim {
namespace {

using namespace coordinator::consensus;
using namespace coordinator::store;

std::string text_of(const Ballot& ballot) {
  return fmt::format("{}.{}", ballot.round, ballot.leader.value);
}

// Nobody: its tickets are none of ours.
constexpr BatchOrigin kNobody{};

}  // namespace

GroupMemory::GroupMemory(Configuration configuration, std::function<void(std::string_view)> on_rare)
    : configuration_(std::move(configuration)), on_rare_(std::move(on_rare)), engine_(kNobody, {}) {}

void GroupMemory::cut(ReplicaId replica) {
  replicas_[replica].takes_over = true;
}

void GroupMemory::opens(ReplicaId replica) {
  const auto told = replicas_[replica].told;
  replicas_[replica] = {.promised = {}, .accepted = {}, .told = told, .takes_over = false, .restates = false};
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
  const auto* accepted = std::get_if<Accepted>(&record);
  if (accepted == nullptr) return {};
  const auto& [slot, ballot, entry] = *accepted;
  auto& proposal = proposals_[slot].at(ballot);
  proposal.accepted.try_emplace(replica, ++acceptances_);
  if (proposal.accepted.size() < configuration_.quorums.write || chosen_.contains(slot)) return {};
  if (leader() && *leader() != ballot.leader) on_rare_("the lead went to another replica");
  if (proposals_[slot].size() > 1 && proposals_[slot].begin()->second.entry != entry)
    on_rare_("a proposal was lost with its leader");
  chosen_.emplace(slot, Value{ballot, entry});
  return apply(broken);
}

GroupMemory::Chosen GroupMemory::apply(Broken& broken) {
  Chosen taken;
  for (auto next = chosen_.find({applied().value + 1}); next != chosen_.end();
       next = chosen_.find({applied().value + 1})) {
    const auto slot = next->first;
    const auto* command = std::get_if<Command>(&next->second.entry);
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
    const auto own = accepted.find(replica);
    return own != accepted.end() && own->second > since && accepted.size() <= configuration_.quorums.write;
  });
}

void GroupMemory::set_back(ReplicaId replica, std::uint64_t since) {
  for (auto& [slot, proposals] : proposals_)
    for (auto& [ballot, proposal] : proposals)
      std::erase_if(proposal.accepted,
                    [&](const auto& each) { return each.first == replica && each.second > since; });
}

}  // namespace troth::sim
