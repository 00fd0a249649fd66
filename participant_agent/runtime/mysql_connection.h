// participant_agent/runtime/mysql_connection.h
//
// A session of a MySQL or MariaDB schema, through MySQL Connector/C++ 1.1.
//
// The texts of one step travel as one call (CLIENT_MULTI_STATEMENTS), and their results are walked by count:
// the driver's "no more results" cannot be told from a statement without rows. A client's statement never
// does: the servers refuse several statements in a prepared one.
#pragma once

#include <memory>

#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

// `kind`: what the configuration says; a server of the other kind is refused.
[[nodiscard]] Result<std::unique_ptr<DatabaseConnection>> connect_to_mysql(DatabaseKind kind,
                                                                           const ConnectOptions& options);

}  // namespace troth::agent
