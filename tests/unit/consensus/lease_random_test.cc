// The lease over many seeds: clocks that drift as far as they may, restarts of holders and grantors, pauses, cuts, messages
// that are lost, doubled and very late, leases that are handed over; every N and E up to seven. Attacks 20, 21 and 37.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/consensus/lease_world.h"

namespace troth::coordinator::consensus {
namespace {

using std::chrono::seconds;

Configuration electing(std::uint32_t voters, std::uint32_t elect) {
  Configuration made{{}, {voters, elect, voters}};
  for (std::uint32_t id = 1; id <= voters; ++id)
    made.voters.insert({id});
  return made;
}

struct Runs {
  std::uint64_t wrong = 0;
  std::string first_wrong;
  LeaseWorld::Counts counts;
};

Runs run_seeds(const Configuration& configuration, std::uint64_t seeds, std::uint32_t clocks_drift_ppm,
               const LeaseDefects& defects, bool terms_change = false) {
  Runs runs;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    LeaseWorld world({.configuration = configuration,
                      .terms = {},
                      .terms_change = terms_change,
                      .clocks_drift_ppm = clocks_drift_ppm,
                      .defects = defects},
                     seed);
    world.run(seconds{3});
    runs.counts += world.counts();
    if (world.wrong().empty()) continue;
    if (runs.wrong++ == 0)
      runs.first_wrong = fmt::format("N {} E {} seed {}: {}", configuration.size(),
                                     configuration.quorums.elect, seed, world.wrong());
  }
  return runs;
}

TEST(LeaseRandom, NeverTwoAtOneInstantWhileClocksKeepTheBound) {
  const auto bound = LeaseTerms{}.drift_ppm;
  LeaseWorld::Counts counts;
  for (std::uint32_t voters = 1; voters <= kMostVoters; ++voters)
    for (std::uint32_t elect = 1; elect <= voters; ++elect) {
      const auto runs = run_seeds(electing(voters, elect), 40, bound, {});
      EXPECT_EQ(runs.wrong, 0U) << runs.first_wrong;
      counts += runs.counts;
    }
  // All of it happened, often.
  fmt::print(
      "elections {}, leases {}, renewals {}, hand-overs {}, quick successions {}, own successions {}, "
      "refusals {}, restarts {}, wiped {}\n",
      counts.elections, counts.leases, counts.renewals, counts.hand_overs, counts.quick_successions,
      counts.own_successions, counts.refusals, counts.restarts, counts.wiped);
  EXPECT_GT(counts.leases, 1'000U);
  EXPECT_GT(counts.renewals, 1'000U);
  EXPECT_GT(counts.quick_successions, 100U);
  EXPECT_GT(counts.own_successions, 100U);
  EXPECT_GT(counts.refusals, 1'000U);
  EXPECT_GT(counts.restarts, 1'000U);
  EXPECT_GT(counts.wiped, 1'000U);
}

// [L5] The group makes its leases shorter and longer at any time; each replica hears of it when it does, writes what it has to
// when its disk does, and loses its last batch now and then.
TEST(LeaseRandom, NeverTwoAtOneInstantWhileTermsChange) {
  LeaseWorld::Counts counts;
  for (std::uint32_t voters = 1; voters <= kMostVoters; ++voters)
    for (std::uint32_t elect = 1; elect <= voters; ++elect) {
      const auto runs = run_seeds(electing(voters, elect), 40, LeaseTerms{}.drift_ppm, {}, true);
      EXPECT_EQ(runs.wrong, 0U) << runs.first_wrong;
      counts += runs.counts;
    }
  fmt::print("changes {}, leases {}, longer grants {}, waits made shorter {}\n", counts.changes,
             counts.leases, counts.longer, counts.shorter);
  EXPECT_GT(counts.changes, 1'000U);
  EXPECT_GT(counts.leases, 1'000U);
  EXPECT_GT(counts.longer, 1'000U);
  EXPECT_GT(counts.shorter, 1'000U);
}

// Each of these would be seen.
std::uint64_t wrong_with(std::uint32_t clocks_drift_ppm, const LeaseDefects& defects) {
  return run_seeds(electing(3, 2), 1'000, clocks_drift_ppm, defects).wrong;
}

// Where one replica elects, every grantor is needed, and one that waits too little is enough. Nobody is wiped there: that takes
// another's memory.
std::uint64_t wrong_while_terms_change(const LeaseDefects& defects, std::uint32_t elect = 1) {
  return run_seeds(electing(2 + elect, elect), elect == 1 ? 600 : 2'000, 0, defects, true).wrong;
}

TEST(LeaseRandom, DefectsOfTermsThatChangeWouldBeSeen) {
  EXPECT_EQ(wrong_while_terms_change({}), 0U);
  EXPECT_GT(wrong_while_terms_change({.waits_by_present_terms = true}), 0U);
  EXPECT_GT(wrong_while_terms_change({.grants_what_is_not_written = true}), 0U);
  EXPECT_GT(wrong_while_terms_change({.says_less_at_once = true}), 0U);
  EXPECT_GT(wrong_while_terms_change({.counts_by_own_terms = true}), 0U);
  EXPECT_GT(wrong_while_terms_change({.trusts_the_last_batch = true}, 2), 0U);
}

TEST(LeaseRandom, BeyondTheBoundItBreaks) {
  EXPECT_EQ(wrong_with(LeaseTerms{}.drift_ppm, {}), 0U);
  EXPECT_GT(wrong_with(5 * LeaseTerms{}.drift_ppm, {}), 0U);
}

TEST(LeaseRandom, Attack20AGrantorThatForgetsWouldBeSeen) {
  EXPECT_GT(wrong_with(0, {.grants_are_forgotten = true}), 0U);
}

TEST(LeaseRandom, AWipedReplicaThatVotesTooSoonWouldBeSeen) {
  EXPECT_GT(wrong_with(0, {.votes_before_grants_are_over = true}), 0U);
}

TEST(LeaseRandom, CountingFromTheReceiptOfTheGrantWouldBeSeen) {
  EXPECT_GT(wrong_with(0, {.counts_from_receipt = true}), 0U);
}

TEST(LeaseRandom, Attack37ALeaseThatIsHandedOverAndKeptWouldBeSeen) {
  EXPECT_GT(wrong_with(0, {.keeps_what_it_hands_over = true}), 0U);
}

TEST(LeaseRandom, Attack21TimeAsATickWouldBeSeen) {
  EXPECT_GT(wrong_with(0, {.time_is_a_tick = true}), 0U);
}

}  // namespace
}  // namespace troth::coordinator::consensus
