// The acceptor's side, and what is the same in every role.
#include "coordinator/consensus/replicated_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace troth::coordinator::consensus {
namespace {

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

}  // namespace

ReplicatedLog::ReplicatedLog(ReplicaOptions options, Restored restored, Random random, Instant now)
    : options_(options),
      now_(now),
      written_(restored.written),
      durable_(restored.written),
      unwritten_(options.limits.unwritten_bytes),
      held_(options.limits.held_bytes),
      acceptor_(restored),
      chosen_(restored, options.limits.kept_bytes),
      membership_(restored.configured, options.window),
      election_(options.timing, random, now),
      pledge_(restored.waits(), now),
      grantor_(restored.cut_tail ? LeaseGrantor::without_memory(restored.waits(), now)
                                 : LeaseGrantor(restored.waits(), options.self, restored.promised, now)),
      highest_seen_(restored.promised),
      // The batch that was cut may have held a start that others know of.
      start_(restored.start + (restored.cut_tail ? 2 : 1)),
      said_before_(restored.position()),
      standing_(options.self, options.listed, said_before_, restored.cut_tail),
      started_(now),
      positions_(restored.positions),
      last_quorum_read_(options.start.value >> 16U),
      chosen_written_(restored.chosen),
      chosen_written_at_(now) {
  restore_chosen(restored);
  append(StandingAsked{said_before_});
}

void ReplicatedLog::restore_chosen(const Restored& restored) {
  for (const auto& [slot, accepted] : restored.accepted) {
    if (slot > restored.chosen) break;
    if (const auto* change = std::get_if<ChangeConfiguration>(&accepted.entry))
      membership_.change(slot, change->next);
    effects_.emplace_back(Deliver{slot, accepted.entry});
  }
}

ReplicaEffects ReplicatedLog::step(ReplicaInput input, Instant now) {
  const auto expected = is_leading() ? std::max(role_wakes_at(), now_) : now;
  now_ = std::max(now_, now);
  if (now_ - expected > options_.timing.heartbeat) asleep_ += now_ - expected;
  settle_standing();
  std::visit(Overloaded{
                 [&](MessageReceived& in) { hear(in.from, in.message); },
                 [&](WritesDurable& in) { writes_durable(in.through); },
                 [&](EntryOffered& in) {
                   CHECK(can_propose(), "an entry is offered to a replica that may not propose");
                   propose(std::move(in.entry));
                 },
                 [&](TimePassed&) { time_passed(); },
                 [&](PeerLost& in) {
                   if (leader_ == in.peer && in.peer != options_.self)
                     election_.lost_leader(now_, lease_ends());
                 },
                 [&](ReadAsked& in) { read_asked(in.ticket); },
                 [&](QuorumReadAsked& in) { quorum_read_asked(in.ticket); },
                 [&](SessionReadAsked& in) { session_read_asked(in); },
                 [&](ReadGivenUp& in) { give_up_read(in.ticket); },
                 [&](TransferAsked& in) { transfer_asked(in.successor); },
                 [&](SnapshotInstalled& in) { snapshot_installed(in); },
                 [&](SnapshotTaken& in) {
                   CHECK(in.slot <= chosen(), "a snapshot of slot {}, and {} is chosen", in.slot.value,
                         chosen().value);
                   for (auto& record : restated(in.slot))
                     append(std::move(record));
                 },
                 [&](SnapshotFetched& in) {
                   chosen_.keep_above(in.above, options_.limits.kept_behind_snapshot_bytes);
                 },
             },
             input);
  settle_pledge();
  return std::exchange(effects_, {});
}

void ReplicatedLog::hear(ReplicaId from, Message& message) {
  if (from == options_.self) return;
  std::visit(Overloaded{
                 [&](PreVote& in) { hear_pre_vote(from, in); },
                 [&](PreVoteGranted& in) { hear_pre_vote_granted(from, in); },
                 [&](Prepare& in) { hear_prepare(from, in); },
                 [&](Promise& in) { hear_promise(from, in); },
                 [&](Refused& in) { hear_refusal(in); },
                 [&](Accept& in) { hear_accept(from, in); },
                 [&](AcceptedThrough& in) { hear_accepted(from, in); },
                 [&](Heartbeat& in) { hear_heartbeat(from, in); },
                 [&](HeartbeatSeen& in) { hear_heartbeat_seen(from, in); },
                 [&](Fetch& in) { hear_fetch(from, in); },
                 [&](ChosenEntries& in) { hear_chosen_entries(from, in); },
                 [&](Release& in) { hear_release(from, in); },
                 [&](TakeOver& in) { hear_take_over(from, in); },
                 [&](AskStanding& in) { hear_ask_standing(from, in); },
                 [&](StandingShown& in) { hear_standing_shown(from, in); },
                 [&](AskHighest& in) { hear_ask_highest(from, in); },
                 [&](HighestShown& in) { hear_highest_shown(from, in); },
             },
             message);
}

