#include "coordinator/consensus/phase_one.h"

#include <algorithm>

namespace troth::coordinator::consensus {

Slot PhaseOne::told_by(ReplicaId replica, Slot chosen) const {
  const auto told = told_.find(replica);
  return told == told_.end() ? chosen : std::max(chosen, told->second);
}

bool PhaseOne::hear(ReplicaId from, const Promise& promise, Slot chosen) {
  if (promise.chosen > chosen_) {
    chosen_ = promise.chosen;
    knows_chosen_ = from;
  }
  for (const auto& accepted : promise.accepted) {
    keep_highest(accepted_[accepted.slot], accepted);
    const auto* change = std::get_if<ChangeConfiguration>(&accepted.entry);
    if (change != nullptr && std::ranges::find(changes_, change->next) == changes_.end())
      changes_.push_back(change->next);
  }
  const auto told = told_by(from, chosen);
  if (promised_.contains(from) || promise.above > told) return false;
  if (promise.through) {
    if (*promise.through <= told) return false;
    told_[from] = *promise.through;
    return true;
  }
  promised_.insert(from);
  told_.erase(from);
  return false;
}

Replicas PhaseOne::voters(const Membership& membership, Slot chosen) const {
  return voters_of(membership.above(chosen, changes_));
}

bool PhaseOne::is_won(const Membership& membership, Slot chosen) const {
  return chosen_ <= chosen && std::ranges::all_of(membership.above(chosen, changes_), [&](const auto& each) {
           return votes_of(promised_, each) >= each.quorums.elect;
         });
}

std::optional<ReplicaId> PhaseOne::ahead_of(Slot chosen) const {
  if (chosen_ <= chosen) return std::nullopt;
  return knows_chosen_;
}

std::vector<Entry> PhaseOne::adopted(Slot chosen) const {
  std::vector<Entry> entries;
  for (auto each = accepted_.upper_bound(chosen); each != accepted_.end(); ++each) {
    entries.resize(each->first.value - chosen.value - 1, NoOp{});
    entries.push_back(each->second->entry);
  }
  return entries;
}

}  // namespace troth::coordinator::consensus
