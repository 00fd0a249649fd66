#include "participant_agent/runtime/mysql_statements.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "participant_agent/dialect/session_traces.h"
#include "participant_agent/dialect/statement_class.h"
#include "participant_agent/dialect/tokens.h"
#include "participant_agent/runtime/mysql_login.h"

namespace troth::agent {
namespace {

bool begins_with(std::string_view sql, std::string_view keyword) {
  const std::size_t start = sql.find_first_not_of(" \t\r\n(");
  if (start == std::string_view::npos || sql.size() - start < keyword.size()) return false;
  return std::ranges::equal(sql.substr(start, keyword.size()), keyword,
                            [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
}

bool says_ignore(DatabaseKind kind, std::string_view sql) {
  const auto tokens = tokens_of(kind, sql);
  return !tokens.has_value() || std::ranges::any_of(*tokens, [](const Token& token) {
    return token.kind == Token::Kind::kWord && token.text == "IGNORE";
  });
}

// A read whose words make it a write (EXPLAIN UPDATE, NEXTVAL) returns rows all the same.
bool begins_as_write(std::string_view sql) {
  return begins_with(sql, "INSERT") || begins_with(sql, "UPDATE") || begins_with(sql, "DELETE") ||
         begins_with(sql, "REPLACE");
}

}  // namespace

std::expected<PreparedText, DatabaseError> MysqlStatements::prepare(const std::string& comment,
                                                                    const std::string& sql,
                                                                    LearnedColumns learned) {
  PreparedText prepared;
  prepared.shapes = std::move(learned.shapes);
  prepared.statement.reset(mysql_stmt_init(&connection_));
  CHECK(prepared.statement != nullptr, "no memory for a statement");
  const std::string text = comment + sql;
  if (mysql_stmt_prepare(prepared.statement.get(), text.data(), text.size()) != 0)
    return std::unexpected(last_error_of(*prepared.statement));
  prepared.parameters = static_cast<unsigned>(mysql_stmt_param_count(prepared.statement.get()));
  const bool shows_columns = mysql_stmt_field_count(prepared.statement.get()) > 0;
  const Result<StatementClass> statement_class = classify(kind_, sql);
  if (statement_class.has_value()) {
    prepared.writes = statement_class->kind == StatementClass::Kind::kWrite;
    prepared.counts_rows = begins_as_write(sql) && !statement_class->returning && !shows_columns;
    prepared.touches_session = statement_class->touches_session;
  } else {
    prepared.touches_session = true;
  }
  prepared.may_generate_key = begins_with(sql, "INSERT") || begins_with(sql, "REPLACE");
  prepared.calls_stored_function = calls_stored_function(kind_, sql);
  prepared.ignores = prepared.writes && says_ignore(kind_, sql);
  // Only what the server itself took for one statement with so many parameters.
  if (learned.writable.has_value() && learned.writable->parameters() == prepared.parameters)
    prepared.writable = std::move(learned.writable);
  return prepared;
}

PreparedText& MysqlStatements::keep(const std::string& sql, PreparedText prepared) {
  const std::optional<PreparedText> gone = kept_.insert(sql, std::move(prepared));
  if (gone.has_value() && gone->number != 0) give_back(gone->number);
  return *kept_.find(sql);
}

unsigned MysqlStatements::take_number() {
  if (free_numbers_.empty()) return ++last_number_;
  const unsigned number = free_numbers_.back();
  free_numbers_.pop_back();
  return number;
}

}  // namespace troth::agent
