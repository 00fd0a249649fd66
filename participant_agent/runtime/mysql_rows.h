// participant_agent/runtime/mysql_rows.h
//
// Rows out of libmariadb's prepared statements, one by one as they come.
#pragma once

#include <expected>
#include <string>

#include <mysql.h>

#include "base/result.h"
#include "participant_agent/dialect/statement.h"
#include "participant_agent/runtime/sql_connection.h"

namespace troth::agent {

// Adds the columns and rows of a statement's result, all of them or up to the budget's end. False: the driver failed, and the
// error is the statement's. An error of its own: the row is past a limit, and what is left of the result has not been read.
[[nodiscard]] Result<bool> read_rows(MYSQL_STMT& statement, ResultBudget& budget, StatementResult& read);

// As it is called in SQL, as far as a result tells it.
[[nodiscard]] std::string type_name_of(const MYSQL_FIELD& field);

}  // namespace troth::agent
