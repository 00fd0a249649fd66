// Interactive branches, as in participant_agent/runtime/sql_connection_open.cc.
#include <utility>

#include "tests/sim/model/engine.h"

namespace troth::sim {

using namespace agent;

namespace {

// Attack 50: the branch has read already and cannot be begun again.
constexpr Duration kMarkerHadToWait = std::chrono::seconds(1);

bool is_open(const Session& session, const BranchWork& work) {
  return session.condition == ConnectionCondition::kTied && session.open == work.start.id;
}

}  // namespace

WorkResult Engine::session_is_lost(const Session& session, const BranchWork& work) const {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = Effect::kNone;
  error.retryable = true;
  error.branch = work.start.id.branch.value;
  error.message = "the session of this branch was lost; begin the transaction again";
  return result_of(session, Refused{.error = std::move(error)});
}

Task<WorkResult> Engine::carry_out(Session& session, RunStatement request) {
  const BranchWork& work = request.work;
  const OpenStatement& statement = request.statement;
  if (statement.first) {
    if (session.condition == ConnectionCondition::kTied) co_return session_is_lost(session, work);
    const Beginning beginning = !work.writes()    ? Beginning::kReadOnly
                                : statement.marks ? Beginning::kMarked
                                                  : Beginning::kUnmarked;
    Ended ended = co_await begin_branch(session, work, beginning);
    if (ended.has_value()) co_return std::move(*ended);
    session.open = work.start.id;
    session.condition = ConnectionCondition::kTied;
  } else {
    if (!is_open(session, work)) co_return session_is_lost(session, work);
    if (statement.marks) {
      Ended ended = co_await mark_open(session, work);
      if (ended.has_value()) co_return std::move(*ended);
    }
  }
  co_await trip(session);
  std::expected<StatementResult, Error> ran =
      co_await run_one(session, work, statement.statement, statement.number);
  if (!ran.has_value()) {
    WorkResult refused = co_await refuse(session, work, ran.error());
    co_return refused;
  }
  WorkResult result = result_of(session, StatementDone{});
  result.results.push_back(std::move(*ran));
  co_return result;
}

Task<Engine::Ended> Engine::mark_open(Session& session, const BranchWork& work) {
  const Instant sent = now_;
  GuardRow guard_row;
  Refusal refusal = co_await mark_and_read_guard(session, work, guard_row);
  Ended ended = co_await judge_begin(session, work, refusal, guard_row);
  if (ended.has_value()) co_return ended;
  if (is_postgres() || now_ - sent <= kMarkerHadToWait) co_return std::nullopt;
  Error error;
  error.code = ErrorCode::kConflict;
  error.retryable = true;
  error.message = "the branch's marker had to wait for another's; begin the transaction again";
  WorkResult refused = co_await refuse(session, work, error);
  co_return refused;
}

Task<WorkResult> Engine::carry_out(Session& session, PrepareOpen request) {
  const BranchWork& work = request.work;
  if (!is_open(session, work)) co_return session_is_lost(session, work);
  bool reads = !work.writes();
  if (!reads && !request.marked && is_postgres()) {
    co_await this->work(session);
    reads = !transaction_of(session).wrote;
    co_await trip(session);
  }
  if (!reads && !request.marked) {
    // As one that may have written, it needs its proof.
    Ended ended = co_await mark_open(session, work);
    if (ended.has_value()) co_return std::move(*ended);
    co_await trip(session);
  }
  if (reads && request.hold) {
    session.open.reset();
    co_return result_of(session, ReadOnlyDone{});
  }
  session.ending_sent = !reads;
  Refusal ended = std::nullopt;
  if (reads) {
    ended = co_await commit(session);
  } else {
    ended = co_await prepare(session, work.start.id);
  }
  if (ended.has_value()) {
    failed(session, *ended);
    WorkResult refused = co_await refuse(session, work, ended->error, /*ending_sent=*/!reads);
    co_return refused;
  }
  session.open.reset();
  const bool stays_tied = !reads && ties();
  if (!stays_tied) untie(session);
  if (reads) co_return result_of(session, ReadOnlyDone{});
  if (session.stop_requested) {
    WorkResult late = co_await take_back_late(session, work);
    co_return late;
  }
  co_return result_of(session, Prepared{.tied = stays_tied});
}

Task<WorkResult> Engine::carry_out(Session& session, RollBackOpen request) {
  if (!is_open(session, request.work)) co_return session_is_lost(session, request.work);
  Error error;
  error.code = ErrorCode::kStale;
  error.effect = Effect::kNone;
  error.message = "the branch was rolled back";
  WorkResult refused = co_await refuse(session, request.work, error);
  co_return refused;
}

Task<Answer<void>> Engine::carry_out(Session& session, ReleaseHeld) {
  co_await work(session);
  if (session.transaction.has_value()) {
    Refusal ended = co_await commit(session);
    if (ended.has_value()) {
      session.condition = ConnectionCondition::kDoubtful;
      co_return std::unexpected(*ended);
    }
  }
  untie(session);
  co_return Answer<void>();
}

}  // namespace troth::sim
