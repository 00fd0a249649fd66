// tests/sim/tool/outcome_line.h
//
// An outcome as one line of JSON: between processes, and for whoever counts.
#pragma once

#include <string>
#include <string_view>

#include "tests/sim/simulation.h"

namespace troth::sim {

[[nodiscard]] std::string line_of(const Outcome& outcome);
// Only of a line that `line_of` made.
[[nodiscard]] Outcome outcome_of(std::string_view line);

}  // namespace troth::sim
