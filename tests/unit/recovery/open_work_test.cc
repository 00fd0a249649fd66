#include "recovery/open_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troth::recovery {
namespace {

using testing::HasSubstr;

const ResourceName kPg{"accounts_pg"};
const ResourceName kMy{"accounts_my"};

OpenTransaction committed(std::string id, std::int64_t age_ms) {
  return {.id = std::move(id),
          .decision = Decision::kCommit,
          .age_ms = age_ms,
          .branches = {{kPg, {1}, "committed"}, {kMy, {2}, "committing"}},
          .label = "transfer"};
}

HeldBranch held(std::string transaction, std::string state) {
  return {.resource = kMy,
          .transaction = std::move(transaction),
          .branch = {2},
          .age_ms = 5000,
          .state = std::move(state),
          .waiting_for = "the decision",
          .database_id = "troth1.x"};
}

TEST(OpenWork, TheTwoSidesOfOneTransactionBecomeOneEntry) {
  const auto work = explain({.transactions = {committed("bank-aaaaaa.1.7", 100)},
                             .branches = {held("bank-aaaaaa.1.7", "prepared")},
                             .unreachable_agents = {}},
                            0);
  ASSERT_EQ(work.transactions.size(), 1u);
  const auto& transaction = work.transactions[0];
  EXPECT_EQ(transaction.age_ms, 5000) << "as old as its oldest part";
  EXPECT_EQ(transaction.attention, Attention::kNone);
  ASSERT_EQ(transaction.branches.size(), 2u);
  EXPECT_EQ(transaction.branches[1].coordinator_says, "committing");
  EXPECT_EQ(transaction.branches[1].agent_says, "prepared");
  EXPECT_THAT(transaction.explanation, HasSubstr("commit is decided"));
}

TEST(OpenWork, WhatTheCoordinatorDoesNotHaveOpenIsEndedByAskingIt) {
  const auto work = explain({.transactions = {}, .branches = {held("bank-aaaaaa.1.7", "prepared")}}, 0);
  ASSERT_EQ(work.transactions.size(), 1u);
  EXPECT_EQ(work.transactions[0].decision, std::nullopt);
  EXPECT_EQ(work.transactions[0].attention, Attention::kNone);
}

// [T5] Below the floor a branch that the agent cannot judge stays, is shown as too old, and resolve ends it.
TEST(OpenWork, ABranchBelowTheFloorNeedsAnOperator) {
  const auto work = explain({.transactions = {}, .branches = {held("bank-aaaaaa.1.7", "too old")}}, 0);
  EXPECT_EQ(work.transactions[0].attention, Attention::kOperator);
  EXPECT_EQ(work.transactions[0].next_step,
            "troth resolve bank-aaaaaa.1.7 --branch N --commit|--rollback --reason TEXT");
}

TEST(OpenWork, ALostBranchNeedsAnOperator) {
  auto lost = committed("bank-aaaaaa.1.7", 0);
  lost.branches[1].state = "lost";
  const auto work = explain({.transactions = {lost}, .branches = {}}, 0);
  EXPECT_EQ(work.transactions[0].attention, Attention::kOperator);
}

TEST(OpenWork, AnAgentThatCannotBeReachedMakesTheListIncomplete) {
  const auto work = explain(
      {.transactions = {committed("bank-aaaaaa.1.7", 0)}, .branches = {}, .unreachable_agents = {"pg-1"}}, 0);
  EXPECT_FALSE(work.complete);
  EXPECT_EQ(work.transactions[0].attention, Attention::kWaits);
  EXPECT_EQ(work.transactions[0].next_step, "start the agents that cannot be reached");
}

TEST(OpenWork, WhatNeedsAnOperatorStandsFirstThenTheOldest) {
  const auto work =
      explain({.transactions = {committed("bank-aaaaaa.1.1", 10), committed("bank-aaaaaa.1.2", 900)},
               .branches = {held("bank-aaaaaa.1.3", "too old")}},
              0);
  ASSERT_EQ(work.transactions.size(), 3u);
  EXPECT_EQ(work.transactions[0].id, "bank-aaaaaa.1.3");
  EXPECT_EQ(work.transactions[1].id, "bank-aaaaaa.1.2");
  EXPECT_EQ(work.transactions[2].id, "bank-aaaaaa.1.1");
}

TEST(OpenWork, TheYoungCanBeLeftOut) {
  const auto work =
      explain({.transactions = {committed("bank-aaaaaa.1.1", 10), committed("bank-aaaaaa.1.2", 900)}}, 500);
  ASSERT_EQ(work.transactions.size(), 1u);
  EXPECT_EQ(work.transactions[0].id, "bank-aaaaaa.1.2");
}

}  // namespace
}  // namespace troth::recovery