// [C2] The answer waits for the promise, and with it for every acceptance that it tells.
void ReplicatedLog::hear_prepare(ReplicaId from, const Prepare& prepare) {
  if (prepare.ballot.leader != from || !standing_.votes()) return;
  if (!acceptor_.may_promise(prepare.ballot) || !grantor_.allows(now_, from))
    return refuse(from, prepare.ballot);
  if (prepare.ballot > promised()) {
    if (!unwritten_.has_room(0)) return;
    promise(prepare.ballot);
    election_.promised(now_);
  }
  auto part = acceptor_.part_above(std::max(chosen(), prepare.above), options_.limits.message_bytes);
  send(from,
       Promise{.ballot = prepare.ballot,
               .chosen = chosen(),
               .accepted = std::move(part.accepted),
               .position = position(written_),
               .above = prepare.above,
               .through = part.through},
       written_);
}

void ReplicatedLog::hear_accept(ReplicaId from, Accept& accept) {
  if (accept.ballot.leader != from || accept.first.value == 0 || accept.entries.empty()) return;
  if (!acceptor_.may_accept(accept.ballot)) return refuse(from, accept.ballot);
  if (!standing_.votes()) return told_chosen(from, accept.ballot, accept.chosen);
  follow(accept.ballot, from);
  const auto last = accept_entries(accept);
  if (last >= accept.first)
    send(from,
         AcceptedThrough{
             .ballot = accept.ballot, .first = accept.first, .last = last, .position = position(written_)},
         written_);
  told_chosen(from, accept.ballot, accept.chosen);
}

// What is known to be chosen is accepted already: nothing else can be proposed there [C1]. The next slot is always taken if the
// log has room, so that what was accepted above it stops nobody.
Slot ReplicatedLog::accept_entries(Accept& accept) {
  const auto& limits = options_.limits;
  Slot slot = accept.first;
  const Slot highest{chosen().value + 2 * options_.window};
  for (auto& entry : accept.entries) {
    if (slot > highest) break;
    const auto* known = acceptor_.at(slot);
    if (slot > chosen() && (known == nullptr || known->ballot != accept.ballot)) {
      const auto size = size_of(entry);
      const bool is_next = slot.value == chosen().value + 1;
      if (!unwritten_.has_room(size) || (!is_next && acceptor_.bytes() + size > limits.accepted_bytes)) break;
      Accepted accepted{.slot = slot, .ballot = accept.ballot, .entry = std::move(entry)};
      // To accept is to promise, and what goes out for the promise, a lease too, waits for it [L3].
      const bool promises = accept.ballot > promised();
      const auto written = append(accepted);
      if (promises) promise_write_ = written;
      acceptor_.accept(accepted);
    }
    ++slot.value;
  }
  return {slot.value - 1};
}

void ReplicatedLog::hear_heartbeat(ReplicaId from, const Heartbeat& heartbeat) {
  if (heartbeat.ballot.leader != from) return;
  for (const auto& [replica, position] : heartbeat.positions)
    note_position(replica, position);
  if (!acceptor_.may_accept(heartbeat.ballot)) return refuse(from, heartbeat.ballot);
  if (!standing_.votes()) return told_chosen(from, heartbeat.ballot, heartbeat.chosen);
  // Whoever leads was elected: what an E quorum promised may be promised here, too.
  if (heartbeat.ballot > promised()) {
    if (!unwritten_.has_room(0)) return;
    promise(heartbeat.ballot);
  }
  follow(heartbeat.ballot, from);
  told_chosen(from, heartbeat.ballot, heartbeat.chosen);
  const auto granted = grant_lease(heartbeat.ballot);
  send(from,
       HeartbeatSeen{.ballot = heartbeat.ballot,
                     .number = heartbeat.number,
                     .chosen = chosen(),
                     .position = position(durable_),
                     .sent = heartbeat.sent,
                     .granted = granted},
       std::max(promise_write_, *start_write_));
  // A follower that hears of its leader in time never wakes for anything.
  write_chosen_if_old();
}

