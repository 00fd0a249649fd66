// participant_agent/branch.h
//
// The life of one branch in one resource.
//
//            work                 yes                    commit, rollback              proof
//   Unheard ------> Working ------------------> InDoubt -----------------> Finishing ---------> Ended
//      |               |  '-- session lost --> Losing --- session gone ------^  ^                 ^
//      |               |---- read only --> Reading, Left                        |                 |
//      |               '---- one-phase committed, or a no ----------------------|-----------------'
//      '---- commit, rollback or settle of a branch this agent does not know ---'
//      '-- statement --> Open, statement by statement --prepare, rollback, time, a failure--> Working
//
// [T6] A commit is acknowledged after it stands in the database and its DecisionLearned is durable: the record is
//      appended beside the database's own commit, and the answer names its ticket.
// [T7] A one-phase no is answered after its barrier is committed. An ended branch is never run again.
// [T9] A branch that the server lists and does not know is held by a lost session (MariaDB, attacks 4 and 29): that
//      session is ended, and the branch finished then. Until it is, nothing is known of it.
// [T9] An unknown XID is neither success nor failure: a visible marker proves the commit, and absence proves
//      something only by this agent's own committed barrier. A barrier that waits means undecided.
// [T11] "No" and "rolled back" are said only when no session can still run for the branch: a session whose fate is
//      unknown is ended first, and its end awaited.
// [T12] A doubled request is answered as the first one was, and never runs the work a second time. An open branch
//      runs the next statement only, answers its last one again, and votes yes only for the number it has answered.
//
// Answers go to everybody who waits for an answer of that kind about this branch; nobody waiting is fine.
// Durability: BranchBegun before a yes, DecisionLearned before "committed". A crash anywhere else is found
// out again from the database. Source: Mohan, Lindsay, Obermarck 1986, presumed abort.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/branch_messages.h"
#include "participant_agent/branch_times.h"
#include "participant_agent/journal_records.h"
#include "participant_agent/marker_judgement.h"
#include "participant_agent/work.h"

namespace troth::agent {

class Branch {
 public:
  // A branch whose work is about to begin: step it with WorkRequested.
  Branch(Work work, WorkPlan plan, const BranchTimes& times);
  // A branch this agent knows nothing of: step it with what was asked.
  Branch(BranchId id, ResourceName resource, const BranchTimes& times);
  // Prepared according to the database, but not in the journal: only a decision ends it.
  [[nodiscard]] static Branch adopted(BranchId id, ResourceName resource, const BranchTimes& times,
                                      Instant now);
  // From the journal: `unbroken` tells that nothing of the journal was lost since it began [T5].
  [[nodiscard]] static Branch replayed(const BranchBegun& begun, const BranchTimes& times, Instant now,
                                       bool unbroken);
  // From the journal: commit was learned, its end was not written.
  [[nodiscard]] static Branch replayed_commit(BranchId id, ResourceName resource, const BranchTimes& times,
                                              Instant now);
  // From the journal: an operator's word was durable, its end was not written. `begun`: null where it was adopted.
  [[nodiscard]] static Branch replayed_resolution(const Resolved& resolution, const BranchBegun* begun,
                                                  const BranchTimes& times, Instant now);
  // From the journal, or refused without having run.
  [[nodiscard]] static Branch replayed_end(BranchId id, ResourceName resource, const BranchTimes& times,
                                           BranchEnd end);

  [[nodiscard]] std::vector<BranchEffect> step(const BranchInput& input, Instant now,
                                               JournalSequence& journal);

  // The earliest time at which a TimePassed changes something.
  [[nodiscard]] std::optional<Instant> wakes_at() const;

  enum class Phase : std::uint8_t { kUnheard, kWorking, kReading, kInDoubt, kFinishing, kEnded };
  [[nodiscard]] Phase phase() const;
  // prepared, committing, rolling back, too old, orphan: InDoubtBranch in thrift/agents.thrift.
  [[nodiscard]] std::string_view in_doubt_word() const;
  // What it waits for, in words, for operators.
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] std::optional<BranchEnd> end() const;

  [[nodiscard]] const BranchId& id() const { return work_.id; }
  [[nodiscard]] const ResourceName& resource() const { return work_.resource; }
  [[nodiscard]] const Work& work() const { return work_; }  // without statements once it ended
  [[nodiscard]] std::optional<SessionIdentity> session() const { return session_; }
  // Whether the redo, one record of the journal, can take this statement, too.
  [[nodiscard]] Status check_redo(const Statement& statement, std::size_t most_bytes) const;
  // Interactive, and not yet asked for its vote.
  [[nodiscard]] bool is_open() const { return std::holds_alternative<Open>(state_); }
  [[nodiscard]] bool is_one_phase() const { return work_.id.transaction.is_one_phase(); }
  [[nodiscard]] bool is_journalled() const { return journalled_; }  // its redo is in the journal
  // The record that a checkpoint restates.
  [[nodiscard]] BranchBegun begun() const;
  [[nodiscard]] bool has_learned_commit() const;
  // An operator's, being carried out: a checkpoint restates it, too.
  [[nodiscard]] const Resolved* resolution() const;
  [[nodiscard]] bool is_too_old() const { return too_old_; }
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t kept_result_bytes() const;  // for doubled requests

