// tests/sim/shim/base/runtime/crash_points.h
//
// Stands in for the file of that name: a point that is reached asks the running node, which may die there.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace troth {

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

void reach_crash_point(std::string_view name);

}  // namespace troth
