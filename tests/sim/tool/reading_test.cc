// What is left of a trace that somebody reads.
#include "tests/sim/tool/reading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/simulation.h"
#include "tests/sim/tool/knowledge.h"

namespace troth::sim {
namespace {

using testing::HasSubstr;

const std::string kRequest = "01a0c450-66e4-7f79-bf6d-a9f2455f430e";

std::vector<std::string> lines() {
  std::vector<std::string> all;
  Trace out([&](std::string_view line) { all.emplace_back(line); });
  const auto add = [&](std::string_view who, std::string_view what, std::string text) {
    out.event(Duration(1'000'000), who, what, 0, [&] { return text; });
  };
  add("cl1", "executes", kRequest);
  add("co", "hears", "cl1: execute request " + kRequest);
  add("ag1", "hears", "co: prepare bank-sim001.1.4.s1 branch 1 on r1");
  add("db1", "is asked", "by ag1 on session 2: clean up");
  add("ag1", "logs", "#7 counter raised");
  add("ag1", "has on disk", "#7");
  add("ag1", "has on disk", "#8");
  add("fault", "pause", "(strike 1)");
  add("ag2", "hears", "co: prepare bank-sim001.1.40 branch 1 on r2");
  add("co", "logs", "#9 watermark raised 1.4");
  add("co", "transaction committed", "transaction=bank-sim001.1.4.s1 request_id=" + kRequest);
  return all;
}

TEST(Reading, EverythingIsEverything) {
  EXPECT_EQ(wanted(lines(), {.everything = true}), lines());
}

TEST(Reading, WhatHappensAllTheTimeIsLeftOut) {
  const auto left = wanted(lines(), {});
  ASSERT_EQ(left.size(), 8U);
  EXPECT_THAT(left[3], HasSubstr("has on disk #8"));
}

TEST(Reading, WhoeverAsksAgainAndAgainIsLeftOut) {
  std::vector<std::string> all;
  Trace out([&](std::string_view line) { all.emplace_back(line); });
  for (int i = 1; i <= 10; ++i) {
    out.event(Duration(i), "cl1", "executes", 0, [] { return kRequest; });
    out.event(Duration(i), "co", "boots");
  }
  EXPECT_EQ(wanted(all, {}).size(), 13U);
  EXPECT_EQ(wanted(all, {.everything = true}), all);
}

TEST(Reading, OneMachineAndWhoSpeaksWithIt) {
  const auto left = wanted(lines(), {.nodes = {"ag2"}});
  ASSERT_EQ(left.size(), 2U);
  EXPECT_THAT(left[0], HasSubstr("fault  pause"));
  EXPECT_THAT(left[1], HasSubstr("ag2    hears"));
}

TEST(Reading, OneTransactionWithItsRequestAndNoOther) {
  const auto left = wanted(lines(), {.transaction = "1.4"});
  ASSERT_EQ(left.size(), 5U);
  EXPECT_THAT(left[0], HasSubstr("cl1    executes"));
  EXPECT_THAT(left[3], HasSubstr("fault"));
  EXPECT_THAT(left[4], HasSubstr("transaction committed"));
  EXPECT_EQ(wanted(lines(), {.transaction = "bank-sim001.1.4.s1"}), left);
  EXPECT_EQ(wanted(lines(), {.transaction = kRequest}), left);
}

TEST(Knowledge, SaysWhatWasToldOfATransferAndWhatTheDatabasesHold) {
  Simulation simulation(7);
  static_cast<void>(simulation.run());
  const auto& [key, by] = *simulation.committed().begin();
  const auto known = what_is_known(simulation, {"T2: " + by.begin()->first + " was told"});
  ASSERT_GE(known.size(), 3U);
  EXPECT_THAT(known[0], HasSubstr("request " + key.id.text() + " of cl1: "));
  EXPECT_THAT(known[1], HasSubstr("its client was told: committed " + by.begin()->first));
  EXPECT_THAT(known[2], HasSubstr(by.begin()->first + " has committed in db"));
}

}  // namespace
}  // namespace troth::sim
