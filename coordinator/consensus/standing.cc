#include "coordinator/consensus/standing.h"

#include <algorithm>
#include <utility>

namespace troth::coordinator::consensus {

Standing::Standing(ReplicaId self, Replicas listed, LogPosition own, bool cut_tail)
    : self_(self),
      listed_(std::move(listed)),
      own_(own),
      state_(cut_tail ? State::kRecovering : State::kAsking),
      heard_{self} {}

Replicas Standing::unheard(const Membership& membership, Slot chosen) const {
  const auto voters = voters_of(configurations(membership, chosen));
  const bool all_heard = std::ranges::includes(heard_, voters);
  auto others = voters;
  if (state_ == State::kAsking) others.insert(listed_.begin(), listed_.end());
  std::erase_if(others, [&](ReplicaId each) {
    const auto told = told_chosen_.find(each);
    return heard_.contains(each) && (all_heard || is_behind_fence(each)) &&
           (told == told_chosen_.end() || told->second <= chosen);
  });
  return others;
}

Slot Standing::told_by(ReplicaId replica, Slot chosen) const {
  const auto begun = begun_.find(replica);
  return begun == begun_.end() ? chosen : std::max(chosen, begun->second.through);
}

bool Standing::hear(ReplicaId from, const StandingShown& shown, Slot chosen) {
  if (!asks()) return false;
  if (state_ == State::kAsking) {
    heard_.insert(from);
    if (shown.known > own_) state_ = State::kSetBack;
    return false;
  }
  promised_ = std::max(promised_, shown.promised);
  for (const auto& accepted : shown.accepted)
    keep_highest(accepted_[accepted.slot], accepted);
  const auto told = told_by(from, chosen);
  if (shown.above > told) return false;
  auto [begun, is_first] =
      begun_.try_emplace(from, Begun{.through = {}, .chosen = shown.chosen, .promised = shown.promised});
  auto& answer = begun->second;
  answer.chosen = std::max(answer.chosen, shown.chosen);
  answer.promised = std::min(answer.promised, shown.promised);
  if (shown.through) {
    if (*shown.through <= told) return false;
    answer.through = *shown.through;
    return true;
  }
  hear_whole(from, answer);
  begun_.erase(begun);
  return false;
}

// It tells all that it had accepted since it was asked, or knows to be chosen. In parts, too: in each slot the ballot of what
// is accepted only rises, and so does what is promised.
void Standing::hear_whole(ReplicaId from, const Begun& answer) {
  heard_.insert(from);
  auto& promised = told_promised_[from];
  promised = std::max(promised, answer.promised);
  auto [known, is_first] = told_chosen_.try_emplace(from, answer.chosen);
  if (!is_first) known->second = std::min(known->second, answer.chosen);
}

std::optional<ReplicaId> Standing::ahead_of(Slot chosen) const {
  const auto most = std::ranges::max_element(told_chosen_, {}, [](const auto& told) { return told.second; });
  if (most == told_chosen_.end() || most->second <= chosen) return std::nullopt;
  return most->first;
}

// Also those by which what is taken over may be counted.
std::vector<Configuration> Standing::configurations(const Membership& membership, Slot chosen) const {
  std::vector<Configuration> revealed;
  for (auto each = accepted_.upper_bound(chosen); each != accepted_.end(); ++each)
    if (const auto* change = std::get_if<ChangeConfiguration>(&each->second->entry))
      revealed.push_back(change->next);
  return membership.above(chosen, std::move(revealed));
}

Ballot Standing::fence(bool waited) const {
  if (state_ != State::kRecovering || !waited || promised_.is_none() || heard_.contains(promised_.leader))
    return promised_.leader == self_ ? promised_ : Ballot{};
  return ballot_above(promised_, self_);
}

bool Standing::is_behind_fence(ReplicaId replica) const {
  if (state_ != State::kRecovering || replica == self_ || promised_.is_none()) return true;
  const auto told = told_promised_.find(replica);
  return heard_.contains(promised_.leader) && told != told_promised_.end() && told->second >= promised_;
}

bool Standing::is_enough_for(const Configuration& configuration, bool waited) const {
  if (configuration.voters == Replicas{self_})
    return waited || state_ != State::kAsking || std::ranges::includes(heard_, listed_);
  const auto heard = votes_of(heard_, configuration);
  const auto& [write, elect, read] = configuration.quorums;
  // One that does not vote may do so by a change that it does not know: enough to hear of it.
  if (state_ == State::kRecovering && configuration.voters.contains(self_)) {
    if (heard == configuration.size()) return true;
    const auto behind = std::ranges::count_if(
        configuration.voters, [&](ReplicaId each) { return heard_.contains(each) && is_behind_fence(each); });
    return static_cast<std::uint32_t>(behind) >= configuration.size() - std::min(elect, write) + 2;
  }
  return heard >= configuration.size() - (waited ? write - 1 : 0);
}

bool Standing::is_decided(const Membership& membership, Slot chosen, bool waited) const {
  if (!asks()) return false;
  return std::ranges::all_of(configurations(membership, chosen),
                             [&](const Configuration& each) { return is_enough_for(each, waited); });
}

}  // namespace troth::coordinator::consensus
