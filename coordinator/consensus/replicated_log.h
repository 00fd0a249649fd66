// coordinator/consensus/replicated_log.h
//
// One replica of a log that several agree on: Multi-Paxos, one synod for each slot, with phase one shared by all of
// them. Pure: messages, the own log's progress and the time come in, and what is to be done comes out, in order.
//
//   following --silence--> asking --E pre-votes--> preparing --E promises, caught up--> leading
//       ^-------------------'-------------------------'---------higher ballot, no quorum---'
//
// [C1] In each slot at most one entry is ever chosen, and every replica delivers slots in order, without holes.
// [C2] A promise or acceptance is durable before anybody hears of it; the leader's own counts only when durable.
// [C3] A ballot is used once: its owner's promise is durable before the first prepare (attack 22).
// [C4] A candidate proposes nothing at or below a slot that one of its promisers knows to be chosen (attack 12).
// [C5] A slot is proposed only when everything `window` slots below it is known to be chosen (attack 13).
// [C6] A read is answered only while no other replica can have been elected: by lease, or by a round of heartbeats
//      begun after it was asked.
//
// The caller's duties:
//  1. Carry out effects in their order. Appends go to the log in the order of their numbers.
//  2. Hold a message back until the write it names is durable. One that names none, or that is late, may be lost.
//  3. Feed `WritesDurable` as the log proceeds; a failed write stops the replica, and is never tried again.
//  4. Feed each input with the clock as read after it left its queue (attack 21); `TimePassed` when `wakes_at()` comes.
//  5. After a start: `Restored` from what the log holds, in its order.
//
// Source: Lamport, "Paxos Made Simple" (2001), section 3. Pre-vote: Ongaro, "Consensus: Bridging Theory and Practice" (2014).
// Leases: see lease.h.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "coordinator/consensus/acceptor.h"
#include "coordinator/consensus/backlog.h"
#include "coordinator/consensus/chosen_log.h"
#include "coordinator/consensus/election.h"
#include "coordinator/consensus/lease.h"
#include "coordinator/consensus/lease_pledge.h"
#include "coordinator/consensus/membership.h"
#include "coordinator/consensus/messages.h"
#include "coordinator/consensus/replica_roles.h"
#include "coordinator/consensus/replica_steps.h"
#include "coordinator/consensus/standing.h"

namespace troth::coordinator::consensus {

class ReplicatedLog {
 public:
  // What `restored` knows to be chosen is delivered by the first step.
  ReplicatedLog(ReplicaOptions options, Restored restored, Random random, Instant now);

  [[nodiscard]] ReplicaEffects step(ReplicaInput input, Instant now);
  [[nodiscard]] Instant wakes_at() const;

  [[nodiscard]] bool is_leading() const { return std::holds_alternative<Leading>(role_); }
  [[nodiscard]] bool can_propose() const;
  // A transfer to it would be tried: this replica leads, and the other one votes and answered lately.
  [[nodiscard]] bool may_hand_over_to(ReplicaId successor) const;
  // How many slots it lacks, as far as this leader knows; none: it has not answered lately as one that may vote, or this
  // replica does not lead.
  [[nodiscard]] std::optional<std::uint64_t> behind(ReplicaId replica) const;
  [[nodiscard]] std::optional<ReplicaId> leader() const { return leader_; }
  [[nodiscard]] Slot chosen() const { return chosen_.chosen(); }
  // Nothing waits for the own log.
  [[nodiscard]] bool is_all_durable() const { return written_ == durable_; }
  // Of memory, in bytes: appended and not durable; messages that wait for that; accepted and not known to be chosen.
  [[nodiscard]] std::size_t unwritten_bytes() const { return unwritten_.bytes(); }
  [[nodiscard]] std::size_t held_bytes() const { return held_.bytes(); }
  [[nodiscard]] std::size_t accepted_bytes() const { return acceptor_.bytes(); }
  [[nodiscard]] const Ballot& promised() const { return acceptor_.promised(); }
  [[nodiscard]] Standing::State standing() const { return standing_.state(); }
  [[nodiscard]] const Membership& membership() const { return membership_; }
  [[nodiscard]] bool holds_lease(Instant now) const;
  // What a log whose older segments go says again first. Not acceptances: segments with those above `snapshot` stay.
  [[nodiscard]] std::vector<DurableRecord> restated(Slot snapshot) const;

 private:
  // replicated_log.cc: the acceptor, and what is the same for every role
  void restore_chosen(const Restored& restored);
  void hear(ReplicaId from, Message& message);
  void hear_prepare(ReplicaId from, const Prepare& prepare);
  void hear_accept(ReplicaId from, Accept& accept);
  Slot accept_entries(Accept& accept);
  void hear_heartbeat(ReplicaId from, const Heartbeat& heartbeat);
  void hear_refusal(const Refused& refused);
  void writes_durable(LogWrite through);
  void time_passed();
  LogWrite append(DurableRecord record);
  void send(ReplicaId to, Message message, LogWrite after = {});
  void send_to_all(const Replicas& replicas, const Message& message, LogWrite after = {});
  void note_ballot(const Ballot& ballot);
  template <typename M>
  [[nodiscard]] static bool is_part(const M& message);
  [[nodiscard]] bool are_within_reach(const std::vector<Accepted>& accepted, Slot chosen) const;
  std::optional<LeaseTerms> grant_lease(const Ballot& ballot);
  void settle_pledge();
  [[nodiscard]] Instant lease_ends() const;
  void refuse(ReplicaId from, const Ballot& ballot);
  void promise(const Ballot& ballot);
  void follow(const Ballot& ballot, ReplicaId leader);
  void step_down(const char* reason);
  void show_leader(std::optional<ReplicaId> leader);
  [[nodiscard]] Instant role_wakes_at() const;
  [[nodiscard]] bool is_voter() const;
  // The clock by which a leader judges others: it stands still while this replica was not run, which is nobody's silence. What
  // waits in its queue by then is heard first. No lease is counted by it.
  [[nodiscard]] Instant awake() const { return now_ - asleep_; }
  [[nodiscard]] bool is_current(const Ballot& ballot) const;

