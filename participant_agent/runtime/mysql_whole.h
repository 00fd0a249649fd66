// participant_agent/runtime/mysql_whole.h
//
// The texts with which a branch of MySQL or MariaDB goes in one trip: one text of several statements, of which the
// server runs none behind one that failed.
//
// A client's statement is prepared before, alone, by the server itself, which takes one statement there and no more. It
// stands in the text as it is only where its words can be nothing else there (dialect/written_out.h), else by its number;
// its parameters stand in hexadecimal, or as numbers that Troth wrote.
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

// What means in a text what `BoundParameters` makes of the value, as a primary expression; nullopt: nothing surely does.
[[nodiscard]] std::optional<std::string> literal_of(DatabaseKind kind, const Value& value);

// Prepares a client's statement under its number; one of that number before it goes.
[[nodiscard]] Texts prepare_numbered(DatabaseKind kind, unsigned number, std::string_view sql);
// MySQL: what a `prepare_numbered` that failed may have left.
[[nodiscard]] Texts forget_prepared_text(DatabaseKind kind);

struct WholeStatement {
  std::string written;  // with its values; empty: it runs by its number
  unsigned number = 0;
  std::vector<std::string> literals;
  bool may_generate_key = false;
};

// MySQL: takes back what so many parameters may have left in variables.
[[nodiscard]] Texts forget_parameters(DatabaseKind kind, std::size_t count);

// A branch's texts, in the order of their answers: begin, steps, those that forget, one check, end.
struct WholeTexts {
  struct Step {
    std::size_t before = 0;  // texts in front of the client's statement
    bool may_generate_key = false;
  };
  Texts texts;
  std::size_t begins = 0;  // the last of them inserts the marker
  std::vector<Step> steps;
  std::size_t forgets = 0;
  std::size_t ends = 0;
};

// `forgets`: so many parameters may stand in variables, those of this branch too.
[[nodiscard]] WholeTexts whole_texts(DatabaseKind kind, Texts beginning,
                                     const std::vector<WholeStatement>& statements, Texts ending,
                                     std::size_t forgets);

}  // namespace troth::agent
