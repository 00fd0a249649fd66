// participant_agent/dialect/database_kind.h
//
// The databases that Troth speaks to.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace troth::agent {

enum class DatabaseKind : std::uint8_t { kPostgres, kMysql, kMariadb };

[[nodiscard]] constexpr std::string_view name_of(DatabaseKind kind) {
  switch (kind) {
    case DatabaseKind::kPostgres: return "postgres";
    case DatabaseKind::kMysql: return "mysql";
    case DatabaseKind::kMariadb: return "mariadb";
  }
  return "invalid";
}

[[nodiscard]] constexpr std::optional<DatabaseKind> database_kind_of(std::string_view name) {
  if (name == "postgres") return DatabaseKind::kPostgres;
  if (name == "mysql") return DatabaseKind::kMysql;
  if (name == "mariadb") return DatabaseKind::kMariadb;
  return std::nullopt;
}

}  // namespace troth::agent
