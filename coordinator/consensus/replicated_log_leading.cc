// Phase two: proposals and heartbeats.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

void ReplicatedLog::lead(const PhaseOne& phase) {
  auto adopted = phase.adopted(chosen());
  const Slot own{chosen().value + adopted.size() + 1};
  role_ =
      Leading{.phase = PhaseTwo(phase.ballot(), chosen(), awake()),
              .adopted = {std::make_move_iterator(adopted.begin()), std::make_move_iterator(adopted.end())},
              .lease = LeaseHolder(phase.ballot()),
              .began = awake(),
              .own = own,
              .worked = now_};
  show_leader(options_.self);
  effects_.emplace_back(Lead{phase.ballot()});
  beat();
  propose_adopted();
}

// One that was removed finishes what others had proposed, and begins nothing of its own.
bool ReplicatedLog::can_propose() const {
  const auto* leading = std::get_if<Leading>(&role_);
  return leading != nullptr && leading->adopted.empty() && !leading->transfer && is_voter() &&
         has_room(*leading);
}

// [C5]
bool ReplicatedLog::has_room(const Leading& leading) const {
  return leading.phase.slots() < options_.window && unwritten_.has_room(0) &&
         (leading.phase.slots() == 0 || (leading.phase.bytes() < options_.limits.in_flight_bytes &&
                                         acceptor_.bytes() < options_.limits.accepted_bytes));
}

void ReplicatedLog::propose_adopted() {
  while (true) {
    auto* leading = std::get_if<Leading>(&role_);
    if (leading == nullptr || leading->adopted.empty() || !has_room(*leading)) return;
    Entry entry = std::move(leading->adopted.front());
    leading->adopted.pop_front();
    propose(std::move(entry));
  }
}

// Sent while the own log writes it; there it counts when it is durable [C2].
void ReplicatedLog::propose(Entry entry) {
  auto& leading = std::get<Leading>(role_);
  const auto& ballot = leading.phase.ballot();
  const auto slot = leading.phase.propose(entry, awake());
  if (const auto* change = std::get_if<ChangeConfiguration>(&entry);
      change != nullptr && check_change(membership_.newest(), change->next))
    leading.changes.emplace(slot, change->next);
  send_to_all(membership_.everybody_above(chosen()),
              Accept{.ballot = ballot, .first = slot, .entries = {entry}, .chosen = chosen()});
  Accepted accepted{.slot = slot, .ballot = ballot, .entry = std::move(entry)};
  own_acceptances_.push_back({append(accepted), ballot, slot, awake()});
  acceptor_.accept(accepted);
  leading.worked = now_;
}

void ReplicatedLog::hear_accepted(ReplicaId from, const AcceptedThrough& accepted) {
  auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr || leading->phase.ballot() != accepted.ballot) return;
  leading->heard[from] = {now_, awake()};
  note_position(from, accepted.position);
  leading->phase.accepted(from, accepted.first, accepted.last);
  count_chosen();
}

void ReplicatedLog::count_chosen() {
  while (auto* leading = std::get_if<Leading>(&role_)) {
    CHECK(leading->phase.chosen() == chosen(), "phase two is at slot {}, the log at {}",
          leading->phase.chosen().value, chosen().value);
    auto entry = leading->phase.next_chosen(membership_, awake());
    if (!entry) break;
    leading->changes.erase({chosen().value + 1});
    deliver(std::move(*entry));
  }
  propose_adopted();
  confirm_reads();
  hand_over_if_removed();
  try_to_hand_over();
}

// A change that was proposed may be chosen, and known to be to somebody else.
std::vector<Configuration> ReplicatedLog::configurations(const Leading& leading) const {
  auto all = membership_.above(chosen());
  for (const auto& [slot, next] : leading.changes)
    all.push_back(next);
  return all;
}

// ---- heartbeats

