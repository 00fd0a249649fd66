// Sessions that are ended, cancelled, or survive their client: what may be said about the branch, and when.
#include <chrono>
#include <future>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "participant_agent/runtime/session_pool.h"
#include "tests/unit/participant_agent_runtime/event_loop.h"
#include "tests/unit/participant_agent_runtime/pool_answers.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

using LostSessionTest = DatabaseTest;
TROTH_BOTH_WAYS_FOR_EVERY_DATABASE(LostSessionTest);

std::string sleep_text(const TestResource& resource, int seconds) {
  return fmt::format("SELECT {}({})", resource.is_postgres() ? "pg_sleep" : "SLEEP", seconds);
}

// Runs the branch on a thread of its own.
std::future<WorkResult> start(DatabaseConnection& session, const BranchWork& work) {
  return std::async(std::launch::async, [&session, work] {
    return session.run_branch(work);
  });
}

// [T12] Attack 9, in small: no driver goes on by itself in a new session, whatever is called next.
TEST_P(LostSessionTest, LostSessionStaysLost) {
  const auto session = resource().connect();
  resource().kill(session->session_identity());
  for (int i = 0; i < 4; ++i) {
    const Answer<PreparedList> listed = session->list_prepared();
    ASSERT_FALSE(listed.has_value());
    EXPECT_EQ(listed.error().meaning, Meaning::kConnectionLost);
    EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
  }
}

// [T11] The backend goes away in the middle of a statement: nothing was asked to prepare.
TEST_P(LostSessionTest, BackendKilledDuringAStatementLosesTheBranch) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.one_trip = false;
  work.statements.push_back(resource().statement(sleep_text(resource(), 30)));
  auto running = start(*session, work);
  resource().wait_until_asleep(session->session_identity());
  resource().kill(session->session_identity());
  const WorkResult result = running.get();
  ASSERT_TRUE(ended_as<Lost>(result));
  EXPECT_FALSE(std::get<Lost>(result.outcome).ending_sent);
  EXPECT_EQ(std::get<Lost>(result.outcome).error.effect, Effect::kUnknown);
  EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
  EXPECT_EQ(resource().balance(1), "100");
}

// A backend killed between any two statements never lets the rest run or prepare.
TEST_P(LostSessionTest, BackendKilledBetweenAnyTwoStatementsLosesTheBranch) {
  constexpr int kStatements = 3;
  // The statement ends its own session: what comes behind finds none.
  if (!resource().is_postgres()) {
    resource().run(
        "CREATE FUNCTION end_me() RETURNS INT DETERMINISTIC NO SQL BEGIN KILL CONNECTION_ID(); RETURN 1; "
        "END");
  }
  const Statement end_session = resource().statement(
      resource().is_postgres() ? "SELECT pg_terminate_backend(pg_backend_pid())" : "SELECT end_me()");
  for (int killed_before = 0; killed_before < kStatements; ++killed_before) {
    const auto session = resource().connect();
    BranchWork work = resource().transfer(1, 1);
    for (int i = 0; i < kStatements; ++i) {
      if (i == killed_before) work.statements.push_back(end_session);
      work.statements.push_back(resource().transfer(1, 1).statements[0]);
    }
    const WorkResult result = session->run_branch(work);
    EXPECT_TRUE(ended_as<Lost>(result)) << killed_before;
    EXPECT_EQ(resource().balance(1), "100");
    EXPECT_EQ(resource().marker(work.start.id), "");
  }
}

// Attack 2: the client goes, its backend stays inside a lock wait; a new session ends it and sees it gone.
TEST_P(LostSessionTest, ZombieIsEndedAndSeenGone) {
  const auto holder = resource().connect();
  const BranchWork held = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));

  ConnectOptions patient = resource().options();
  patient.settings.lock_wait_timeout = 60s;
  const auto zombie = resource().connect(patient);
  const SessionIdentity identity = zombie->session_identity();
  auto running = start(*zombie, resource().transfer(1, 7));
  resource().wait_until_blocked(identity);

  const auto control = resource().connect();
  EXPECT_TRUE(holds_within(10s, [&] { return control->end_session(identity).value_or(false); }));
  EXPECT_TRUE(ended_as<Lost>(running.get()));
  ASSERT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

// Attack 52: sessions of the role are found whatever they call themselves; another role's never.
TEST_P(LostSessionTest, RoleSessionsAreListedWhateverTheirName) {
  ConnectOptions disguised = resource().options();
  disguised.settings.application_name = "payroll";
  const auto other = resource().connect(disguised);
  const auto control = resource().connect();
  const auto listed = control->list_role_sessions();
  ASSERT_TRUE(listed.has_value());
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().connection, other->session_identity().connection);
}

