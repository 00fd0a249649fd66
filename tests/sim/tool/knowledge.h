// tests/sim/tool/knowledge.h
//
// What a run that broke something knew at its end of those that are concerned: for the last lines of its trace.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/simulation.h"

namespace troth::sim {

// Of the transfers that `broken` names, or, where it names none, of those that have no end.
[[nodiscard]] std::vector<std::string> what_is_known(const Simulation& simulation,
                                                     const std::vector<std::string>& broken);

}  // namespace troth::sim
