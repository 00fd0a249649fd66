// participant_agent/work.h
//
// What a coordinator asks of one branch, and what the branch answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/statement.h"

namespace troth::agent {

// The whole work of a one-shot branch. With a one-phase transaction id it commits at once, and only the
// resource knows its outcome [T5].
struct Work {
  BranchId id;
  ResourceName resource;
  EpochNumber epoch;        // of the leader that asked
  Incarnation incarnation;  // of the agent it was meant for [T12]
  std::optional<RequestKey> request;
  Digest digest;
  Isolation isolation = Isolation::kUnset;
  bool declared_read_only = false;
  std::uint32_t announced_statements = 0;  // must equal statements.size() [T12]
  std::vector<Statement> statements;
  Duration timeout{0};  // of the whole branch, from receipt
  Duration statement_timeout{0};
  std::uint64_t max_rows = 0;
  std::string label;        // for people
  std::string traceparent;  // W3C trace context
  // Its statements come one by one, and the prepare last; `statements` are those that may have written.
  bool interactive = false;
  Duration idle_timeout{0};  // between two of them

  bool operator==(const Work&) const = default;
};

// One statement of an interactive branch, by its number from 1.
struct NumberedStatement {
  std::uint32_t number = 0;
  std::optional<Statement> statement;  // nullopt: only the answer that is kept of it
};

struct StatementAnswer {
  std::shared_ptr<const StatementResult> result;
  std::optional<Error> refusal;
  bool over =
      false;  // with a refusal: nothing of the branch stands, and no session can still run for it [T11]
  bool operator==(const StatementAnswer&) const = default;
};

enum class Vote : std::uint8_t {
  kYes,
  kNo,                // nothing of the branch stands, and no session can still run for it [T11]
  kReadOnly,          // read, wrote nothing, needs no second phase
  kCommitted,         // one-phase
  kAlreadyCommitted,  // another transaction committed this request here: `committed_as`
  kUndecided,         // one-phase: cannot be told now; settle
};

struct VoteAnswer {
  Vote vote = Vote::kNo;
  std::vector<StatementResult> results;     // yes, read-only, committed
  std::optional<Error> refusal;             // no, undecided
  std::optional<std::string> committed_as;  // already committed
  bool operator==(const VoteAnswer&) const = default;
};

// How a branch ended, as told to the leader.
enum class BranchEnd : std::uint8_t {
  kCommitted,   // in the database, and durable in the journal [T6]
  kRolledBack,  // and never starts again [T7]
  kUndecided,   // not yet: ask again
  kLost,        // commit was decided, and proof says that the branch can no longer commit
  kTooOld,      // below the floor
  kHeuristicCommitted,
  kHeuristicRolledBack,
};

struct FinishAnswer {
  BranchEnd end = BranchEnd::kUndecided;
  std::string detail;  // in words; empty when there is nothing to add
  bool operator==(const FinishAnswer&) const = default;
};

[[nodiscard]] std::string_view name_of(Vote vote);
[[nodiscard]] std::string_view name_of(BranchEnd end);

// How the branch is run.
struct WorkPlan {
  bool read_only = false;          // the database keeps it from writing; no marker
  bool holds_until_told = false;   // reads above READ COMMITTED leave only after all have voted
  bool may_turn_to_write = false;  // undeclared: a SELECT may call a function that writes
  bool ties_session = false;       // its prepare holds the session (MariaDB): the journal must know which
  bool operator==(const WorkPlan&) const = default;
};

// Refuses work that cannot be run as it stands, before a session is used: statement count [T12], statements'
// sizes, forms and kinds, a declared read-only branch that writes or locks. Effect none.
[[nodiscard]] Result<WorkPlan> plan_work(DatabaseKind kind, const Work& work);

// Of an interactive branch's statement; true: it may write or lock, so that the branch needs its marker first.
[[nodiscard]] Result<bool> plan_statement(DatabaseKind kind, bool declared_read_only,
                                          const NumberedStatement& statement);

[[nodiscard]] std::size_t size_of(const Work& work);

}  // namespace troth::agent
