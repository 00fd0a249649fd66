// A branch in one trip: begin, marker, guard, statements and prepare sent together, their answers read afterwards.
//
// Safe, because a step that fails stops all behind it, and because what the agent itself finds wrong afterwards (the
// guard, a count of rows) it takes back: no yes was told, so nobody commits the branch; if the agent dies before it has
// taken it back, the branch is an orphan of an aborted transaction, and is rolled back as such.
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/runtime/sql_connection.h"

namespace troth::agent {

SqlConnection::WholeBranch SqlConnection::send_whole(const BranchWork& /*work*/, ResultBudget& /*budget*/) {
  CHECK(false, "takes_whole() promises what send_whole() does");
  return {};
}

std::optional<WorkResult> SqlConnection::run_whole(const BranchWork& work) {
  const bool in_one = work.ending == BranchEnding::kPrepare || work.ending == BranchEnding::kReadOnly;
  if (!work.one_trip || !in_one || cancellation()->requested() || !takes_whole(work)) return std::nullopt;
  if (auto ended = prepare_for_branches(work); ended.has_value()) return ended;

  const Instant sent = boot_now();
  ran_clients_statements_ = true;
  begin_statements();
  ResultBudget budget(work.limits);
  WholeBranch whole = send_whole(work, budget);
  if (whole.steps_instead && condition_ != ConnectionCondition::kLost && !cancellation()->requested()) {
    if (roll_back(work)) return std::nullopt;
  }
  if (whole.error.has_value()) {
    WorkResult refused = refuse_whole(work, whole);
    // [T11] All of it was sent: where no rollback was seen, it may be prepared.
    if (auto* lost = std::get_if<Lost>(&refused.outcome); lost != nullptr) lost->ending_sent = work.writes();
    return refused;
  }
  times_.begin = whole.begun_after;
  took(times_.statements, sent + whole.begun_after);

  if (whole.too_much.has_value()) return take_back(work, std::move(*whole.too_much));
  if (Status passed = check_guard_of(work, whole.guard); !passed.has_value())
    return take_back(work, std::move(passed.error()));
  std::uint32_t number = 0;
  for (const Statement& statement : work.statements) {
    if (Status met = check_expectation(statement, number + 1, whole.results.at(number)); !met.has_value()) {
      met.error().statement = number + 1;
      return take_back(work, std::move(met.error()));
    }
    ++number;
  }
  const bool waited =
      work.writes() && dialect_.begins_again_after_wait() && whole.begun_after > kBeginHadToWait;
  if (waited) {
    WorkResult undone = take_back(work, {});
    if (!std::holds_alternative<Refused>(undone.outcome)) return undone;
    return std::nullopt;
  }
  if (work.writes() && stopped_at_the_end()) return take_back_late(work);
  if (work.ending == BranchEnding::kReadOnly)
    return WorkResult{.outcome = ReadOnlyDone{}, .results = std::move(whole.results), .session = identity_};
  const bool tied = dialect_.ties_prepared_branches();
  if (tied) condition_ = ConnectionCondition::kTied;
  return WorkResult{
      .outcome = Prepared{.tied = tied}, .results = std::move(whole.results), .session = identity_};
}

// Nothing behind the failed step ran; but where the connection went, nobody knows which step that was.
WorkResult SqlConnection::refuse_whole(const BranchWork& work, WholeBranch& whole) {
  ClassifiedError& why = *whole.error;
  if (condition_ == ConnectionCondition::kLost) return refuse(work, std::move(why.error), work.writes());
  if (!whole.begun) {
    // Only the marker can meet a duplicate key here.
    if (why.meaning == Meaning::kDuplicateKey) return marker_taken(work, why);
    return refuse_begin(work, why);
  }
  const bool at_end = whole.results.size() == work.statements.size();
  if (whole.too_much.has_value()) return refuse(work, std::move(*whole.too_much), at_end && work.writes());
  if (!at_end) {
    why.error.statement = static_cast<std::uint32_t>(whole.results.size() + 1);
    // [T11] What the statement did goes with the branch.
    why.error.effect = Effect::kNone;
  }
  return refuse(work, std::move(why.error), at_end && work.writes());
}

WorkResult SqlConnection::take_back(const BranchWork& work, Error error) {
  error.branch = work.start.id.branch.value;
  WorkResult result{.outcome = Refused{}, .results = {}, .session = identity_};
  if (work.writes()) {
    reach(CrashPoint::kBeforeTakenBack);
    if (const auto undone = ask_for_success(dialect_.roll_back_prepared(work.start.id));
        !undone.has_value()) {
      condition_ = ConnectionCondition::kLost;
      error.effect = Effect::kUnknown;
      result.outcome = Lost{.error = std::move(error), .ending_sent = true};
      return result;
    }
    untie(true);
  }
  error.effect = Effect::kNone;
  result.outcome = Refused{.error = std::move(error)};
  return result;
}

WorkResult SqlConnection::take_back_late(const BranchWork& work) {
  Error error;
  error.code = ErrorCode::kTimeout;
  error.retryable = true;
  error.message = "the branch's time was up when it was prepared";
  return take_back(work, std::move(error));
}

}  // namespace troth::agent
