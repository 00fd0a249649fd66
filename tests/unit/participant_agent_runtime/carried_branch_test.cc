// A branch that an event loop carries: what it sends ahead, what it learns of it without waiting, and that whatever does not
// go well ends as it does on a thread.
#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/deadline_watch.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

// A stranger's prepared branch, which has account 1 locked.
class Holder {
 public:
  explicit Holder(TestResource& resource) : session_(resource.connect()), work_(resource.transfer(1, 1)) {
    EXPECT_TRUE(ended_as<Prepared>(session_->run_branch(work_)));
  }
  void let_go() {
    EXPECT_TRUE(session_->finish_prepared(work_.start.id, PreparedEnding::kRollBack).has_value());
  }

 private:
  const std::unique_ptr<DatabaseConnection> session_;
  const BranchWork work_;
};

class CarriedBranchTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    if (resource_ != nullptr) resource().takes_for_a_wait(10s);
  }

  static bool look_for_input(const DatabaseConnection& session, int milliseconds) {
    pollfd input{.fd = *session.descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&input, 1, milliseconds) > 0;
  }
  // As the loop does it. Fails the test after ten seconds.
  static Arrival wait_for(DatabaseConnection& session) {
    const Instant give_up = boot_now() + 10s;
    for (;;) {
      const Arrival arrival = session.arrived();
      if (arrival != Arrival::kMore) return arrival;
      if (boot_now() > give_up) {
        ADD_FAILURE() << "nothing has arrived";
        return Arrival::kIll;
      }
      static_cast<void>(look_for_input(session, 100));
    }
  }

  // One that knows the statements of `transfer`, and what its branches are checked with.
  std::unique_ptr<DatabaseConnection> ready_session() {
    auto session = resource().connect();
    for (int round = 0; round < (resource().is_postgres() ? 1 : 2); ++round) {
      const BranchWork work = resource().transfer(2, 0);
      EXPECT_FALSE(session->start_branch(work)) << "not everything is prepared yet";
      run_and_undo(*session, work);
    }
    return session;
  }

  void run_and_undo(DatabaseConnection& session, const BranchWork& work) {
    EXPECT_TRUE(ended_as<Prepared>(session.run_branch(work)));
    end(session, work, PreparedEnding::kRollBack);
  }
  // MariaDB's session is tied until then.
  static void end(DatabaseConnection& session, const BranchWork& work, PreparedEnding ending) {
    if (session.condition() == ConnectionCondition::kIdle) {
      EXPECT_TRUE(session.clean_up());
    }
    EXPECT_TRUE(session.finish_prepared(work.start.id, ending).has_value());
    EXPECT_TRUE(session.clean_up());
  }

  void expect_started(DatabaseConnection& session, const BranchWork& work) {
    ASSERT_TRUE(session.start_branch(work));
  }

  void start_and_wait_until_blocked(DatabaseConnection& session, const BranchWork& work) {
    expect_started(session, work);
    resource().wait_until_blocked(session.session_identity());
    EXPECT_EQ(session.arrived(), Arrival::kMore);
  }

  // The branch was refused with this code, nothing of it is left, and the session works on.
  void expect_clean_refusal(DatabaseConnection& session, const BranchWork& work, ErrorCode code) {
    const WorkResult result = session.run_branch(work);
    const Error error = refusal_of(result);
    EXPECT_EQ(error.code, code) << describe(result);
    EXPECT_EQ(error.effect, Effect::kNone);
    EXPECT_EQ(resource().marker(work.start.id), "");
    EXPECT_EQ(resource().balance(1), "100");
    const auto list = session.list_prepared();
    ASSERT_TRUE(list.has_value());
    EXPECT_EQ(std::ranges::find(list->branches, work.start.id, &PreparedRow::branch), list->branches.end());
  }
};
TROTH_FOR_EVERY_DATABASE(CarriedBranchTest);

class CarriedPostgresTest : public CarriedBranchTest {};
TROTH_FOR_POSTGRES(CarriedPostgresTest);
class CarriedInnodbTest : public CarriedBranchTest {};
TROTH_FOR_INNODB(CarriedInnodbTest);

