// tests/sim/nodes/programs.h
//
// The two servers, whole, as programs of a machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "coordinator/runtime/settings.h"
#include "participant_agent/runtime/settings.h"
#include "tests/sim/database/database.h"
#include "tests/sim/nodes/machine.h"

namespace troth::sim {

// Where a coordinator keeps the decisions that are its own, and where those of its group.
inline constexpr const char* kLocalLog = "/log";
inline constexpr const char* kGroupLog = "/group";

struct CoordinatorPlan {
  ClusterId cluster;
  std::string address;
  coordinator::CoordinatorSettings settings;
};

struct AgentPlan {
  ClusterId cluster;
  AgentId agent;
  std::string address;
  agent::AgentSettings settings;
  std::vector<Database*> databases;  // resource by resource, as settings.resources
};

[[nodiscard]] Node::Boot coordinator_program(CoordinatorPlan plan);
[[nodiscard]] Node::Boot agent_program(AgentPlan plan);

}  // namespace troth::sim
