// coordinator/interactive_work.h
//
// An interactive transaction before its commit: statement after statement, each in its resource's branch.
//
//   active --commit called, nothing under way--> (two_phase_commit.h takes it over)
//      '-- rollback, a failed statement, a lost agent, idle for too long, the deadline --> over, not committed
//
// [T3] [T4] No commit was proposed, so it may end by itself at any moment, and says so to whoever waits.
// [T10] [T12] Statements are numbered by the caller, in each branch from 1. The next number is sent to the agent;
//      the one under way is waited for, and never sent again on another connection; the last one's answer is read
//      again at the agent; the rest is refused. The commit tells each agent how many statements were answered.
//
// Durability: nothing. A coordinator that ends takes its active transactions with it: nothing of them stands.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "coordinator/callers.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

// What an agent said to a statement. `refusal` without `over`: refused before it ran, and the branch is as it was.
struct StatementAnswer {
  std::string result;  // opaque: the rows as the runtime wants them back
  std::optional<Error> refusal;
  bool over = false;  // nothing of the branch stands, and no session can still run for it [T11]
  bool operator==(const StatementAnswer&) const = default;
};

class InteractiveWork {
 public:
  struct Options {
    TransactionId id;
    bool read_only = false;
    Instant deadline;                // of the whole transaction; bounds the watermark [T7]
    Duration idle_timeout;           // between two calls
    std::size_t waiting_calls = 16;  // for one statement
  };

  // ---- inputs
  struct Begun {
    CallId call;
  };
  struct StatementAsked {
    CallId call;
    BranchNumber branch;
    std::uint32_t number = 0;
    Digest digest;
  };
  // Rows of the answer that the agent keeps.
  struct RowsAsked {
    CallId call;
    BranchNumber branch;
    std::uint32_t number = 0;
  };
  struct StatementAnswered {
    BranchNumber branch;
    CallId call;  // as sent
    StatementAnswer answer;
  };
  // No answer will come. `never_sent`: the agent never had it.
  struct StatementLost {
    BranchNumber branch;
    CallId call;
    bool never_sent = false;
    Error reason;
  };
  struct BranchLost {
    BranchNumber branch;
    Error reason;
  };
  struct CommittedEmpty {
    CallId call;
  };
  struct RollbackAsked {
    CallId call;
  };
  struct DrainEnded {};
  struct TimePassed {};
  using Input = std::variant<Begun, StatementAsked, RowsAsked, StatementAnswered, StatementLost, BranchLost,
                             CommittedEmpty, RollbackAsked, DrainEnded, TimePassed>;

  // ---- effects
  struct SendStatement {
    CallId call;
    BranchNumber branch;
    std::uint32_t number = 0;
    bool operator==(const SendStatement&) const = default;
  };
  struct AnswerStatement {
    CallId call;
    Result<std::string> result;
    bool over = false;  // the transaction, with this answer
    bool operator==(const AnswerStatement&) const = default;
  };
  struct SendRollback {
    BranchNumber branch;
    bool operator==(const SendRollback&) const = default;
  };
  using Effect = std::variant<SendStatement, AnswerStatement, SendRollback, AnswerCall>;

  explicit InteractiveWork(Options options);

  [[nodiscard]] std::vector<Effect> step(Instant now, const Input& input);

  // The branch in this resource.
  [[nodiscard]] std::optional<BranchNumber> branch_in(const ResourceName& resource) const;
  BranchNumber add_branch(ResourceName resource);

  // Why it cannot be committed now: a statement is under way.
  [[nodiscard]] Status ready_to_commit() const;
  // Calls that read the last answers wait for nothing any more: commit was called.
  [[nodiscard]] std::vector<CallId> end_reading();
  // The branches to prepare: those of which a statement was answered.
  [[nodiscard]] std::vector<BranchWork> work() const;
  // How many of each branch, by number from 1 [T12].
  [[nodiscard]] std::vector<std::uint32_t> statements() const;

  [[nodiscard]] std::optional<Instant> due() const;
  [[nodiscard]] Instant deadline() const { return options_.deadline; }
  [[nodiscard]] Duration idle_timeout() const { return options_.idle_timeout; }
  [[nodiscard]] TransactionState state() const { return state_; }
  [[nodiscard]] bool undecided() const { return !over(); }
  [[nodiscard]] bool over() const { return state_ != TransactionState::kActive; }
  [[nodiscard]] std::vector<BranchReport> branches() const;
  [[nodiscard]] std::size_t callers() const;
  [[nodiscard]] const std::string& detail() const { return detail_; }

 private:
  struct Running {
    std::uint32_t number = 0;
    Digest digest;
    CallId sent_as;
    std::vector<CallId> waiting;
  };
  struct Branch {
    BranchNumber number;
    ResourceName resource;
    std::uint32_t answered = 0;  // statements
    Digest last;                 // of the last one answered
    std::optional<Running> running;
    std::vector<CallId> reading;  // rows, or the last answer again
    bool gone = false;            // nothing of it stands
  };

  void on(Instant now, const Begun& begun, std::vector<Effect>& effects);
  void on(Instant now, const StatementAsked& asked, std::vector<Effect>& effects);
  void on(Instant now, const RowsAsked& asked, std::vector<Effect>& effects);
  void on(Instant now, const StatementAnswered& answered, std::vector<Effect>& effects);
  void on(Instant now, const StatementLost& lost, std::vector<Effect>& effects);
  void on(Instant now, const BranchLost& lost, std::vector<Effect>& effects);
  void on(Instant now, const CommittedEmpty& committed, std::vector<Effect>& effects);
  void on(Instant now, const RollbackAsked& asked, std::vector<Effect>& effects);
  void on(Instant now, const DrainEnded& ended, std::vector<Effect>& effects);
  void on(Instant now, const TimePassed& passed, std::vector<Effect>& effects);

  void read_again(Branch& branch, CallId call, std::uint32_t number, std::vector<Effect>& effects);
  void refuse(CallId call, const Branch& branch, ErrorCode code, std::string message, bool retryable,
              std::vector<Effect>& effects);
  void end(Error reason, std::vector<Effect>& effects);
  [[nodiscard]] bool idle() const;
  void touch(Instant now);
  [[nodiscard]] Branch& at(BranchNumber number);

  Options options_;
  std::vector<Branch> branches_;
  TransactionState state_ = TransactionState::kActive;
  std::optional<Instant> idle_until_;  // nullopt: a call is under way
  std::string detail_;
};

}  // namespace troth::coordinator