TEST_P(CarriedBranchTest, BranchAndCommitArriveAndAreRunWithoutWaiting) {
  const auto session = ready_session();
  for (int round = 1; round <= 3; ++round) {
    const BranchWork work = resource().transfer(1, 5);
    expect_started(*session, work);
    ASSERT_EQ(wait_for(*session), Arrival::kWell);
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result));
    ASSERT_EQ(result.results.size(), 1U);
    EXPECT_EQ(result.results[0].affected, 1U);
    EXPECT_TRUE(result.times.begin.has_value());
    if (std::get<Prepared>(result.outcome).tied) {
      EXPECT_FALSE(session->start_finishing(work.start.id, PreparedEnding::kCommit));
      end(*session, work, PreparedEnding::kCommit);
    } else {
      ASSERT_EQ(wait_for(*session), Arrival::kWell);
      EXPECT_TRUE(session->clean_up());
      ASSERT_TRUE(session->start_finishing(work.start.id, PreparedEnding::kCommit));
      ASSERT_EQ(wait_for(*session), Arrival::kWell);
      EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
      EXPECT_EQ(wait_for(*session), Arrival::kWell) << "Troth's own text leaves nothing to clean";
      EXPECT_TRUE(session->clean_up());
    }
    EXPECT_EQ(resource().balance(1), std::to_string(100 + 5 * round));
    EXPECT_EQ(resource().marker(work.start.id), "committed");
  }
}

TEST_P(CarriedPostgresTest, BranchWithItsCommentIsCarriedToo) {
  const auto session = ready_session();
  BranchWork work = resource().transfer(1, 5);
  work.comment = "/* label='rent' */ ";
  expect_started(*session, work);
  ASSERT_EQ(wait_for(*session), Arrival::kWell);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
}