void ReplicatedLog::hear_refusal(const Refused& refused) {
  if (!is_within_reach(refused.promised, promised())) return;
  note_ballot(refused.promised);
  if (!is_current(refused.ballot) || refused.promised <= refused.ballot) return;
  if (is_leading()) return step_down("a higher ballot was promised");
  if (std::holds_alternative<Preparing>(role_)) election_.attempt_failed(now_);
  role_ = Following{};
}

// [L3] What leaves with it waits for the promise, and for the start, so that what the log says of leases is no more its last
// batch (lease_pledge.h).
std::optional<LeaseTerms> ReplicatedLog::grant_lease(const Ballot& ballot) {
  settle_pledge();
  const auto& terms = pledge_.grants_by();
  if (!terms || !grantor_.grant(now_, *terms, ballot, promised())) return std::nullopt;
  pledge_.granted(now_ + terms->length);
  return terms;
}

// The terms that are chosen, whether they count votes yet or not.
void ReplicatedLog::settle_pledge() {
  if (const auto wait = pledge_.due(membership_.newest().lease_terms, now_))
    pledge_.appended(append(WaitsAfterStart{*wait}));
}

Instant ReplicatedLog::lease_ends() const {
  const auto grant = grantor_.running(now_);
  return grant ? grant->until : now_;
}

// One that no election could have brought is damaged, and would use up the numbers for everybody (attack 35).
// The one that this replica makes above it must be within reach, too.
void ReplicatedLog::note_ballot(const Ballot& ballot) {
  if (is_within_reach(ballot_above(ballot, options_.self), promised()))
    highest_seen_ = std::max(highest_seen_, ballot);
}

// The same of slots: no acceptor takes any beyond two windows of what it knows to be chosen, and a start knows a little
// less. A candidate would have to fill everything below.
bool ReplicatedLog::are_within_reach(const std::vector<Accepted>& accepted, Slot chosen) const {
  constexpr std::uint64_t kAtLeast = 1U << 16U;
  const auto farthest = std::max(kAtLeast, 8 * (options_.window + options_.limits.unwritten_chosen));
  return std::ranges::all_of(accepted, [&](const Accepted& each) {
    return each.slot <= chosen || each.slot.value - chosen.value <= farthest;
  });
}

// A part that is not the last ends with what it tells.
template <typename M>
bool ReplicatedLog::is_part(const M& message) {
  return !message.through || (!message.accepted.empty() && message.accepted.back().slot == *message.through);
}
template bool ReplicatedLog::is_part(const Promise&);
template bool ReplicatedLog::is_part(const StandingShown&);

void ReplicatedLog::refuse(ReplicaId from, const Ballot& ballot) {
  send(from, Refused{.ballot = ballot, .promised = acceptor_.promised(), .leader = leader_});
}

// Whatever it does in a lower ballot is over.
void ReplicatedLog::promise(const Ballot& ballot) {
  acceptor_.promise(ballot);
  promise_write_ = append(Promised{ballot});
  highest_seen_ = std::max(highest_seen_, ballot);
  if (ballot.leader == options_.self) return;
  if (is_leading()) step_down("it promised a higher ballot");
  role_ = Following{};
  show_leader(std::nullopt);
}

void ReplicatedLog::follow(const Ballot& ballot, ReplicaId leader) {
  note_ballot(ballot);
  if (is_leading()) step_down("another replica leads");
  role_ = Following{};
  election_.heard(now_);
  show_leader(leader);
}

void ReplicatedLog::step_down(const char* reason) {
  auto& leading = std::get<Leading>(role_);
  for (const auto& read : leading.reads)
    effects_.emplace_back(RefuseRead{read.ticket});
  effects_.emplace_back(StopLeading{leading.phase.ballot(), reason});
  role_ = Following{};
  election_.heard(now_);
  show_leader(std::nullopt);
}

