// What a group has chosen is known when a write quorum has it on disk; and each rule that is judged on the way can be broken.
#include "tests/sim/invariants/group_memory.h"

#include <memory>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/consensus/membership.h"
#include "coordinator/decision_store/runtime/batch_codec.h"

namespace troth::sim {
namespace {

using namespace coordinator::consensus;
using namespace coordinator::store;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr ReplicaId kFirst{1};
constexpr ReplicaId kSecond{2};
constexpr ReplicaId kThird{3};

Entry entry_of(const Request& request, ReplicaId by) {
  return Command{
      std::make_shared<const std::string>(encode_batch({{by, Nonce{by.value}}, {{{1}, request}}}))};
}

Entry epoch_of(ReplicaId leader) {
  return entry_of(AcquireEpoch{Nonce{7}, {}, {}}, leader);
}

Entry commit_of(std::uint32_t epoch, std::uint64_t sequence, ReplicaId by) {
  CommitRecord commit;
  commit.transaction = {{"bank-sim001"}, {epoch}, {sequence}, {}};
  return entry_of(Choose{{epoch}, commit}, by);
}

class GroupMemoryTest : public testing::Test {
 protected:
  GroupMemoryTest() { elect({9, kThird}); }
  // Everybody promised it, and what is below it.
  void elect(const Ballot& ballot) {
    for (const auto replica : {kFirst, kSecond, kThird})
      static_cast<void>(memory.durable(replica, Promised{ballot}, broken));
  }
  GroupMemory::Chosen accept(ReplicaId replica, const Accepted& accepted) {
    memory.appended(replica, accepted, broken);
    return memory.durable(replica, accepted, broken);
  }
  // By the first two.
  GroupMemory::Chosen choose(const Accepted& accepted) {
    EXPECT_THAT(accept(kFirst, accepted), IsEmpty());
    return accept(kSecond, accepted);
  }

