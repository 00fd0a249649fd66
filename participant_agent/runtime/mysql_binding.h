// participant_agent/runtime/mysql_binding.h
//
// Typed values into libmariadb's prepared statements.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <mysql.h>

#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/sql_value.h"

namespace troth::agent {

struct CloseMysqlStatement {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
using MysqlStatement = std::unique_ptr<MYSQL_STMT, CloseMysqlStatement>;

// Must live until the statement has run; so must the values.
class BoundParameters {
 public:
  BoundParameters(DatabaseKind kind, const std::vector<Value>& parameters);
  BoundParameters(const BoundParameters&) = delete;
  BoundParameters& operator=(const BoundParameters&) = delete;

  // False: the error is the statement's.
  [[nodiscard]] bool bind_to(MYSQL_STMT& statement);

 private:
  const std::vector<Value>& parameters_;
  std::vector<MYSQL_BIND> binds_;
  std::deque<std::string> texts_;      // that stand nowhere else
  std::deque<std::uint64_t> numbers_;  // and the bits of numbers
};

}  // namespace troth::agent
