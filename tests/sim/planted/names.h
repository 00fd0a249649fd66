// tests/sim/planted/names.h
//
// Which bugs this simulator was built with.
#pragma once

#include <span>
#include <string_view>

namespace troth::sim {

[[nodiscard]] std::span<const std::string_view> planted_names();

}  // namespace troth::sim