  std::set<std::string, std::less<>> rare;
  GroupMemory memory{with_majorities({kFirst, kSecond, kThird}),
                     [this](std::string_view situation) { rare.emplace(situation); }};
  Broken broken;
};

TEST_F(GroupMemoryTest, ADecisionStandsWhenAWriteQuorumHasItOnDisk) {
  EXPECT_EQ(choose({{1}, {1, kFirst}, epoch_of(kFirst)}).size(), 1U);
  const Accepted commit{{2}, {1, kFirst}, commit_of(1, 1, kFirst)};
  memory.appended(kFirst, commit, broken);
  memory.appended(kSecond, commit, broken);
  EXPECT_EQ(memory.applied(), Slot{1});
  EXPECT_THAT(memory.durable(kFirst, commit, broken), IsEmpty());
  const auto chosen = memory.durable(kSecond, commit, broken);
  ASSERT_EQ(chosen.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<CommitRecord>(chosen.front()));
  EXPECT_EQ(memory.leader(), kFirst);
  EXPECT_TRUE(memory.hangs_on(kFirst, 0));
  EXPECT_FALSE(memory.hangs_on(kFirst, memory.acceptances()));
  EXPECT_FALSE(memory.hangs_on(kThird, 0));
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(GroupMemoryTest, WhatAStartFindsCountsToo) {
  EXPECT_THAT(accept(kFirst, {{1}, {1, kFirst}, epoch_of(kFirst)}), IsEmpty());
  memory.opens(kSecond);
  EXPECT_EQ(memory.found(kSecond, Accepted{{1}, {1, kFirst}, epoch_of(kFirst)}, broken).size(), 1U);
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(GroupMemoryTest, WhatWentWithADiskCountsNoMore) {
  const Accepted epoch{{1}, {1, kFirst}, epoch_of(kFirst)};
  EXPECT_THAT(accept(kFirst, epoch), IsEmpty());
  memory.set_back(kFirst, 0);
  EXPECT_THAT(accept(kSecond, epoch), IsEmpty());
  EXPECT_EQ(accept(kThird, epoch).size(), 1U);
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(GroupMemoryTest, SlotsAreAppliedInTheirOrder) {
  EXPECT_THAT(choose({{2}, {1, kFirst}, commit_of(1, 1, kFirst)}), IsEmpty());
  EXPECT_EQ(choose({{1}, {1, kFirst}, epoch_of(kFirst)}).size(), 2U);
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(GroupMemoryTest, TwoValuesOfOneBallotAreSeen) {
  memory.appended(kFirst, Accepted{{1}, {1, kFirst}, epoch_of(kFirst)}, broken);
  memory.appended(kSecond, Accepted{{1}, {1, kFirst}, NoOp{}}, broken);
  EXPECT_THAT(broken, ElementsAre(HasSubstr("two values for slot 1")));
}

TEST_F(GroupMemoryTest, AnotherValueBehindAChosenOneIsSeen) {
  choose({{1}, {1, kFirst}, epoch_of(kFirst)});
  memory.appended(kThird, Accepted{{1}, {2, kThird}, NoOp{}}, broken);
  EXPECT_THAT(broken, ElementsAre(HasSubstr("accepts something else in ballot 2.3")));
}

TEST_F(GroupMemoryTest, AnAcceptanceBehindAHigherPromiseIsSeen) {
  memory.appended(kFirst, Promised{{3, kThird}}, broken);
  EXPECT_THAT(broken, IsEmpty());
  memory.appended(kFirst, Accepted{{1}, {2, kSecond}, NoOp{}}, broken);
  EXPECT_THAT(broken, ElementsAre(HasSubstr("behind its promise of 3.3")));
}

TEST_F(GroupMemoryTest, WhoseLogWasCutTakesOverOlderAcceptances) {
  memory.opens(kFirst);
  memory.cut(kFirst);
  memory.appended(kFirst, Promised{{3, kThird}}, broken);
  memory.appended(kFirst, Accepted{{1}, {2, kSecond}, NoOp{}}, broken);
  EXPECT_THAT(broken, IsEmpty());
  // Its next start finds both in its log, whole.
  memory.opens(kFirst);
  static_cast<void>(memory.found(kFirst, Promised{{3, kThird}}, broken));
  static_cast<void>(memory.found(kFirst, Accepted{{1}, {2, kSecond}, NoOp{}}, broken));
  EXPECT_THAT(broken, IsEmpty());
}

// Seed 2971: the leader of that ballot accepted it alone, and another one leads, whom this replica had promised.
TEST_F(GroupMemoryTest, WhatIsTakenOverBelowAPromiseIsNoVote) {
  accept(kSecond, {{1}, {2, kSecond}, epoch_of(kSecond)});
  memory.opens(kFirst);
  memory.cut(kFirst);
  EXPECT_THAT(accept(kFirst, {{1}, {2, kSecond}, epoch_of(kSecond)}), IsEmpty());
  memory.opens(kFirst);
  EXPECT_THAT(memory.found(kFirst, Accepted{{1}, {2, kSecond}, epoch_of(kSecond)}, broken), IsEmpty());
  EXPECT_FALSE(accept(kThird, {{1}, {9, kThird}, epoch_of(kThird)}).size() > 0);
  EXPECT_THAT(accept(kFirst, {{1}, {9, kThird}, epoch_of(kThird)}), testing::SizeIs(1));
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(GroupMemoryTest, WhoTakesForChosenWhatIsNotIsSeen) {
  accept(kFirst, {{1}, {1, kFirst}, NoOp{}});
  memory.appended(kFirst, ChosenThrough{{1}}, broken);
  EXPECT_THAT(broken, ElementsAre(HasSubstr("no write quorum has accepted it")));
}

TEST_F(GroupMemoryTest, WhoTakesAnotherValueForChosenIsSeen) {
  accept(kThird, {{1}, {1, kThird}, NoOp{}});
  choose({{1}, {2, kFirst}, epoch_of(kFirst)});
  EXPECT_THAT(broken, IsEmpty());
  EXPECT_TRUE(rare.contains("a proposal was lost with its leader"));
  memory.appended(kThird, ChosenThrough{{1}}, broken);
  EXPECT_THAT(broken, ElementsAre(HasSubstr("has another value there")));
}

TEST_F(GroupMemoryTest, WhatASnapshotSaysIsNotComparedWithWhatWasAcceptedHere) {
  accept(kThird, {{1}, {1, kThird}, NoOp{}});
  choose({{1}, {2, kFirst}, epoch_of(kFirst)});
  memory.appended(kThird, WaitsAfterStart{Duration(150'000)}, broken);
  memory.appended(kThird, ConfiguredFrom{{1}, memory.configuration({1})}, broken);
  memory.appended(kThird, ChosenThrough{{1}}, broken);
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(GroupMemoryTest, WhatAnEarlierLeaderAskedForIsFenced) {
  choose({{1}, {1, kFirst}, epoch_of(kFirst)});
  choose({{2}, {2, kThird}, epoch_of(kThird)});
  EXPECT_TRUE(rare.contains("the lead went to another replica"));
  EXPECT_THAT(choose({{3}, {2, kThird}, commit_of(1, 1, kFirst)}), IsEmpty());
  EXPECT_TRUE(rare.contains("a choose of an earlier leader was fenced"));
  EXPECT_TRUE(rare.contains("a choose was chosen by the next leader"));
  EXPECT_THAT(broken, IsEmpty());
}

// The engine fences by the epoch's number; that two leaders never share one is looked at here.
TEST_F(GroupMemoryTest, WhatSomebodyElseAskedForUnderTheNewestEpochIsSeen) {
  choose({{1}, {1, kFirst}, epoch_of(kFirst)});
  choose({{2}, {1, kFirst}, commit_of(1, 1, kThird)});
  EXPECT_THAT(broken, ElementsAre(HasSubstr("behind the epoch of another leader")));
}

TEST_F(GroupMemoryTest, WhoLeadsWithoutItsQuorumIsSeen) {
  memory.appended(kFirst, Accepted{{1}, {10, kFirst}, NoOp{}}, broken);
  EXPECT_THAT(broken, ElementsAre(HasSubstr("leads in ballot 10.1, which 0 of 3 voters promised, not 2")));
}

// What two of three have is chosen before the change counts, and not behind it.
TEST_F(GroupMemoryTest, EachSlotIsCountedByItsOwnConfiguration) {
  constexpr ReplicaId kFourth{4};
  const auto next = with_majorities({kFirst, kSecond, kThird, kFourth});
  choose({{1}, {1, kFirst}, ChangeConfiguration{next}});
  EXPECT_FALSE(memory.is_settled());
  for (Slot slot{2}; slot.value <= kWindow; ++slot.value)
    choose({slot, {1, kFirst}, NoOp{}});
  EXPECT_TRUE(memory.is_settled());
  EXPECT_EQ(memory.configuration({kWindow}).size(), 3U);
  const Accepted behind{{kWindow + 1}, {1, kFirst}, NoOp{}};
  choose(behind);
  EXPECT_EQ(memory.applied(), Slot{kWindow});
  static_cast<void>(accept(kFourth, behind));
  EXPECT_EQ(memory.applied(), behind.slot);
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(GroupMemoryTest, AChangeWhoseQuorumsNeedNotMeetIsSeen) {
  auto next = with_majorities({kFirst, kSecond, kThird});
  next.voters = {kThird};
  next.quorums = {.write = 1, .elect = 1, .read = 1};
  choose({{1}, {1, kFirst}, ChangeConfiguration{next}});
  EXPECT_THAT(broken, ElementsAre(HasSubstr("behind the change of slot 1 two quorums need not meet")));
}

TEST_F(GroupMemoryTest, WhatIsProposedBehindTheWindowIsSeen) {
  memory.appended(kFirst, Accepted{{kWindow + 1}, {1, kFirst}, NoOp{}}, broken);
  EXPECT_THAT(broken, ElementsAre(HasSubstr("who counts it is not known")));
}

TEST_F(GroupMemoryTest, WhoLeadsBehindItsRemovalIsSeen) {
  choose({{1}, {1, kThird}, ChangeConfiguration{with_majorities({kFirst, kSecond})}});
  for (Slot slot{2}; slot.value <= 2 * kWindow; ++slot.value)
    choose({slot, {1, kThird}, NoOp{}});
  EXPECT_THAT(broken, IsEmpty());
  choose({{2 * kWindow + 1}, {1, kThird}, NoOp{}});
  EXPECT_THAT(broken, IsEmpty());
  choose({{2 * kWindow + 2}, {1, kThird}, epoch_of(kThird)});
  EXPECT_THAT(broken, ElementsAre(HasSubstr("was removed more than 512 slots ago")));
}

TEST_F(GroupMemoryTest, AStateIsWhatIsChosenOnTopOfItsSnapshot) {
  choose({{1}, {1, kFirst}, epoch_of(kFirst)});
  const auto before = memory.state_on({});
  choose({{2}, {1, kFirst}, commit_of(1, 1, kFirst)});
  const auto whole = memory.state_on({});
  EXPECT_NE(before, whole);
  AppliedState lacking;
  lacking.slot = {1};
  EXPECT_NE(memory.state_on(std::move(lacking)), whole);
}

}  // namespace
}  // namespace troth::sim
