#include "participant_agent/dialect/dialect.h"

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

}  // namespace troth::agent
