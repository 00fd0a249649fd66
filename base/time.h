// base/time.h
//
// Two clocks, never mixed. `Instant` is CLOCK_BOOTTIME (it goes on while the machine sleeps): deadlines and
// timeouts. `WallTime` is UTC: retention, and the age of a request_id. Pure code never reads a clock; every
// input carries the time as read after it left its queue.
#pragma once

#include <chrono>
#include <cstdint>

namespace troth {

using Duration = std::chrono::microseconds;

struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};

using Instant = BootClock::time_point;
using WallTime = std::chrono::sys_time<Duration>;

}  // namespace troth
