#include "recovery/shell_input.h"

#include <algorithm>
#include <utility>

#include "recovery/shell_words.h"

namespace troth::recovery {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool starts_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

}  // namespace

std::vector<TypedItem> ShellInput::take_line(std::string_view line) {
  ++line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<TypedItem> items;
  if (std::holds_alternative<Code>(inside_)) {
    const auto words = trimmed(line);
    if (line.starts_with('\\')) return {TypedCommand{std::string(words), line_}};
    if (is_blank() && stands_alone(words)) return {TypedStatement{"", std::string(words), line_}};
  }
  text_.assign(line);
  text_ += '\n';
  at_ = 0;
  while (at_ < text_.size())
    step(items);
  return items;
}

char ShellInput::waits_for() const {
  if (const auto* quoted = std::get_if<Quoted>(&inside_)) return quoted->quote;
  if (std::holds_alternative<Dollar>(inside_)) return '$';
  if (std::holds_alternative<Comment>(inside_)) return '*';
  return is_blank() ? ' ' : '-';
}

void ShellInput::clear() {
  resource_.clear();
  sql_.clear();
  inside_ = Code{};
  joins_ = Joins::kNo;
  too_long_ = false;
}

void ShellInput::step(std::vector<TypedItem>& items) {
  if (const auto* quoted = std::get_if<Quoted>(&inside_)) return step_quoted(*quoted);
  if (const auto* dollar = std::get_if<Dollar>(&inside_)) return step_dollar(*dollar);
  if (auto* comment = std::get_if<Comment>(&inside_)) return step_comment(*comment);
  step_code(items);
}

// What is kept of a statement that is too long is only where it ends.
void ShellInput::keep(std::size_t bytes) {
  bytes = std::min(bytes, text_.size() - at_);
  if (sql_.size() + bytes > kLongestStatement) {
    too_long_ = true;
    sql_ = ".";
  }
  sql_.append(text_, at_, bytes);
  at_ += bytes;
}

void ShellInput::begin() {
  begun_at_ = line_;
  kind_ = kind_of_(resource_);
}

bool ShellInput::starts_line_comment() const {
  if (peek() == '#') return !postgres();
  if (peek() != '-' || peek(1) != '-') return false;
  return postgres() || static_cast<unsigned char>(peek(2)) <= ' ';
}

// `pg: SELECT`, but neither `a::text` nor `a := 1`.
bool ShellInput::take_resource() {
  std::size_t end = at_;
  while (end < text_.size() && (starts_word(text_[end]) || is_digit(text_[end]) || text_[end] == '-'))
    ++end;
  if (end == at_ || end >= text_.size() || text_[end] != ':') return false;
  if (end + 1 < text_.size() && (text_[end + 1] == ':' || text_[end + 1] == '=')) return false;
  resource_ = text_.substr(at_, end - at_);
  at_ = end + 1;
  begin();
  return true;
}

bool ShellInput::take_before_statement() {
  if (is_space(peek())) {
    ++at_;
    return true;
  }
  // Nothing that a database runs begins with these, whichever it is; but some run a comment that begins with
  // `!`.
  const bool runs = peek(2) == '!' || ((peek(2) == 'M' || peek(2) == 'm') && peek(3) == '!');
  if (peek() == '#' || (peek() == '-' && peek(1) == '-')) {
    at_ = text_.size();
    return true;
  }
  if (peek() == '/' && peek(1) == '*' && !runs) {
    if (resource_.empty()) begin();
    inside_ = Comment{};
    at_ += 2;
    return true;
  }
  return resource_.empty() && take_resource();
}

void ShellInput::take_word() {
  std::size_t end = at_;
  while (end < text_.size() && (starts_word(text_[end]) || is_digit(text_[end]) || text_[end] == '$'))
    ++end;
  const bool escapes = end == at_ + 1 && (peek() == 'E' || peek() == 'e');
  keep(end - at_);
  if (postgres() && escapes && peek() == '\'') {
    inside_ = Quoted{'\'', true};
    keep(1);
  }
}

void ShellInput::step_code(std::vector<TypedItem>& items) {
  if (sql_.empty()) {
    if (take_before_statement()) return;
    if (peek() == ';') {
      ++at_;
      resource_.clear();
      return;
    }
    if (resource_.empty()) begin();
  }
  const char c = peek();
  if (is_space(c)) {
    if (c == '\n' && joins_ == Joins::kOnNextLine) joins_ = Joins::kNow;
    return keep(1);
  }
  if (starts_line_comment()) {
    // Postgres ends one at a carriage return, too.
    const auto end = postgres() ? text_.find_first_of("\r\n", at_) : text_.find('\n', at_);
    return keep(end - at_);
  }
  const bool joined = std::exchange(joins_, Joins::kNo) == Joins::kNow;
  if (c == ';') {
    ++at_;
    return end_statement(items);
  }
  if (c == '/' && peek(1) == '*') {
    inside_ = Comment{};
    return keep(2);
  }
  if (c == '\'' || c == '"' || (c == '`' && !postgres())) {
    inside_ = Quoted{c, postgres() ? joined && c == '\'' : c != '`'};
    return keep(1);
  }
  if (c == '$' && postgres()) {
    std::size_t end = at_ + 1;
    if (is_digit(peek(1))) {  // a placeholder, and a name may follow at once
      while (end < text_.size() && is_digit(text_[end]))
        ++end;
      return keep(end - at_);
    }
    while (end < text_.size() && (starts_word(text_[end]) || (end > at_ + 1 && is_digit(text_[end]))))
      ++end;
    if (end >= text_.size() || text_[end] != '$') return keep(1);
    inside_ = Dollar{text_.substr(at_, end + 1 - at_)};
    return keep(end + 1 - at_);
  }
  if (is_digit(c)) {
    std::size_t end = at_;
    while (end < text_.size() && (starts_word(text_[end]) || is_digit(text_[end]) || text_[end] == '.'))
      ++end;
    return keep(end - at_);
  }
  if (starts_word(c)) return take_word();
  keep(1);
}

void ShellInput::step_quoted(const Quoted& quoted) {
  const char c = peek();
  if (quoted.backslash && c == '\\') return keep(2);
  if (c == quoted.quote && peek(1) == quoted.quote) return keep(2);
  if (c == quoted.quote) {
    joins_ = postgres() && quoted.backslash ? Joins::kOnNextLine : Joins::kNo;
    inside_ = Code{};
  }
  keep(1);
}

void ShellInput::step_dollar(const Dollar& dollar) {
  const auto tag = dollar.tag;
  const auto close = text_.find(tag, at_);
  if (close == std::string::npos) return keep(text_.size() - at_);
  keep(close + tag.size() - at_);
  inside_ = Code{};
}

void ShellInput::step_comment(Comment& comment) {
  // Before a statement, a comment is not part of it.
  const bool part = !sql_.empty();
  const auto take = [&](std::size_t bytes) { part ? keep(bytes) : static_cast<void>(at_ += bytes); };
  if (peek() == '*' && peek(1) == '/') {
    take(2);
    if (--comment.depth == 0) inside_ = Code{};
  } else if (postgres() && peek() == '/' && peek(1) == '*') {
    ++comment.depth;
    take(2);
  } else {
    take(1);
  }
}

void ShellInput::end_statement(std::vector<TypedItem>& items) {
  if (too_long_) {
    items.emplace_back(StatementTooLong{begun_at_});
  } else {
    items.emplace_back(TypedStatement{std::move(resource_), std::string(trimmed(sql_)), begun_at_});
  }
  clear();
}

}  // namespace troth::recovery
