// participant_agent/runtime/mysql_whole.h
//
// The texts with which a branch of MySQL or MariaDB goes in one trip: one text of several statements, of which the
// server runs none behind one that failed.
//
// What a client wrote never stands in that text. Its statement is prepared before, alone, by the server itself, which
// takes one statement there and no more; its parameters stand in hexadecimal, or as numbers that Troth wrote.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/sql_value.h"

namespace troth::agent {

// Most of all statements of a branch together; beyond these it goes step by step.
inline constexpr std::size_t kMostWholeParameters = 32;
inline constexpr std::size_t kMostWholeStatements = 32;

// What means in a text what `BoundParameters` makes of the value; nullopt: nothing surely does.
[[nodiscard]] std::optional<std::string> literal_of(DatabaseKind kind, const Value& value);

// Prepares `troth_guard`. `guard`: the last text of Dialect::begin_branch, which it stands for.
[[nodiscard]] std::string prepare_guard(std::string_view guard);
inline constexpr std::string_view kGuard = "EXECUTE troth_guard";

// Prepares a client's statement under its number; one of that number before it goes.
[[nodiscard]] Texts prepare_numbered(DatabaseKind kind, unsigned number, std::string_view sql);
// MySQL: what a `prepare_numbered` that failed may have left.
[[nodiscard]] Texts forget_prepared_text(DatabaseKind kind);

// Behind a client's statement, one row: how many rows it counted, and the session's last generated key. Digits as
// octets, and a LIMIT: whatever a trigger made of `character_set_results` and `sql_select_limit`.
inline constexpr std::string_view kReadCounts =
    "SELECT CAST(ROW_COUNT() AS BINARY), CAST(LAST_INSERT_ID() AS BINARY) LIMIT 1";

struct WholeStatement {
  unsigned number = 0;
  std::vector<std::string> literals;
  bool may_generate_key = false;
};

// MySQL: takes back what so many parameters may have left in variables.
[[nodiscard]] Texts forget_parameters(DatabaseKind kind, std::size_t count);

// A branch's texts, in the order of their answers.
struct WholeTexts {
  struct Step {
    std::size_t texts = 0;  // the last of them is the client's statement, and one that counts comes behind it
    bool may_generate_key = false;
  };
  Texts texts;
  std::size_t begins = 0;  // the last of them is the guard
  std::vector<Step> steps;
  std::size_t ends = 0;
  std::size_t forgets = 0;  // between the end and the look, where there is one
  bool looks = false;
};

// `forgets`: so many parameters may stand in variables, those of this branch too.
[[nodiscard]] WholeTexts whole_texts(DatabaseKind kind, Texts beginning,
                                     const std::vector<WholeStatement>& statements, Texts ending,
                                     std::size_t forgets);

}  // namespace troth::agent
