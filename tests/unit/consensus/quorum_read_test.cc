// How long a quorum read waits, and for whom.
#include <gtest/gtest.h>

#include "tests/unit/consensus/one_replica.h"

namespace troth::coordinator::consensus {
namespace {

using namespace std::chrono_literals;

// What a quorum had accepted is the leftover of a ballot that is dead: nobody proposes it again, and an idle group would not come
// that far for minutes.
TEST(QuorumRead, LeaderFillsTheSlotsThatAnAskerWaitsFor) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  one.hear(2, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}});
  ASSERT_TRUE(one.log().is_leading());
  one.hear(3, AskHighest{{1}, {}});
  EXPECT_TRUE(one.sent<Accept>({2}).empty()) << "it waits for nothing yet";
  one.hear(3, AskHighest{{1}, {5}});
  one.hear(3, AskHighest{{1}, {5}});
  EXPECT_EQ(one.sent<Accept>({2}).size(), 5U);
  one.write();
  one.hear(2, AcceptedThrough{.ballot = ballot, .first = {1}, .last = {5}, .position = {}});
  EXPECT_EQ(one.log().chosen(), Slot{5});
  one.hear(3, AskHighest{{1}, {5}});
  EXPECT_EQ(one.sent<Accept>({2}).size(), 5U);
  // No acceptor takes one as far as that.
  one.hear(3, AskHighest{{1}, {5 + 2 * kWindow + 1}});
  EXPECT_EQ(one.sent<Accept>({2}).size(), 5U);
}

TEST(QuorumRead, LeaderFillsForItselfToo) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  one.hear(2, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}});
  one.step(QuorumReadAsked{{7}});
  const auto number = one.sent<AskHighest>({3}).back().number;
  one.hear(3, HighestShown{.number = number, .highest = {3}, .chosen = {}});
  EXPECT_TRUE(one.done<ReadAt>().empty());
  one.pass(60ms);
  one.write();
  one.hear(2, AcceptedThrough{.ballot = ballot, .first = {1}, .last = {3}, .position = {}});
  ASSERT_EQ(one.done<ReadAt>().size(), 1U);
  EXPECT_EQ(one.done<ReadAt>().front().slot, Slot{3});
}

TEST(QuorumRead, IsLateWhereNobodyLeads) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{7}});
  const auto number = one.sent<AskHighest>({2}).back().number;
  one.hear(2, HighestShown{.number = number, .highest = {9}, .chosen = {}});
  one.pass(60ms);
  EXPECT_EQ(one.sent<AskHighest>({2}).back().waits_for, Slot{9});
  one.pass(4'900ms);
  EXPECT_TRUE(one.done<RefuseRead>().empty());
  EXPECT_LE(one.log().wakes_at(), one.now() + 40ms);
  one.pass(40ms);
  ASSERT_EQ(one.done<RefuseRead>().size(), 1U);
  EXPECT_EQ(one.done<RefuseRead>().front().reason, ReadRefusal::kLate);
  EXPECT_TRUE(one.done<ReadAt>().empty());
}

TEST(QuorumRead, IsLateWhereNoQuorumAnswers) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{7}});
  one.step(QuorumReadAsked{{8}});  // waits for the next question
  one.pass(5s);
  EXPECT_EQ(one.done<RefuseRead>().size(), 2U);
}

// Attacks 13, 23. A log that was cut behind a snapshot says again what was chosen above it: its start knows three configurations.
// Two of the first three need not meet three of the last five.
TEST(QuorumRead, OfThreeKnownConfigurationsTheOuterOnesAreNotEnough) {
  const auto three = with_majorities({{1}, {2}, {3}});
  const auto four = with_majorities({{1}, {2}, {3}, {4}});
  const auto five = with_majorities({{1}, {2}, {3}, {4}, {5}});
  OneReplica one(std::map<Slot, Configuration>{{Slot{1}, three}, {Slot{5}, four}, {Slot{9}, five}});
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{7}});
  const auto number = one.sent<AskHighest>({2}).back().number;
  one.hear(2, HighestShown{.number = number, .highest = {}, .chosen = {}});
  EXPECT_TRUE(one.done<ReadAt>().empty()) << "{1, 2}, and {3, 4, 5} may have chosen something";
  one.hear(3, HighestShown{.number = number, .highest = {}, .chosen = {}});
  EXPECT_EQ(one.done<ReadAt>().size(), 1U) << "three of four";
}

}  // namespace
}  // namespace troth::coordinator::consensus