void ReplicatedLog::beat() {
  auto& leading = std::get<Leading>(role_);
  ++leading.number.value;
  leading.next_heartbeat = now_ + options_.timing.heartbeat;
  // Its own grant, as any acceptor's.
  const auto& ballot = leading.phase.ballot();
  if (const auto terms = grant_lease(ballot))
    leading.lease.granted(now_, {.by = options_.self, .ballot = ballot, .sent = now_, .terms = *terms},
                          membership_.newest().lease_terms.drift_ppm);
  leading.seen[options_.self] = leading.number;
  // Its own, too: it counts what it accepts without an answer that would tell how far its log has come.
  auto positions = positions_;
  positions[options_.self] = position(durable_);
  send_to_all(membership_.everybody_above(chosen()), Heartbeat{.ballot = ballot,
                                                               .number = leading.number,
                                                               .chosen = chosen(),
                                                               .sent = now_,
                                                               .positions = std::move(positions)});
}

void ReplicatedLog::hear_heartbeat_seen(ReplicaId from, const HeartbeatSeen& seen) {
  auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr || leading->phase.ballot() != seen.ballot || seen.number > leading->number) return;
  note_position(from, seen.position);
  if (seen.granted)
    leading->lease.granted(now_,
                           {.by = from, .ballot = seen.ballot, .sent = seen.sent, .terms = *seen.granted},
                           membership_.newest().lease_terms.drift_ppm);
  leading->heard[from] = {now_, awake()};
  auto& newest = leading->seen[from];
  newest = std::max(newest, seen.number);
  auto& told = leading->told[from];
  told = std::max(told, seen.chosen);
  confirm_reads();
  try_to_hand_over();
}

void ReplicatedLog::resend_missing() {
  auto& leading = std::get<Leading>(role_);
  const auto oldest = leading.phase.waits_since();
  if (!oldest || awake() - *oldest < options_.timing.resend) return;
  for (const auto replica : membership_.everybody_above(chosen())) {
    auto& resend = leading.resend[replica];
    if (replica == options_.self || now_ < resend) continue;
    resend = now_ + options_.timing.resend;
    auto accept = leading.phase.missing_at(replica, options_.limits.message_bytes);
    if (!accept.entries.empty()) send(replica, std::move(accept));
  }
}

// Cut off, or with a disk that hangs: others can do better (attack 25). Where there is none, nobody can.
const char* ReplicatedLog::why_others_can_do_better(const Leading& leading) const {
  if (voters_of(configurations(leading)) == Replicas{options_.self}) return nullptr;
  if (const auto since = leading.phase.waits_since(); since && awake() - *since >= options_.timing.stuck)
    return "no write quorum accepts";
  // The others may well be a write quorum without it.
  if (!own_acceptances_.empty() && awake() - own_acceptances_.front().appended >= options_.timing.stuck)
    return "its own log does not move";
  if (awake() - heard_by_quorum(leading) >= options_.timing.silence) return "no write quorum answers";
  return nullptr;
}

void ReplicatedLog::leading_time_passed() {
  auto& leading = std::get<Leading>(role_);
  if (const auto* reason = why_others_can_do_better(leading)) return step_down(reason);
  give_up_late_transfer(leading);
  if (!is_voter() && !leading.transfer) return step_down("it was removed from the group");
  hand_over_if_removed();
  if (!is_leading()) return;
  if (now_ >= leading.next_heartbeat) beat();
  resend_missing();
  if (can_propose() && leading.phase.slots() == 0 && now_ - leading.worked >= options_.timing.idle)
    propose(NoOp{});
}

// When a W quorum of every configuration had answered last; itself it always hears.
Instant ReplicatedLog::heard_by_quorum(const Leading& leading) const {
  Instant oldest = awake();
  for (const auto& configuration : configurations(leading)) {
    std::vector<Instant> heard;
    for (const auto voter : configuration.voters) {
      const auto found = leading.heard.find(voter);
      heard.push_back(voter == options_.self         ? awake()
                      : found == leading.heard.end() ? leading.began
                                                     : found->second.awake);
    }
    std::ranges::sort(heard, std::greater{});
    oldest = std::min(oldest, heard[configuration.quorums.write - 1]);
  }
  return oldest;
}

}  // namespace troth::coordinator::consensus
