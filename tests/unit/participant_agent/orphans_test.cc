#include "participant_agent/orphans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const ClusterId kCluster{"bank-x7k2p9"};

BranchId branch(std::uint64_t sequence) {
  return {transaction(5, sequence), {1}};
}

PreparedListed prepared(std::vector<BranchId> branches, std::uint64_t strangers = 0) {
  PreparedListed list;
  for (auto& id : branches)
    list.rows.push_back({std::move(id), std::nullopt});
  list.strangers = strangers;
  return list;
}

TEST(OrphanSurvey, NothingPreparedEndsAtOnce) {
  OrphanSurvey survey(kCluster);
  EXPECT_THAT(survey.start(), ElementsAre(OrphanEffect{ListPrepared{}}));
  EXPECT_THAT(survey.step(prepared({}, 3)), ElementsAre(OrphanEffect{ReportSurvey{3, 0, 0}}));
  EXPECT_TRUE(survey.is_done());
}

// Attack 29: an orphan turns up long after the start; it is found by the periodic survey, in the safe order.
TEST(OrphanSurvey, TakesInWhatBothListsHoldAndDoesNotLiveInBetween) {
  OrphanSurvey survey(kCluster);
  (void)survey.start();
  EXPECT_THAT(survey.step(prepared({branch(7), branch(8), branch(9)})),
              ElementsAre(OrphanEffect{ListActive{}}));
  EXPECT_THAT(survey.step(ActiveListed{{branch(8)}}),
              ElementsAre(OrphanEffect{AskDecisions{{branch(7), branch(9)}}}));
  EXPECT_THAT(survey.step(DecisionsListed{{{branch(7), GroupDecision::kAbort}}}),
              ElementsAre(OrphanEffect{ListPrepared{}}));
  EXPECT_THAT(survey.step(prepared({branch(7), branch(8), branch(9)})),
              ElementsAre(OrphanEffect{AdoptOrphan{branch(7), GroupDecision::kAbort}},
                          OrphanEffect{AdoptOrphan{branch(9), GroupDecision::kUndecided}},
                          OrphanEffect{ReportSurvey{0, 0, 2}}));
}

// Attack 29, citus#1030, citus#2095: a live branch prepared between the lists is not an orphan.
TEST(OrphanSurvey, ABranchThatWasFinishedInBetweenIsLeftAlone) {
  OrphanSurvey survey(kCluster);
  (void)survey.start();
  (void)survey.step(prepared({branch(7)}));
  (void)survey.step(ActiveListed{});
  (void)survey.step(DecisionsListed{{{branch(7), GroupDecision::kAbort}}});
  EXPECT_THAT(survey.step(prepared({})), ElementsAre(OrphanEffect{ReportSurvey{0, 0, 0}}));
}

TEST(OrphanSurvey, ALiveBranchIsNotAskedAbout) {
  OrphanSurvey survey(kCluster);
  (void)survey.start();
  (void)survey.step(prepared({branch(7)}));
  EXPECT_THAT(survey.step(ActiveListed{{branch(7)}}), ElementsAre(OrphanEffect{ReportSurvey{0, 0, 0}}));
}

TEST(OrphanSurvey, AnotherClustersBranchIsCountedAndNeverTouched) {
  BranchId other = branch(7);
  other.transaction.cluster = {"clone-a1b2c3"};
  OrphanSurvey survey(kCluster);
  (void)survey.start();
  EXPECT_THAT(survey.step(prepared({other}, 2)), ElementsAre(OrphanEffect{ReportSurvey{2, 1, 0}}));
}

TEST(OrphanSurvey, AListOutOfItsTurnIsIgnored) {
  OrphanSurvey survey(kCluster);
  (void)survey.start();
  EXPECT_THAT(survey.step(ActiveListed{}), IsEmpty());
  EXPECT_THAT(survey.step(DecisionsListed{}), IsEmpty());
  (void)survey.step(prepared({branch(7)}));
  EXPECT_THAT(survey.step(prepared({branch(7)})), IsEmpty());
  (void)survey.step(ActiveListed{});
  EXPECT_THAT(survey.step(ActiveListed{{branch(7)}}), IsEmpty());
  EXPECT_FALSE(survey.is_done());
}

// Attack 52: connection ids begin again with each start of the server; a journalled one may be a stranger's
// by now.
TEST(Holders, TheJournalledSessionIfRoleAndServerStartMatch) {
  const SessionIdentity journalled{{71}, {1000}};
  const std::vector<RoleSession> of_role{{{70}, "Sleep"}, {{71}, "Sleep"}};
  EXPECT_THAT(holders(journalled, {1001}, of_role, {}), ElementsAre(ConnectionId{71}));
}

// Attack 29: nobody else uses the role, so one of its other sessions holds the branch.
TEST(Holders, EveryOtherSessionOfTheRoleIfTheJournalDoesNotTell) {
  const SessionIdentity journalled{{71}, {1000}};
  const std::vector<RoleSession> of_role{{{70}, "Sleep"}, {{71}, "Sleep"}, {{72}, "Query"}};
  EXPECT_THAT(holders(journalled, {2000}, of_role, {ConnectionId{72}}),
              ElementsAre(ConnectionId{70}, ConnectionId{71}))
      << "the server was restarted since: that number names nobody";
  EXPECT_THAT(holders(std::nullopt, {1000}, of_role, {ConnectionId{70}, ConnectionId{72}}),
              ElementsAre(ConnectionId{71}));
  EXPECT_THAT(holders(SessionIdentity{{99}, {1000}}, {1000}, of_role, {ConnectionId{70}, ConnectionId{72}}),
              ElementsAre(ConnectionId{71}))
      << "it is gone, and another one holds the branch";
}

TEST(Holders, NeverOneThatIsInUse) {
  const std::vector<RoleSession> of_role{{{70}, "Sleep"}, {{71}, "Sleep"}};
  EXPECT_THAT(holders(SessionIdentity{{71}, {1000}}, {1000}, of_role, {ConnectionId{70}, ConnectionId{71}}),
              IsEmpty());
}

}  // namespace
}  // namespace troth::agent
