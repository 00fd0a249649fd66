// The steps of a branch that comes whole, in the order of participant_agent/runtime/sql_connection.cc, and in one trip as
// in sql_connection_whole.cc: there, too, what the agent finds wrong is found behind the prepare, and taken back.
#include <utility>

#include <fmt/format.h>

#include "tests/sim/model/engine.h"

namespace troth::sim {

using namespace agent;

namespace {

constexpr int kMostBegins = 3;

MarkerRow marker_of(const BranchStart& start) {
  MarkerRow marker;
  marker.transaction = start.id.transaction.text();
  marker.branch = start.id.branch;
  marker.state = MarkerState::kCommitted;
  marker.request = start.request;
  marker.digest = start.digest;
  marker.epoch = start.epoch;
  return marker;
}

bool may_go_whole(const BranchWork& work) {
  return work.one_trip && (work.ending == BranchEnding::kPrepare || work.ending == BranchEnding::kReadOnly);
}

}  // namespace

WorkResult Engine::result_of(const Session& session, decltype(WorkResult::outcome) outcome) {
  return WorkResult{.outcome = std::move(outcome), .results = {}, .session = session.identity};
}

void Engine::doubt(Session& session) {
  session.doubted = true;
  if (session.condition == ConnectionCondition::kIdle) session.condition = ConnectionCondition::kDoubtful;
}

void Engine::untie(Session& session) {
  session.open.reset();
  if (session.condition != ConnectionCondition::kTied) return;
  session.condition = session.doubted ? ConnectionCondition::kDoubtful : ConnectionCondition::kIdle;
}

Task<WorkResult> Engine::carry_out(Session& session, RunBranch request) {
  const BranchWork& work = request.work;
  if (session.condition == ConnectionCondition::kTied) {
    Error busy;
    busy.code = ErrorCode::kBusy;
    busy.effect = Effect::kNone;
    busy.retryable = true;
    busy.message = "the session holds a prepared branch until that ends";
    co_return result_of(session, Refused{.error = std::move(busy)});
  }
  if (may_go_whole(work) && !session.stop_requested) {
    Ended whole = co_await run_whole(session, work);
    if (whole.has_value()) co_return std::move(*whole);
  }
  WorkResult result = co_await run_steps(session, work);
  co_return result;
}

// -- One trip ----------------------------------------------------------------------------------------------

Task<Engine::Ended> Engine::run_whole(Session& session, const BranchWork& work) {
  // MySQL and MariaDB write out or number what the session has run before.
  bool knows = true;
  for (const Statement& statement : work.statements)
    knows = !session.known_statements.insert(statement.sql).second && knows;
  if (!is_postgres() && !knows) co_return std::nullopt;

  session.ending_sent = work.writes();
  const Instant sent = now_;
  GuardRow guard;
  const Beginning beginning = work.writes() ? Beginning::kMarked : Beginning::kReadOnly;
  Refusal refusal = co_await begin_and_mark(session, work, beginning, guard);
  if (refusal.has_value()) {
    co_await trip(session);
    if (refusal->meaning == Meaning::kDuplicateKey) {
      WorkResult taken = co_await marker_taken(session, work);
      co_return taken;
    }
    WorkResult refused = co_await refuse_begin(session, work, *refusal);
    co_return refused;
  }
  const bool waited = work.writes() && !is_postgres() && now_ - sent > session.settings.begin_had_to_wait;
  std::vector<StatementResult> results;
  std::optional<Error> wrong;
  for (const Statement& statement : work.statements) {
    const auto number = static_cast<std::uint32_t>(results.size() + 1);
    set_statement_deadline(session, work);
    std::expected<StatementResult, ClassifiedError> ran = co_await execute(session, statement);
    session.statement_deadline.reset();
    if (!ran.has_value()) {
      failed(session, ran.error());
      co_await trip(session);
      Error error = ran.error().error;
      error.statement = number;
      error.effect = Effect::kNone;
      WorkResult refused = co_await refuse(session, work, error);
      co_return refused;
    }
    if (Status met = check_expectation(statement, number, *ran); !met.has_value() && !wrong.has_value()) {
      wrong = std::move(met.error());
      wrong->statement = number;
    }
    results.push_back(std::move(*ran));
  }
  Refusal ended = std::nullopt;
  if (work.writes()) {
    ended = co_await prepare(session, work.start.id);
  } else {
    ended = co_await commit(session);
  }
  // What the agent finds out when it reads the answer.
  if (work.writes() && ties()) session.condition = ConnectionCondition::kTied;
  if (ended.has_value()) {
    failed(session, *ended);
    co_await trip(session);
    WorkResult refused = co_await refuse(session, work, ended->error, work.writes());
    co_return refused;
  }
  if (Status passed = check_guard(guard, work.mine, work.start, work.writes() && work.durability_required);
      !passed.has_value())
    wrong = std::move(passed.error());
  if (wrong.has_value() || waited) {
    co_await trip(session);
    const Error why = wrong.value_or(Error{});
    WorkResult undone = co_await take_back(session, work, why);
    if (wrong.has_value()) co_return undone;
    co_return std::nullopt;
  }
  if (work.writes() && session.stop_requested) {
    WorkResult late = co_await take_back_late(session, work);
    co_return late;
  }
  WorkResult result = result_of(session, ReadOnlyDone{});
  if (work.writes()) result.outcome = Prepared{.tied = ties()};
  result.results = std::move(results);
  co_return result;
}

Task<WorkResult> Engine::take_back(Session& session, const BranchWork& work, const Error& why) {
  Error error = why;
  error.branch = work.start.id.branch.value;
  error.effect = Effect::kNone;
  if (work.writes()) {
    Refusal undone = co_await finish(session, work.start.id, PreparedEnding::kRollBack);
    if (undone.has_value()) {
      session.condition = ConnectionCondition::kLost;
      error.effect = Effect::kUnknown;
      co_return result_of(session, Lost{.error = std::move(error), .ending_sent = true});
    }
    untie(session);
  }
  co_return result_of(session, Refused{.error = std::move(error)});
}

Task<WorkResult> Engine::take_back_late(Session& session, const BranchWork& work) {
  Error error;
  error.code = ErrorCode::kTimeout;
  error.retryable = true;
  error.message = "the branch's time was up when it was prepared";
  co_await trip(session);
  WorkResult undone = co_await take_back(session, work, error);
  co_return undone;
}

// -- Step by step ------------------------------------------------------------------------------------------

Task<WorkResult> Engine::run_steps(Session& session, const BranchWork& work) {
  session.ending_sent = false;
  const Beginning beginning = work.writes() ? Beginning::kMarked : Beginning::kReadOnly;
  Ended begun = co_await begin_branch(session, work, beginning);
  if (begun.has_value()) co_return std::move(*begun);
  std::vector<StatementResult> results;
  for (const Statement& statement : work.statements) {
    const auto number = static_cast<std::uint32_t>(results.size() + 1);
    co_await trip(session);
    std::expected<StatementResult, Error> ran = co_await run_one(session, work, statement, number);
    if (!ran.has_value()) {
      WorkResult refused = co_await refuse(session, work, ran.error());
      co_return refused;
    }
    results.push_back(std::move(*ran));
  }
  if (work.ending == BranchEnding::kHoldReadOnly) {
    session.condition = ConnectionCondition::kTied;
    WorkResult held = result_of(session, ReadOnlyDone{});
    held.results = std::move(results);
    co_return held;
  }
  co_await trip(session);
  session.ending_sent = true;
  Refusal ended = std::nullopt;
  if (work.ending == BranchEnding::kPrepare) {
    ended = co_await prepare(session, work.start.id);
  } else {
    ended = co_await commit(session);
  }
  if (ended.has_value()) {
    failed(session, *ended);
    WorkResult refused = co_await refuse(session, work, ended->error, /*ending_sent=*/true);
    co_return refused;
  }
  WorkResult result = result_of(session, ReadOnlyDone{});
  if (work.ending == BranchEnding::kCommitOnePhase) result.outcome = CommittedOnePhase{};
  if (work.ending == BranchEnding::kPrepare) {
    result.outcome = Prepared{.tied = ties()};
    if (ties()) session.condition = ConnectionCondition::kTied;
    if (session.stop_requested) {
      WorkResult late = co_await take_back_late(session, work);
      co_return late;
    }
  }
  result.results = std::move(results);
  co_return result;
}

Task<Refusal> Engine::mark_and_read_guard(Session& session, const BranchWork& work, GuardRow& guard_row) {
  const MarkerRow marker = marker_of(work.start);
  const RowKey key = marker_key(work.start.id);
  Refusal refusal = co_await insert_marker(session, marker, key);
  if (refusal.has_value()) {
    failed(session, *refusal);
    co_return refusal;
  }
  refusal = co_await lock_floors(session, work.start.id.transaction.cluster);
  if (refusal.has_value()) {
    failed(session, *refusal);
    co_return refusal;
  }
  guard_row = guard(session, work.start.id.transaction.cluster);
  co_return std::nullopt;
}

Task<Refusal> Engine::begin_and_mark(Session& session, const BranchWork& work, Beginning beginning,
                                     GuardRow& guard_row) {
  co_await this->work(session);
  Refusal refusal = begin(session, work.start, beginning == Beginning::kReadOnly);
  if (refusal.has_value()) co_return refusal;
  if (beginning == Beginning::kMarked) {
    refusal = co_await mark_and_read_guard(session, work, guard_row);
    co_return refusal;
  }
  refusal = co_await lock_floors(session, work.start.id.transaction.cluster);
  if (!refusal.has_value()) guard_row = guard(session, work.start.id.transaction.cluster);
  co_return refusal;
}

Task<Engine::Ended> Engine::begin_once(Session& session, const BranchWork& work, Beginning beginning) {
  GuardRow guard_row;
  Refusal refusal = co_await begin_and_mark(session, work, beginning, guard_row);
  Ended ended = co_await judge_begin(session, work, refusal, guard_row);
  co_return ended;
}

Task<Engine::Ended> Engine::judge_begin(Session& session, const BranchWork& work, const Refusal& refusal,
                                        const GuardRow& guard_row) {
  if (refusal.has_value()) {
    co_await trip(session);
    // Only the marker can meet a duplicate key here.
    if (refusal->meaning == Meaning::kDuplicateKey) {
      WorkResult taken = co_await marker_taken(session, work);
      co_return taken;
    }
    WorkResult refused = co_await refuse_begin(session, work, *refusal);
    co_return refused;
  }
  Status passed = check_guard(guard_row, work.mine, work.start, work.writes() && work.durability_required);
  if (passed.has_value()) co_return std::nullopt;
  WorkResult refused = co_await refuse(session, work, passed.error());
  co_return refused;
}

// Attack 50: what had to wait is begun again.
Task<Engine::Ended> Engine::begin_branch(Session& session, const BranchWork& work, Beginning beginning) {
  for (int attempt = 1;; ++attempt) {
    const Instant sent = now_;
    Ended ended = co_await begin_once(session, work, beginning);
    if (ended.has_value()) co_return ended;
    const bool marks = beginning == Beginning::kMarked;
    const bool waited = marks && !is_postgres() && now_ - sent > session.settings.begin_had_to_wait;
    if (!waited || attempt == kMostBegins) co_return std::nullopt;
    co_await trip(session);
    co_await roll_back(session);
    co_await trip(session);
  }
}

Task<std::expected<StatementResult, Error>> Engine::run_one(Session& session, const BranchWork& work,
                                                            const Statement& statement,
                                                            std::uint32_t number) {
  Error error;
  error.code = ErrorCode::kTimeout;
  error.effect = Effect::kNone;
  error.statement = number;
  if (session.stop_requested) {
    error.message = "the branch's time was up before this statement";
    co_return std::unexpected(std::move(error));
  }
  session.known_statements.insert(statement.sql);
  if (work.start.statement_timeout.count() > 0)
    session.statement_deadline = now_ + work.start.statement_timeout;
  std::expected<StatementResult, ClassifiedError> ran = co_await execute(session, statement);
  session.statement_deadline.reset();
  if (!ran.has_value()) {
    failed(session, ran.error());
    error = ran.error().error;
    error.statement = number;
    error.effect = Effect::kNone;
    co_return std::unexpected(std::move(error));
  }
  if (Status met = check_expectation(statement, number, *ran); !met.has_value()) {
    error = std::move(met.error());
    error.statement = number;
    co_return std::unexpected(std::move(error));
  }
  co_return std::move(*ran);
}

void Engine::set_statement_deadline(Session& session, const BranchWork& work) const {
  if (work.start.statement_timeout.count() > 0)
    session.statement_deadline = now_ + work.start.statement_timeout;
}

// -- Refusals ----------------------------------------------------------------------------------------------

// [T11] It says so when it is rolled back.
Task<WorkResult> Engine::refuse(Session& session, const BranchWork& work, const Error& why,
                                bool ending_sent) {
  Error error = why;
  if (session.stop_requested && error.code != ErrorCode::kTimeout) {
    error.code = ErrorCode::kTimeout;
    error.message = fmt::format("the branch's time was up: {}", error.message);
  }
  error.branch = work.start.id.branch.value;
  session.ending_sent = ending_sent;
  co_await trip(session);
  if (session.transaction.has_value()) co_await roll_back(session);
  if (ending_sent) {
    co_await trip(session);
    begin_own(session);
    std::vector<MarkerRow> rows = see_markers(session, work.start.id, std::nullopt);
    forget(*session.transaction);
    if (!rows.empty()) co_return result_of(session, MarkerTaken{.rows = std::move(rows)});
  }
  if (session.open.has_value()) untie(session);
  error.effect = Effect::kNone;
  co_return result_of(session, Refused{.error = std::move(error)});
}

Task<WorkResult> Engine::refuse_begin(Session& session, const BranchWork& work, const ClassifiedError& why) {
  Error error = why.error;
  if (why.meaning == Meaning::kDuplicateXid) {
    doubt(session);
    error.branch = work.start.id.branch.value;
    co_return result_of(session, Refused{.error = std::move(error)});
  }
  if (error.code == ErrorCode::kStatementFailed) error.code = ErrorCode::kUnavailable;
  if (is_postgres()) doubt(session);
  WorkResult refused = co_await refuse(session, work, error);
  co_return refused;
}

Task<WorkResult> Engine::marker_taken(Session& session, const BranchWork& work) {
  session.ending_sent = false;
  co_await roll_back(session);
  co_await trip(session);
  begin_own(session);
  std::vector<MarkerRow> rows = see_markers(session, work.start.id, work.start.request);
  forget(*session.transaction);
  co_return result_of(session, MarkerTaken{.rows = std::move(rows)});
}

}  // namespace troth::sim
