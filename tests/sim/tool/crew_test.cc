// What happens to a seed that does not come back, and that the others are not disturbed.
#include "tests/sim/tool/crew.h"

#include <csignal>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/sim/tool/outcome_line.h"

namespace troth::sim {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

Outcome well(std::uint64_t seed) {
  Outcome outcome;
  outcome.seed = seed;
  return outcome;
}

std::vector<Outcome> all(std::uint64_t from, std::uint64_t count, const CrewOptions& options,
                         const SeedRun& run) {
  std::vector<Outcome> taken;
  run_seeds(from, count, options, run, [&](Outcome outcome) {
    taken.push_back(std::move(outcome));
    return true;
  });
  return taken;
}

TEST(Crew, EachSeedIsTakenOnceAndInOrder) {
  const auto taken = all(5, 200, {.jobs = 3}, well);
  ASSERT_EQ(taken.size(), 200U);
  for (std::size_t i = 0; i < taken.size(); ++i)
    EXPECT_EQ(taken[i].seed, 5 + i);
}

TEST(Crew, FailedCheckIsItsSeedsOutcomeAndTheOthersGoOn) {
  const auto taken = all(1, 20, {.jobs = 2}, [](std::uint64_t seed) {
    CHECK(seed != 7, "it was {}", seed);
    return well(seed);
  });
  ASSERT_EQ(taken.size(), 20U);
  for (const auto& outcome : taken)
    EXPECT_EQ(outcome.broken.empty(), outcome.seed != 7);
  ASSERT_EQ(taken[6].broken.size(), 1U);
  EXPECT_THAT(taken[6].broken[0],
              testing::MatchesRegex("CHECK in .*crew_test.cc line [0-9]+: seed != 7: it was 7"));
}

TEST(Crew, SignalAndExceptionAreNamed) {
  const auto taken = all(1, 2, {}, [](std::uint64_t seed) -> Outcome {
    if (seed == 1) std::raise(SIGTERM);
    throw std::runtime_error("who catches this");
  });
  EXPECT_THAT(taken[0].broken, ElementsAre("died: signal 15"));
  EXPECT_THAT(taken[1].broken,
              ElementsAre("died: exit code 1: an exception that nobody caught: who catches this"));
}

TEST(Crew, SeedThatNeverEndsIsStopped) {
  const auto outcome = run_apart(9, std::chrono::seconds(1), [](std::uint64_t seed) {
    volatile bool goes_on = true;
    while (goes_on) {
    }
    return well(seed);
  });
  EXPECT_EQ(outcome.seed, 9U);
  EXPECT_THAT(outcome.broken, ElementsAre(StartsWith("no end: it ran for 1 s")));
}

TEST(Crew, SeedThatWaitsToBeTakenIsNotTakenForOneWithoutEnd) {
  const auto began = std::chrono::steady_clock::now();
  std::size_t taken = 0;
  // More than a pipe holds, so that the second one waits while the first is looked at for longer than a seed may run.
  const auto large = [](std::uint64_t seed) {
    auto outcome = well(seed);
    outcome.strikes.assign(100'000, "pause");
    return outcome;
  };
  run_seeds(1, 3, {.jobs = 1, .longest = std::chrono::seconds(1)}, large, [&](const Outcome& outcome) {
    EXPECT_THAT(outcome.broken, ElementsAre());
    while (std::chrono::steady_clock::now() - began < std::chrono::milliseconds(1'500)) {
    }
    return ++taken > 0;
  });
  EXPECT_EQ(taken, 3U);
}

TEST(Crew, StopsWhereItIsToldTo) {
  std::vector<std::uint64_t> taken;
  run_seeds(1, 1'000'000, {.jobs = 2}, well, [&](const Outcome& outcome) {
    taken.push_back(outcome.seed);
    return outcome.seed < 3;
  });
  EXPECT_THAT(taken, ElementsAre(1, 2, 3));
}

TEST(Crew, AnOutcomeComesBackAsItWas) {
  auto outcome = Simulation(3).run();
  outcome.broken = {"one: \"quoted\"", "two\nlines"};
  const auto line = line_of(outcome);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(line_of(outcome_of(line)), line);
  EXPECT_EQ(outcome_of(line).hash, outcome.hash);
  EXPECT_EQ(outcome_of(line).faults, outcome.faults);
}

TEST(Crew, InAProcessOfItsOwnASeedIsTheSameRun) {
  const auto here = Simulation(11).run();
  const auto taken = all(9, 3, {}, [](std::uint64_t seed) { return Simulation(seed).run(); });
  EXPECT_EQ(taken[2].hash, here.hash);
}

}  // namespace
}  // namespace troth::sim
