// The lead handed over on purpose: asked for, or because its holder votes no more.
#include <algorithm>

#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

// Nothing is given up for one that is silent, and nobody waits for it.
void ReplicatedLog::transfer_asked(ReplicaId successor) {
  auto* leading = std::get_if<Leading>(&role_);
  if (leading != nullptr && !leading->transfer && may_succeed(*leading, successor))
    begin_transfer(*leading, successor);
}

bool ReplicatedLog::may_hand_over_to(ReplicaId successor) const {
  const auto* leading = std::get_if<Leading>(&role_);
  return leading != nullptr && may_succeed(*leading, successor);
}

std::optional<std::uint64_t> ReplicatedLog::behind(ReplicaId replica) const {
  const auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr || !answered_lately(*leading, replica)) return std::nullopt;
  const auto told = leading->told.find(replica);
  if (told == leading->told.end()) return std::nullopt;
  return chosen().value - std::min(told->second, chosen()).value;
}

// Only those that their disk lets vote answer.
bool ReplicatedLog::answered_lately(const Leading& leading, ReplicaId replica) const {
  const auto heard = leading.heard.find(replica);
  return heard != leading.heard.end() && now_ - heard->second.at <= 2 * options_.timing.heartbeat;
}

bool ReplicatedLog::may_succeed(const Leading& leading, ReplicaId successor) const {
  return successor != options_.self && membership_.newest().voters.contains(successor) &&
         answered_lately(leading, successor);
}

void ReplicatedLog::begin_transfer(Leading& leading, ReplicaId successor) {
  leading.transfer =
      Transfer{.successor = successor, .ends = now_ + options_.timing.hand_over, .last = std::nullopt};
  try_to_hand_over();
}

// It leads as before: what was offered meanwhile waited, and nothing is lost.
void ReplicatedLog::give_up_late_transfer(Leading& leading) {
  if (!leading.transfer || now_ < leading.transfer->ends) return;
  leading.did_not_take_over = leading.transfer->successor;
  leading.next_transfer = now_ + 4 * options_.timing.hand_over;
  leading.transfer.reset();
}

// Its own removal is chosen: the group need not wait for a silence. To whom knows the most that is chosen, and to another one
// than the last, where that did not take over.
void ReplicatedLog::hand_over_if_removed() {
  auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr || leading->transfer || now_ < leading->next_transfer ||
      membership_.newest().voters.contains(options_.self))
    return;
  std::optional<ReplicaId> best;
  const auto worth = [&](ReplicaId each) {
    const auto told = leading->told.find(each);
    return std::pair(leading->did_not_take_over != each, told == leading->told.end() ? Slot{} : told->second);
  };
  for (const auto each : membership_.newest().voters)
    if (may_succeed(*leading, each) && (!best || worth(each) > worth(*best))) best = each;
  if (best) begin_transfer(*leading, *best);
}

// It proposes nothing more in this ballot, and gives up its lease, before anybody may prepare (attack 37).
void ReplicatedLog::try_to_hand_over() {
  auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr || !leading->transfer || !leading->adopted.empty() || leading->phase.slots() > 0)
    return;
  if (!leading->transfer->last) {
    beat();
    leading->transfer->last = leading->number;
  }
  const auto successor = leading->transfer->successor;
  if (leading->seen[successor] < *leading->transfer->last || leading->told[successor] < chosen()) return;
  const auto ballot = leading->phase.ballot();
  const auto voters = membership_.voters_above(chosen());
  const auto hand_over = leading->lease.hand_over(successor);
  step_down("handed over");
  grantor_.hand_over(hand_over);
  election_.released(options_.timing.hand_over, now_, lease_ends());
  send_to_all(voters, Release{hand_over});
  send(successor, TakeOver{.ballot = ballot, .chosen = chosen()});
}

// Who followed that ballot waits for its successor no longer than for a hand-over.
void ReplicatedLog::hear_release(ReplicaId from, const Release& release) {
  if (release.hand_over.ballot.leader != from) return;
  grantor_.hand_over(release.hand_over);
  if (leader_ == from && release.hand_over.ballot == promised())
    election_.released(options_.timing.hand_over, now_, lease_ends());
}

// The leader that was stops; its lease is free for this replica.
void ReplicatedLog::hear_take_over(ReplicaId from, const TakeOver& take_over) {
  if (take_over.ballot.leader != from || take_over.ballot < acceptor_.promised() || !is_voter() ||
      !standing_.votes())
    return;
  if (!std::holds_alternative<Following>(role_)) return;
  grantor_.hand_over({take_over.ballot, options_.self});
  prepare();
}

}  // namespace troth::coordinator::consensus