// An identity of before the server's restart names nobody now.
TEST_P(LostSessionTest, SessionOfAnEarlierServerStartIsNotKilled) {
  const auto other = resource().connect();
  const auto control = resource().connect();
  SessionIdentity old = other->session_identity();
  old.server_start.value -= 1000;
  EXPECT_TRUE(control->end_session(old).value_or(false));
  EXPECT_TRUE(other->list_prepared().has_value());
}

TEST_P(LostSessionTest, StatementIsCancelledFromAnotherThread) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement(sleep_text(resource(), 30)));
  work.statements.push_back(resource().transfer(2, 5).statements[0]);
  auto running = start(*session, work);
  resource().wait_until_asleep(session->session_identity());
  const auto cancellation = session->cancellation();
  cancellation->request();
  cancellation->interrupt();
  const Error error = refusal_of(running.get());
  EXPECT_EQ(error.code, ErrorCode::kTimeout);
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(resource().balance(1), "100");
}

// A request to stop also ends Postgres' wait for its standby, which it then calls done: a yes behind it may not be told.
TEST_P(LostSessionTest, BranchThatIsPreparedTooLateIsTakenBack) {
  const auto blocker = resource().connect();
  const BranchWork first = resource().transfer(1, 1);
  ASSERT_TRUE(ended_as<Prepared>(blocker->run_branch(first)));
  const auto session = resource().connect();
  const BranchWork late = resource().transfer(1, 5);
  auto running = start(*session, late);
  resource().wait_until_blocked(session->session_identity());
  session->cancellation()->request();
  ASSERT_TRUE(blocker->finish_prepared(first.start.id, PreparedEnding::kRollBack).has_value());
  const WorkResult result = running.get();
  EXPECT_EQ(refusal_of(result).code, ErrorCode::kTimeout) << describe(result);
  EXPECT_EQ(refusal_of(result).effect, Effect::kNone);
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  const Answer<PreparedList> list = resource().connect()->list_prepared();
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(TestResource::prepared_here(*list), 0U);
  EXPECT_EQ(resource().marker(late.start.id), "");
}

TEST_P(LostSessionTest, OpenBranchThatIsPreparedTooLateIsTakenBack) {
  const auto session = resource().connect();
  const BranchWork late = resource().transfer(1, 5);
  const WorkResult ran = session->run_statement(late, {late.statements[0], 1, true, true});
  ASSERT_TRUE(ended_as<StatementDone>(ran));
  session->cancellation()->request();
  const WorkResult result = session->prepare_open(late, true, false);
  EXPECT_EQ(refusal_of(result).code, ErrorCode::kTimeout) << describe(result);
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  EXPECT_EQ(resource().marker(late.start.id), "");
  EXPECT_TRUE(ended_as<Prepared>(resource().connect()->run_branch(resource().transfer(1, 5))));
}

// A statement's own timeout, with every database: MySQL and MariaDB are told by the agent.
TEST_P(LostSessionTest, StatementPastItsTimeoutIsStoppedAndRefused) {
  DeadlineWatch watch({.repeat_after = 50ms});
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement(sleep_text(resource(), 30)));
  work.start.statement_timeout = 200ms;
  work.watch = &watch;
  const auto begun = std::chrono::steady_clock::now();
  const Error error = refusal_of(session->run_branch(work));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  EXPECT_EQ(error.code, ErrorCode::kTimeout) << error.message;
  EXPECT_EQ(error.statement, work.statements.size());
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().marker(work.start.id), "");
}

class PoolOnDatabaseTest : public DatabaseTest {
 protected:
  std::unique_ptr<SessionPool> pool(std::size_t sessions, EventLoop& loop, const ConnectOptions& options) {
    return std::make_unique<SessionPool>(
        SessionPoolOptions{.resource = {"bank"}, .sessions = sessions, .tied_sessions = 4, .queue_limit = 16},
        [this, options] { return connect_to(GetParam(), options); },
        [&loop](std::function<void()> event) { loop.post(std::move(event)); });
  }
};
TROTH_BOTH_WAYS_FOR_EVERY_DATABASE(PoolOnDatabaseTest);

TEST_P(PoolOnDatabaseTest, BranchesPrepareAndCommitWhicheverSessionHoldsThem) {
  EventLoop loop;
  const auto sessions = pool(2, loop, resource().options());
  std::vector<BranchWork> works;
  std::vector<std::future<BranchAnswer>> answers;
  for (int account = 1; account <= 3; ++account) {
    works.push_back(resource().transfer(account, 5));
    answers.push_back(submit_branch(*sessions, works.back(), 10s));
  }
  for (auto& answer : answers)
    ASSERT_TRUE(ended_as<Prepared>(answer.get().result));
  const bool ties = GetParam() == DatabaseKind::kMariadb;
  EXPECT_EQ(sessions->counts().tied, ties ? 3U : 0U);
  for (const BranchWork& work : works)
    EXPECT_TRUE(submit_end(*sessions, work.start.id, PreparedEnding::kCommit).get().has_value());
  EXPECT_EQ(sessions->counts().tied, 0U);
  EXPECT_EQ(resource().balance(3), "105");
}

