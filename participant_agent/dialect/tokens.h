// participant_agent/dialect/tokens.h
//
// Reads SQL just deep enough to know which words stand outside of strings, quoted names and comments. Not a
// parser: it never decides what a statement means, only what it cannot hide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "participant_agent/dialect/database_kind.h"

namespace troth::agent {

struct Token {
  enum class Kind : std::uint8_t {
    kWord,         // unquoted name or keyword, upper case
    kQuotedName,   // "x" or `x`, without its quotes
    kString,       // any string literal, text dropped, but for "x", which is a name to some MySQL servers
    kNumber,       // text dropped
    kPlaceholder,  // `?` or `$n`
    kVariable,     // @x or @@x (MySQL, MariaDB), upper case, with its @
    kPunctuation,  // one character
  };
  Kind kind = Kind::kPunctuation;
  std::string text;
  std::uint32_t placeholder = 0;  // n of `$n`; 1.. in order of appearance for `?`
  std::size_t at = 0;             // where a `?` or a word stands in the text
};

// Refuses an unterminated string, name or comment, and MySQL's executable comments (`/*! ... */`), whose
// content one server runs and another does not (forbidden_statement, effect none).
[[nodiscard]] Result<std::vector<Token>> tokens_of(DatabaseKind kind, std::string_view sql);

}  // namespace troth::agent
