#include "base/runtime/alarm.h"

#include <memory>

#include <gtest/gtest.h>

namespace troth {
namespace {

using namespace std::chrono_literals;

struct AlarmTest : testing::Test {
  void run_for(Duration time) {
    loop.run_for(time);
    loop.restart();
  }

  asio::io_context loop;
  int rings = 0;
  Instant rang_at{};
  Alarm alarm{loop, [this] {
                ++rings;
                rang_at = boot_now();
              }};
};

TEST_F(AlarmTest, RingsOnceAtItsTimeAndNotBefore) {
  const Instant at = boot_now() + 20ms;
  alarm.set(at);
  run_for(200ms);
  EXPECT_EQ(rings, 1);
  EXPECT_GE(rang_at, at);
}

TEST_F(AlarmTest, LaterTimeCountsAndRingsOnce) {
  alarm.set(boot_now() + 10ms);
  const Instant later = boot_now() + 60ms;
  alarm.set(later);
  run_for(300ms);
  EXPECT_EQ(rings, 1);
  EXPECT_GE(rang_at, later);
}

TEST_F(AlarmTest, EarlierTimeCountsAndRingsOnce) {
  const Instant later = boot_now() + 10s;
  alarm.set(later);
  alarm.set(boot_now() + 10ms);
  run_for(300ms);
  EXPECT_EQ(rings, 1);
  EXPECT_LT(rang_at, later);
}

TEST_F(AlarmTest, NoTimeAndStopDoNotRing) {
  alarm.set(boot_now() + 10ms);
  alarm.set(std::nullopt);
  run_for(50ms);
  alarm.set(boot_now() + 10ms);
  alarm.stop();
  run_for(50ms);
  EXPECT_EQ(rings, 0);
}

TEST_F(AlarmTest, TimeThatHasPassedRingsOnTheNextTurn) {
  alarm.set(boot_now() - 1s);
  EXPECT_EQ(rings, 0);
  run_for(50ms);
  EXPECT_EQ(rings, 1);
}

// Also one that has rung already, and waits for its turn of the loop.
TEST_F(AlarmTest, NothingRingsAfterItsEnd) {
  auto gone = std::make_unique<Alarm>(loop, [this] { ++rings; });
  bool ended = false;
  asio::steady_timer first(loop, 5ms);
  first.async_wait([&](const asio::error_code&) {
    while (boot_now() < rang_at) {
    }
    gone.reset();
    ended = true;
  });
  rang_at = boot_now() + 20ms;
  gone->set(boot_now() + 5ms);
  run_for(100ms);
  EXPECT_TRUE(ended);
  EXPECT_EQ(rings, 0);
}

// A replica that never tries to lead sets it for that; more than a timer's own units take would spin.
TEST_F(AlarmTest, ATimeThatNeverComesKeepsTheLoopAsleep) {
  alarm.set(Instant::max());
  EXPECT_EQ(loop.run_for(20ms), 0U);
  EXPECT_EQ(rings, 0);
}

TEST_F(AlarmTest, MayBeSetAgainWhileItRings) {
  std::unique_ptr<Alarm> again;
  int times = 0;
  again = std::make_unique<Alarm>(loop, [&] {
    if (++times < 3) again->set(boot_now() + 1ms);
  });
  again->set(boot_now());
  run_for(200ms);
  EXPECT_EQ(times, 3);
}

}  // namespace
}  // namespace troth
