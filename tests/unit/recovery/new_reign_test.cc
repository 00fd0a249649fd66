#include "recovery/new_reign.h"

#include <gtest/gtest.h>

namespace troth::recovery {
namespace {

HeldBranch held(std::string transaction) {
  return {
      .resource = {"accounts_pg"}, .transaction = std::move(transaction), .branch = {1}, .state = "prepared"};
}

// [T8] Attack 55: a coordinator set back by a restore would reuse an epoch; the way out is one above all
// agents'.
TEST(NewReign, IsAboveTheStoreTheAgentsAndTheOperatorsWord) {
  const NewReignFacts facts{
      .above = {5},
      .stored = {3},
      .agents = {{.agent = "pg", .epoch = 17, .held = {}}, {.agent = "my", .epoch = 9, .held = {}}},
      .decided_commits = {}};
  EXPECT_EQ(plan_new_reign(facts)->above, EpochNumber{17 + kUnseenReigns});
  EXPECT_EQ(
      plan_new_reign({.above = {140}, .stored = {3}, .agents = facts.agents, .decided_commits = {}})->above,
      EpochNumber{140});
  EXPECT_EQ(
      plan_new_reign({.above = {}, .stored = {30}, .agents = facts.agents, .decided_commits = {}})->above,
      EpochNumber{30 + kUnseenReigns});
}

// [T5] What the restored store does not know would be rolled back; it is named first.
TEST(NewReign, NamesTheHeldBranchesThatItWouldRollBack) {
  const NewReignFacts facts{
      .above = {},
      .stored = {3},
      .agents = {{.agent = "pg", .epoch = 4, .held = {held("b-aaaaaa.3.1"), held("b-aaaaaa.4.1")}}},
      .decided_commits = {"b-aaaaaa.3.1"}};
  const auto plan = plan_new_reign(facts);
  ASSERT_EQ(plan->commits.size(), 1u);
  EXPECT_EQ(plan->commits[0].transaction, "b-aaaaaa.3.1");
  ASSERT_EQ(plan->losses.size(), 1u);
  EXPECT_EQ(plan->losses[0].transaction, "b-aaaaaa.4.1");
}

TEST(NewReign, LeavesRoomForLaterEpochs) {
  const NewReignFacts facts{.above = {4'294'967'295u}, .stored = {3}, .agents = {}, .decided_commits = {}};
  EXPECT_FALSE(plan_new_reign(facts));
}

}  // namespace
}  // namespace troth::recovery
