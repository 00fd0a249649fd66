// participant_agent/dialect/statement.h
//
// A statement as a service gives it, and what it came to. Placeholders are the database's own: `$1` for
// Postgres, `?` for MySQL and MariaDB. Parameters are bound by the driver, never pasted into the text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/sql_value.h"

namespace troth::agent {

inline constexpr std::size_t kMaxSqlBytes = 1U << 20;
inline constexpr std::size_t kMaxParameters = 1'000;
inline constexpr std::size_t kMaxStatementsPerBranch = 1'000;
inline constexpr std::size_t kMaxOpenStatements = 100'000;  // of an interactive branch that write
inline constexpr std::size_t kMaxWorkBytes = 32U << 20;

// A miss is a no vote: half of a transfer cannot commit. Counts the rows that a write changed, or a read
// returned.
struct ExpectRows {
  enum class Rule : std::uint8_t { kExactly, kAtLeast };
  Rule rule = Rule::kExactly;
  std::uint64_t rows = 0;
  auto operator<=>(const ExpectRows&) const = default;
};

struct Statement {
  std::string sql;
  std::vector<Value> parameters;
  std::optional<ExpectRows> expect_rows;
  bool operator==(const Statement&) const = default;
};

struct Column {
  std::string name;
  std::string type;  // as the database calls it
  auto operator<=>(const Column&) const = default;
};

struct StatementResult {
  std::vector<Column> columns;  // empty: the statement returns no rows
  std::vector<std::vector<Value>> rows;
  std::uint64_t affected = 0;                  // rows that a write matched
  std::optional<std::uint64_t> generated_key;  // MySQL and MariaDB: the last AUTO_INCREMENT value
  bool operator==(const StatementResult&) const = default;
};

[[nodiscard]] std::size_t size_of(const Statement& statement);
[[nodiscard]] std::size_t size_of(const std::vector<Statement>& statements);
[[nodiscard]] std::size_t size_of(const StatementResult& result);
[[nodiscard]] std::size_t size_of(const std::vector<StatementResult>& results);

// Everything about a branch's statements that can be refused before a session is used: sizes, UTF-8, forms of
// values, forbidden statements, parameter counts. The error names the statement (1..).
[[nodiscard]] Status check_statements(DatabaseKind kind, const std::vector<Statement>& statements);

// expectation_missed, effect none, when `result` misses what `statement` expects; `number` is 1.. .
[[nodiscard]] Status check_expectation(const Statement& statement, std::uint32_t number,
                                       const StatementResult& result);

}  // namespace troth::agent
