// tests/sim/planted/planted.h
//
// Whether the bug of that name is switched on. Only the copy of the sources that troth-sim-planted is built from asks:
// each `NAME.patch` beside this file plants one bug there, and the product's own sources know nothing of it.
//
//   if (troth::planted("NAME")) <the mistake> else <what is right>
#pragma once

#include <cstdint>
#include <string_view>

namespace troth {

// Set once, before anything runs. Empty: none.
inline std::string_view chosen_plant;
// How often the chosen one was asked for: one that no seed came to was not sought.
inline std::uint64_t plant_reached = 0;

[[nodiscard]] inline bool planted(std::string_view name) {
  if (name != chosen_plant) return false;
  ++plant_reached;
  return true;
}

}  // namespace troth
