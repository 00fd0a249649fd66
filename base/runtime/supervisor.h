// base/runtime/supervisor.h
//
// What systemd hears from a process, when it started it. Without NOTIFY_SOCKET every call does nothing.
#pragma once

#include <optional>

#include "base/time.h"

namespace troth {

void notify_ready();
void notify_stopping();
void notify_alive();

// How often notify_alive() is due: half of what systemd waits. Nothing when no watchdog is asked for.
[[nodiscard]] std::optional<Duration> watchdog_period();

}  // namespace troth
