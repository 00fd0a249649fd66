#include "participant_agent/runtime/database_connection.h"

#include "participant_agent/runtime/mysql_connection.h"
#include "participant_agent/runtime/postgres_connection.h"

namespace troth::agent {

namespace {

Result<std::unique_ptr<DatabaseConnection>> open(DatabaseKind kind, const ConnectOptions& options) {
  switch (kind) {
    case DatabaseKind::kPostgres: return connect_to_postgres(options);
    case DatabaseKind::kMysql:
    case DatabaseKind::kMariadb: return connect_to_mysql(kind, options);
  }
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, "no such kind of database");
}

}  // namespace

// A connection that is lost while it is set up says, as any, that its effect is unknown; but nobody's work was on it.
Result<std::unique_ptr<DatabaseConnection>> connect_to(DatabaseKind kind, const ConnectOptions& options) {
  auto opened = open(kind, options);
  if (!opened.has_value()) opened.error().effect = Effect::kNone;
  return opened;
}

}  // namespace troth::agent
