// One branch on one session of each real database: what commits, what is refused, and what is left behind.
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using BranchTest = DatabaseTest;
TROTH_BOTH_WAYS_FOR_EVERY_DATABASE(BranchTest);

TEST_P(BranchTest, PreparedBranchIsInvisibleUntilItCommits) {
  const auto session = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().marker(work.start.id), "");

  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(resource().marker(work.start.id), "committed");
}

TEST_P(BranchTest, RolledBackBranchLeavesNothing) {
  const auto session = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().marker(work.start.id), "");
}

TEST_P(BranchTest, OnePhaseBranchCommitsWithItsMarker) {
  const auto session = resource().connect();
  const BranchWork work = resource().transfer(1, 5, BranchEnding::kCommitOnePhase);
  ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(work)));
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(resource().marker(work.start.id), "committed");
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
}

// Attack 63: a branch of plain reads writes no marker and syncs nothing.
TEST_P(BranchTest, ReadOnlyBranchReturnsRowsAndWritesNoMarker) {
  const auto session = resource().connect();
  const BranchWork work = resource().work(
      {resource().statement("SELECT id, balance FROM accounts WHERE id <= ?", {{std::int64_t{2}}})},
      BranchEnding::kReadOnly);
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<ReadOnlyDone>(result));
  ASSERT_EQ(result.results.size(), 1U);
  EXPECT_EQ(result.results[0].rows.size(), 2U);
  EXPECT_EQ(result.results[0].columns[1].name, "balance");
  EXPECT_EQ(resource().marker(work.start.id), "");
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
}

// Attack 19: a read-only branch that must see what the others see keeps its transaction until all have voted.
TEST_P(BranchTest, HeldReadOnlyBranchKeepsItsSessionUntilReleased) {
  const auto session = resource().connect();
  BranchWork work =
      resource().work({resource().statement("SELECT balance FROM accounts")}, BranchEnding::kHoldReadOnly);
  work.start.isolation = Isolation::kRepeatableRead;
  ASSERT_TRUE(ended_as<ReadOnlyDone>(session->run_branch(work)));
  EXPECT_EQ(session->condition(), ConnectionCondition::kTied);
  EXPECT_EQ(refusal_of(session->run_branch(resource().transfer(1, 5))).code, ErrorCode::kBusy);
  ASSERT_TRUE(session->release_held().has_value());
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  EXPECT_TRUE(session->clean_up());
  EXPECT_TRUE(ended_as<CommittedOnePhase>(
      session->run_branch(resource().transfer(1, 5, BranchEnding::kCommitOnePhase))));
}

TEST_P(BranchTest, WriteInAReadOnlyBranchIsRefusedByTheDatabase) {
  const auto session = resource().connect();
  const WorkResult result = session->run_branch(resource().transfer(1, 5, BranchEnding::kReadOnly));
  EXPECT_EQ(refusal_of(result).code, ErrorCode::kForbiddenStatement);
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_TRUE(ended_as<Prepared>(session->run_branch(resource().transfer(1, 5))));
}

TEST_P(BranchTest, BrokenConstraintRefusesTheBranchAndNamesTheConstraint) {
  const auto session = resource().connect();
  BranchWork work = resource().transfer(2, 5);
  work.statements.push_back(resource().transfer(1, -500).statements[0]);
  const Error error = refusal_of(session->run_branch(work));
  EXPECT_EQ(error.code, ErrorCode::kStatementFailed);
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(error.statement, 2U);
  EXPECT_EQ(error.branch, 1U);
  EXPECT_EQ(error.constraint, "never_negative");
  EXPECT_FALSE(error.sqlstate.empty());
  EXPECT_EQ(resource().balance(2), "100");
  EXPECT_EQ(resource().marker(work.start.id), "");
}

TEST_P(BranchTest, MissedExpectationRefusesTheBranch) {
  const auto session = resource().connect();
  const Error error = refusal_of(session->run_branch(resource().transfer(99, 5)));
  EXPECT_EQ(error.code, ErrorCode::kExpectationMissed);
  EXPECT_EQ(error.statement, 1U);
}

// An update that changes nothing has still found its row, on MySQL as on Postgres.
TEST_P(BranchTest, UpdateToTheSameValueCountsItsRow) {
  const auto session = resource().connect();
  EXPECT_TRUE(ended_as<Prepared>(session->run_branch(resource().transfer(1, 0))));
}

TEST_P(BranchTest, SessionServesOneBranchAfterAnother) {
  const auto session = resource().connect();
  for (int i = 0; i < 20; ++i) {
    const BranchWork work = resource().transfer(1, 1);
    ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
    ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
    ASSERT_TRUE(session->clean_up());
  }
  EXPECT_EQ(resource().balance(1), "120");
}

TEST_P(BranchTest, PreparedBranchIsListedUntilItEnds) {
  const auto session = resource().connect();
  const BranchWork work = resource().transfer(1, 5);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  const auto lists_it = [&] {
    const auto listed = session->list_prepared();
    EXPECT_TRUE(listed.has_value());
    for (const PreparedRow& row : listed->branches)
      if (row.branch == work.start.id) return true;
    return false;
  };
  EXPECT_TRUE(lists_it());
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_FALSE(lists_it());
}

// [T9] Unknown is neither success nor failure.
TEST_P(BranchTest, FinishingAnUnknownBranchSaysUnknown) {
  const auto session = resource().connect();
  const BranchWork never_run = resource().transfer(1, 5);
  const Answer<void> finished = session->finish_prepared(never_run.start.id, PreparedEnding::kCommit);
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().meaning, Meaning::kUnknownXid);
}

}  // namespace
}  // namespace troth::agent
