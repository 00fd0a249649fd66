// base/runtime/clock.h
//
// Reads the two clocks of base/time.h. Only runtimes may; what they read goes into the pure machines as
// input.
#pragma once

#include "base/time.h"

namespace troth {

// CLOCK_BOOTTIME: goes on while the machine sleeps, so that a paused process sees its deadlines passed.
[[nodiscard]] Instant boot_now();

// CLOCK_REALTIME, UTC.
[[nodiscard]] WallTime wall_now();

}  // namespace troth
