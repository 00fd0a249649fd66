// Every configuration of up to seven replicas, and every transition between two of them, against the truth: is there a
// pair of quorums that need not share a replica? Attacks 13 and 60.
#include "coordinator/consensus/quorum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include <gtest/gtest.h>

namespace troth::coordinator::consensus {
namespace {

Replicas replicas(std::uint32_t first, std::uint32_t count) {
  Replicas made;
  for (std::uint32_t id = first; id < first + count; ++id)
    made.insert({id});
  return made;
}

// Which sizes of a quorum of `one` set and a quorum of another must share a replica, whichever replicas they are:
// found by looking at every pair of subsets.
class Meeting {
 public:
  // Sets as bits.
  Meeting(std::uint32_t one, std::uint32_t other) {
    for (auto& row : may_miss_)
      row.fill(false);
    // Every subset of `one`, then every subset of what it leaves of `other`.
    for (std::uint32_t mine = one;; mine = (mine - 1) & one) {
      const auto left = other & ~mine;
      for (std::uint32_t theirs = left;; theirs = (theirs - 1) & left) {
        may_miss_[static_cast<std::size_t>(std::popcount(mine))]
                 [static_cast<std::size_t>(std::popcount(theirs))] = true;
        if (theirs == 0) break;
      }
      if (mine == 0) break;
    }
  }

  [[nodiscard]] bool always(std::uint32_t of_one, std::uint32_t of_other) const {
    return !may_miss_.at(of_one).at(of_other);
  }

