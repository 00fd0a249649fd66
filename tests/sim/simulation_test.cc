// Some hundreds of seeds, each checked against every invariant, and that a seed is one run and no other.
#include "tests/sim/simulation.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/rare_situations.h"
#include "tests/sim/tool/report.h"

namespace troth::sim {
namespace {

std::vector<std::string> lines_of(std::uint64_t seed) {
  std::vector<std::string> lines;
  static_cast<void>(Simulation(seed, {}, [&](std::string_view line) { lines.emplace_back(line); }).run());
  return lines;
}

TEST(Simulation, EachSeedTwiceGivesTheSameHash) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    const auto once = Simulation(seed).run();
    const auto again = Simulation(seed).run();
    EXPECT_EQ(once.events, again.events) << "seed " << seed;
    if (once.hash == again.hash) continue;
    const auto first = lines_of(seed);
    const auto second = lines_of(seed);
    const auto [a, b] = std::ranges::mismatch(first, second);
    FAIL() << "seed " << seed << " is two runs, from here on:\n"
           << (a == first.end() ? "its end" : *a) << "\n"
           << (b == second.end() ? "its end" : *b);
  }
}

TEST(Simulation, WhetherItsTraceIsReadChangesNothing) {
  std::size_t lines = 0;
  Simulation read(7, {}, [&](std::string_view) { ++lines; });
  const auto outcome = read.run();
  EXPECT_EQ(outcome.hash, Simulation(7).run().hash);
  EXPECT_EQ(outcome.events, lines);
}

TEST(Simulation, DifferentSeedsAreDifferentRuns) {
  EXPECT_NE(Simulation(1).run().hash, Simulation(2).run().hash);
}

// [T1] to [T12], as far as the invariants see them. In parts: under a sanitizer a seed takes a second.
constexpr std::uint64_t kSeedsOfAPart = 50;
class SimulationSeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SimulationSeeds, BreakNoInvariant) {
  Report report;
  const auto first = GetParam() * kSeedsOfAPart + 1;
  for (auto seed = first; seed < first + kSeedsOfAPart; ++seed) {
    const auto outcome = Simulation(seed).run();
    for (const auto& broken : outcome.broken)
      ADD_FAILURE() << broken << "\n  replay: make sim SEED=" << seed;
    report.add(outcome);
  }
  // They did something, too.
  EXPECT_GT(report.committed(), 200U);
  EXPECT_GE(report.met(), kRareSituations.size() / 3);
}

INSTANTIATE_TEST_SUITE_P(Parts, SimulationSeeds, testing::Range(std::uint64_t{0}, std::uint64_t{6}));

}  // namespace
}  // namespace troth::sim
