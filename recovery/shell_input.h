// recovery/shell_input.h
//
// Lines, as they are typed or read from a file, into what `troth shell` runs:
//
//   pg: UPDATE account       a statement, for the resource named before it or for the chosen one; it may span
//     SET note = 'a;b';      lines, and ends with a `;` outside of strings, quoted names and comments
//   commit                   such a word alone on its line needs no `;`
//   \on my                   a command: a backslash at the beginning of a line, outside strings and comments
//
// Where strings and comments end is the database's own matter, so each statement is read as its resource's
// database reads it (participant_agent/dialect/tokens.h does so on the other side; a test holds the two
// together).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "participant_agent/dialect/database_kind.h"

namespace troth::recovery {

struct TypedStatement {
  std::string resource;  // as typed before the statement; empty: the chosen one
  std::string sql;       // without its `;`
  std::size_t line = 0;  // where it begins, from 1
  bool operator==(const TypedStatement&) const = default;
};
struct TypedCommand {
  std::string text;  // with its backslash
  std::size_t line = 0;
  bool operator==(const TypedCommand&) const = default;
};
// It was thrown away.
struct StatementTooLong {
  std::size_t line = 0;
  bool operator==(const StatementTooLong&) const = default;
};
using TypedItem = std::variant<TypedStatement, TypedCommand, StatementTooLong>;

class ShellInput {
 public:
  // Which database's rules a statement for this resource follows; for an empty name, the chosen resource's.
  using KindOf = std::function<agent::DatabaseKind(std::string_view resource)>;
  static constexpr std::size_t kLongestStatement = 32U << 20;

  explicit ShellInput(KindOf kind_of) : kind_of_(std::move(kind_of)) {}

  // The next line, without its line end. What it completes, in order. A command takes the rest of its line,
  // so that a resource chosen by one counts from the next line on.
  [[nodiscard]] std::vector<TypedItem> take_line(std::string_view line);

  // What has been begun and waits for more: ' ' nothing, '-' a statement, else what is open inside of it: one
  // of ' " ` for a string or quoted name, '$' for a dollar-quoted string, '*' for a comment.
  [[nodiscard]] char waits_for() const;
  [[nodiscard]] bool is_waiting() const { return waits_for() != ' '; }
  // Where what has been begun begins.
  [[nodiscard]] std::size_t begun_at() const { return begun_at_; }
  // Forgets what has been begun.
  void clear();

 private:
  struct Code {};
  struct Quoted {
    char quote = '\'';
    bool backslash = false;
  };
  struct Dollar {
    std::string tag;  // with both $
  };
  struct Comment {
    std::size_t depth = 1;
  };
  using Inside = std::variant<Code, Quoted, Dollar, Comment>;

  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool postgres() const { return kind_ == agent::DatabaseKind::kPostgres; }
  [[nodiscard]] bool is_blank() const { return sql_.empty() && resource_.empty(); }

  void step(std::vector<TypedItem>& items);
  void step_code(std::vector<TypedItem>& items);
  void step_quoted(const Quoted& quoted);
  void step_dollar(const Dollar& dollar);
  void step_comment(Comment& comment);
  // True when the text at the beginning of a statement was taken: white space, a comment, a resource's name.
  bool take_before_statement();
  bool take_resource();
  void take_word();
  [[nodiscard]] bool starts_line_comment() const;
  void begin();
  void keep(std::size_t bytes);
  void end_statement(std::vector<TypedItem>& items);

  KindOf kind_of_;
  agent::DatabaseKind kind_ = agent::DatabaseKind::kPostgres;
  std::size_t line_ = 0;
  std::size_t begun_at_ = 0;
  std::string resource_;
  std::string sql_;  // of the statement that has been begun
  Inside inside_;
  bool too_long_ = false;
  // After a Postgres string with escapes: one that follows on another line is read the same way.
  enum class Joins : std::uint8_t { kNo, kOnNextLine, kNow };
  Joins joins_ = Joins::kNo;

  // Only inside take_line(): the line with its end, and how far it has been read.
  std::string text_;
  std::size_t at_ = 0;
};

}  // namespace troth::recovery
