// From which state on a read may be answered: linearizable at the leader, by quorum or for a session at any replica.
#include <algorithm>

#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

bool ReplicatedLog::holds_lease(Instant now) const {
  const auto* leading = std::get_if<Leading>(&role_);
  return leading != nullptr && !leading->transfer &&
         std::ranges::all_of(configurations(*leading),
                             [&](const auto& each) { return leading->lease.valid(now, each); });
}

void ReplicatedLog::read_asked(ReadTicket ticket) {
  auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr) {
    effects_.emplace_back(RefuseRead{ticket});
    return;
  }
  leading->reads.push_back({.ticket = ticket, .confirmed_by = {leading->number.value + 1}});
  confirm_reads();
}

// One round is under way at a time; what is asked meanwhile shares the next.
void ReplicatedLog::confirm_reads() {
  answer_confirmed_reads();
  const auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr || leading->reads.empty() || leading->reads.front().confirmed_by <= leading->number)
    return;
  beat();
  answer_confirmed_reads();  // alone it needs nobody else
}

// [C6] What earlier leaders may have had chosen is known when all that was adopted is.
void ReplicatedLog::answer_confirmed_reads() {
  auto* leading = std::get_if<Leading>(&role_);
  if (leading == nullptr || chosen().value + 1 < leading->own.value) return;
  const bool leased = holds_lease(now_);
  const auto is_confirmed = [&](const WaitingRead& read) {
    Replicas seen;
    for (const auto& [replica, number] : leading->seen)
      if (number >= read.confirmed_by) seen.insert(replica);
    return std::ranges::all_of(configurations(*leading),
                               [&](const auto& each) { return votes_of(seen, each) >= each.lease(); });
  };
  while (!leading->reads.empty() && (leased || is_confirmed(leading->reads.front()))) {
    effects_.emplace_back(ReadAt{leading->reads.front().ticket, chosen()});
    leading->reads.pop_front();
  }
}

// ---- quorum reads

// Everything that was chosen when it was asked is accepted somewhere in any R quorum (attack 23); it is answered when it
// knows all that such a quorum had accepted. Why changes of configuration do no harm: let m be the highest slot that was
// chosen by then, and not be known here in the end. If one of the configurations that count above `chosen` counted m, its
// W quorum meets the R quorum, which may be of the other one (check_change), and m was shown. If a later one did, its
// change was chosen before m was proposed [C5], and counted by one of these: it was shown, and would be known. It does not
// matter what was known here when an answer came: each answer is younger than the question.
//
// How long it waits: what a quorum had accepted need not be chosen, nor ever be proposed again, as the leftover of a ballot that is
// dead. Whoever leads fills the slots up to there, of which it knows that nothing else can be chosen in them: so it takes a question,
// another one a `resend` later, and the round trip of a proposal, or as many as windows lie between. Where nobody leads, and where no
// R quorum answers, it is late after `quorum_read`.
void ReplicatedLog::quorum_read_asked(ReadTicket ticket) {
  if (quorum_rounds_.empty() || quorum_rounds_.back().number.value != 0)
    quorum_rounds_.push_back({.tickets = {},
                              .number = {},
                              .answered = {},
                              .highest = {},
                              .until = now_ + options_.timing.quorum_read});
  quorum_rounds_.back().tickets.push_back(ticket);
  proceed_with_quorum_reads();
}

// Also those who answered, where it lags: their answers lead to who knows what is chosen.
void ReplicatedLog::ask_highest(QuorumRound& round) {
  if (standing_.votes()) note_highest(round, options_.self, std::max(chosen(), acceptor_.highest()));
  round.resend = now_ + options_.timing.resend;
  const bool lags = round.highest > chosen();
  if (lags) fill_up_to(round.highest);
  for (const auto voter : membership_.voters_above(chosen()))
    if (voter != options_.self && (lags || !round.answered.contains(voter)))
      send(voter, AskHighest{round.number, lags ? round.highest : Slot{}});
}

// No acceptor takes a slot further up.
void ReplicatedLog::fill_up_to(Slot slot) {
  if (slot.value > chosen().value + 2 * options_.window) return;
  while (can_propose() && std::get<Leading>(role_).phase.last() < slot)
    propose(NoOp{});
}

// The first answer counts: later ones tell of what came later, and there is more of it every time.
void ReplicatedLog::note_highest(QuorumRound& round, ReplicaId from, Slot highest) {
  if (round.answered.insert(from).second) round.highest = std::max(round.highest, highest);
}

