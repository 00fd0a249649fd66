// base/runtime/crash_points.h
//
// Named moments at which a test makes a process die (or stand still, so that something else can be killed
// meanwhile). Each program lists its names in its own runtime/crash_points.h, as an enum and this:
//
//   enum class CrashPoint : std::uint8_t { kAfterChooseDurable, ... };
//   inline constexpr auto kCrashPoints = crash_point_names<CrashPoint>({
//       {CrashPoint::kAfterChooseDurable, "coordinator.after_choose_durable"}, ...});
//   inline void reach(CrashPoint point) { reach_crash_point(kCrashPoints[std::to_underlying(point)]); }
//
// At most one point is armed, by configuration: [testing] crash_point = "...". Until then a point costs one
// load and one predictable branch. Safe from every thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace troth {

enum class CrashAction : std::uint8_t {
  kKill,  // SIGKILL to itself: nothing is flushed, nothing is said goodbye to
  kStop,  // SIGSTOP to itself, until somebody sends SIGCONT
};

struct CrashSettings {
  std::string point;  // empty: nothing is armed
  CrashAction action = CrashAction::kKill;
  std::uint32_t hit = 1;  // the n-th time that the point is reached; later times do nothing
};

// The names in the order of the enum; a missing, doubled or misplaced one does not compile.
template <typename Point, std::size_t N>
consteval std::array<std::string_view, N> crash_point_names(
    const std::pair<Point, std::string_view> (&names)[N]) {
  std::array<std::string_view, N> list{};
  for (std::size_t i = 0; i < N; ++i) {
    if (static_cast<std::size_t>(std::to_underlying(names[i].first)) != i) throw "points out of order";
    list[i] = names[i].second;
  }
  return list;
}

namespace crash_points_detail {
// The first letter of the armed name; the names are literals, so that their address identifies them.
inline std::atomic<const char*> armed{nullptr};
void reached();
}  // namespace crash_points_detail

inline void reach_crash_point(std::string_view name) {
  if (crash_points_detail::armed.load(std::memory_order_relaxed) == name.data()) [[unlikely]]
    crash_points_detail::reached();
}

// `names` must be the very list that the points are reached with. Refuses a name that is not in it.
[[nodiscard]] Status arm_crash_point(std::span<const std::string_view> names, const CrashSettings& settings);

}  // namespace troth
