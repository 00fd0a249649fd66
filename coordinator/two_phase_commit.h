// coordinator/two_phase_commit.h
//
// Decides one transaction: every branch commits, or every branch aborts.
//
//   preparing --all voted, some yes--> proposing --commit chosen--> committing --all acknowledged--> over
//       |'--all read-only (nothing is written)------------------------------------------------------>'
//       '---a no, a lost vote, the deadline---------------------------------------(abort)----------->'
//
// [T1] Commit is proposed only after a yes or read-only vote of every branch; a no vote ends the wait at
// once. [T2] SendCommit, and every answer that says committed, follows the store's word, never precedes it.
// [T3] "Aborted" is told only when no commit was proposed, or the store holds the proof that none can win.
// [T4] Before the proposal the deadline aborts without waiting for anybody's no. After it no deadline and no
//      `Fenced` does: only the store can tell, and a caller whose time is up hears "unknown".
// [T6] EndRecord follows the acknowledgement of every branch; until then the commit is sent again, for ever.
//
// Presumed abort: nothing is written for an abort or a read-only transaction. Rollbacks are sent once; what
// they do not reach asks for itself (attack 61). Read-only branches leave when all have voted (attack 19).
// Durability: nothing of its own; the store's record is the transaction's only memory.
// Source: Mohan, Lindsay, Obermarck 1986, presumed abort.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "coordinator/backoff.h"
#include "coordinator/callers.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

class TwoPhaseCommit {
 public:
  struct Options {
    TransactionId id;
    std::vector<BranchWork> branches;
    std::optional<RequestKey> request;
    Digest digest;
    Instant deadline;  // of the preparation
    Caller caller;
    Backoff ask_again;  // the store, while it cannot tell
    Backoff redrive;    // branches that have not acknowledged their commit
  };

  // ---- inputs
  struct Begun {};
  struct VoteReceived {
    BranchNumber branch;
    Vote vote;
  };
  // No vote will come: the agent was lost, or another incarnation runs. `never_sent`: it never had the work.
  struct VoteLost {
    BranchNumber branch;
    bool never_sent = false;
    Error reason;
  };
  struct CallJoined {
    Caller caller;
  };
  struct ChoiceAnswered {
    store::StoreAnswer answer;
  };
  struct RecordLookedUp {
    store::StoreAnswer answer;
  };
  struct BranchFinished {
    BranchNumber branch;
    BranchEnd end = BranchEnd::kUndecided;
    std::string detail;
  };
  // An operator vouches for a branch of a committed transaction; the store has it on record.
  struct BranchResolved {
    BranchNumber branch;
    bool commit = false;
  };
  // The resource of this branch can be reached again, whichever incarnation it is.
  struct AgentReturned {
    BranchNumber branch;
  };
  // The coordinator ends: whoever waits is told what is known now.
  struct DrainEnded {};
  struct TimePassed {};
  using Input = std::variant<Begun, VoteReceived, VoteLost, CallJoined, ChoiceAnswered, RecordLookedUp,
                             BranchFinished, BranchResolved, AgentReturned, DrainEnded, TimePassed>;

  // ---- effects
  struct SendPrepare {
    BranchNumber branch;
    bool operator==(const SendPrepare&) const = default;
  };
  struct SendRollback {
    BranchNumber branch;
    bool operator==(const SendRollback&) const = default;
  };
  struct SendRelease {
    BranchNumber branch;
    bool operator==(const SendRelease&) const = default;
  };
  struct ProposeCommit {
    std::vector<BranchNumber> branches;  // those that voted yes
    bool operator==(const ProposeCommit&) const = default;
  };
  struct LookUpRecord {
    bool operator==(const LookUpRecord&) const = default;
  };
  struct SendCommit {
    BranchNumber branch;
    bool operator==(const SendCommit&) const = default;
  };
  struct EndRecord {
    bool heuristic = false;
    bool operator==(const EndRecord&) const = default;
  };
  using Effect = std::variant<SendPrepare, SendRollback, SendRelease, ProposeCommit, LookUpRecord, SendCommit,
                              AnswerCall, EndRecord>;

  explicit TwoPhaseCommit(Options options);
  // A commit that the store holds open: nobody waits, every branch not vouched for is to hear of it again.
  TwoPhaseCommit(const store::StoredDecision& commit, std::vector<ResourceName> resources, Backoff redrive,
                 Instant first_redrive);