 private:
  struct Unheard {};
  struct Working {
    bool read_only = false;
    Instant deadline;
    std::optional<Instant> ends_session_at;  // the work was cancelled: then its session goes
    bool timed_out = false;
    bool rollback_asked = false;
    bool preparing = true;         // the session may be told to prepare
    bool rolling_back = false;     // an open branch: its session was told so
    std::optional<Error> because;  // why it is rolled back; else what the session says
  };
  // Between its first statement and its prepare.
  struct Open {
    std::uint32_t answered = 0;  // statements
    bool running = false;        // the last of the work's statements
    bool reads = false;          // that one only reads, and is not kept for the redo
    bool marked = false;         // its marker stands in the open transaction
    Instant deadline;
    Instant idle_at;  // while nothing runs
    std::shared_ptr<const StatementResult> last;
    std::optional<Statement> last_read;  // where it is not the last of the work's statements
  };
  // The session's fate is unknown: it is being ended.
  struct Losing {
    Error reason;
    bool read_only = false;
    bool ending_sent = true;  // the prepare or commit may still take effect
  };
  // Voted read-only and keeps its snapshot until all have voted.
  struct Reading {
    Instant deadline;
  };
  // Voted read-only and left.
  struct Left {};
  struct InDoubt {
    Instant inquires_at;
    Duration pause{};
  };
  // kSettle: of a one-phase branch, to learn how it ended, and to see that it has ended.
  enum class Goal : std::uint8_t { kCommit, kRollBack, kSettle };
  enum class Step : std::uint8_t { kFinish, kEndHolder, kReadMarkers, kBar, kMarkResolved };
  struct Finishing {
    Goal goal = Goal::kRollBack;
    Step step = Step::kFinish;
    bool under_way = false;
    Instant retries_at;
    Duration pause{};
    std::optional<VoteAnswer> no;  // what the waiting prepare hears when the branch is proved never to happen
    JournalTicket decided;         // of DecisionLearned
    std::uint32_t collisions = 0;
    bool holder_ended = false;            // in this attempt
    std::optional<bool> resolved_commit;  // an operator's, in place of the group's decision
    std::string waiting_for;
  };
  struct Ended {
    BranchEnd end = BranchEnd::kRolledBack;
    JournalTicket decided;
  };
  using State = std::variant<Unheard, Open, Working, Losing, Reading, Left, InDoubt, Finishing, Ended>;

  // What one step has at hand.
  struct Context {
    Instant now;
    JournalSequence& journal;
    std::vector<BranchEffect> effects;
  };

  [[nodiscard]] static Finishing waiting(Goal goal, Instant now, const BranchTimes& times,
                                         std::string waiting_for);

  void on(const WorkRequested& input, Context& context);
  void on(const SessionBound& input, Context& context);
  void on(const WorkFinished& input, Context& context);
  void on(const StatementRequested& input, Context& context);
  void on(const StatementRan& input, Context& context);
  void on(const PrepareRequested& input, Context& context);
  void on(const SessionEnded& input, Context& context);
  void on(const CommitRequested& input, Context& context);
  void on(const RollbackRequested& input, Context& context);
  void on(const SettleRequested& input, Context& context);
  void on(const ResolveRequested& input, Context& context);
  void on(const TooOldTold& input, Context& context);
  void on(const SetBackUnderneath& input, Context& context);
  void on(const FinishAttempted& input, Context& context);
  void on(const HolderEnded& input, Context& context);
  void on(const FoundPreparedAgain& input, Context& context);
  void on(const MarkersRead& input, Context& context);
  void on(const BarrierAttempted& input, Context& context);
  void on(const ResolutionMarked& input, Context& context);
  void on(const TimePassed& input, Context& context);

  void finished(const WorkPrepared& outcome, Context& context);
  void finished(const WorkCommitted& outcome, Context& context);
  void finished(const WorkRead& outcome, Context& context);
  void finished(const WorkFailed& outcome, Context& context);
  void finished(const MarkerCollided& outcome, Context& context);
  void finished(const WorkLost& outcome, Context& context);

  [[nodiscard]] bool will_vote() const;
  void run(Instant deadline, Context& context);
  // The statement that runs, or ran last.
  [[nodiscard]] const Statement& current(const Open& open) const;
  [[nodiscard]] bool marks_before(const StatementRequested& input) const;
  void run_next(Open& open, const StatementRequested& input, Context& context);
  void leave_open(std::optional<Error> because, bool timed_out, Context& context);
  void roll_back_open(Working& working, Context& context);
  void answer_statement_over(const VoteAnswer& no, Context& context);
  void refuse_work(Error reason, Context& context);
  void refuse_vote(VoteAnswer answer, Context& context);
  void begin_journal(const SessionIdentity& session, Context& context);
  void lose_session(Error reason, bool ending_sent, Context& context);
  void begin_finishing(Finishing finishing, Context& context);
  void attempt(Context& context);
  void try_later(std::string detail, Context& context);
  void move_to(Step step, Context& context);
  void judge_markers(const std::vector<MarkerRow>& rows, Context& context);
  void committed_in_resource(Context& context);
  void end_as(BranchEnd end, Context& context);
  void answer_vote(VoteAnswer answer, JournalTicket after, Context& context);
  void answer_finish(BranchEnd end, std::string detail, JournalTicket after, Context& context);
  JournalTicket append(JournalRecord record, Context& context, bool unhurried = false);
  void refuse(Error error, Context& context);

  Work work_;
  WorkPlan plan_;
  BranchTimes times_;
  State state_;
  std::optional<SessionIdentity> session_;
  std::size_t work_bytes_ = 0;          // of work_, as it stands
  std::optional<Resolved> resolution_;  // an operator's, until it is carried out
  std::optional<VoteAnswer> vote_;      // kept for doubled requests, until the branch ends
  JournalTicket begun_;                 // of BranchBegun, in this process
  bool journalled_ = false;             // BranchBegun was written, now or before a restart
  bool unbroken_ = false;               // journal and resource hold everything since this branch prepared
  bool set_back_ = false;               // the resource went back under it
  bool too_old_ = false;
};

}  // namespace troth::agent
