// tests/sim/invariants/in_doubt.h
//
// What may still follow.
#pragma once

#include <set>
#include <string>

#include "base/ids.h"

namespace troth::sim {

class Simulation;

// In which databases the transaction is prepared, and not ended.
[[nodiscard]] std::set<std::size_t> in_doubt(const Simulation& simulation, const std::string& transaction);

}  // namespace troth::sim
