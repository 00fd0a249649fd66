// participant_agent/runtime/postgres_connection.h
//
// A session of a Postgres database, through libpqxx 6.4.
//
// [T12] libpqxx reconnects by itself: inside a lost transaction the third call runs in autocommit on a new
// backend, and PREPARE TRANSACTION "succeeds" there. This connection opens once and never again.
//
// A client's statements go through libpq on the same connection, row by row: libpqxx reads a result whole
// before anybody can count it, and drops the constraint's name and the transaction's status.
#pragma once

#include <memory>

#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

[[nodiscard]] Result<std::unique_ptr<DatabaseConnection>> connect_to_postgres(const ConnectOptions& options);

}  // namespace troth::agent
