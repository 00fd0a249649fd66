#include "tests/sim/nodes/crash_point_names.h"

#include "coordinator/runtime/crash_points.h"
#include "participant_agent/runtime/crash_points.h"

namespace troth::sim {

std::span<const std::string_view> coordinator_crash_points() {
  return coordinator::kCrashPoints;
}

std::span<const std::string_view> agent_crash_points() {
  return agent::kCrashPoints;
}

}  // namespace troth::sim
