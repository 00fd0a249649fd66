#include "participant_agent/dialect/statement.h"

#include <fmt/format.h>

#include "participant_agent/dialect/statement_class.h"

namespace troth::agent {
namespace {

std::unexpected<Error> refuse(ErrorCode code, std::uint32_t number, std::string message) {
  Error error;
  error.code = code;
  error.effect = Effect::kNone;
  error.statement = number;
  error.message = fmt::format("statement {}: {}", number, message);
  return std::unexpected(std::move(error));
}

Status check_statement(DatabaseKind kind, std::uint32_t number, const Statement& statement) {
  if (statement.sql.size() > kMaxSqlBytes) {
    return refuse(
        ErrorCode::kInvalidArgument, number,
        fmt::format("the text has {} bytes; at most {} are allowed", statement.sql.size(), kMaxSqlBytes));
  }
  if (!is_utf8(statement.sql)) return refuse(ErrorCode::kInvalidArgument, number, "the text is not UTF-8");
  if (statement.parameters.size() > kMaxParameters) {
    return refuse(
        ErrorCode::kInvalidArgument, number,
        fmt::format("{} parameters; at most {} are allowed", statement.parameters.size(), kMaxParameters));
  }
  for (std::size_t i = 0; i < statement.parameters.size(); ++i) {
    const auto& value = statement.parameters[i];
    if (auto status = check_value(value); !status)
      return refuse(status.error().code, number,
                    fmt::format("parameter {}: {}", i + 1, status.error().message));
    if (auto status = check_holdable(kind, value); !status)
      return refuse(status.error().code, number,
                    fmt::format("parameter {}: {}", i + 1, status.error().message));
  }
  const auto what = classify(kind, statement.sql);
  if (!what) return refuse(what.error().code, number, what.error().message);
  if (what->placeholders != statement.parameters.size()) {
    return refuse(
        ErrorCode::kInvalidArgument, number,
        fmt::format("the text has {} placeholders ({}) and {} parameters", what->placeholders,
                    kind == DatabaseKind::kPostgres ? "$1, $2, ..." : "?", statement.parameters.size()));
  }
  return {};
}

}  // namespace

std::size_t size_of(const Statement& statement) {
  std::size_t size = sizeof(Statement) + statement.sql.size();
  for (const auto& value : statement.parameters)
    size += size_of(value);
  return size;
}

std::size_t size_of(const std::vector<Statement>& statements) {
  std::size_t size = 0;
  for (const auto& statement : statements)
    size += size_of(statement);
  return size;
}

std::size_t size_of(const StatementResult& result) {
  std::size_t size = sizeof(StatementResult);
  for (const auto& column : result.columns)
    size += sizeof(Column) + column.name.size() + column.type.size();
  for (const auto& row : result.rows) {
    size += sizeof(row);
    for (const auto& value : row)
      size += size_of(value);
  }
  return size;
}

std::size_t size_of(const std::vector<StatementResult>& results) {
  std::size_t size = 0;
  for (const auto& result : results)
    size += size_of(result);
  return size;
}

Status check_statements(DatabaseKind kind, const std::vector<Statement>& statements) {
  if (statements.empty())
    return fail(ErrorCode::kInvalidArgument, Effect::kNone, "the branch has no statement");
  if (statements.size() > kMaxStatementsPerBranch) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("the branch has {} statements; at most {} are allowed", statements.size(),
                            kMaxStatementsPerBranch));
  }
  if (size_of(statements) > kMaxWorkBytes) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("the branch's work has more than {} MiB", kMaxWorkBytes >> 20));
  }
  std::uint32_t number = 0;
  for (const auto& statement : statements) {
    if (auto status = check_statement(kind, ++number, statement); !status) return status;
  }
  return {};
}

Status check_expectation(const Statement& statement, std::uint32_t number, const StatementResult& result) {
  if (!statement.expect_rows) return {};
  const std::uint64_t seen = result.columns.empty() ? result.affected : result.rows.size();
  const auto& expected = *statement.expect_rows;
  const bool exactly = expected.rule == ExpectRows::Rule::kExactly;
  if (exactly ? seen == expected.rows : seen >= expected.rows) return {};
  return refuse(ErrorCode::kExpectationMissed, number,
                fmt::format("{} rows instead of {} {}; nothing of this transaction stands", seen,
                            exactly ? "exactly" : "at least", expected.rows));
}

}  // namespace troth::agent
