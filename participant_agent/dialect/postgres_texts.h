// participant_agent/dialect/postgres_texts.h
//
// Parts of Postgres' texts that its dialect and its pipeline share.
#pragma once

#include <string>
#include <string_view>

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

// Behind BEGIN; empty: the database's own.
[[nodiscard]] std::string_view isolation_clause(Isolation isolation);

// Fails (25P02) in a doomed transaction and (22P02) in any other than this branch's, and makes the local
// commit durable, whatever the client's statements set. A stronger remote_apply stays. `gid`: an expression.
[[nodiscard]] std::string prove_query(std::string_view gid);

}  // namespace troth::agent
