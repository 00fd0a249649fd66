// A failing seed becomes a small one that fails of the same, within its limits.
#include "tests/sim/tool/shrink.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troth::sim {
namespace {

using testing::ElementsAre;

Swarm large() {
  Swarm swarm;
  swarm.clients = 3;
  swarm.transfers = 12;
  swarm.agents = 2;
  swarm.accounts = 6;
  swarm.network.lost = 500;
  swarm.safety = std::chrono::seconds(10);
  return swarm;
}

Outcome broken(std::string why) {
  Outcome outcome;
  outcome.events = 1;
  outcome.strikes.assign(20, "pause");
  outcome.strikes[6] = "power cut";
  outcome.broken = {std::move(why)};
  return outcome;
}

Outcome whole() {
  auto outcome = broken("");
  outcome.broken.clear();
  return outcome;
}

TEST(Shrink, WhatTheBreakDoesNotNeedIsLeftOut) {
  // It takes the seventh and the thirteenth strike, and five transfers.
  const auto small = shrink({}, broken("T2: told of 1"), large(), {}, [](const Variation& variation) {
    const auto swarm = varied(large(), variation);
    return variation.has_strike(7) && variation.has_strike(13) && swarm.transfers >= 5
               ? broken("T2: told of another")
               : whole();
  });
  EXPECT_EQ(small.variation.text(),
            "accounts=2,agents=1,clients=1,lost=0,safety_ms=1,transfers=5,strikes=7+13");
  EXPECT_THAT(small.outcome.broken, ElementsAre("T2: told of another"));
  EXPECT_TRUE(small.has_ended);
  EXPECT_LT(small.runs, 60U);
}

TEST(Shrink, AnotherBreakIsNotTheSame) {
  const auto small =
      shrink({}, broken("T2: x"), large(), {}, [](const Variation&) { return broken("T3: x"); });
  EXPECT_TRUE(small.variation.is_empty());
  EXPECT_THAT(small.outcome.broken, ElementsAre("T2: x"));
}

TEST(Shrink, EndsAtItsLimit) {
  std::uint32_t runs = 0;
  const auto small = shrink({}, broken("T2: x"), large(), {.runs = 10}, [&](const Variation& variation) {
    ++runs;
    return variation.has_strike(7) && variation.has_strike(13) ? broken("T2: x") : whole();
  });
  EXPECT_EQ(runs, 10U);
  EXPECT_FALSE(small.has_ended);
}

TEST(Shrink, OnlyWhatIsLeftIsMadeSmaller) {
  const auto begin = Variation::read("strikes=3+7,clients=2");
  ASSERT_TRUE(begin);
  std::set<std::string> tried;
  const auto small = shrink(*begin, broken("T2: x"), large(), {}, [&](const Variation& variation) {
    EXPECT_FALSE(variation.has_strike(1));
    return variation.has_strike(7) ? broken("T2: x") : whole();
  });
  EXPECT_THAT(*small.variation.strikes, ElementsAre(7));
  EXPECT_EQ(small.variation.numbers.at("clients"), 1U);
}

TEST(Shrink, RunThatDiedAndToldNothingIsShrunkToo) {
  Outcome died;
  died.broken = {"CHECK in a.cc line 5: x"};
  const auto small = shrink({}, died, large(), {}, [&](const Variation& variation) {
    return variation.has_strike(7) && variation.has_strike(13) ? died : whole();
  });
  EXPECT_THAT(*small.variation.strikes, ElementsAre(7, 13));
  EXPECT_TRUE(small.has_ended);
}

// What a run comes to that is told that a power cut of an agent is forbidden where something was committed.
Outcome forbidding(std::uint64_t seed, const Variation& variation) {
  auto outcome = Simulation(seed, variation).run();
  if (outcome.faults.contains("power cut of an agent") && outcome.committed >= 3)
    outcome.broken.emplace_back("forbidden: there was a power cut");
  return outcome;
}

TEST(Shrink, RealRunIsShrunkAndReplays) {
  std::uint64_t seed = 1;
  auto failed = forbidding(seed, {});
  while (failed.broken.empty() || failed.strikes.size() < 5) {
    ASSERT_LT(seed, 500U);
    failed = forbidding(++seed, {});
  }
  World world(seed, Trace());
  const auto small = shrink({}, failed, draw_swarm(world.random(Purpose::kSwarm)), {},
                            [seed](const Variation& variation) { return forbidding(seed, variation); });
  EXPECT_THAT(small.outcome.broken, ElementsAre("forbidden: there was a power cut"));
  ASSERT_TRUE(small.variation.strikes);
  EXPECT_EQ(small.variation.strikes->size(), 1U);
  EXPECT_LT(small.outcome.events, failed.events);
  // By its text, as somebody types it.
  const auto typed = Variation::read(small.variation.text());
  ASSERT_TRUE(typed);
  EXPECT_EQ(forbidding(seed, *typed).hash, small.outcome.hash);
}

TEST(Variation, LeavingAStrikeOutLeavesTheOthersAsTheyAre) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto all = Simulation(seed).run();
    Variation variation;
    variation.strikes.emplace();
    for (std::uint32_t number = 2; number <= all.strikes.size(); ++number)
      variation.strikes->insert(number);
    EXPECT_EQ(Simulation(seed, variation).run().strikes, all.strikes);
  }
}

TEST(Variation, TextSaysWhatIsWrongWithIt) {
  const auto why = [](std::string_view text) { return Variation::read(text).error().message; };
  EXPECT_THAT(why("clints=1"), testing::StartsWith("'clints' cannot be set; what can: safety_ms, clients,"));
  EXPECT_EQ(why("clients=0"), "clients is at least 1");
  EXPECT_EQ(why("clients=many"), "'many' is no number from 0 to 4294967295");
  EXPECT_EQ(why("clients"), "'clients' is no NAME=VALUE");
  EXPECT_EQ(Variation::read("strikes=")->strikes->size(), 0U);
}

TEST(Variation, EachKnobIsReadAsItWasWritten) {
  for (const auto& knob : knobs()) {
    Swarm swarm;
    knob.write(swarm, knob.least + 1);
    EXPECT_EQ(knob.read(swarm), knob.least + 1) << knob.name;
    knob.write(swarm, knob.least);
    EXPECT_EQ(knob.read(swarm), knob.least) << knob.name;
  }
}

TEST(Shrink, AnInvariantIsNamedWhicheverNodeBrokeIt) {
  EXPECT_EQ(invariant_of("journal of ag1: x: y"), invariant_of("journal of ag2: z"));
  EXPECT_NE(invariant_of("T2: x"), invariant_of("T3: x"));
  EXPECT_NE(invariant_of("CHECK in a.cc line 5: x"), invariant_of("CHECK in a.cc line 6: x"));
}

}  // namespace
}  // namespace troth::sim