  // replicated_log_standing.cc
  void hear_ask_standing(ReplicaId from, const AskStanding& asked);
  void hear_standing_shown(ReplicaId from, const StandingShown& shown);
  void ask_standing();
  void ask_standing_of(ReplicaId replica);
  void settle_standing();
  bool take_over_what_was_lost();
  void note_position(ReplicaId of, const LogPosition& position);
  void compare_with_own(const LogPosition& known);
  [[nodiscard]] LogPosition position(LogWrite durable) const;

  // replicated_log_electing.cc
  void hear_pre_vote(ReplicaId from, const PreVote& vote);
  void hear_pre_vote_granted(ReplicaId from, const PreVoteGranted& granted);
  void hear_promise(ReplicaId from, const Promise& promise);
  void ask_for_votes();
  void prepare();
  void send_prepare(const Preparing& preparing, const Replicas& to);
  void own_promise_durable(const Ballot& ballot);
  void try_to_lead();
  void election_time_passed();
  [[nodiscard]] bool has_elect_quorum(const Replicas& replicas) const;

  // replicated_log_leading.cc
  void lead(const PhaseOne& phase);
  void propose(Entry entry);
  void propose_adopted();
  [[nodiscard]] bool has_room(const Leading& leading) const;
  void hear_accepted(ReplicaId from, const AcceptedThrough& accepted);
  void hear_heartbeat_seen(ReplicaId from, const HeartbeatSeen& seen);
  void count_chosen();
  void beat();
  void resend_missing();
  [[nodiscard]] const char* why_others_can_do_better(const Leading& leading) const;
  void leading_time_passed();

  // replicated_log_handing_over.cc
  void transfer_asked(ReplicaId successor);
  void hand_over_if_removed();
  void begin_transfer(Leading& leading, ReplicaId successor);
  void give_up_late_transfer(Leading& leading);
  void try_to_hand_over();
  [[nodiscard]] bool answered_lately(const Leading& leading, ReplicaId replica) const;
  [[nodiscard]] bool may_succeed(const Leading& leading, ReplicaId successor) const;
  void hear_release(ReplicaId from, const Release& release);
  void hear_take_over(ReplicaId from, const TakeOver& take_over);

  // replicated_log_leading.cc
  // By which somebody may be elected, or a slot counted, from here on.
  [[nodiscard]] std::vector<Configuration> configurations(const Leading& leading) const;
  [[nodiscard]] Instant heard_by_quorum(const Leading& leading) const;

  // replicated_log_reading.cc
  void read_asked(ReadTicket ticket);
  void confirm_reads();
  void answer_confirmed_reads();
  void quorum_read_asked(ReadTicket ticket);
  void ask_highest(QuorumRound& round);
  void fill_up_to(Slot slot);
  static void note_highest(QuorumRound& round, ReplicaId from, Slot highest);
  [[nodiscard]] bool has_read_quorum(const QuorumRound& round) const;
  void proceed_with_quorum_reads();
  void hear_ask_highest(ReplicaId from, const AskHighest& asked);
  void hear_highest_shown(ReplicaId from, const HighestShown& shown);
  void finish_quorum_reads();
  void quorum_read_time_passed();
  void session_read_asked(const SessionReadAsked& asked);
  void answer_session_reads();
  void give_up_read(ReadTicket ticket);

  // replicated_log_learning.cc
  void hear_fetch(ReplicaId from, const Fetch& fetch);
  void hear_chosen_entries(ReplicaId from, ChosenEntries& entries);
  void snapshot_installed(const SnapshotInstalled& installed);
  void told_chosen(ReplicaId from, const Ballot& ballot, Slot through);
  void fetch(ReplicaId from);
  void deliver(Entry entry);
  void write_chosen();
  void note_written(Slot chosen);
  void write_chosen_if_old();

  const ReplicaOptions options_;
  Instant now_;
  Duration asleep_{};
  ReplicaEffects effects_;
  LogWrite written_;  // appended
  LogWrite durable_;
  LogWrite promise_write_;  // the newest promise's
  Backlog unwritten_;
  Backlog held_;  // by the owner

  Acceptor acceptor_;
  ChosenLog chosen_;
  Membership membership_;
  Election election_;
  LeasePledge pledge_;
  LeaseGrantor grantor_;
  std::optional<ReplicaId> leader_;
  Ballot highest_seen_;
  Role role_;

  const std::uint64_t start_;
  std::optional<LogWrite> start_write_;  // once it votes
  const LogPosition said_before_;        // in earlier starts
  Standing standing_;
  Instant started_;
  std::optional<Instant> ask_standing_at_;
  std::optional<LogWrite> taken_over_;          // what was lost with a cut tail, when this is durable
  std::map<ReplicaId, LogPosition> positions_;  // of others
  bool positions_written_ = true;

  std::deque<OwnPromise> own_promises_;
  std::deque<OwnAcceptance> own_acceptances_;

  std::deque<QuorumRound> quorum_rounds_;  // the last of them may be one that is not sent yet
  std::deque<SessionRead> session_reads_;
  std::uint64_t last_quorum_read_;  // counted from a random number: see ReplicaOptions::start

  Slot chosen_written_;
  std::size_t chosen_unwritten_bytes_ = 0;  // of the slots above
  Instant chosen_written_at_;
  std::optional<Instant> fetching_until_;
};

}  // namespace troth::coordinator::consensus
