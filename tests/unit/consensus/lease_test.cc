#include "coordinator/consensus/lease.h"

#include <gtest/gtest.h>

namespace troth::coordinator::consensus {
namespace {

using std::chrono::milliseconds;

constexpr Ballot kBallot{5, {1}};
constexpr Instant kStart{milliseconds{1'000}};

Configuration three() {
  return with_majorities({{1}, {2}, {3}});
}

// The longest that a holder's count can take in true time, on the slowest clock, against the shortest that a grantor's
// can, on the fastest, whose readings are rounded down.
TEST(Lease, TheHoldersCountIsTheShorterForEveryLengthAndDrift) {
  for (std::int64_t length_us = 1'000; length_us <= kLongestLease.count(); length_us = length_us * 3 / 2 + 7)
    for (std::uint32_t drift = 0; drift <= kMostDriftPpm; drift += 500) {
      const LeaseTerms terms{Duration{length_us}, drift};
      ASSERT_TRUE(check(terms));
      const auto longest_held = static_cast<double>(terms.held().count()) / (1 - drift / 1e6);
      const auto shortest_granted = static_cast<double>(length_us - 1) / (1 + drift / 1e6);
      EXPECT_LE(longest_held, shortest_granted) << length_us << " us, " << drift << " ppm";
      // And not much shorter, or the lease would be worth less than it costs; with half as much off it would break.
      EXPECT_GE(longest_held, shortest_granted * (1 - 3e-12 * drift * drift) - 3);
      EXPECT_GT(terms.held().count(), 0);
      EXPECT_GT(terms.waited(), terms.length);
    }
}

TEST(Lease, TheDefaultsAreSafe) {
  const LeaseTerms terms;
  EXPECT_TRUE(check(terms));
  EXPECT_EQ(terms.held(), Duration{146'999});
  EXPECT_EQ(terms.waited(), Duration{153'001});
}

TEST(Lease, TermsThatCannotBeAreRefused) {
  EXPECT_FALSE(check(LeaseTerms{Duration{999}, 0}));
  EXPECT_FALSE(check(LeaseTerms{Duration{-1}, 0}));
  EXPECT_FALSE(check(LeaseTerms{kLongestLease + Duration{1}, 0}));
  EXPECT_FALSE(check(LeaseTerms{Duration{150'000}, kMostDriftPpm + 1}));
}

TEST(Lease, WhatWasSentInTheFutureIsNoGrant) {
  LeaseHolder holder(kBallot);
  holder.granted(kStart, {{1}, kBallot, kStart, LeaseTerms{}}, 0);
  holder.granted(kStart, {{2}, kBallot, kStart + milliseconds{1}, LeaseTerms{}}, 0);
  EXPECT_FALSE(holder.valid(kStart, three()));
}

TEST(Lease, AGrantOfAnotherBallotIsNone) {
  LeaseHolder holder(kBallot);
  holder.granted(kStart, {{1}, kBallot, kStart, LeaseTerms{}}, 0);
  holder.granted(kStart, {{2}, {4, {1}}, kStart, LeaseTerms{}}, 0);
  holder.granted(kStart, {{3}, {6, {1}}, kStart, LeaseTerms{}}, 0);
  EXPECT_FALSE(holder.valid(kStart, three()));
}

// A grant outlives a crash as the promise of its ballot [L3], so there has to be one.
TEST(Lease, OnlyTheBallotThatIsPromisedIsGranted) {
  LeaseGrantor grantor(LeaseTerms{}.waited(), {2}, {}, kStart);
  EXPECT_FALSE(grantor.grant(kStart, {}, kBallot, {}));
  EXPECT_FALSE(grantor.grant(kStart, {}, kBallot, {4, {1}}));
  EXPECT_FALSE(grantor.grant(kStart, {}, kBallot, {6, {3}}));
  EXPECT_FALSE(grantor.grant(kStart, {}, {}, {}));
  EXPECT_TRUE(grantor.allows(kStart, {3})) << "nothing was granted";
  EXPECT_TRUE(grantor.grant(kStart, {}, kBallot, kBallot));
  EXPECT_FALSE(grantor.allows(kStart, {3}));
}

TEST(Lease, TheFirstSuccessorCounts) {
  LeaseGrantor grantor(LeaseTerms{}.waited(), {2}, {}, kStart);
  ASSERT_TRUE(grantor.grant(kStart, {}, kBallot, kBallot));
  grantor.hand_over({kBallot, {1}});
  EXPECT_TRUE(grantor.allows(kStart, {1})) << "to itself is no hand-over";
  grantor.hand_over({kBallot, {3}});
  grantor.hand_over({kBallot, {4}});
  EXPECT_TRUE(grantor.allows(kStart, {3}));
  EXPECT_FALSE(grantor.allows(kStart, {4}));
}

TEST(Lease, OnlyVotersAndTheirLatestGrantsCount) {
  LeaseHolder holder(kBallot);
  const auto later = kStart + milliseconds{50};
  holder.granted(later, {{1}, kBallot, later, LeaseTerms{}}, 0);
  holder.granted(later, {{9}, kBallot, later, LeaseTerms{}}, 0);
  EXPECT_FALSE(holder.valid(later, three())) << "replica 9 has no vote";
  holder.granted(later, {{2}, kBallot, later, LeaseTerms{}}, 0);
  holder.granted(later, {{2}, kBallot, kStart, LeaseTerms{}}, 0);  // an older request's grant, late
  EXPECT_EQ(holder.valid_until(three()), later + LeaseTerms{}.held());
}

// [L5] Whatever the holder thinks of the group's terms.
TEST(Lease, AGrantIsCountedByItsOwnTermsAndTheWorstClocks) {
  const auto until = [](const LeaseTerms& terms, std::uint32_t drift_ppm) {
    LeaseHolder holder(kBallot);
    holder.granted(kStart, {{1}, kBallot, kStart, terms}, drift_ppm);
    holder.granted(kStart, {{2}, kBallot, kStart, terms}, drift_ppm);
    return holder.valid_until(three());
  };
  constexpr auto kLength = milliseconds{300};
  EXPECT_EQ(until({kLength, 500}, 500), (kStart + LeaseTerms{kLength, 500}.held()));
  EXPECT_EQ(until({kLength, 500}, 20'000), (kStart + LeaseTerms{kLength, 20'000}.held()));
  EXPECT_EQ(until({kLength, 20'000}, 500), (kStart + LeaseTerms{kLength, 20'000}.held()));
  EXPECT_FALSE(until(LeaseTerms(kLongestLease + Duration{1}, 500), 500)) << "damaged";
}

TEST(Lease, AShorterGrantDoesNotEndALongerOne) {
  LeaseGrantor grantor(LeaseTerms{}.waited(), {2}, {}, kStart);
  ASSERT_TRUE(grantor.grant(kStart, {milliseconds{300}, 500}, kBallot, kBallot));
  ASSERT_TRUE(grantor.grant(kStart, {milliseconds{100}, 500}, kBallot, kBallot));
  EXPECT_FALSE(grantor.allows(kStart + milliseconds{299}, {3}));
  EXPECT_TRUE(grantor.allows(kStart + milliseconds{300}, {3}));
}

// [L4] See Quorum.ALeaseOfTheOldConfigurationHoldsOffNobodyElectedByTheNew.
TEST(Lease, EachConfigurationIsAskedForByItself) {
  LeaseHolder holder(kBallot);
  holder.granted(kStart, {{1}, kBallot, kStart, LeaseTerms{}}, 0);
  holder.granted(kStart, {{2}, kBallot, kStart, LeaseTerms{}}, 0);
  EXPECT_TRUE(holder.valid(kStart, with_majorities({{1}, {2}, {3}, {4}})));
  EXPECT_FALSE(holder.valid(kStart, with_majorities({{2}, {3}, {4}})));
}

TEST(Lease, AGroupOfOneGrantsItselfAndWaitsForNothing) {
  const auto alone = with_majorities({{1}});
  LeaseHolder holder(kBallot);
  EXPECT_FALSE(holder.valid(kStart, alone));
  LeaseGrantor grantor(LeaseTerms{}.waited(), {1}, kBallot, kStart);
  EXPECT_TRUE(grantor.allows(kStart, {1}));
  EXPECT_TRUE(grantor.grant(kStart, {}, kBallot, kBallot));
  holder.granted(kStart, {{1}, kBallot, kStart, LeaseTerms{}}, 0);
  EXPECT_TRUE(holder.valid(kStart, alone));
}

// Wiped, set back, or its log's tail cut: whom it had granted it cannot know.
TEST(Lease, WithoutMemoryEverybodyIsRefusedForOneLength) {
  const auto grantor = LeaseGrantor::without_memory(LeaseTerms{}.waited(), kStart);
  const auto over = kStart + LeaseTerms{}.waited();
  for (std::uint32_t candidate = 1; candidate <= 7; ++candidate) {
    EXPECT_FALSE(grantor.allows(over - Duration{1}, {candidate}));
    EXPECT_TRUE(grantor.allows(over, {candidate}));
  }
}

}  // namespace
}  // namespace troth::coordinator::consensus