void ReplicatedLog::show_leader(std::optional<ReplicaId> leader) {
  if (std::exchange(leader_, leader) != leader) effects_.emplace_back(ShowLeader{leader});
}

// ---- the own log

LogWrite ReplicatedLog::append(DurableRecord record) {
  ++written_.value;
  unwritten_.add(written_, size_of(record));
  effects_.emplace_back(Append{written_, std::move(record)});
  return written_;
}

void ReplicatedLog::writes_durable(LogWrite through) {
  CHECK(through <= written_, "write {} is durable, {} is the last", through.value, written_.value);
  durable_ = std::max(durable_, through);
  unwritten_.durable(durable_);
  held_.durable(durable_);
  pledge_.durable(durable_);
  while (!own_promises_.empty() && own_promises_.front().after <= durable_) {
    const auto own = own_promises_.front();
    own_promises_.pop_front();
    own_promise_durable(own.ballot);
  }
  settle_standing();
  bool counted = false;
  while (!own_acceptances_.empty() && own_acceptances_.front().after <= durable_) {
    const auto own = own_acceptances_.front();
    own_acceptances_.pop_front();
    auto* leading = std::get_if<Leading>(&role_);
    if (leading == nullptr || leading->phase.ballot() != own.ballot) continue;
    leading->phase.accepted(options_.self, own.slot, own.slot);
    counted = true;
  }
  if (counted) return count_chosen();
  propose_adopted();  // which may have had no room
}

std::vector<DurableRecord> ReplicatedLog::restated(Slot snapshot) const {
  std::vector<DurableRecord> records;
  if (start_write_)
    records.emplace_back(Started{start_});
  else
    records.emplace_back(StandingAsked{said_before_});
  records.insert(records.end(), {Promised{acceptor_.promised()}, PositionsKnown{positions_},
                                 WaitsAfterStart{pledge_.said()}});
  for (auto& configured : membership_.standing({snapshot.value + 1}))
    records.emplace_back(std::move(configured));
  // A start that does not find the snapshot is refused by it.
  records.emplace_back(ChosenThrough{snapshot});
  return records;
}

// ---- time

void ReplicatedLog::time_passed() {
  if (is_leading()) {
    leading_time_passed();
  } else {
    election_time_passed();
  }
  ask_standing();
  quorum_read_time_passed();
  answer_session_reads();
  write_chosen_if_old();
}

Instant ReplicatedLog::wakes_at() const {
  auto at = standing_.asks() ? ask_standing_at_.value_or(now_) : role_wakes_at();
  for (const auto& round : quorum_rounds_)
    at = std::min({at, round.resend, round.until});
  for (const auto& read : session_reads_)
    at = std::min(at, read.until);
  return at;
}

Instant ReplicatedLog::role_wakes_at() const {
  return std::visit(
      Overloaded{
          [&](const Following&) {
            return is_voter() && standing_.votes() ? election_.due() : Instant::max();
          },
          [&](const Asking& asking) { return asking.ends; },
          [&](const Preparing& preparing) { return std::min(preparing.ends, preparing.resend); },
          [&](const Leading& leading) { return leading.next_heartbeat; },
      },
      role_);
}

// ---- send

// What is held back has a limit; beyond it, it is lost [T10].
void ReplicatedLog::send(ReplicaId to, Message message, LogWrite after) {
  if (after <= durable_) {
    after = {};
  } else {
    const auto bytes = size_of(message);
    if (!held_.has_room(bytes)) return;
    held_.add(after, bytes);
  }
  effects_.emplace_back(Send{to, std::move(message), after});
}

void ReplicatedLog::send_to_all(const Replicas& replicas, const Message& message, LogWrite after) {
  for (const auto replica : replicas)
    if (replica != options_.self) send(replica, message, after);
}

bool ReplicatedLog::is_voter() const {
  return membership_.voters_above(chosen()).contains(options_.self);
}

bool ReplicatedLog::is_current(const Ballot& ballot) const {
  return std::visit(Overloaded{
                        [](const Following&) { return false; },
                        [&](const Asking& asking) { return asking.ballot == ballot; },
                        [&](const Preparing& preparing) { return preparing.phase.ballot() == ballot; },
                        [&](const Leading& leading) { return leading.phase.ballot() == ballot; },
                    },
                    role_);
}

}  // namespace troth::coordinator::consensus
