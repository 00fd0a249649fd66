// tests/sim/nodes/crash_point_names.h
//
// Where the servers can be made to die: their own lists.
#pragma once

#include <span>
#include <string_view>

namespace troth::sim {

[[nodiscard]] std::span<const std::string_view> coordinator_crash_points();
[[nodiscard]] std::span<const std::string_view> agent_crash_points();

}  // namespace troth::sim