// [T11] The deadline passes inside a lock wait: the no comes when the statement has ended, and nothing
// follows.
TEST_P(PoolOnDatabaseTest, BranchPastItsDeadlineIsStoppedAndRefused) {
  EventLoop loop;
  ConnectOptions patient = resource().options();
  patient.settings.lock_wait_timeout = 60s;
  const auto sessions = pool(2, loop, patient);
  const BranchWork held = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(submit_branch(*sessions, held, 10s).get().result));

  const BranchAnswer late = submit_branch(*sessions, resource().transfer(1, 7), 300ms).get();
  EXPECT_EQ(refusal_of(late.result).code, ErrorCode::kTimeout);
  EXPECT_EQ(late.fate, BackendFate::kAlive);
  EXPECT_TRUE(submit_end(*sessions, held.start.id, PreparedEnding::kCommit).get().has_value());
  EXPECT_EQ(resource().balance(1), "105");
}

// [T11] A lost connection is answered when the server no longer has the session.
TEST_P(PoolOnDatabaseTest, LostBranchIsAnsweredWithItsBackendGone) {
  EventLoop loop;
  const auto sessions = pool(1, loop, resource().options());
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement(sleep_text(resource(), 30)));
  auto answer = submit_branch(*sessions, work, 60s);
  resource().kill(resource().sleeper());
  const BranchAnswer lost = answer.get();
  EXPECT_TRUE(ended_as<Lost>(lost.result));
  EXPECT_EQ(lost.fate, BackendFate::kGone);
  EXPECT_TRUE(ended_as<Prepared>(submit_branch(*sessions, resource().transfer(1, 5), 10s).get().result));
}

class PostgresPoolTest : public DatabaseTest {};
TROTH_FOR_POSTGRES(PostgresPoolTest);

// [T11] Attack 61: a backend that hangs cannot be ended, so nobody may say that the branch will not happen.
TEST_P(PostgresPoolTest, BackendThatHangsMayStillRun) {
  EventLoop loop;
  const ConnectOptions options = resource().options();
  SessionPool sessions(
      {.resource = {"bank"}, .sessions = 1, .cancel = {.repeat_after = 50ms, .break_off_after = 300ms}},
      [options] { return connect_to(DatabaseKind::kPostgres, options); },
      [&loop](std::function<void()> event) { loop.post(std::move(event)); });
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement("SELECT pg_sleep(30)"));
  auto answer = submit_branch(sessions, work, 2s);
  const SessionIdentity sleeper = resource().sleeper();
  const auto backend = static_cast<pid_t>(sleeper.connection.value);
  ASSERT_EQ(::kill(backend, SIGSTOP), 0);
  const BranchAnswer hangs = answer.get();
  EXPECT_EQ(::kill(backend, SIGCONT), 0);
  EXPECT_TRUE(ended_as<Lost>(hangs.result));
  EXPECT_EQ(hangs.fate, BackendFate::kMayStillRun);
  const std::string alive = fmt::format("SELECT pid FROM pg_stat_activity WHERE pid = {}", backend);
  EXPECT_TRUE(holds_within(10s, [&] { return resource().value(alive).empty(); }));
}

// Attack 29: a tied session that was lost frees its branch, and any session finishes it.
TEST_P(PoolOnDatabaseTest, PreparedBranchOfALostSessionIsFinishedElsewhere) {
  EventLoop loop;
  const auto sessions = pool(2, loop, resource().options());
  const BranchWork work = resource().transfer(1, 5);
  const BranchAnswer answered = submit_branch(*sessions, work, 10s).get();
  ASSERT_TRUE(ended_as<Prepared>(answered.result));
  resource().kill(answered.result.session);
  // The first attempt may be the one that finds the session lost.
  EXPECT_TRUE(holds_within(
      10s, [&] { return submit_end(*sessions, work.start.id, PreparedEnding::kCommit).get().has_value(); }));
  EXPECT_EQ(resource().balance(1), "105");
}

TEST_P(PoolOnDatabaseTest, ShutDownLeavesPreparedBranchesForTheNextStart) {
  EventLoop loop;
  const BranchWork work = resource().transfer(1, 5);
  {
    const auto sessions = pool(2, loop, resource().options());
    ASSERT_TRUE(ended_as<Prepared>(submit_branch(*sessions, work, 10s).get().result));
  }
  ASSERT_TRUE(holds_within(5s, [&] { return resource().sessions() == 0; }));
  const auto next = resource().connect();
  EXPECT_TRUE(next->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
}

}  // namespace
}  // namespace troth::agent
