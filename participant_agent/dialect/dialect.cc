#include "participant_agent/dialect/dialect.h"

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/dialect/dialects.h"

namespace troth::agent {

const Dialect& dialect_of(DatabaseKind kind) {
  switch (kind) {
    case DatabaseKind::kPostgres: return postgres_dialect();
    case DatabaseKind::kMysql: return mysql_dialect();
    case DatabaseKind::kMariadb: return mariadb_dialect();
  }
  CHECK(false, "no dialect for kind {}", static_cast<int>(kind));
  return postgres_dialect();
}

std::string unread_calls(std::string_view table) {
  return fmt::format(
      "SELECT client, request_id FROM {} WHERE request_id IS NOT NULL GROUP BY client, request_id "
      "HAVING COUNT(*) > 1 ORDER BY client, request_id LIMIT {}",
      table, kRepeatedRequestsShown);
}

}  // namespace troth::agent
