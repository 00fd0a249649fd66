// tests/sim/invariants/committed.h
//
// The databases' own word on what committed: a marker in state `committed` is true once it is visible [T9].
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/ids.h"

namespace troth::sim {

class Simulation;

// By request: which transaction committed it, in which databases.
using CommittedBy = std::map<RequestKey, std::map<std::string, std::set<std::size_t>>>;

// In which databases the transaction is prepared, and not ended.
[[nodiscard]] std::set<std::size_t> in_doubt(const Simulation& simulation, const std::string& transaction);

[[nodiscard]] CommittedBy committed_by_request(const Simulation& simulation);

}  // namespace troth::sim
