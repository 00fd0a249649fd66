// A branch that is sent whole: what fails on the way stops what is behind it, and what the agent finds wrong
// afterwards is taken back.
#include <chrono>
#include <future>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

class OneTripTest : public DatabaseTest {
 protected:
  // Steps are measured one by one; a whole branch has no end of its own.
  static bool went_whole(const WorkResult& result) {
    return result.times.begin.has_value() && !result.times.ending.has_value();
  }

  std::size_t prepared() {
    const auto session = resource().connect();
    const Answer<PreparedList> list = session->list_prepared();
    EXPECT_TRUE(list.has_value());
    return list.has_value() ? TestResource::prepared_here(*list) : 99;
  }

  // At its highest, of the whole process.
  static long most_memory_kib() {
    rusage usage{};
    EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
  }

  std::future<WorkResult> start(DatabaseConnection& session, const BranchWork& work) {
    return std::async(std::launch::async, [&session, work] { return session.run_branch(work); });
  }

  // Refused with this code, and nothing of it is left: the row is free for the next branch on the same session.
  void expect_clean_refusal(DatabaseConnection& session, const BranchWork& work, ErrorCode code) {
    const WorkResult result = session.run_branch(work);
    const Error error = refusal_of(result);
    EXPECT_EQ(error.code, code) << describe(result);
    EXPECT_EQ(error.effect, Effect::kNone);
    EXPECT_EQ(prepared(), 0U);
    EXPECT_EQ(resource().marker(work.start.id), "");
    EXPECT_EQ(resource().balance(1), "100");
  }
};
TROTH_FOR_POSTGRES(OneTripTest);

TEST_P(OneTripTest, IsTakenWhereItCanBeAndNotWhereItMayNot) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  const WorkResult whole = session->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(whole));
  EXPECT_TRUE(went_whole(whole));
  ASSERT_EQ(whole.results.size(), 1U);
  EXPECT_EQ(whole.results[0].affected, 1U);
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(resource().marker(work.start.id), "committed");

  BranchWork apart = resource().transfer(1, 5);
  apart.one_trip = false;
  const WorkResult steps = session->run_branch(apart);
  ASSERT_TRUE(ended_as<Prepared>(steps));
  EXPECT_FALSE(went_whole(steps));
  ASSERT_TRUE(session->finish_prepared(apart.start.id, PreparedEnding::kRollBack).has_value());

  const BranchWork one_phase = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  const WorkResult committed = session->run_branch(one_phase);
  ASSERT_TRUE(ended_as<CommittedOnePhase>(committed));
  EXPECT_FALSE(went_whole(committed)) << "its count of rows is known only behind the commit";
}

TEST_P(OneTripTest, ResultsComeBackInTheirOrder) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, -5);
  work.statements.push_back(resource().statement("SELECT id, balance FROM accounts WHERE id <= ? ORDER BY id",
                                                 {{std::int64_t{2}}}));
  work.statements.push_back(resource().statement("UPDATE accounts SET balance = 0 WHERE id > 1000"));
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_TRUE(went_whole(result));
  ASSERT_EQ(result.results.size(), 3U);
  EXPECT_EQ(result.results[0].affected, 1U);
  ASSERT_EQ(result.results[1].rows.size(), 2U);
  EXPECT_EQ(result.results[1].rows[0][1], Value{std::int64_t{95}});
  EXPECT_EQ(result.results[1].columns[1].name, "balance");
  EXPECT_EQ(result.results[2].affected, 0U);
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
}

TEST_P(OneTripTest, FailedStatementStopsAllBehindItAndIsNamed) {
  const auto session = resource().connect();
  for (std::uint32_t failing = 1; failing <= 3; ++failing) {
    BranchWork work = resource().work({});
    for (std::uint32_t number = 1; number <= 3; ++number)
      work.statements.push_back(resource().transfer(1, number == failing ? -500 : 1).statements[0]);
    expect_clean_refusal(*session, work, ErrorCode::kStatementFailed);
    const Error error = refusal_of(session->run_branch(work));
    EXPECT_EQ(error.statement, failing);
    EXPECT_EQ(error.constraint, "never_negative");
    EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
    EXPECT_TRUE(session->clean_up());
  }
  EXPECT_TRUE(ended_as<Prepared>(session->run_branch(resource().transfer(1, 1))));
}

// What only the agent can see is found behind the prepare.
TEST_P(OneTripTest, MissedExpectationIsTakenBack) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().transfer(99, 5).statements[0]);
  expect_clean_refusal(*session, work, ErrorCode::kExpectationMissed);
  EXPECT_EQ(refusal_of(session->run_branch(work)).statement, 2U);
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
}

TEST_P(OneTripTest, AnotherOwnersResourceIsLeftAlone) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.mine.nonce = Nonce{work.mine.nonce.value + 1};
  expect_clean_refusal(*session, work, ErrorCode::kNotOwner);
}

