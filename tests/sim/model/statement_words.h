// tests/sim/model/statement_words.h
//
// The client statements that the model understands: a fixed set of texts, so that the very same BranchWork runs on the
// model and on a real server. Placeholders are the database's own, as everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/statement.h"

namespace troth::sim {

// UPDATE accounts SET balance = balance + ? WHERE id = ?
struct AddToAccount {
  std::int64_t amount = 0;
  std::int64_t id = 0;
};
// INSERT INTO accounts (id, balance) VALUES (?, ?)
struct InsertAccount {
  std::int64_t id = 0;
  std::int64_t balance = 0;
};
// SELECT balance FROM accounts WHERE id = ?
struct ReadAccount {
  std::int64_t id = 0;
  bool locks = false;  // with FOR UPDATE behind it
};

using StatementWord = std::variant<AddToAccount, InsertAccount, ReadAccount>;

[[nodiscard]] agent::Statement write_out(agent::DatabaseKind kind, const StatementWord& word);
// None: not one of the model's texts.
[[nodiscard]] std::optional<StatementWord> parse_word(agent::DatabaseKind kind,
                                                      const agent::Statement& statement);

// What makes the table. A balance is never negative.
inline constexpr const char* kCreateAccounts =
    "CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL, "
    "CONSTRAINT never_negative CHECK (balance >= 0))";

}  // namespace troth::sim
