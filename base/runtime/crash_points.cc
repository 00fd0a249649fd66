#include "base/runtime/crash_points.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "base/nearest_name.h"

namespace troth {
namespace {

// Written before `armed`, which publishes them.
std::string armed_name;
CrashAction armed_action = CrashAction::kKill;
std::atomic<std::uint32_t> hits_left{0};

}  // namespace

void crash_points_detail::reached() {
  (void)armed.load(std::memory_order_acquire);  // sees what was written before it was published
  if (hits_left.fetch_sub(1) != 1) return;
  armed.store(nullptr);
  const auto line = fmt::format("crash point {} reached: {}\n", armed_name,
                                armed_action == CrashAction::kKill ? "kill" : "stop");
  // Whether a test sees the line or not, the process ends here.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  // To this very thread, so that it does not run on while another takes the signal.
  ::raise(armed_action == CrashAction::kKill ? SIGKILL : SIGSTOP);
}

Status arm_crash_point(std::span<const std::string_view> names, const CrashSettings& settings) {
  crash_points_detail::armed.store(nullptr);
  if (settings.point.empty()) return {};
  const auto found = std::ranges::find(names, std::string_view(settings.point));
  if (found == names.end()) {
    const std::vector<std::string> known(names.begin(), names.end());
    const auto nearest = nearest_name(settings.point, known);
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("testing.crash_point: no point '{}'; {}", settings.point,
                            nearest ? fmt::format("did you mean '{}'?", *nearest)
                                    : "--list-crash-points lists all of them"));
  }
  armed_name = settings.point;
  armed_action = settings.action;
  hits_left.store(std::max<std::uint32_t>(1, settings.hit));
  crash_points_detail::armed.store(found->data(), std::memory_order_release);
  return {};
}

}  // namespace troth
