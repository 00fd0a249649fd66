// Basic Paxos over many seeds: nothing that network, disks and crashes do makes two values chosen, and once they behave
// one is. And how long a duel lasts.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/consensus/synod_world.h"

namespace troth::coordinator::consensus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// `round_trip`: a message there and back, and a write between.
SynodTiming timing_for(Duration round_trip) {
  return {4 * round_trip, Backoff{2 * round_trip, 32 * round_trip}};
}

Replicas replicas(std::uint64_t count) {
  Replicas made;
  for (std::uint32_t id = 1; id <= count; ++id)
    made.insert({id});
  return made;
}

// Any safe sizes.
Configuration any_configuration(Random& random) {
  Configuration made{replicas(1 + random.below(7)), {}};
  do {
    const auto size = [&] { return static_cast<std::uint32_t>(1 + random.below(made.size())); };
    made.quorums = {size(), size(), made.size()};
  } while (!check(made));
  return made;
}

struct Faults {
  std::uint64_t disagreements = 0;
  std::uint64_t undecided = 0;
  std::uint64_t chosen_under_faults = 0;
  SynodWorld::Counts counts;
  std::string first_wrong;
};

Faults run_seeds(std::uint64_t seeds, const SynodDefects& defects) {
  Faults faults;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Random random(seed);
    SynodWorld::Options options{any_configuration(random), {}, defects};
    options.lost_percent = static_cast<std::uint32_t>(random.below(40));
    options.doubled_percent = static_cast<std::uint32_t>(random.below(40));
    options.longest_delay = Duration{random.between(300, 5'000)};
    options.longest_write = Duration{random.between(0, 3'000)};
    options.timing = timing_for(2 * options.longest_delay + options.longest_write);
    options.crashes = true;
    const auto voters = options.configuration.voters;
    SynodWorld world(std::move(options), random.next());
    world.propose(voters, Duration{random.between(0, 10'000)});
    world.run(Instant{milliseconds{60}}, [] { return false; });
    if (world.chosen()) ++faults.chosen_under_faults;
    world.heal();
    world.run(world.now() + seconds{20}, [&] { return world.all_have_learned(); });
    if (!world.wrong().empty())
      ++faults.disagreements;
    else if (!world.all_have_learned())
      ++faults.undecided;
    if (faults.disagreements + faults.undecided > 0 && faults.first_wrong.empty())
      faults.first_wrong = fmt::format("seed {}: {}", seed, world.wrong());
    faults.counts.messages += world.counts().messages;
    faults.counts.crashes += world.counts().crashes;
    faults.counts.writes_lost += world.counts().writes_lost;
    faults.counts.restarted_with_acceptance += world.counts().restarted_with_acceptance;
  }
  return faults;
}

TEST(SynodRandom, AtMostOneValueIsChosenAndOneIsWhenFaultsStop) {
  constexpr std::uint64_t kSeeds = 10'000;
  const auto faults = run_seeds(kSeeds, {});
  EXPECT_EQ(faults.disagreements, 0U) << faults.first_wrong;
  EXPECT_EQ(faults.undecided, 0U) << faults.first_wrong;
  // The faults were there, and did not merely keep anything from being chosen.
  EXPECT_GT(faults.chosen_under_faults, kSeeds / 4);
  EXPECT_LT(faults.chosen_under_faults, kSeeds);
  EXPECT_GT(faults.counts.writes_lost, kSeeds / 4);
  EXPECT_GT(faults.counts.restarted_with_acceptance, kSeeds / 4);
}

TEST(SynodRandom, Attack22AnAnswerBeforeItsWriteIsDurableWouldBeSeen) {
  EXPECT_GT(run_seeds(3'000, {.answers_before_durable = true}).disagreements, 0U);
}

TEST(SynodRandom, Attack22APromiseForgottenByARestartWouldBeSeen) {
  EXPECT_GT(run_seeds(3'000, {.promises_are_forgotten = true}).disagreements, 0U);
}

// ---- duels

// Sorted.
struct Duels {
  std::vector<std::uint32_t> rounds;  // of the proposer that began most, until one value is chosen
  std::vector<double> round_trips;    // from the first prepare until then
};

enum class Wait : std::uint8_t { kRandom, kNone };

// Every replica begins within one round trip, so that they take each other's promises, and nothing fails.
Duels duels(std::uint64_t proposers, std::uint64_t seeds, Wait wait) {
  Duels duels;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SynodWorld::Options options{with_majorities(replicas(proposers)), {}, {}};
    options.shortest_delay = Duration{100};
    const auto round_trip = 2 * options.longest_delay + options.longest_write;
    options.timing = timing_for(round_trip);
    if (wait == Wait::kNone) options.timing.back_off = Backoff{Duration{1}, Duration{1}};
    SynodWorld world(std::move(options), seed);
    world.propose(replicas(proposers), round_trip);
    world.run(Instant{seconds{100}}, [&] { return world.chosen() != nullptr; });
    EXPECT_TRUE(world.chosen()) << proposers << " proposers, seed " << seed;
    duels.rounds.push_back(world.most_rounds());
    duels.round_trips.push_back(static_cast<double>(world.now().time_since_epoch().count()) /
                                static_cast<double>(round_trip.count()));
  }
  std::ranges::sort(duels.rounds);
  std::ranges::sort(duels.round_trips);
  return duels;
}

template <typename Sorted>
auto percentile(const Sorted& sorted, std::size_t percent) {
  return sorted[sorted.size() * percent / 100];
}

std::string row(const Duels& duels) {
  return fmt::format("{}, {}, {} | {:.1f}, {:.1f}, {:.1f}", percentile(duels.rounds, 50),
                     percentile(duels.rounds, 99), duels.rounds.back(), percentile(duels.round_trips, 50),
                     percentile(duels.round_trips, 99), duels.round_trips.back());
}

// What this prints is the table in coordinator/consensus/README.md.
TEST(SynodRandom, ADuelIsOverWithinAFewRoundTrips) {
  for (std::uint64_t proposers = 2; proposers <= kMostVoters; ++proposers) {
    const auto waiting = duels(proposers, 2'000, Wait::kRandom);
    fmt::print("| {} | {} |\n", proposers, row(waiting));
    EXPECT_LE(waiting.rounds.back(), 4U);
    EXPECT_LE(percentile(waiting.round_trips, 99), 3.0);
    EXPECT_LE(waiting.round_trips.back(), 6.0);
  }
}

TEST(SynodRandom, WithoutARandomWaitADuelGoesOnAndOn) {
  const auto hasty = duels(6, 300, Wait::kNone);
  fmt::print("| 6, no wait | {} |\n", row(hasty));
  EXPECT_GT(percentile(hasty.rounds, 50), 20U);
  EXPECT_GT(hasty.round_trips.back(), 100.0);
}

}  // namespace
}  // namespace troth::coordinator::consensus
