#include "participant_agent/runtime/database_connection.h"

#include "participant_agent/runtime/mysql_connection.h"
#include "participant_agent/runtime/postgres_connection.h"

namespace troth::agent {

Result<std::unique_ptr<DatabaseConnection>> connect_to(DatabaseKind kind, const ConnectOptions& options) {
  switch (kind) {
    case DatabaseKind::kPostgres: return connect_to_postgres(options);
    case DatabaseKind::kMysql:
    case DatabaseKind::kMariadb: return connect_to_mysql(kind, options);
  }
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, "no such kind of database");
}

}  // namespace troth::agent