// What is accepted and not durable yet was told to nobody: it need not be told here, but may be.
void ReplicatedLog::hear_ask_highest(ReplicaId from, const AskHighest& asked) {
  if (!standing_.votes()) return;
  fill_up_to(asked.waits_for);
  send(from,
       HighestShown{
           .number = asked.number, .highest = std::max(chosen(), acceptor_.highest()), .chosen = chosen()});
}

void ReplicatedLog::hear_highest_shown(ReplicaId from, const HighestShown& shown) {
  const auto round = std::ranges::find(quorum_rounds_, shown.number, &QuorumRound::number);
  if (shown.number.value == 0 || round == quorum_rounds_.end()) return;
  note_highest(*round, from, shown.highest);
  if (shown.chosen > chosen()) fetch(from);
  proceed_with_quorum_reads();
}

// For each configuration one that it meets: its own, or one beside it (check_change). Of the two that are known at most while
// nothing is missing here any one will do; of three, which a start may know, the outer ones need not meet each other.
bool ReplicatedLog::has_read_quorum(const QuorumRound& round) const {
  const auto all = membership_.above(chosen());
  const auto answers = [&](std::size_t at) {
    return at < all.size() && votes_of(round.answered, all[at]) >= all[at].quorums.read;
  };
  for (std::size_t at = 0; at < all.size(); ++at)
    if (!answers(at - 1) && !answers(at) && !answers(at + 1)) return false;
  return true;
}

// Answers what can be answered; and asks for those that wait, where no other question is open.
void ReplicatedLog::proceed_with_quorum_reads() {
  const auto finish = [&](QuorumRound& round) {
    if (round.highest > chosen() || !has_read_quorum(round)) return false;
    for (const auto ticket : round.tickets)
      effects_.emplace_back(ReadAt{ticket, round.highest});
    return true;
  };
  std::erase_if(quorum_rounds_, [&](QuorumRound& round) { return round.number.value != 0 && finish(round); });
  if (quorum_rounds_.empty() || quorum_rounds_.back().number.value != 0) return;
  const bool is_open = std::ranges::any_of(quorum_rounds_, [&](const QuorumRound& round) {
    return round.number.value != 0 && !has_read_quorum(round);
  });
  if (is_open) return;
  auto& next = quorum_rounds_.back();
  next.number = {++last_quorum_read_};
  ask_highest(next);
  if (finish(next)) quorum_rounds_.pop_back();  // alone it needs nobody else
}

void ReplicatedLog::quorum_read_time_passed() {
  std::erase_if(quorum_rounds_, [&](const QuorumRound& round) {
    if (now_ < round.until) return false;
    for (const auto ticket : round.tickets)
      effects_.emplace_back(RefuseRead{ticket, ReadRefusal::kLate});
    return true;
  });
  for (auto& round : quorum_rounds_)
    if (now_ >= round.resend) ask_highest(round);
  proceed_with_quorum_reads();
}

// ---- session reads

void ReplicatedLog::session_read_asked(const SessionReadAsked& asked) {
  if (asked.token.incarnation != options_.incarnation) {
    effects_.emplace_back(RefuseRead{asked.ticket, ReadRefusal::kOtherIncarnation});
    return;
  }
  session_reads_.push_back({.ticket = asked.ticket, .slot = asked.token.slot, .until = asked.until});
  answer_session_reads();
}

void ReplicatedLog::answer_session_reads() {
  std::erase_if(session_reads_, [&](const SessionRead& read) {
    if (read.slot <= chosen()) {
      effects_.emplace_back(ReadAt{read.ticket, chosen()});
    } else if (now_ >= read.until) {
      effects_.emplace_back(RefuseRead{read.ticket, ReadRefusal::kLate});
    } else {
      return false;
    }
    return true;
  });
}

void ReplicatedLog::give_up_read(ReadTicket ticket) {
  std::erase_if(session_reads_, [&](const SessionRead& read) { return read.ticket == ticket; });
  for (auto& round : quorum_rounds_)
    std::erase(round.tickets, ticket);
  std::erase_if(quorum_rounds_, [](const QuorumRound& round) { return round.tickets.empty(); });
  proceed_with_quorum_reads();
  if (auto* leading = std::get_if<Leading>(&role_))
    std::erase_if(leading->reads, [&](const WaitingRead& read) { return read.ticket == ticket; });
}

}  // namespace troth::coordinator::consensus
