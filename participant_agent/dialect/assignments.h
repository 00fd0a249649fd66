// participant_agent/dialect/assignments.h
//
// Which parameters of a write go into which column as they are: `INSERT INTO t (a, b) VALUES (?, ?)`,
// `UPDATE t SET a = ?`. Read from the tokens; what is not plainly such is left out, because there the
// statement computes, and its own rules hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "participant_agent/dialect/database_kind.h"

namespace troth::agent {

// As the catalogue spells it: an unquoted name of Postgres in lower case.
struct TableName {
  std::string schema;  // empty: the session's own
  std::string name;
  bool operator==(const TableName&) const = default;
};

struct Assignment {
  std::uint32_t parameter = 0;  // 1..
  std::string column;           // empty: the column at `position`
  std::size_t position = 0;     // 0.. in the table's own order
  bool operator==(const Assignment&) const = default;
};

struct Assignments {
  TableName table;
  std::vector<Assignment> assigned;
  bool operator==(const Assignments&) const = default;
};

// Nothing: no INSERT, REPLACE or UPDATE of one table, or none that assigns a parameter as it is.
[[nodiscard]] std::optional<Assignments> assignments_of(DatabaseKind kind, std::string_view sql);

}  // namespace troth::agent