 private:
  std::array<std::array<bool, kMostVoters + 1>, kMostVoters + 1> may_miss_{};
};

std::uint32_t bits(std::uint32_t first, std::uint32_t count) {
  return ((1U << count) - 1U) << first;
}

std::vector<Quorums> safe_quorums(std::uint32_t voters) {
  std::vector<Quorums> safe;
  for (std::uint32_t write = 1; write <= voters; ++write)
    for (std::uint32_t elect = 1; elect <= voters; ++elect)
      for (std::uint32_t read = 1; read <= voters; ++read)
        if (check({replicas(1, voters), {write, elect, read}})) safe.push_back({write, elect, read});
  return safe;
}

TEST(Quorum, AcceptsExactlyTheConfigurationsWhoseQuorumsMustMeet) {
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (std::uint32_t voters = 1; voters <= kMostVoters; ++voters) {
    const Meeting meeting(bits(0, voters), bits(0, voters));
    for (std::uint32_t write = 0; write <= voters + 1; ++write)
      for (std::uint32_t elect = 0; elect <= voters + 1; ++elect)
        for (std::uint32_t read = 0; read <= voters + 1; ++read) {
          const auto is_size = [&](std::uint32_t size) { return size >= 1 && size <= voters; };
          const bool truth = is_size(write) && is_size(elect) && is_size(read) &&
                             meeting.always(elect, write) && meeting.always(read, write);
          const auto checked = check({replicas(1, voters), {write, elect, read}});
          EXPECT_EQ(checked.has_value(), truth)
              << "N " << voters << " W " << write << " E " << elect << " R " << read;
          if (!checked) {
            EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
            EXPECT_EQ(checked.error().effect, Effect::kNone);
          }
          (truth ? accepted : refused) += 1;
        }
  }
  EXPECT_EQ(accepted, 1U + 5 + 14 + 30 + 55 + 91 + 140);
  EXPECT_GT(refused, accepted);
}

TEST(Quorum, AcceptsExactlyTheTransitionsWhoseQuorumsMustMeet) {
  std::array<std::vector<Quorums>, kMostVoters + 1> safe;
  for (std::uint32_t voters = 1; voters <= kMostVoters; ++voters)
    safe.at(voters) = safe_quorums(voters);
  std::size_t accepted = 0;
  std::size_t refused = 0;
  std::size_t wrong = 0;
  for (std::uint32_t old_size = 1; old_size <= kMostVoters; ++old_size)
    for (std::uint32_t new_size = 1; new_size <= kMostVoters; ++new_size)
      for (std::uint32_t both = 0; both <= std::min(old_size, new_size); ++both) {
        // Old: 1..old_size. New: its last `both`, and those behind.
        const auto shift = old_size - both;
        const Meeting meeting(bits(0, old_size), bits(shift, new_size));
        for (const auto& before : safe.at(old_size))
          for (const auto& after : safe.at(new_size)) {
            const bool truth =
                meeting.always(before.write, after.elect) && meeting.always(before.elect, after.write) &&
                meeting.always(before.write, after.read) && meeting.always(before.read, after.write);
            const auto checked =
                check_change({replicas(1, old_size), before}, {replicas(1 + shift, new_size), after});
            if (checked.has_value() != truth) ++wrong;
            (truth ? accepted : refused) += 1;
          }
      }
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(accepted, 10'000U);
  EXPECT_GT(refused, 10'000U);
}

TEST(Quorum, MembersThatAreNoNumbersInARowAreCountedAlike) {
  EXPECT_TRUE(check({{{3}, {7}, {900}}, {2, 2, 2}}));
  EXPECT_TRUE(check_change(with_majorities({{3}, {7}, {900}}), with_majorities({{3}, {900}})));
  EXPECT_FALSE(check_change(with_majorities({{3}, {7}, {900}}), with_majorities({{3}, {8}, {901}})));
}

TEST(Quorum, MajoritiesAreSafeAndSoIsOneMemberMoreOrLess) {
  for (std::uint32_t voters = 1; voters <= kMostVoters; ++voters) {
    EXPECT_TRUE(check(with_majorities(replicas(1, voters))));
    if (voters == kMostVoters) continue;
    EXPECT_TRUE(check_change(with_majorities(replicas(1, voters)), with_majorities(replicas(1, voters + 1))));
    EXPECT_TRUE(check_change(with_majorities(replicas(1, voters + 1)), with_majorities(replicas(1, voters))));
  }
}

TEST(Quorum, OneMemberReplacedIsTwoSteps) {
  EXPECT_FALSE(check_change(with_majorities(replicas(1, 3)), with_majorities(replicas(2, 3))));
  EXPECT_TRUE(check_change(with_majorities(replicas(1, 3)), with_majorities(replicas(1, 4))));
  EXPECT_TRUE(check_change(with_majorities(replicas(1, 4)), with_majorities(replicas(2, 3))));
}

// A decision accepted by the old W {4, 5}; the new E {1, 2, 3} never hears of it.
TEST(Quorum, Attack13ANewLeaderMissesAnOldDecision) {
  const Configuration five{replicas(1, 5), {2, 4, 4}};
  const Configuration four{replicas(1, 4), {2, 3, 3}};
  EXPECT_TRUE(check(five));
  EXPECT_TRUE(check(four));
  const auto refused = check_change(five, four);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("new elect + old write: 3 + 2 = 5, which must be above the 5"),
            std::string::npos)
      << refused.error().message;
}

// A candidate of the old configuration, {1, 2, 3}, and a new W {4, 5}: two leaders.
TEST(Quorum, Attack13AnOldCandidateMissesANewDecision) {
  const Configuration four{replicas(1, 4), {2, 3, 3}};
  const Configuration five{replicas(1, 5), {2, 4, 4}};
  const auto refused = check_change(four, five);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("old elect + new write: 3 + 2 = 5"), std::string::npos)
      << refused.error().message;
}

TEST(Quorum, Attack13GrowingFromFourToFiveCanFailTheOtherWayToo) {
  EXPECT_FALSE(check_change({replicas(1, 4), {2, 3, 3}}, {replicas(1, 5), {3, 3, 3}}));
}

// Elections meet, but the old R {1, 2, 3} and the new W {4, 5, 6} do not: a stale quorum read.
TEST(Quorum, Attack60AnOldReaderMissesANewDecision) {
  const auto refused = check_change({replicas(1, 5), {3, 5, 3}}, {replicas(1, 6), {3, 4, 4}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("old read + new write: 3 + 3 = 6, which must be above the 6"),
            std::string::npos)
      << refused.error().message;
}

TEST(Quorum, WhatDoesNotMeetIsRefusedWithTheSum) {
  const auto refused = check({{{1}, {2}, {3}, {4}}, {2, 2, 3}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("elect + write: 2 + 2 = 4"), std::string::npos)
      << refused.error().message;
}

TEST(Quorum, GroupsOfNobodyOfTooManyAndOfReplicaZeroAreRefused) {
  EXPECT_FALSE(check({{}, {0, 0, 0}}));
  EXPECT_FALSE(check(with_majorities(replicas(1, kMostVoters + 1))));
  const auto refused = check(with_majorities(replicas(0, 3)));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("replica 0"), std::string::npos) << refused.error().message;
}

TEST(Quorum, AConfigurationWhoseLeaseCannotBeIsRefused) {
  auto configuration = with_majorities(replicas(1, 3));
  configuration.lease_terms.length = Duration{0};
  EXPECT_FALSE(check(configuration));
  EXPECT_FALSE(check_change(with_majorities(replicas(1, 3)), configuration));
}

TEST(Quorum, LeaseSetsMeetEveryElection) {
  for (std::uint32_t voters = 1; voters <= kMostVoters; ++voters) {
    const Meeting meeting(bits(0, voters), bits(0, voters));
    for (std::uint32_t elect = 1; elect <= voters; ++elect) {
      const Configuration configuration{replicas(1, voters), {voters, elect, 1}};
      EXPECT_TRUE(meeting.always(configuration.lease(), elect));
      EXPECT_FALSE(meeting.always(configuration.lease() - 1, elect)) << "one grant less would be too few";
    }
  }
}

// A safe change, and yet: the old lease set {1, 2} and the new E {3, 4} have nobody in common. A leader must count its
// lease in the new configuration, too, from the moment it proposes it.
TEST(Quorum, ALeaseOfTheOldConfigurationHoldsOffNobodyElectedByTheNew) {
  const auto four = with_majorities(replicas(1, 4));
  const auto three = with_majorities(replicas(2, 3));
  ASSERT_TRUE(check_change(four, three));
  const Meeting meeting(bits(0, 4), bits(1, 3));
  EXPECT_FALSE(meeting.always(four.lease(), three.quorums.elect));
}

TEST(Quorum, OnlyThoseWhoVoteCount) {
  const auto configuration = with_majorities(replicas(1, 3));
  EXPECT_EQ(votes_of({{1}, {3}, {9}}, configuration), 2U);
  EXPECT_EQ(votes_of({}, configuration), 0U);
}

}  // namespace
}  // namespace troth::coordinator::consensus
