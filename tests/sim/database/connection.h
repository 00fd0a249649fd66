// tests/sim/database/connection.h
//
// A session of a model database as an agent's sessions use it: each call waits, in a fiber, for the answer.
#pragma once

#include <memory>

#include "participant_agent/runtime/database_connection.h"
#include "tests/sim/database/database.h"

namespace troth::sim {

// In a fiber of the program that connects. `read_timeout`: the longest silence inside one call, as a driver's; past it the
// connection counts as lost.
[[nodiscard]] Result<std::unique_ptr<agent::DatabaseConnection>> connect_to_model(
    Database& database, const std::string& role, const agent::SessionSettings& settings,
    Duration read_timeout);

}  // namespace troth::sim
