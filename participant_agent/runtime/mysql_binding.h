// participant_agent/runtime/mysql_binding.h
//
// Typed values into and out of MySQL Connector/C++. Everything here throws what the driver throws.
#pragma once

#include <memory>
#include <sstream>
#include <vector>

#include "base/result.h"
#include "participant_agent/dialect/sql_value.h"
#include "participant_agent/dialect/statement.h"
#include "participant_agent/runtime/sql_connection.h"

namespace sql {
class PreparedStatement;
class ResultSet;
class ResultSetMetaData;
}  // namespace sql

namespace troth::agent {

// Parameters bound to a statement; must live until it has run, because the driver reads octets only then.
class BoundParameters {
 public:
  BoundParameters(DatabaseKind kind, sql::PreparedStatement& statement, const std::vector<Value>& parameters);

 private:
  std::vector<std::unique_ptr<std::istringstream>> octets_;
};

// In which of its two protocols the server sends rows.
enum class RowForm : std::uint8_t { kBinary, kText };

// Adds columns and rows; stops at the budget's end, and refuses what this form of rows has rounded.
[[nodiscard]] Status read_rows(sql::ResultSet& rows, RowForm form, ResultBudget& budget,
                               StatementResult& read);

// Columns that the driver cannot read in binary form: MySQL's JSON, geometries, the longest decimals.
[[nodiscard]] bool driver_cannot_read(sql::ResultSetMetaData& columns, unsigned column);

}  // namespace troth::agent
