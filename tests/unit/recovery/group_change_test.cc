// The changes by which a group comes to what an operator wishes.
#include "recovery/group_change.h"

#include <gtest/gtest.h>

#include "coordinator/consensus/quorum.h"

namespace troth::recovery {
namespace {

using Kind = GroupWish::Kind;

namespace consensus = coordinator::consensus;

consensus::Configuration configuration_of(const GroupMembers& members) {
  consensus::Replicas voters, learners;
  for (const auto each : members.voters)
    voters.insert({each});
  for (const auto each : members.learners)
    learners.insert({each});
  auto made = consensus::with_majorities(voters);
  made.learners = learners;
  return made;
}

// Every step is one that the group takes; returns what it did, in words.
std::vector<std::string> carry_out(GroupMembers& members, const GroupWish& wish) {
  std::vector<std::string> done;
  for (int bound = 0; bound < 10; ++bound) {
    auto step = next_step(members, wish);
    EXPECT_TRUE(step.has_value()) << (step ? "" : step.error().message);
    if (!step || !*step) return done;
    const auto allowed = consensus::check_change(configuration_of(members), configuration_of((*step)->next));
    EXPECT_TRUE(allowed.has_value()) << (allowed ? "" : allowed.error().message);
    members = (*step)->next;
    done.push_back((*step)->what);
  }
  ADD_FAILURE() << "it has no end";
  return done;
}

using Words = std::vector<std::string>;

TEST(GroupChange, OneThatIsAddedLearnsFirst) {
  GroupMembers members{{1}, {}};
  EXPECT_EQ(carry_out(members, {Kind::kAdd, 2}),
            (Words{"replica 2 learns what is chosen", "replica 2 votes"}));
  EXPECT_EQ(members, (GroupMembers{{1, 2}, {}}));
  EXPECT_EQ(carry_out(members, {Kind::kAddLearner, 3}), (Words{"replica 3 learns what is chosen"}));
  EXPECT_EQ(members, (GroupMembers{{1, 2}, {3}}));
  EXPECT_EQ(carry_out(members, {Kind::kAdd, 3}), (Words{"replica 3 votes"}));
}

TEST(GroupChange, WhoIsReplacedGoesLast) {
  GroupMembers members{{1, 2, 3}, {}};
  EXPECT_EQ(carry_out(members, {Kind::kReplace, 2, 4}),
            (Words{"replica 4 learns what is chosen", "replica 4 votes", "replica 2 is no member any more"}));
  EXPECT_EQ(members, (GroupMembers{{1, 3, 4}, {}}));
}

// Seven is the most that a group has, so there is no room for both; and from each step the same command goes on.
TEST(GroupChange, InAFullGroupTheOldOneGoesBeforeTheNewOneVotes) {
  const GroupWish wish{Kind::kReplace, 7, 8};
  for (int stopped = 0; stopped <= 3; ++stopped) {
    GroupMembers members{{1, 2, 3, 4, 5, 6, 7}, {}};
    for (int step = 0; step < stopped; ++step)
      members = (*next_step(members, wish))->next;
    const Words all{"replica 8 learns what is chosen", "replica 7 is no member any more", "replica 8 votes"};
    EXPECT_EQ(carry_out(members, wish), Words(all.begin() + stopped, all.end()));
    EXPECT_EQ(members, (GroupMembers{{1, 2, 3, 4, 5, 6, 8}, {}}));
  }
}

// From wherever an earlier run stopped, the same command ends the same.
TEST(GroupChange, IsTakenUpWhereverItStopped) {
  for (int stopped = 0; stopped <= 3; ++stopped) {
    GroupMembers members{{1, 2, 3}, {}};
    const GroupWish wish{Kind::kReplace, 2, 4};
    for (int step = 0; step < stopped; ++step)
      members = (*next_step(members, wish))->next;
    EXPECT_EQ(carry_out(members, wish).size(), static_cast<std::size_t>(3 - stopped));
    EXPECT_EQ(members, (GroupMembers{{1, 3, 4}, {}}));
  }
}

TEST(GroupChange, WhatIsAsWishedNeedsNothing) {
  const GroupMembers members{{1, 2, 3}, {5}};
  for (const GroupWish& wish : {GroupWish{Kind::kAdd, 2}, GroupWish{Kind::kAddLearner, 5},
                                GroupWish{Kind::kRemove, 4}, GroupWish{Kind::kReplace, 4, 1}})
    EXPECT_FALSE(next_step(members, wish)->has_value()) << done_text(wish);
}

TEST(GroupChange, WhatCannotBeIsRefused) {
  const auto why = [](const GroupMembers& members, const GroupWish& wish) {
    const auto step = next_step(members, wish);
    EXPECT_FALSE(step.has_value());
    return step ? std::string() : step.error().message;
  };
  EXPECT_EQ(why({{1}, {2}}, {Kind::kRemove, 1}),
            "replica 1 is the only one that votes: nothing could be decided without it");
  EXPECT_EQ(why({{1, 2}, {}}, {Kind::kReplace, 1, 1}), "replica 1 cannot take its own place");
  EXPECT_EQ(
      why({{1, 2}, {}}, {Kind::kReplace, 3, 4}),
      "replica 3 does not vote, so there is no place of it to take: `troth cluster add 4` adds another one");
  EXPECT_EQ(why({{1, 2}, {}}, {Kind::kAddLearner, 2}),
            "replica 2 votes already: remove it first, to let it learn only");
}

// Whatever a group of up to five wishes.
TEST(GroupChange, NoStepIsOneThatTheGroupRefuses) {
  for (std::uint32_t set = 1; set < 32; ++set) {
    GroupMembers begin;
    for (std::uint32_t each = 1; each <= 5; ++each)
      if ((set >> (each - 1) & 1) != 0) begin.voters.insert(each);
    for (const auto kind : {Kind::kAdd, Kind::kAddLearner, Kind::kRemove, Kind::kReplace})
      for (std::uint32_t one = 1; one <= 6; ++one)
        for (std::uint32_t by = 1; by <= 6; ++by) {
          auto members = begin;
          if (next_step(members, {kind, one, by})) carry_out(members, {kind, one, by});
        }
  }
}

// Somebody who chose write 1 of 3 chose what one slow disk costs: nobody else takes that away by the way.
TEST(GroupChange, QuorumsThatSomebodyChoseStayOrAreAskedFor) {
  const GroupMembers three{{1, 2, 3}, {}};
  const QuorumSizes chosen{.write = 1, .elect = 3, .read = 3}, majorities{2, 2, 2};
  const GroupStep learns{.next = {{1, 2, 3}, {4}}, .what = {}}, votes{.next = {{1, 2, 3, 4}, {}}, .what = {}};
  EXPECT_EQ(*quorums_of(three, chosen, learns, false), chosen);
  EXPECT_EQ(*quorums_of(three, majorities, votes, false), (QuorumSizes{3, 3, 3}));
  EXPECT_EQ(
      quorums_of(three, chosen, votes, false).error().message,
      "the quorums are write 1, elect 3, read 3 of 3, and no majorities: a change of those that vote makes "
      "them majorities; say --majorities if that is meant");
  EXPECT_EQ(*quorums_of(three, chosen, votes, true), (QuorumSizes{3, 3, 3}));
}

// "Nothing was changed" is said only where it is known.
TEST(GroupChange, WhatWasDoneBeforeItEndedIsPartOfItsEffect) {
  const Error why{.code = ErrorCode::kTimeout, .effect = Effect::kNone, .message = "not done within 1 s"};
  EXPECT_EQ(ended_early(why, {}, false).effect, Effect::kNone);
  EXPECT_EQ(ended_early(why, {}, false).message, "not done within 1 s");
  EXPECT_EQ(ended_early(why, {}, true).effect, Effect::kUnknown);
  EXPECT_EQ(
      ended_early(why, {}, true).message,
      "not done within 1 s; of a step nobody said whether it was done. The same command goes on from there");
  EXPECT_EQ(ended_early(why, {"a", "b"}, false).effect, Effect::kUnknown);
  EXPECT_EQ(ended_early(why, {"a", "b"}, false).message,
            "not done within 1 s; done before: a; b. The same command goes on from there");
}

// ---- whose word counts

Standpoint follower(std::uint32_t replica, std::uint32_t leader, std::int64_t round, std::int64_t chosen) {
  return {.replica = replica, .leader = leader, .leads = false, .round = round, .chosen = chosen};
}

Standpoint leader(std::uint32_t replica, std::int64_t round, std::int64_t chosen) {
  return {.replica = replica, .leader = replica, .leads = true, .round = round, .chosen = chosen};
}

Believed of(const std::vector<Standpoint>& all) {
  return believed(all);
}

TEST(GroupBelieved, OneThatWasCutOffAndAskedForTheLeadIsNotAskedAboutMembers) {
  const Standpoint cut_off{.replica = 3, .leader = {}, .leads = false, .round = 90, .chosen = 10};
  const auto best = of({cut_off, leader(1, 5, 1000), follower(2, 1, 5, 990)});
  EXPECT_EQ(best.index, 1U);
  EXPECT_TRUE(best.leads);
  const auto without = of({cut_off, follower(2, 1, 5, 990)});
  EXPECT_EQ(without.index, 1U);
  EXPECT_FALSE(without.leads);
}

TEST(GroupBelieved, OfTwoLeadersTheNewerOneLeads) {
  const auto best = of({leader(1, 5, 1000), leader(2, 6, 990)});
  EXPECT_EQ(best.index, 1U);
  EXPECT_TRUE(best.leads);
}

TEST(GroupBelieved, ALeaderThatWasLeftForANewerOneIsNotSaidToLead) {
  EXPECT_FALSE(of({leader(1, 5, 1000), follower(2, 3, 6, 1001)}).leads);
  EXPECT_TRUE(of({leader(1, 5, 1000), follower(2, 3, 4, 900)}).leads);
}

}  // namespace
}  // namespace troth::recovery
