#include "base/runtime/clock.h"

#include <time.h>

#include "base/check.h"

namespace troth {
namespace {

Duration read_clock(clockid_t clock) {
  timespec now{};
  const int result = clock_gettime(clock, &now);
  CHECK(result == 0, "clock {} cannot be read", clock);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(now.tv_sec) +
                                              std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace

Instant boot_now() {
  return Instant(read_clock(CLOCK_BOOTTIME));
}

WallTime wall_now() {
  return WallTime(read_clock(CLOCK_REALTIME));
}

}  // namespace troth
