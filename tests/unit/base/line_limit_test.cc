#include "base/line_limit.h"

#include <gtest/gtest.h>

namespace troth {
namespace {

using namespace std::chrono_literals;

TEST(LineLimit, PassesAFewAtOnceThenSomeInASecondAndCountsTheRest) {
  constexpr LineRate kRate{.at_once = 3, .per_second = 1};
  LineLimit limit;
  const Instant now{5s};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(limit.take(now, kRate), 0U);
  EXPECT_EQ(limit.take(now + 10ms, kRate), std::nullopt);
  EXPECT_EQ(limit.take(now + 900ms, kRate), std::nullopt);
  EXPECT_EQ(limit.take(now + 1s, kRate), 2U);
  EXPECT_EQ(limit.take(now + 1s, kRate), std::nullopt);
  EXPECT_EQ(limit.take(now + 100s, kRate), 1U);
  EXPECT_EQ(limit.take(now + 100s, kRate), 0U);
  EXPECT_EQ(limit.take(now + 100s, kRate), 0U);
  EXPECT_EQ(limit.take(now + 100s, kRate), std::nullopt) << "what was not used does not add up past the few";
}

}  // namespace
}  // namespace troth
