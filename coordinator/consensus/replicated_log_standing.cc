// After a start: whether this replica may vote; see standing.h.
#include <algorithm>
#include <utility>

#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

void ReplicatedLog::ask_standing() {
  if (!standing_.asks() || (ask_standing_at_ && now_ < *ask_standing_at_)) return;
  ask_standing_at_ = now_ + options_.timing.resend;
  for (const auto each : standing_.unheard(membership_, chosen()))
    if (each != options_.self) ask_standing_of(each);
}

void ReplicatedLog::ask_standing_of(ReplicaId replica) {
  send(replica, AskStanding{.above = standing_.told_by(replica, chosen()),
                            .everything = standing_.state() == Standing::State::kRecovering,
                            .fence = standing_.fence(now_ - started_ >= options_.timing.silence),
                            .start = options_.start});
}

// Answered whatever the own standing is: a group that starts together answers from its logs.
void ReplicatedLog::hear_ask_standing(ReplicaId from, const AskStanding& asked) {
  // To raise a promise is safe for whoever lost one, too; but a lease that runs is kept [L2].
  if (asked.fence.leader == from && asked.fence > promised() && acceptor_.may_promise(asked.fence) &&
      grantor_.allows(now_, from) && unwritten_.has_room(0))
    promise(asked.fence);
  const auto known = positions_.find(from);
  StandingShown shown{.known = known == positions_.end() ? LogPosition{} : known->second,
                      .promised = acceptor_.promised(),
                      .chosen = chosen(),
                      .accepted = {},
                      .asked_in = asked.start,
                      .above = asked.above,
                      .through = std::nullopt};
  if (asked.everything) {
    auto part = acceptor_.part_above(std::max(chosen(), asked.above), options_.limits.message_bytes);
    shown.accepted = std::move(part.accepted);
    shown.through = part.through;
  }
  send(from, std::move(shown), asked.everything ? written_ : LogWrite{});
}

// An answer to an earlier start knows nothing of what was said since, and may be lost by now.
void ReplicatedLog::hear_standing_shown(ReplicaId from, const StandingShown& shown) {
  if (shown.asked_in != options_.start || !are_within_reach(shown.accepted, shown.chosen) ||
      !is_part(shown) || !(shown.promised.is_none() || is_within_reach(shown.promised, promised())))
    return;
  if (standing_.hear(from, shown, chosen())) ask_standing_of(from);
  note_ballot(shown.promised);
  settle_standing();
}

void ReplicatedLog::settle_standing() {
  if (!standing_.is_decided(membership_, chosen(), now_ - started_ >= options_.timing.silence)) return;
  if (standing_.state() == Standing::State::kRecovering && !take_over_what_was_lost()) return;
  standing_.vote();
  if (!start_write_) start_write_ = append(Started{start_});
  election_.heard(now_);
  if (membership_.voters_above(chosen()) == Replicas{options_.self}) election_.be_at_once(now_);
}

// True when it is durable: until then another start would have to do it again. What it promises now says nothing of
// whom it had granted a lease, so no start may find that promise before every lease has run out [L2].
bool ReplicatedLog::take_over_what_was_lost() {
  if (const auto ahead = standing_.ahead_of(chosen())) {
    fetch(*ahead);
    return false;
  }
  if (grantor_.running(now_)) return false;
  if (!taken_over_) {
    for (const auto& [slot, accepted] : standing_.accepted()) {
      if (slot <= chosen()) continue;
      if (!unwritten_.has_room(size_of(accepted->entry))) return false;  // the rest as the log proceeds
      if (acceptor_.take_over(*accepted)) append(*accepted);
    }
    if (standing_.promised() > promised()) promise(standing_.promised());
    start_write_ = taken_over_ = append(Started{start_});
  }
  if (*taken_over_ > durable_) return false;
  effects_.emplace_back(SettleCutTail{});
  return true;
}

// Until it is durable that this start votes, it has said no more than earlier ones: a crash before would look as if the disk
// had been set back; and one that was, and asks again and again, must never come to look as if it had not been.
LogPosition ReplicatedLog::position(LogWrite durable) const {
  if (!start_write_ || durable < *start_write_) return said_before_;
  return {start_, durable};
}

// What others know of this replica, heard after it began to vote: where nobody else was to be asked at its start.
void ReplicatedLog::compare_with_own(const LogPosition& known) {
  if (standing_.state() == Standing::State::kRecovering || known <= position(written_)) return;
  standing_.be_set_back();
  if (is_leading()) step_down("its disk was set back");
  role_ = Following{};
  // That it voted in this start is nothing to ask the next one with.
  start_write_.reset();
  append(StandingAsked{said_before_});
}

void ReplicatedLog::note_position(ReplicaId of, const LogPosition& position) {
  if (of == options_.self) return compare_with_own(position);
  auto& known = positions_[of];
  if (position <= known) return;
  known = position;
  positions_written_ = false;
}

}  // namespace troth::coordinator::consensus
