#include "base/line_limit.h"

#include <gtest/gtest.h>

namespace troth {
namespace {

using namespace std::chrono_literals;

TEST(LineLimit, PassesSoManyInASecondAndCountsTheRest) {
  LineLimit limit;
  const Instant now{5s};
  EXPECT_EQ(limit.take(now, 2), 0U);
  EXPECT_EQ(limit.take(now + 10ms, 2), 0U);
  EXPECT_EQ(limit.take(now + 20ms, 2), std::nullopt);
  EXPECT_EQ(limit.take(now + 999ms, 2), std::nullopt);
  EXPECT_EQ(limit.take(now + 1s, 2), 2U);
  EXPECT_EQ(limit.take(now + 1s, 2), 0U);
  EXPECT_EQ(limit.take(now + 1s, 2), std::nullopt);
}

}  // namespace
}  // namespace troth
