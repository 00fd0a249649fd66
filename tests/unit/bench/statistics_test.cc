#include "bench/statistics.h"

#include <gtest/gtest.h>

namespace troth::bench {
namespace {

TEST(Percentile, IsTheNearestRankAndNeverAValueInBetween) {
  const std::vector<double> ten = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(percentile(ten, 50), 5);
  EXPECT_EQ(percentile(ten, 51), 6);
  EXPECT_EQ(percentile(ten, 90), 9);
  EXPECT_EQ(percentile(ten, 99), 10);
  EXPECT_EQ(percentile(ten, 100), 10);
}

TEST(Percentile, OfASingleSampleIsThatSample) {
  EXPECT_EQ(percentile({7.5}, 1), 7.5);
  EXPECT_EQ(percentile({7.5}, 99), 7.5);
}

TEST(Percentile, OfAHundredSamplesLeavesOneAboveTheNinetyNinth) {
  std::vector<double> samples;
  for (int i = 1; i <= 100; ++i)
    samples.push_back(i);
  EXPECT_EQ(percentile(samples, 99), 99);
}

TEST(PercentileDeathTest, OfNothingIsADefect) {
  EXPECT_DEATH((void)percentile({}, 50), "CHECK failed");
}

TEST(Median, DoesNotDependOnTheOrder) {
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({3}), 3);
}

TEST(Median, OfAnEvenNumberIsTheMeanOfTheTwoInTheMiddle) {
  EXPECT_EQ(median({4, 1, 3, 100}), 3.5);
}

TEST(Median, IsNotMovedByOneRoundThatWentWrong) {
  EXPECT_EQ(median({300, 310, 2}), 300);
}

}  // namespace
}  // namespace troth::bench
