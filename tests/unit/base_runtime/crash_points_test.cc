#include "base/runtime/crash_points.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

namespace troth {
namespace {

enum class Point : std::uint8_t { kFirst, kSecond };
constexpr auto kPoints =
    crash_point_names<Point>({{Point::kFirst, "test.first"}, {Point::kSecond, "test.second"}});

void reach(Point point) {
  reach_crash_point(kPoints[std::to_underlying(point)]);
}

TEST(CrashPoints, NothingHappensWhileNothingIsArmed) {
  ASSERT_TRUE(arm_crash_point(kPoints, {}));
  reach(Point::kFirst);
  reach(Point::kSecond);
}

TEST(CrashPoints, OnlyTheArmedPointKills) {
  const auto reach_both = [] {
    CHECK(arm_crash_point(kPoints, {.point = "test.second"}).has_value());
    reach(Point::kFirst);
    std::fputs("passed the first\n", stderr);
    reach(Point::kSecond);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(reach_both(), testing::KilledBySignal(SIGKILL),
              "passed the first\ncrash point test.second reached");
}

TEST(CrashPoints, AnUnknownNameIsRefusedWithTheNearest) {
  const auto armed = arm_crash_point(kPoints, {.point = "test.frist"});
  ASSERT_FALSE(armed);
  EXPECT_THAT(armed.error().message, testing::HasSubstr("did you mean 'test.first'?"));
}

}  // namespace
}  // namespace troth
