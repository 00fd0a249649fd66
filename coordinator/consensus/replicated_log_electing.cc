// Phase one: from a silence to the lead.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

void ReplicatedLog::election_time_passed() {
  if (const auto* asking = std::get_if<Asking>(&role_); asking != nullptr && now_ >= asking->ends) {
    role_ = Following{};
    election_.pre_vote_failed(now_, lease_ends());
  }
  if (auto* preparing = std::get_if<Preparing>(&role_); preparing != nullptr) {
    if (now_ >= preparing->ends) {
      role_ = Following{};
      election_.attempt_failed(now_);
    } else if (now_ >= preparing->resend) {
      // A promise or a fetch was lost, or a lease stood in the way.
      preparing->resend = now_ + options_.timing.resend;
      fetching_until_.reset();
      send_prepare(*preparing, preparing->phase.voters(membership_, chosen()));
      try_to_lead();
    }
  }
  if (std::holds_alternative<Following>(role_) && is_voter() && standing_.votes() && now_ >= election_.due())
    ask_for_votes();
}

// Nothing changes by it: a replica that was cut off does not disturb the others when it comes back.
void ReplicatedLog::ask_for_votes() {
  const auto ballot = ballot_above(std::max(acceptor_.promised(), highest_seen_), options_.self);
  if (!grantor_.allows(now_, options_.self) || !unwritten_.has_room(0))
    return election_.pre_vote_failed(now_, lease_ends());
  role_ = Asking{.ballot = ballot, .granted = {options_.self}, .ends = now_ + options_.timing.pre_vote};
  if (has_elect_quorum({options_.self})) return prepare();
  send_to_all(membership_.voters_above(chosen()), PreVote{ballot});
}

// Nobody helps against a leader that he hears himself.
void ReplicatedLog::hear_pre_vote(ReplicaId from, const PreVote& vote) {
  if (!standing_.votes()) return;
  if (vote.ballot <= promised() || !acceptor_.may_promise(vote.ballot) || is_leading() ||
      !election_.misses_leader(now_) || !grantor_.allows(now_, from))
    return refuse(from, vote.ballot);
  send(from, PreVoteGranted{vote.ballot});
}

void ReplicatedLog::hear_pre_vote_granted(ReplicaId from, const PreVoteGranted& granted) {
  auto* asking = std::get_if<Asking>(&role_);
  if (asking == nullptr || asking->ballot != granted.ballot) return;
  asking->granted.insert(from);
  if (has_elect_quorum(asking->granted)) prepare();
}

bool ReplicatedLog::has_elect_quorum(const Replicas& replicas) const {
  return std::ranges::all_of(membership_.above(chosen()), [&](const auto& each) {
    return votes_of(replicas, each) >= each.quorums.elect;
  });
}

// [C3] The own promise is durable before anybody hears of the ballot.
void ReplicatedLog::prepare() {
  if (!grantor_.allows(now_, options_.self)) {
    role_ = Following{};
    return election_.pre_vote_failed(now_, lease_ends());
  }
  const auto ballot = ballot_above(std::max(acceptor_.promised(), highest_seen_), options_.self);
  promise(ballot);
  show_leader(std::nullopt);
  role_ = Preparing{.phase = PhaseOne(ballot),
                    .ends = now_ + options_.timing.silence,
                    .resend = now_ + options_.timing.resend};
  fetching_until_.reset();
  own_promises_.push_back({written_, ballot});
  const auto& preparing = std::get<Preparing>(role_);
  send_prepare(preparing, preparing.phase.voters(membership_, chosen()));
}

void ReplicatedLog::send_prepare(const Preparing& preparing, const Replicas& to) {
  for (const auto replica : to)
    if (replica != options_.self && !preparing.phase.has_promised(replica))
      send(replica,
           Prepare{.ballot = preparing.phase.ballot(), .above = preparing.phase.told_by(replica, chosen())},
           promise_write_);
}

void ReplicatedLog::own_promise_durable(const Ballot& ballot) {
  hear_promise(
      options_.self,
      Promise{.ballot = ballot, .chosen = chosen(), .accepted = acceptor_.above(chosen()), .position = {}});
}

void ReplicatedLog::hear_promise(ReplicaId from, const Promise& promise) {
  auto* preparing = std::get_if<Preparing>(&role_);
  if (preparing == nullptr || preparing->phase.ballot() != promise.ballot ||
      !are_within_reach(promise.accepted, promise.chosen) || !is_part(promise))
    return;
  note_position(from, promise.position);
  const auto asked = preparing->phase.voters(membership_, chosen());
  const bool goes_on = preparing->phase.hear(from, promise, chosen());
  // There are only so many parts, and each takes a round trip: as long as they come, it is nobody's silence.
  if (goes_on) preparing->ends = now_ + options_.timing.silence;
  Replicas also = preparing->phase.voters(membership_, chosen());
  std::erase_if(also, [&](ReplicaId each) { return asked.contains(each); });
  if (goes_on) also.insert(from);
  send_prepare(*preparing, also);
  try_to_lead();
}

// [C4] What somebody knows to be chosen is fetched, not proposed.
void ReplicatedLog::try_to_lead() {
  auto* preparing = std::get_if<Preparing>(&role_);
  if (preparing == nullptr) return;
  if (const auto ahead = preparing->phase.ahead_of(chosen())) return fetch(*ahead);
  if (preparing->phase.is_won(membership_, chosen())) lead(std::exchange(preparing->phase, PhaseOne({})));
}

}  // namespace troth::coordinator::consensus