TEST_P(OneTripTest, BranchBelowTheFloorIsTakenBack) {
  const auto session = resource().connect();
  const BranchWork late = resource().transfer(1, 5);
  const BranchWork young = resource().transfer(1, 5);
  const Floors floors{.position = position_of(young.start.id.transaction), .request_ms = 0};
  ASSERT_TRUE(session->raise_floors(young.start.id.transaction.cluster, floors).has_value());
  expect_clean_refusal(*session, late, ErrorCode::kTooOld);
  EXPECT_TRUE(ended_as<Prepared>(session->run_branch(young)));
}

TEST_P(OneTripTest, MarkerThatIsTakenIsReadAfterwards) {
  const auto session = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  const WorkResult again = session->run_branch(work);
  ASSERT_TRUE(ended_as<MarkerTaken>(again));
  EXPECT_EQ(std::get<MarkerTaken>(again.outcome).rows.size(), 1U);
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(prepared(), 0U);
}

TEST_P(OneTripTest, ResultPastALimitIsTakenBack) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement("SELECT id FROM accounts"));
  work.limits.rows_per_statement = 2;
  expect_clean_refusal(*session, work, ErrorCode::kInvalidArgument);
  const auto fresh = resource().connect();
  EXPECT_EQ(refusal_of(fresh->run_branch(work)).statement, 2U);
}

TEST_P(OneTripTest, StatementPastItsTimeIsRefused) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement("SELECT pg_sleep(5)"));
  work.start.statement_timeout = 200ms;
  expect_clean_refusal(*session, work, ErrorCode::kTimeout);
}

// [T11] The connection went with the prepare on its way: nobody here can tell what it came to.
TEST_P(OneTripTest, KilledSessionLeavesTheEndOpen) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement("SELECT pg_sleep(30)"));
  auto running = start(*session, work);
  resource().wait_until_asleep(session->session_identity());
  resource().kill(session->session_identity());
  const WorkResult result = running.get();
  ASSERT_TRUE(ended_as<Lost>(result));
  EXPECT_TRUE(std::get<Lost>(result.outcome).ending_sent);
  EXPECT_EQ(std::get<Lost>(result.outcome).error.effect, Effect::kUnknown);
  EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
  EXPECT_EQ(resource().balance(1), "100");
}

TEST_P(OneTripTest, CancelledBranchIsRefused) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(1, 5);
  work.statements.push_back(resource().statement("SELECT pg_sleep(30)"));
  auto running = start(*session, work);
  resource().wait_until_asleep(session->session_identity());
  session->cancellation()->request();
  session->cancellation()->interrupt();
  const WorkResult result = running.get();
  EXPECT_EQ(refusal_of(result).code, ErrorCode::kTimeout) << describe(result);
  EXPECT_EQ(refusal_of(result).effect, Effect::kNone);
  EXPECT_EQ(prepared(), 0U);
}

// A function that ends the settings' proof: the branch's own name is gone, so it is not what was begun.
TEST_P(OneTripTest, BranchThatIsNotWhatWasBegunIsNotPrepared) {
  const auto session = resource().connect();
  const BranchWork work = resource().work(
      {resource().statement("SELECT set_config('troth.branch', 'another', true), count(*) FROM accounts")});
  const WorkResult result = session->run_branch(work);
  EXPECT_EQ(refusal_of(result).effect, Effect::kNone) << describe(result);
  EXPECT_EQ(prepared(), 0U);
}

TEST_P(OneTripTest, ReadOnlyBranchGoesWholeToo) {
  const auto session = resource().connect();
  const WorkResult result = session->run_branch(resource().work(
      {resource().statement("SELECT balance FROM accounts WHERE id = 1")}, BranchEnding::kReadOnly));
  ASSERT_TRUE(ended_as<ReadOnlyDone>(result));
  EXPECT_TRUE(went_whole(result));
  EXPECT_EQ(result.results.at(0).rows.size(), 1U);
  EXPECT_EQ(refusal_of(session->run_branch(resource().transfer(1, 5, BranchEnding::kReadOnly))).code,
            ErrorCode::kForbiddenStatement);
  EXPECT_TRUE(ended_as<Prepared>(session->run_branch(resource().transfer(1, 5))));
}

// What the server answers while the rest of a branch is still being sent stays in the driver's memory, past every limit.
TEST_P(OneTripTest, LargeWorkGoesStepByStepSoThatLimitsHold) {
  const auto session = resource().connect();
  BranchWork work =
      resource().work({resource().statement("SELECT repeat('x', 1000) FROM generate_series(1, 400000)")});
  work.statements.push_back(resource().statement("UPDATE accounts SET balance = length(?::text) WHERE id = 1",
                                                 {{Text{std::string(8 << 20, 'y')}}}));
  work.limits.rows_per_statement = 2;
  const long before = most_memory_kib();
  const WorkResult result = session->run_branch(work);
  EXPECT_EQ(refusal_of(result).code, ErrorCode::kInvalidArgument) << describe(result);
  EXPECT_EQ(refusal_of(result).statement, 1U);
  EXPECT_LT(most_memory_kib() - before, 100 << 10);
  EXPECT_EQ(prepared(), 0U);
}

}  // namespace
}  // namespace troth::agent
