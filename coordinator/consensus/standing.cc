#include "coordinator/consensus/standing.h"

#include <algorithm>

namespace troth::coordinator::consensus {

Standing::Standing(ReplicaId self, LogPosition own, bool cut_tail)
    : self_(self), own_(own), state_(cut_tail ? State::kRecovering : State::kAsking), heard_{self} {}

Replicas Standing::unheard(const Membership& membership, Slot chosen) const {
  auto others = membership.voters_above(chosen);
  std::erase_if(others, [&](ReplicaId each) { return heard_.contains(each); });
  return others;
}

void Standing::hear(ReplicaId from, const StandingShown& shown) {
  if (!asks()) return;
  heard_.insert(from);
  if (state_ == State::kAsking) {
    if (shown.known > own_) state_ = State::kSetBack;
    return;
  }
  promised_ = std::max(promised_, shown.promised);
  if (shown.chosen > chosen_) {
    chosen_ = shown.chosen;
    knows_chosen_ = from;
  }
  for (const auto& accepted : shown.accepted) {
    auto [known, is_first] = accepted_.try_emplace(accepted.slot, accepted);
    if (!is_first && accepted.ballot > known->second.ballot) known->second = accepted;
  }
}

bool Standing::is_decided(const Membership& membership, Slot chosen, bool waited) const {
  if (!asks()) return false;
  return std::ranges::all_of(membership.above(chosen), [&](const Configuration& each) {
    // Also of a replica that does not vote: by what it does not know yet it may.
    const auto heard = votes_of(heard_, each);
    if (each.voters == Replicas{self_}) return true;
    if (state_ == State::kAsking)
      return waited ? heard >= each.size() - each.quorums.write + 1 : unheard(membership, chosen).empty();
    return heard >= each.size() - std::min(each.quorums.elect, each.quorums.write) + 2;
  });
}

}  // namespace troth::coordinator::consensus
