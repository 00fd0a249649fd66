// An interactive branch on its session: statement by statement, and its end.
#include <utility>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/runtime/sql_connection.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

// Attack 50 again: a marker insert that waited keeps a gap lock. Here the branch has read already and cannot be begun
// again, so that only a wait that nobody's load explains ends it.
constexpr Duration kMarkerHadToWait = 1s;

}  // namespace

WorkResult SqlConnection::run_statement(const BranchWork& work, const OpenStatement& statement) {
  return measured(work, [&] { return statement_steps(work, statement); });
}

WorkResult SqlConnection::statement_steps(const BranchWork& work, const OpenStatement& statement) {
  if (statement.first) {
    if (condition_ == ConnectionCondition::kTied) return session_is_lost(work);
    const auto beginning = !work.writes()    ? Beginning::kReadOnly
                           : statement.marks ? Beginning::kMarked
                                             : Beginning::kUnmarked;
    if (auto ended = begin(work, beginning); ended.has_value()) return std::move(*ended);
    open_ = work.start.id;
    condition_ = ConnectionCondition::kTied;
  } else {
    if (!is_open(work)) return session_is_lost(work);
    if (statement.marks) {
      if (auto ended = mark(work); ended.has_value()) return std::move(*ended);
    }
  }
  const Instant began = boot_now();
  begin_statements();
  ResultBudget budget(work.limits);
  auto ran = run_one(work, statement.statement, statement.number, budget);
  if (!ran.has_value()) return refuse(work, std::move(ran.error()));
  if (const Answer<void> completed = complete(*ran); !completed.has_value())
    return refuse(work, completed.error().error);
  took(times_.statements, began);
  WorkResult result{.outcome = StatementDone{}, .results = {}, .session = identity_};
  result.results.push_back(std::move(*ran));
  return result;
}

std::optional<WorkResult> SqlConnection::mark(const BranchWork& work) {
  const Instant sent = boot_now();
  if (auto ended = begin_once(work, dialect_.mark(work.start)); ended.has_value()) return ended;
  reach(CrashPoint::kAfterMarker);
  if (!dialect_.begins_again_after_wait() || boot_now() - sent <= kMarkerHadToWait) return std::nullopt;
  Error error;
  error.code = ErrorCode::kConflict;
  error.effect = Effect::kNone;
  error.retryable = true;
  error.message = "the branch's marker had to wait for another's; begin the transaction again";
  return refuse(work, std::move(error));
}

// [T12] A branch lives on one session: no other may go on with it.
bool SqlConnection::is_open(const BranchWork& work) const {
  return condition_ == ConnectionCondition::kTied && open_ == work.start.id;
}

WorkResult SqlConnection::session_is_lost(const BranchWork& work) const {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = Effect::kNone;
  error.retryable = true;
  error.branch = work.start.id.branch.value;
  error.message = "the session of this branch was lost; begin the transaction again";
  return {.outcome = Refused{.error = std::move(error)}, .results = {}, .session = identity_};
}

WorkResult SqlConnection::prepare_open(const BranchWork& work, bool marked, bool hold) {
  return measured(work, [&] { return prepare_steps(work, marked, hold); });
}

WorkResult SqlConnection::prepare_steps(const BranchWork& work, bool marked, bool hold) {
  if (!is_open(work)) return session_is_lost(work);
  bool reads = !work.writes();
  if (!reads && !marked) {
    const Texts question = dialect_.has_written();
    if (!question.empty()) {
      const Answer<TextAnswer> written = call(question);
      if (!written.has_value()) return refuse(work, written.error().error);
      reads = written->rows.size() == 1 && written->rows.front().front() == "0";
    }
    // It may have written without having been told so: as one that writes, it needs its proof.
    if (!reads) {
      if (auto ended = mark(work); ended.has_value()) return std::move(*ended);
    }
  }
  if (reads && hold) {
    open_.reset();
    return {.outcome = ReadOnlyDone{}, .results = {}, .session = identity_};
  }
  std::vector<StatementResult> none;
  const auto ending = reads ? BranchEnding::kReadOnly : BranchEnding::kPrepare;
  const Texts texts = reads ? dialect_.end_read_only() : dialect_.prepare(work.start.id);
  const Instant ending_began = boot_now();
  if (const Answer<void> ended = end_branch(texts, ending, none); !ended.has_value())
    return refuse(work, ended.error().error, /*ending_sent=*/!reads);
  took(times_.ending, ending_began);
  open_.reset();
  const bool stays_tied = !reads && dialect_.ties_prepared_branches();
  if (!stays_tied) untie(true);
  if (reads) return {.outcome = ReadOnlyDone{}, .results = {}, .session = identity_};
  if (stopped_at_the_end()) return take_back_late(work);
  return {.outcome = Prepared{.tied = stays_tied}, .results = {}, .session = identity_};
}

WorkResult SqlConnection::roll_back_open(const BranchWork& work) {
  if (!is_open(work)) return session_is_lost(work);
  Error error;
  error.code = ErrorCode::kStale;
  error.effect = Effect::kNone;
  error.message = "the branch was rolled back";
  return refuse(work, std::move(error));
}

}  // namespace troth::agent
