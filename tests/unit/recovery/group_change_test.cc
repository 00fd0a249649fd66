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

}  // namespace
}  // namespace troth::recovery