  // `random` spreads the delays; `now` is read after the input left its queue.
  [[nodiscard]] std::vector<Effect> step(Instant now, Random& random, const Input& input);

  // When TimePassed is wanted.
  [[nodiscard]] std::optional<Instant> due() const;
  [[nodiscard]] TransactionState state() const;
  // Begun, and not known to be decided [T7].
  [[nodiscard]] bool undecided() const;
  // Nothing is left to do or to send; after an abort, or with EndRecord.
  [[nodiscard]] bool over() const { return std::holds_alternative<Over>(phase_); }
  [[nodiscard]] std::vector<BranchReport> branches() const;
  [[nodiscard]] bool has_voted(BranchNumber branch) const;
  [[nodiscard]] bool awaits_acknowledgement(BranchNumber branch) const;
  [[nodiscard]] std::size_t callers() const { return callers_.size(); }
  // Why it aborted, or what is wrong with it; for people.
  [[nodiscard]] const std::string& detail() const { return detail_; }

 private:
  enum class Stage : std::uint8_t {
    kWorking,     // prepare was sent, no vote yet
    kPrepared,    // voted yes
    kReadOnly,    // voted read-only
    kGone,        // voted no, or never had the work
    kCommitting,  // commit chosen, not acknowledged
    kCommitted,
    kLost,                // it can no longer commit, though commit was chosen
    kResolvedCommit,      // an operator vouches that it stands
    kResolvedRolledBack,  // an operator vouches that it does not
  };
  struct Branch {
    BranchNumber number;
    ResourceName resource;
    Stage stage = Stage::kWorking;
    std::string result;
    std::string detail;
  };
  struct Preparing {};
  struct Proposing {
    std::uint32_t attempts = 0;
    std::optional<Instant> ask_at;  // nullopt: the store has been asked
  };
  struct Committing {
    std::uint32_t attempts = 0;
    Instant redrive_at;
  };
  struct Over {
    TransactionState state = TransactionState::kNotCommitted;
  };

  void begin(std::vector<Effect>& effects);
  void take_vote(Instant now, const VoteReceived& received, std::vector<Effect>& effects);
  void lose_vote(const VoteLost& lost, std::vector<Effect>& effects);
  void join(Instant now, const Caller& caller, std::vector<Effect>& effects);
  void take_choice(Instant now, Random& random, const store::StoreAnswer& answer,
                   std::vector<Effect>& effects);
  void take_existing(Instant now, Random& random, const store::Existing& existing,
                     std::vector<Effect>& effects);
  void take_record(Instant now, Random& random, const store::StoreAnswer& answer,
                   std::vector<Effect>& effects);
  void take_decision(Instant now, Random& random, const store::StoredDecision& decision,
                     std::vector<Effect>& effects);
  void finish_branch(const BranchFinished& finished, std::vector<Effect>& effects);
  void resolve_branch(const BranchResolved& resolved, std::vector<Effect>& effects);
  void pass_time(Instant now, Random& random, std::vector<Effect>& effects);

  void propose(std::vector<Effect>& effects);
  void commit(Instant now, Random& random, std::vector<Effect>& effects);
  void abort(Error reason, std::vector<Effect>& effects);
  void abort(std::string detail, const Answer& answer, std::vector<Effect>& effects);
  void finish_if_acknowledged(std::vector<Effect>& effects);
  [[nodiscard]] bool all_vouched_for() const;
  void answer_overdue(Instant now, std::vector<Effect>& effects);
  void end_drain(std::vector<Effect>& effects);
  [[nodiscard]] Answer final_answer() const;

  [[nodiscard]] Branch* find(BranchNumber number);
  [[nodiscard]] const Branch* find(BranchNumber number) const;
  [[nodiscard]] Committed committed(Acknowledgement acknowledged) const;
  void drop_results_nobody_waits_for();

  TransactionId id_;
  std::optional<RequestKey> request_;
  Digest digest_;
  Instant deadline_;
  Backoff ask_again_;
  Backoff redrive_;
  std::vector<Branch> branches_;
  Callers callers_;
  std::variant<Preparing, Proposing, Committing, Over> phase_;
  bool results_kept_ = true;
  std::string detail_;
};

}  // namespace troth::coordinator
