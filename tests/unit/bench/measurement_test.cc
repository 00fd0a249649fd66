#include "bench/measurement.h"

#include <gtest/gtest.h>

namespace troth::bench {
namespace {

using std::chrono::milliseconds;

Round round_of(int transfers, Duration latency, Duration elapsed) {
  Round round;
  round.latencies.assign(static_cast<std::size_t>(transfers), latency);
  round.elapsed = elapsed;
  return round;
}

TEST(Summary, TakesTheMedianOfTheRounds) {
  const auto summary = summarise({round_of(100, milliseconds(1), milliseconds(1000)),
                                  round_of(300, milliseconds(3), milliseconds(1000)),
                                  round_of(120, milliseconds(2), milliseconds(1000))});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_DOUBLE_EQ(summary->tps, 120);
  EXPECT_DOUBLE_EQ(summary->p50_ms, 2);
  EXPECT_DOUBLE_EQ(summary->p99_ms, 2);
  EXPECT_EQ(summary->committed, 520U);
  EXPECT_EQ(summary->tps_of_rounds, (std::vector<double>{100, 300, 120}));
}

TEST(Summary, SortsLatenciesThatCameInAnyOrder) {
  Round round;
  round.latencies = {milliseconds(9), milliseconds(1), milliseconds(5)};
  round.elapsed = milliseconds(15);
  const auto summary = summarise({round});
  ASSERT_TRUE(summary);
  EXPECT_DOUBLE_EQ(summary->p50_ms, 5);
  EXPECT_DOUBLE_EQ(summary->p99_ms, 9);
  EXPECT_DOUBLE_EQ(summary->tps, 200);
}

TEST(Summary, DividesCpuSyncsAndConflictsOverAllRounds) {
  Round first = round_of(10, milliseconds(1), milliseconds(10));
  first.cpu = {{"agent", 4}, {"postgres", 20}};
  first.log_syncs = 3;
  first.conflicts = 1;
  Round second = round_of(30, milliseconds(1), milliseconds(10));
  second.cpu = {{"agent", 8}, {"postgres", 20}};
  second.log_syncs = 7;
  second.conflicts = 2;
  const auto summary = summarise({first, second});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->conflicts, 3U);
  EXPECT_DOUBLE_EQ(summary->syncs_per_transaction, 0.25);
  EXPECT_EQ(summary->cpu_per_transaction, (CpuMs{{"agent", 0.3}, {"postgres", 1}}));
}

TEST(Summary, RefusesARoundInWhichNothingCommitted) {
  const auto summary = summarise({round_of(1, milliseconds(1), milliseconds(10)), Round{}});
  ASSERT_FALSE(summary);
  EXPECT_NE(summary.error().message.find("round 2 of 2 committed nothing"), std::string::npos)
      << summary.error().message;
}

TEST(Summary, RefusesToSpeakOfNoRoundAtAll) {
  EXPECT_FALSE(summarise({}));
}

}  // namespace
}  // namespace troth::bench