TEST_P(CarriedBranchTest, WhatMayAskTheServerOrAnswersMuchIsNotStarted) {
  const auto session = ready_session();
  EXPECT_FALSE(session->start_branch(resource().transfer(1, 5, BranchEnding::kCommitOnePhase)));
  EXPECT_FALSE(session->start_branch(resource().transfer(1, 5, BranchEnding::kHoldReadOnly)));
  BranchWork apart = resource().transfer(1, 5);
  apart.one_trip = false;
  EXPECT_FALSE(session->start_branch(apart));

  BranchWork reads = resource().transfer(1, 5);
  reads.statements.push_back(
      resource().statement("SELECT balance FROM accounts WHERE id = ?", {{std::int64_t{1}}}));
  run_and_undo(*session, reads);
  reads.start.id.transaction.sequence.value += 1000;
  EXPECT_FALSE(session->start_branch(reads)) << "rows are read where they may be waited for";

  BranchWork large =
      resource().work({resource().statement("UPDATE accounts SET balance = ? WHERE id = ?",
                                            {{Text{std::string(40'000, '1')}}, {std::int64_t{1}}})});
  EXPECT_FALSE(session->start_branch(large));
}

TEST_P(CarriedPostgresTest, WhatTheSessionDoesNotKnowAnyMoreIsNotStarted) {
  ConnectOptions small = resource().options();
  small.statement_cache = 2;
  const auto session = resource().connect(small);
  const auto run = [&](const BranchWork& work) {
    EXPECT_TRUE(ended_as<Prepared>(session->run_branch(work)));
    EXPECT_TRUE(session->clean_up());
    EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  };
  const auto other = [&](int number) {
    return resource().work({resource().statement(fmt::format("UPDATE accounts SET balance = {}", number))});
  };
  run(resource().transfer(1, 5));
  BranchWork twice = resource().transfer(1, 5);
  twice.statements.push_back(twice.statements.front());
  expect_started(*session, twice);
  EXPECT_EQ(wait_for(*session), Arrival::kWell);
  const WorkResult result = session->run_branch(twice);
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_EQ(result.results.size(), 2U);
  EXPECT_TRUE(session->clean_up());
  EXPECT_TRUE(session->finish_prepared(twice.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "110");

  BranchWork thrice = resource().transfer(1, 5);
  thrice.statements.resize(3, thrice.statements.front());
  EXPECT_FALSE(session->start_branch(thrice)) << "it may be more than the session can keep";
  run(other(1));
  run(other(2));
  EXPECT_FALSE(session->start_branch(resource().transfer(1, 5))) << "it had to go for the others";
  run(resource().transfer(1, 5));
}

// Its rows are there, and count, though they hold nothing.
TEST_P(CarriedPostgresTest, SelectOfNoColumnsIsCountedHoweverItRuns) {
  const auto session = ready_session();
  for (int round = 0; round < 2; ++round) {
    BranchWork work = resource().transfer(1, 5);
    work.statements.push_back(resource().statement("SELECT FROM accounts WHERE id = ?", {{std::int64_t{1}}}));
    work.statements.back().expect_rows = ExpectRows{.rule = ExpectRows::Rule::kExactly, .rows = 1};
    EXPECT_FALSE(session->start_branch(work)) << "rows are read where they may be waited for";
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result));
    EXPECT_EQ(result.results[1].rows.size(), 1U);
    EXPECT_TRUE(session->clean_up());
    EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  }
}

TEST_P(CarriedBranchTest, StatementThatFailsIsIllAndRefusedAsOnAThread) {
  const auto session = ready_session();
  const BranchWork work = resource().transfer(1, -500);
  expect_started(*session, work);
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  expect_clean_refusal(*session, work, ErrorCode::kStatementFailed);
  EXPECT_TRUE(session->clean_up());
  const BranchWork next = resource().transfer(1, 5);
  expect_started(*session, next);
  EXPECT_EQ(wait_for(*session), Arrival::kWell);
  run_and_undo(*session, next);
}

TEST_P(CarriedBranchTest, MissedExpectationIsIllAndThePreparedBranchTakenBack) {
  const auto session = ready_session();
  BranchWork work = resource().transfer(1, 5);
  work.statements[0].expect_rows = ExpectRows{.rule = ExpectRows::Rule::kExactly, .rows = 2};
  expect_started(*session, work);
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  expect_clean_refusal(*session, work, ErrorCode::kExpectationMissed);
}

// Attack 30.
TEST_P(CarriedBranchTest, GuardThatIsNotPassedIsIllAndThePreparedBranchTakenBack) {
  const auto session = ready_session();
  BranchWork work = resource().transfer(1, 5);
  work.mine.incarnation.value += 1;
  expect_started(*session, work);
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  expect_clean_refusal(*session, work, ErrorCode::kNotOwner);
}

TEST_P(CarriedBranchTest, MarkerThatIsTakenIsIllAndTold) {
  const auto session = ready_session();
  const BranchWork work = resource().transfer(1, 5);
  EXPECT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  end(*session, work, PreparedEnding::kCommit);
  expect_started(*session, work);
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<MarkerTaken>(result)) << describe(result);
  EXPECT_EQ(std::get<MarkerTaken>(result.outcome).rows.size(), 1U);
}

// [T11]
TEST_P(CarriedBranchTest, BackendThatIsKilledWhileItWaitsIsLostAndMayHavePrepared) {
  const auto session = ready_session();
  Holder holder(resource());
  const BranchWork work = resource().transfer(1, 5);
  start_and_wait_until_blocked(*session, work);
  resource().kill(session->session_identity());
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<Lost>(result)) << describe(result);
  EXPECT_TRUE(std::get<Lost>(result.outcome).ending_sent);
  EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
  holder.let_go();
}

TEST_P(CarriedBranchTest, BackendThatWasKilledBeforeIsFoundOut) {
  const auto session = ready_session();
  resource().kill(session->session_identity());
  const BranchWork work = resource().transfer(1, 5);
  if (session->start_branch(work)) {
    EXPECT_EQ(wait_for(*session), Arrival::kIll);
  }
  EXPECT_TRUE(ended_as<Lost>(session->run_branch(work)));
  const auto another = ready_session();
  resource().kill(another->session_identity());
  if (another->start_finishing(work.start.id, PreparedEnding::kCommit)) {
    EXPECT_EQ(wait_for(*another), Arrival::kIll);
  }
  EXPECT_FALSE(another->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(another->condition(), ConnectionCondition::kLost);
}

TEST_P(CarriedBranchTest, BranchThatIsInterruptedWhileItWaitsIsRefused) {
  const auto session = ready_session();
  Holder holder(resource());
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  resource().wait_until_blocked(session->session_identity());
  session->cancellation()->request();
  session->cancellation()->interrupt();
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  expect_clean_refusal(*session, work, ErrorCode::kTimeout);
  holder.let_go();
}

// libpq closes what was broken off, and its number is soon another's.
TEST_P(CarriedPostgresTest, NothingElseIsBrokenOffBehindIt) {
  const auto session = ready_session();
  const int number = *session->descriptor();
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  session->cancellation()->break_off();
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  EXPECT_TRUE(ended_as<Lost>(session->run_branch(work)));
  int others[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
  ASSERT_EQ(others[0], number) << "this test needs the number that libpq gave back";
  session->cancellation()->break_off();
  EXPECT_EQ(::send(others[0], "x", 1, MSG_NOSIGNAL), 1);
  ::close(others[0]);
  ::close(others[1]);
}

// The request may have ended Postgres' wait for its standby (see stopped_at_the_end).
TEST_P(CarriedBranchTest, YesThatArrivesBehindARequestToStopIsTakenBack) {
  const auto session = ready_session();
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  session->cancellation()->request();
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  expect_clean_refusal(*session, work, ErrorCode::kTimeout);
}

TEST_P(CarriedBranchTest, UnknownBranchIsIllAndItsEndNeitherSuccessNorFailure) {
  const auto session = ready_session();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(session->start_finishing(work.start.id, PreparedEnding::kCommit));
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  const Answer<void> finished = session->finish_prepared(work.start.id, PreparedEnding::kCommit);
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().meaning, Meaning::kUnknownXid);
  EXPECT_TRUE(session->clean_up());
  ASSERT_TRUE(session->list_prepared().has_value());
}

// Behind the check nothing more comes: what it found is the thread's.
TEST_P(CarriedInnodbTest, SessionThatATriggerSpoiledIsNotCleanedOnTheLoop) {
  const auto session = ready_session();
  resource().run(
      "CREATE TRIGGER spoils BEFORE UPDATE ON accounts FOR EACH ROW SET SESSION lock_wait_timeout = 7");
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  ASSERT_EQ(wait_for(*session), Arrival::kWell);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  if (session->condition() == ConnectionCondition::kIdle) {
    EXPECT_EQ(session->arrived(), Arrival::kIll);
  }
  EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_FALSE(session->clean_up());
}

// [T11] The servers do not keep a statement's time (the dialect's server_times_statements); it begins with the statement.
TEST_P(CarriedInnodbTest, EachStatementHasItsOwnTime) {
  const auto session = ready_session();
  DeadlineWatch watch{DeadlineWatchOptions{}};
  Holder holder(resource());
  BranchWork work = resource().transfer(2, 5);
  work.statements.push_back(resource().transfer(1, 5).statements.front());
  work.start.statement_timeout = 300ms;
  work.watch = &watch;
  expect_started(*session, work);
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  const WorkResult result = session->run_branch(work);
  const Error error = refusal_of(result);
  EXPECT_EQ(error.code, ErrorCode::kTimeout) << describe(result);
  EXPECT_EQ(error.statement, 2U);
  EXPECT_NE(error.message.find("statement_timeout_ms"), std::string::npos) << error.message;
  EXPECT_EQ(resource().balance(2), "100");
  holder.let_go();
}

TEST_P(CarriedInnodbTest, WaitOfAStatementIsNotTakenForTheMarkers) {
  resource().takes_for_a_wait(300ms);
  const auto session = ready_session();
  Holder holder(resource());
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  for (const Instant sees = boot_now() + 600ms; boot_now() < sees;) {
    EXPECT_EQ(session->arrived(), Arrival::kMore);
    static_cast<void>(look_for_input(*session, 10));
  }
  holder.let_go();
  ASSERT_EQ(wait_for(*session), Arrival::kWell);
  run_and_undo(*session, work);
}

// What has come and cannot be read yet is no reason to look again.
TEST_P(CarriedInnodbTest, LoopSleepsWhileOnlyAPartHasCome) {
  const auto session = ready_session();
  Holder holder(resource());
  const BranchWork work = resource().transfer(1, 5);
  start_and_wait_until_blocked(*session, work);
  EXPECT_FALSE(look_for_input(*session, 200));
  holder.let_go();
  ASSERT_EQ(wait_for(*session), Arrival::kWell);
  run_and_undo(*session, work);
}

// As at a shutdown: the thread takes what has come, and what comes behind it is less.
TEST_P(CarriedInnodbTest, ThreadGoesOnWhereOnlyAPartHasCome) {
  const auto session = ready_session();
  const Statement touch = resource().statement("UPDATE accounts SET balance = balance WHERE id = 2");
  run_and_undo(*session, resource().work({touch}));
  Holder holder(resource());
  BranchWork work = resource().work(std::vector<Statement>(30, touch));
  work.statements.push_back(resource().transfer(1, 5).statements.front());
  start_and_wait_until_blocked(*session, work);
  auto running = std::async(std::launch::async, [&] { return session->run_branch(work); });
  holder.let_go();
  if (running.wait_for(5s) != std::future_status::ready) {
    ADD_FAILURE() << "the answers are there, and nobody reads them";
    session->cancellation()->break_off();
  }
  EXPECT_TRUE(ended_as<Prepared>(running.get()));
  end(*session, work, PreparedEnding::kRollBack);
}

// An error is shorter than the usual answer. Nobody looks for ever: behind the looks the socket itself tells of it.
TEST_P(CarriedInnodbTest, LateErrorIsToldThoughItIsShorterThanUsual) {
  const auto session = ready_session();
  const BranchWork usual = resource().transfer(1, 5);
  expect_started(*session, usual);
  ASSERT_EQ(wait_for(*session), Arrival::kWell);
  run_and_undo(*session, usual);
  Holder holder(resource());
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  EXPECT_TRUE(session->arrives_unseen());
  resource().wait_until_blocked(session->session_identity());
  for (int looks = 0; session->arrives_unseen() && looks < 20; ++looks)
    EXPECT_EQ(session->arrived(), Arrival::kMore);
  EXPECT_FALSE(session->arrives_unseen());
  session->cancellation()->request();
  session->cancellation()->interrupt();
  EXPECT_TRUE(look_for_input(*session, 5000));
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  expect_clean_refusal(*session, work, ErrorCode::kTimeout);
  holder.let_go();
}

// A socket of another name is broken off: the number that the driver gives back may be anybody's.
TEST_P(CarriedInnodbTest, NothingElseIsBrokenOffBehindIt) {
  auto session = ready_session();
  const std::shared_ptr<Cancellation> cancellation = session->cancellation();
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  cancellation->break_off();
  EXPECT_EQ(wait_for(*session), Arrival::kIll);
  EXPECT_TRUE(ended_as<Lost>(session->run_branch(work)));
  const int number = *session->descriptor();
  session.reset();
  int others[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
  EXPECT_LE(others[0], number) << "this test needs a number that was given back";
  cancellation->break_off();
  EXPECT_EQ(::send(others[0], "x", 1, MSG_NOSIGNAL), 1);
  ::close(others[0]);
  ::close(others[1]);
}

// What cannot be taken away closes the session, and what can is away.
TEST_P(CarriedPostgresTest, TracesAreTakenAwayBehindIt) {
  resource().run(
      "CREATE FUNCTION leave_traces() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "PERFORM set_config('search_path', 'pg_temp', false); PERFORM pg_advisory_lock(7); RETURN NEW; END $$");
  resource().run(
      "CREATE TRIGGER leaves BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION leave_traces()");
  const auto session = ready_session();
  const BranchWork work = resource().transfer(1, 5);
  expect_started(*session, work);
  ASSERT_EQ(wait_for(*session), Arrival::kWell);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  ASSERT_EQ(wait_for(*session), Arrival::kWell);
  EXPECT_TRUE(session->clean_up());
  EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  const auto locks = session->ask_texts(
      {"SELECT count(*), current_setting('search_path') FROM pg_locks WHERE locktype = 'advisory' AND pid = "
       "pg_backend_pid()"});
  ASSERT_TRUE(locks.has_value());
  EXPECT_EQ(locks->at(0).at(0), "0");
  EXPECT_NE(locks->at(0).at(1), "pg_temp");
}

}  // namespace
}  // namespace troth::agent
