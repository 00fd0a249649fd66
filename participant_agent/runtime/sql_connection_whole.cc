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

void SqlConnection::send_whole(const BranchWork& /*work*/) {
  CHECK(false, "takes_whole() promises what send_whole() does");
}

SqlConnection::WholeBranch SqlConnection::read_whole(const BranchWork& /*work*/, ResultBudget& /*budget*/) {
  CHECK(false, "takes_whole() promises what read_whole() does");
  return {};
}

// -- Carried by an event loop ------------------------------------------------------------------------------

bool SqlConnection::start_branch(const BranchWork& work) {
  const bool ready = condition_ == ConnectionCondition::kIdle && prepared_for_branches_ &&
                     may_go_whole(work) && is_ready_for(work);
  if (!ready) return false;
  comment_ = work.comment;
  begin_whole(work);
  started_ = &work;
  return true;
}

bool SqlConnection::start_finishing(const BranchId& branch, PreparedEnding ending) {
  if (condition_ != ConnectionCondition::kIdle) return false;
  const Texts texts = ending == PreparedEnding::kCommit ? dialect_.commit_prepared(branch)
                                                        : dialect_.roll_back_prepared(branch);
  if (texts.size() != 1) return false;
  send_text(texts.front());
  finishing_started_ = true;
  return true;
}

Arrival SqlConnection::arrived() {
  const Arrival came = take_arrived();
  if (came != Arrival::kWell || started_ == nullptr) return came;
  judged_ = judge_whole(*started_);
  return judged_->is_well() ? Arrival::kWell : Arrival::kIll;
}

// -- One trip ----------------------------------------------------------------------------------------------

bool SqlConnection::may_go_whole(const BranchWork& work) {
  return work.one_trip && (work.ending == BranchEnding::kPrepare || work.ending == BranchEnding::kReadOnly);
}

void SqlConnection::begin_whole(const BranchWork& work) {
  whole_sent_ = boot_now();
  ran_clients_statements_ = true;
  begin_statements();
  send_whole(work);
}

std::optional<WorkResult> SqlConnection::run_whole(const BranchWork& work) {
  if (std::exchange(started_, nullptr) == nullptr) {
    if (!may_go_whole(work) || cancellation()->requested() || !takes_whole(work)) return std::nullopt;
    if (auto ended = prepare_for_branches(work); ended.has_value()) return ended;
    begin_whole(work);
  }
  auto [whole, wrong, waited, stopped] =
      judged_.has_value() ? *std::exchange(judged_, std::nullopt) : judge_whole(work);
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
  took(times_.statements, whole_sent_ + whole.begun_after);
  if (wrong.has_value()) return take_back(work, std::move(*wrong));
  if (waited) {
    WorkResult undone = take_back(work, {});
    if (!std::holds_alternative<Refused>(undone.outcome)) return undone;
    return std::nullopt;
  }
  if (stopped) return take_back_late(work);
  if (work.ending == BranchEnding::kReadOnly)
    return WorkResult{.outcome = ReadOnlyDone{}, .results = std::move(whole.results), .session = identity_};
  const bool tied = dialect_.ties_prepared_branches();
  if (tied) condition_ = ConnectionCondition::kTied;
  return WorkResult{
      .outcome = Prepared{.tied = tied}, .results = std::move(whole.results), .session = identity_};
}

SqlConnection::JudgedBranch SqlConnection::judge_whole(const BranchWork& work) {
  ResultBudget budget(work.limits);
  JudgedBranch judged{.whole = read_whole(work, budget), .wrong = std::nullopt};
  if (judged.whole.error.has_value()) return judged;
  judged.wrong = find_wrong(work, judged.whole);
  judged.waited = work.writes() && dialect_.begins_again_after_wait() &&
                  judged.whole.begun_after > settings_.begin_had_to_wait;
  // Asked from here on, it was not what ended the wait for the answer.
  judged.stopped = work.writes() && stopped_at_the_end();
  return judged;
}

std::optional<Error> SqlConnection::find_wrong(const BranchWork& work, WholeBranch& whole) const {
  if (whole.too_much.has_value()) return std::move(whole.too_much);
  if (Status passed = check_guard_of(work, whole.guard); !passed.has_value())
    return std::move(passed.error());
  std::uint32_t number = 0;
  for (const Statement& statement : work.statements) {
    if (Status met = check_expectation(statement, number + 1, whole.results.at(number)); !met.has_value()) {
      met.error().statement = number + 1;
      return std::move(met.error());
    }
    ++number;
  }
  return std::nullopt;
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
