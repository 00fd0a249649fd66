#include "bench/process_stat.h"

#include <gtest/gtest.h>

namespace troth::bench {
namespace {

constexpr auto kLine =
    "4711 (postgres) S 4700 4711 4711 0 -1 4194560 3072 120 0 0 150 50 7 3 20 0 1 0 123456 227000000 4096\n";

TEST(ProcessStat, ReadsParentAndTicks) {
  const auto stat = parse_process_stat(kLine);
  ASSERT_TRUE(stat) << stat.error().message;
  EXPECT_EQ(stat->pid, 4711);
  EXPECT_EQ(stat->parent, 4700);
  EXPECT_EQ(stat->own_ticks, 200U);
  EXPECT_EQ(stat->children_ticks, 10U);
}

TEST(ProcessStat, ReadsANameWithSpacesAndParentheses) {
  const auto stat =
      parse_process_stat("12 (a) S 1 (b)) R 3 12 12 0 -1 4194560 1 1 0 0 1 2 3 4 20 0 1 0 5 6 7");
  ASSERT_TRUE(stat) << stat.error().message;
  EXPECT_EQ(stat->pid, 12);
  EXPECT_EQ(stat->parent, 3);
  EXPECT_EQ(stat->own_ticks, 3U);
  EXPECT_EQ(stat->children_ticks, 7U);
}

TEST(ProcessStat, RefusesWhatIsNotSuchALine) {
  for (const auto* text :
       {"", "12", "12 (x", "12 (x)", "12 (x) R 3 4 5", "x (x) R 3 12 12 0 -1 4 1 1 0 0 1 2 3 4",
        "12 (x) R 3 12 12 0 -1 4 1 1 0 0 one 2 3 4", ") (", "1 )("})
    EXPECT_FALSE(parse_process_stat(text)) << text;
}

TEST(FamilyTicks, AddsUpAServerAndItsSessions) {
  const std::vector<ProcessStat> processes = {
      {.pid = 10, .parent = 1, .own_ticks = 5, .children_ticks = 100},  // sessions that ended
      {.pid = 12, .parent = 10, .own_ticks = 7, .children_ticks = 0},
      {.pid = 11, .parent = 12, .own_ticks = 8, .children_ticks = 1},
      {.pid = 13, .parent = 1, .own_ticks = 1000, .children_ticks = 0},  // somebody else
  };
  const auto ticks = family_ticks(processes, 10);
  ASSERT_TRUE(ticks);
  EXPECT_EQ(*ticks, 121U);
}

TEST(FamilyTicks, SaysSoWhenTheProcessHasGone) {
  const auto ticks = family_ticks({{.pid = 10, .parent = 9, .own_ticks = 5, .children_ticks = 0}}, 9);
  ASSERT_FALSE(ticks);
  EXPECT_EQ(ticks.error().message, "process 9 has gone");
}

}  // namespace
}  // namespace troth::bench
