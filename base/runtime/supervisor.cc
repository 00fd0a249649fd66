#include "base/runtime/supervisor.h"

#include <systemd/sd-daemon.h>

namespace troth {

// A notification that does not arrive changes nothing here: systemd then acts on its own timeout.
void notify_ready() {
  sd_notify(0, "READY=1");
}

void notify_stopping() {
  sd_notify(0, "STOPPING=1");
}

void notify_alive() {
  sd_notify(0, "WATCHDOG=1");
}

std::optional<Duration> watchdog_period() {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return Duration(static_cast<Duration::rep>(microseconds / 2));
}

}  // namespace troth
