#include "tests/sim/model/statement_words.h"

#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::sim {

using namespace agent;

namespace {

constexpr std::string_view kAdd = "UPDATE accounts SET balance = balance + ? WHERE id = ?";
constexpr std::string_view kInsert = "INSERT INTO accounts (id, balance) VALUES (?, ?)";
constexpr std::string_view kRead = "SELECT balance FROM accounts WHERE id = ?";
constexpr std::string_view kLock = "SELECT balance FROM accounts WHERE id = ? FOR UPDATE";

std::string with_placeholders(DatabaseKind kind, std::string_view sql) {
  std::string text;
  int number = 0;
  for (const char c : sql) {
    if (c == '?' && kind == DatabaseKind::kPostgres) {
      text += fmt::format("${}", ++number);
    } else {
      text += c;
    }
  }
  return text;
}

std::optional<std::int64_t> integer(const Statement& statement, std::size_t index) {
  if (index >= statement.parameters.size()) return std::nullopt;
  const auto* number = std::get_if<std::int64_t>(&statement.parameters[index].is);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

}  // namespace

Statement write_out(DatabaseKind kind, const StatementWord& word) {
  Statement statement;
  const auto numbers = [&statement](std::initializer_list<std::int64_t> values) {
    for (const std::int64_t value : values)
      statement.parameters.push_back(Value{value});
  };
  if (const auto* add = std::get_if<AddToAccount>(&word); add != nullptr) {
    statement.sql = with_placeholders(kind, kAdd);
    numbers({add->amount, add->id});
    statement.expect_rows = ExpectRows{.rule = ExpectRows::Rule::kExactly, .rows = 1};
  } else if (const auto* insert = std::get_if<InsertAccount>(&word); insert != nullptr) {
    statement.sql = with_placeholders(kind, kInsert);
    numbers({insert->id, insert->balance});
  } else if (const auto* read = std::get_if<ReadAccount>(&word); read != nullptr) {
    statement.sql = with_placeholders(kind, read->locks ? kLock : kRead);
    numbers({read->id});
  }
  return statement;
}

std::optional<StatementWord> parse_word(DatabaseKind kind, const Statement& statement) {
  const auto first = integer(statement, 0);
  const auto second = integer(statement, 1);
  const std::size_t count = statement.parameters.size();
  const auto is = [&](std::string_view sql, std::size_t parameters) {
    return statement.sql == with_placeholders(kind, sql) && count == parameters && first.has_value() &&
           (parameters == 1 || second.has_value());
  };
  if (is(kAdd, 2)) return AddToAccount{.amount = *first, .id = *second};
  if (is(kInsert, 2)) return InsertAccount{.id = *first, .balance = *second};
  if (is(kRead, 1)) return ReadAccount{.id = *first, .locks = false};
  if (is(kLock, 1)) return ReadAccount{.id = *first, .locks = true};
  return std::nullopt;
}

}  // namespace troth::sim
