#include "participant_agent/dialect/assignments.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "participant_agent/dialect/tokens.h"

namespace troth::agent {
namespace {

using Kind = Token::Kind;

constexpr auto kBeforeTable =
    std::to_array<std::string_view>({"INTO", "IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "ONLY"});
constexpr auto kAfterSet =
    std::to_array<std::string_view>({"WHERE", "FROM", "ORDER", "LIMIT", "RETURNING", "ON"});

bool holds(std::span<const std::string_view> words, const Token& token) {
  return token.kind == Kind::kWord && std::ranges::find(words, token.text) != words.end();
}

class Reader {
 public:
  Reader(DatabaseKind kind, std::string_view sql, std::vector<Token> tokens)
      : kind_(kind), sql_(sql), tokens_(std::move(tokens)) {}

  std::optional<Assignments> read() {
    const bool inserts = is_word("INSERT") || is_word("REPLACE");
    if (!inserts && !is_word("UPDATE")) return std::nullopt;
    ++at_;
    while (at_ < tokens_.size() && holds(kBeforeTable, tokens_[at_]))
      ++at_;
    if (!read_table()) return std::nullopt;
    if (inserts && !read_insert()) return std::nullopt;
    // SET a = ?, of an UPDATE, of MySQL's INSERT ... SET, and of what an INSERT does with a row that is there.
    for (; at_ < tokens_.size(); ++at_) {
      const bool on_duplicate = is_word("UPDATE") && at_ > 0 && tokens_[at_ - 1].text == "KEY";
      if (!is_word("SET") && !on_duplicate) continue;
      ++at_;
      read_set_list();
    }
    if (read_.assigned.empty()) return std::nullopt;
    return read_;
  }

 private:
  [[nodiscard]] bool is_word(std::string_view word, std::size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() && tokens_[at_ + ahead].kind == Kind::kWord &&
           tokens_[at_ + ahead].text == word;
  }
  [[nodiscard]] bool is_mark(std::size_t at, char mark) const {
    return at < tokens_.size() && tokens_[at].kind == Kind::kPunctuation && tokens_[at].text[0] == mark;
  }

  // The name that stands at `at`, as the catalogue spells it.
  [[nodiscard]] std::optional<std::string> name_at(std::size_t at) const {
    if (at >= tokens_.size()) return std::nullopt;
    const Token& token = tokens_[at];
    if (token.kind == Kind::kQuotedName) return token.text;
    if (token.kind != Kind::kWord) return std::nullopt;
    std::string name(sql_.substr(token.at, token.text.size()));
    if (kind_ == DatabaseKind::kPostgres)
      std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
    return name;
  }

  bool read_table() {
    std::optional<std::string> name = name_at(at_);
    if (!name.has_value()) return false;
    read_.table.name = std::move(*name);
    ++at_;
    if (!is_mark(at_, '.')) return true;
    name = name_at(at_ + 1);
    if (!name.has_value()) return false;
    read_.table.schema = std::move(read_.table.name);
    read_.table.name = std::move(*name);
    at_ += 2;
    return true;
  }

  bool read_insert() {
    if (is_word("AS")) at_ += 2;
    std::vector<std::string> columns;
    if (is_mark(at_, '(')) {
      for (++at_; !is_mark(at_, ')'); ++at_) {
        if (is_mark(at_, ',')) continue;
        std::optional<std::string> name = name_at(at_);
        if (!name.has_value()) return false;
        columns.push_back(std::move(*name));
      }
      ++at_;
    }
    if (is_word("OVERRIDING")) at_ += 3;
    if (is_word("SET")) return true;
    if (!is_word("VALUES") && !is_word("VALUE")) return false;
    ++at_;
    while (is_mark(at_, '(')) {
      read_row(columns);
      if (is_mark(at_, ',')) ++at_;
    }
    return true;
  }

  // From an opening parenthesis to behind its closing one.
  void read_row(const std::vector<std::string>& columns) {
    ++at_;
    std::size_t position = 0;
    while (at_ < tokens_.size() && !is_mark(at_, ')')) {
      const std::size_t from = at_;
      skip_item(/*in_list=*/false);
      if (columns.empty()) {
        assign(from, {}, position);
      } else if (position < columns.size()) {
        assign(from, columns[position], 0);
      }
      ++position;
      if (is_mark(at_, ',')) ++at_;
    }
    if (at_ < tokens_.size()) ++at_;
  }

  void read_set_list() {
    while (at_ < tokens_.size()) {
      std::optional<std::string> column = name_at(at_);
      while (is_mark(at_ + 1, '.')) {
        at_ += 2;
        column = name_at(at_);
      }
      if (!column.has_value() || !is_mark(at_ + 1, '=')) return;
      at_ += 2;
      const std::size_t from = at_;
      skip_item(/*in_list=*/true);
      assign(from, *column, 0);
      if (!is_mark(at_, ',')) return;
      ++at_;
    }
  }

  // To the comma or parenthesis that ends an expression; in a SET list also to the keyword behind the list.
  void skip_item(bool in_list) {
    int depth = 0;
    for (; at_ < tokens_.size(); ++at_) {
      if (is_mark(at_, '(')) ++depth;
      if (is_mark(at_, ')') && --depth < 0) return;
      if (depth == 0 && is_mark(at_, ',')) return;
      if (depth == 0 && in_list && (is_mark(at_, ';') || holds(kAfterSet, tokens_[at_]))) return;
    }
  }

  void assign(std::size_t from, std::string column, std::size_t position) {
    if (at_ != from + 1 || tokens_[from].kind != Kind::kPlaceholder) return;
    read_.assigned.push_back({tokens_[from].placeholder, std::move(column), position});
  }

  const DatabaseKind kind_;
  const std::string_view sql_;
  const std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Assignments read_;
};

}  // namespace

std::optional<Assignments> assignments_of(DatabaseKind kind, std::string_view sql) {
  auto tokens = tokens_of(kind, sql);
  if (!tokens.has_value()) return std::nullopt;
  return Reader(kind, sql, std::move(*tokens)).read();
}

}  // namespace troth::agent
