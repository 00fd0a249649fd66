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
}  // namespace sql

namespace troth::agent {

// Parameters bound to a statement; must live until it has run, because the driver reads octets only then.
class BoundParameters {
 public:
  BoundParameters(sql::PreparedStatement& statement, const std::vector<Value>& parameters);

 private:
  std::vector<std::unique_ptr<std::istringstream>> octets_;
};

// Adds columns and rows; stops at the budget's end.
[[nodiscard]] Status read_rows(sql::ResultSet& rows, ResultBudget& budget, StatementResult& read);

// Column types (MySQL's JSON, geometries) for which the driver has no binary form.
[[nodiscard]] bool driver_cannot_read(int column_type);

}  // namespace troth::agent
