// tests/sim/operator/new_reign.h
//
// Somebody has restored the coordinator's disk from a backup, and does what docs/tool.md says, before its first start:
// `troth cluster new-reign`, on its machine, while no coordinator runs there.
//
//   each agent's list --> what the store has no commit of --> stands it as committed elsewhere? its branch is ended alike
//     '<------------------------------------------------------------- until nothing is left of that <------------'
//   then the epoch is taken, above all that were seen, and the coordinator may start
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "tests/sim/nodes/machine.h"

namespace troth::sim {

struct NewReign {
  ClusterId cluster;
  std::vector<std::string> agents;  // their addresses
  std::uint64_t segment_bytes = 0;
  // A look into the resources: a marker of it stands there as committed.
  std::function<bool(const TransactionId&)> stands_committed;
  // A branch is about to be ended at its agent, without a coordinator.
  std::function<void(const BranchId&)> ends;
  std::function<void()> done;
};

[[nodiscard]] Node::Boot new_reign_program(NewReign plan);

}  // namespace troth::sim
