#include "recovery/resolution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troth::recovery {
namespace {

Resolution wish(Wish what) {
  return {.transaction = "bank-aaaaaa.1.7", .resource = {"accounts_pg"}, .branch = {1}, .wish = what};
}

// [T3] A decision never changes; an end by hand is compared with it.
TEST(Resolution, IsComparedWithTheDecision) {
  EXPECT_EQ(assess(wish(Wish::kCommit), Decision::kCommit).judgement, Judgement::kAgrees);
  EXPECT_EQ(assess(wish(Wish::kRollback), Decision::kAbort).judgement, Judgement::kAgrees);
  EXPECT_EQ(assess(wish(Wish::kRollback), Decision::kCommit).judgement, Judgement::kContradicts);
  EXPECT_EQ(assess(wish(Wish::kCommit), Decision::kAbort).judgement, Judgement::kContradicts);
}

TEST(Resolution, GoesAheadOfADecisionThatNobodyCanTell) {
  for (const auto decision :
       {Decision::kPending, Decision::kTooOld, Decision::kUnknown, Decision::kHeuristic})
    EXPECT_EQ(assess(wish(Wish::kCommit), decision).judgement, Judgement::kUndecided) << name_of(decision);
}

TEST(Resolution, DoesNotTouchWhatStillRuns) {
  EXPECT_EQ(assess(wish(Wish::kRollback), Decision::kUndecided).judgement, Judgement::kTooEarly);
}

TEST(Resolution, TheAgentsAndTheCoordinatorKnowWhichResourceABranchIsIn) {
  const OpenWorkFacts facts{
      .transactions = {{.id = "t", .decision = Decision::kCommit, .branches = {{{"my"}, {2}, "committing"}}}},
      .branches = {{.resource = {"pg"}, .transaction = "t", .branch = {1}, .state = "prepared"}}};
  EXPECT_EQ(resource_of(facts, "t", {1}), ResourceName{"pg"});
  EXPECT_EQ(resource_of(facts, "t", {2}), ResourceName{"my"});
  EXPECT_EQ(resource_of(facts, "t", {3}), std::nullopt);
  EXPECT_EQ(resource_of(facts, "u", {1}), std::nullopt);
}

}  // namespace
}  // namespace troth::recovery
