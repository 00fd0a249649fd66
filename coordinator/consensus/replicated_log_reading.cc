// From which state on a read may be answered: linearizable at the leader, by quorum at any replica.
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
  leading = std::get_if<Leading>(&role_);
  if (leading != nullptr && !leading->reads.empty() && leading->reads.back().ticket == ticket) beat();
}

// [C6] What earlier leaders may have had chosen is known when all that was adopted is.
void ReplicatedLog::confirm_reads() {
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

// Everything that was chosen when it was asked is accepted somewhere in any R quorum (attack 23). Two changes of
// configuration may lie between what is known here and now: each is heard of by the quorum before it.
void ReplicatedLog::quorum_read_asked(ReadTicket ticket) {
  quorum_reads_.push_back({.ticket = ticket,
                           .number = {++last_quorum_read_},
                           .configured = {},
                           .answered = {},
                           .highest = {},
                           .resend = now_});
  ask_highest(quorum_reads_.back());
  finish_quorum_reads();
}

void ReplicatedLog::ask_highest(QuorumRead& read) {
  if (read.configured != membership_.newest()) {
    read.configured = membership_.newest();
    read.answered.clear();
  }
  if (standing_.votes()) note_highest(read, options_.self, std::max(chosen(), acceptor_.highest()));
  read.resend = now_ + options_.timing.resend;
  for (const auto voter : membership_.voters_above(chosen()))
    if (voter != options_.self && !read.answered.contains(voter)) send(voter, AskHighest{read.number});
}

void ReplicatedLog::note_highest(QuorumRead& read, ReplicaId from, Slot highest) {
  read.answered.insert(from);
  read.highest = std::max(read.highest, highest);
}

// What is accepted and not durable yet was told to nobody: it need not be told here, but may be.
void ReplicatedLog::hear_ask_highest(ReplicaId from, const AskHighest& asked) {
  if (!standing_.votes()) return;
  send(from,
       HighestShown{
           .number = asked.number, .highest = std::max(chosen(), acceptor_.highest()), .chosen = chosen()});
}

void ReplicatedLog::hear_highest_shown(ReplicaId from, const HighestShown& shown) {
  const auto read = std::ranges::find(quorum_reads_, shown.number, &QuorumRead::number);
  if (read == quorum_reads_.end()) return;
  note_highest(*read, from, shown.highest);
  if (shown.chosen > chosen()) fetch(from);
  finish_quorum_reads();
}

void ReplicatedLog::finish_quorum_reads() {
  std::erase_if(quorum_reads_, [&](QuorumRead& read) {
    const bool enough = std::ranges::all_of(membership_.above(chosen()), [&](const Configuration& each) {
      return votes_of(read.answered, each) >= each.quorums.read;
    });
    if (!enough || read.highest > chosen() || read.configured != membership_.newest()) return false;
    effects_.emplace_back(ReadAt{read.ticket, read.highest});
    return true;
  });
}

void ReplicatedLog::quorum_read_time_passed() {
  for (auto& read : quorum_reads_)
    if (now_ >= read.resend || read.configured != membership_.newest()) ask_highest(read);
  finish_quorum_reads();
}

void ReplicatedLog::give_up_read(ReadTicket ticket) {
  std::erase_if(quorum_reads_, [&](const QuorumRead& read) { return read.ticket == ticket; });
  if (auto* leading = std::get_if<Leading>(&role_))
    std::erase_if(leading->reads, [&](const WaitingRead& read) { return read.ticket == ticket; });
}

}  // namespace troth::coordinator::consensus
