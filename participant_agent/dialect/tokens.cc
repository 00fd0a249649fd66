#include "participant_agent/dialect/tokens.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace troth::agent {
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
char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kForbiddenStatement, Effect::kNone, std::move(message));
}

class Scanner {
 public:
  Scanner(DatabaseKind kind, std::string_view sql) : postgres_(kind == DatabaseKind::kPostgres), sql_(sql) {}

  Result<std::vector<Token>> run() {
    while (at_ < sql_.size()) {
      if (const auto status = step(); !status) return std::unexpected(status.error());
    }
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }

  Status step() {
    const char c = peek();
    if (is_space(c)) {
      ++at_;
      return {};
    }
    if (starts_line_comment()) {
      skip_line();
      return {};
    }
    if (c == '/' && peek(1) == '*') return skip_block_comment();
    if (c == '\'') return read_string(!postgres_);
    if (c == '"') return postgres_ ? read_quoted_name('"') : read_double_quoted();
    if (c == '`' && !postgres_) return read_quoted_name('`');
    if (c == '$' && postgres_) return read_dollar();
    if (c == '?' && !postgres_) {
      Token& token = add(Token::Kind::kPlaceholder, "?");
      token.placeholder = ++question_marks_;
      token.at = at_++;
      return {};
    }
    if (c == '@' && !postgres_) return read_variable();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      read_number();
      return {};
    }
    if (starts_word(c)) return read_word();
    add(Token::Kind::kPunctuation, std::string(1, c));
    ++at_;
    return {};
  }

  Token& add(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), 0, 0});
    return tokens_.back();
  }

  // MySQL's `--` needs a space or control character behind it; its `#` needs nothing.
  [[nodiscard]] bool starts_line_comment() const {
    if (peek() == '#') return !postgres_;
    if (peek() != '-' || peek(1) != '-') return false;
    if (postgres_) return true;
    return at_ + 2 >= sql_.size() || static_cast<unsigned char>(peek(2)) <= ' ';
  }

  void skip_line() {
    const auto end = sql_.find_first_of(postgres_ ? "\r\n" : "\n", at_);
    at_ = end == std::string_view::npos ? sql_.size() : end + 1;
  }

  // Postgres nests comments; MySQL and MariaDB run some of them.
  Status skip_block_comment() {
    const bool executable =
        !postgres_ && (peek(2) == '!' || ((peek(2) == 'M' || peek(2) == 'm') && peek(3) == '!'));
    if (executable) {
      return refuse(
          "an executable comment (/*! ... */) means one thing to one server and nothing to another; "
          "write its content out");
    }
    std::size_t depth = 1;
    at_ += 2;
    while (at_ < sql_.size()) {
      if (peek() == '*' && peek(1) == '/') {
        at_ += 2;
        if (--depth == 0) return {};
      } else if (postgres_ && peek() == '/' && peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else {
        ++at_;
      }
    }
    return refuse("a comment (/*) is not closed");
  }

  // From the opening quote; a doubled quote stands for itself.
  bool skip_quoted(char quote, bool backslash) {
    ++at_;
    while (at_ < sql_.size()) {
      const char c = sql_[at_];
      if (backslash && c == '\\') {
        at_ += 2;
      } else if (c == quote && peek(1) == quote) {
        at_ += 2;
      } else if (c == quote) {
        ++at_;
        return true;
      } else {
        ++at_;
      }
    }
    at_ = sql_.size();
    return false;
  }

  Status read_string(bool backslash) {
    do {
      if (!skip_quoted('\'', backslash)) return refuse("a string (') is not closed");
    } while (postgres_ && continues_string());
    add(Token::Kind::kString, "");
    return {};
  }

  // Postgres joins strings that only white space with a line break (and line comments, before the break too)
  // parts, and the second is read as the first was: E'a'<newline>'\'' is one string.
  bool continues_string() {
    std::size_t probe = at_;
    bool line_break = false;
    while (probe < sql_.size()) {
      if (is_space(sql_[probe])) {
        line_break = line_break || sql_[probe] == '\n' || sql_[probe] == '\r';
        ++probe;
      } else if (sql_.substr(probe, 2) == "--") {
        const auto end = sql_.find_first_of("\r\n", probe);
        if (end == std::string_view::npos) return false;
        probe = end;
      } else {
        break;
      }
    }
    if (!line_break || probe >= sql_.size() || sql_[probe] != '\'') return false;
    at_ = probe;
    return true;
  }

  // A string, or with ANSI_QUOTES a name; the same characters either way, but for backslashes.
  Status read_double_quoted() {
    const std::size_t from = at_ + 1;
    if (!skip_quoted('"', true)) return refuse("a string (\") is not closed");
    add(Token::Kind::kString, std::string(sql_.substr(from, at_ - 1 - from)));
    return {};
  }

  Status read_quoted_name(char quote) {
    const std::size_t from = at_ + 1;
    if (!skip_quoted(quote, false)) return refuse(fmt::format("a quoted name ({}) is not closed", quote));
    add(Token::Kind::kQuotedName, std::string(sql_.substr(from, at_ - 1 - from)));
    return {};
  }

  // `$1`, or a dollar-quoted string `$tag$ ... $tag$`.
  Status read_dollar() {
    if (is_digit(peek(1))) {
      std::size_t end = at_ + 1;
      while (end < sql_.size() && is_digit(sql_[end]))
        ++end;
      std::uint32_t number = 0;
      const auto [stop, problem] = std::from_chars(sql_.data() + at_ + 1, sql_.data() + end, number);
      if (problem != std::errc{} || number == 0 || number > 65'535)
        return refuse(
            fmt::format("{} is not a placeholder: they are $1 to $65535", sql_.substr(at_, end - at_)));
      add(Token::Kind::kPlaceholder, std::string(sql_.substr(at_, end - at_))).placeholder = number;
      at_ = end;
      return {};
    }
    std::size_t end = at_ + 1;
    while (end < sql_.size() && (starts_word(sql_[end]) || (end > at_ + 1 && is_digit(sql_[end]))))
      ++end;
    if (end >= sql_.size() || sql_[end] != '$') {
      add(Token::Kind::kPunctuation, "$");
      ++at_;
      return {};
    }
    const auto tag = sql_.substr(at_, end + 1 - at_);
    const auto close = sql_.find(tag, end + 1);
    if (close == std::string_view::npos) return refuse(fmt::format("a string ({}) is not closed", tag));
    at_ = close + tag.size();
    add(Token::Kind::kString, "");
    return {};
  }

  Status read_variable() {
    std::string name = "@";
    ++at_;
    if (peek() == '@') {
      name += '@';
      ++at_;
    }
    const char quote = peek();
    if (quote == '\'' || quote == '"' || quote == '`') {
      if (!skip_quoted(quote, quote != '`')) return refuse("a variable's quoted name is not closed");
    }
    while (at_ < sql_.size() && (starts_word(peek()) || is_digit(peek()) || peek() == '$' || peek() == '.')) {
      name += upper(peek());
      ++at_;
    }
    add(Token::Kind::kVariable, std::move(name));
    return {};
  }

  // Digits, and the letters that touch them (hexadecimal, exponents): what stands there is no keyword.
  void read_number() {
    while (at_ < sql_.size() && (is_digit(peek()) || starts_word(peek()) || peek() == '.'))
      ++at_;
    add(Token::Kind::kNumber, "");
  }

  Status read_word() {
    const std::size_t from = at_;
    while (at_ < sql_.size() && (starts_word(peek()) || is_digit(peek()) || peek() == '$'))
      ++at_;
    std::string word(sql_.substr(from, at_ - from));
    std::ranges::transform(word, word.begin(), upper);
    if (peek() == '\'' && is_string_prefix(word)) return read_string(!postgres_ || word == "E");
    if (postgres_ && word == "U" && peek() == '&' && peek(1) == '"')
      return refuse("a name with Unicode escapes (U&\"...\") hides what it names; write the name itself");
    // U&'...' of Postgres: escapes are not its quotes, so it ends where it seems to.
    add(Token::Kind::kWord, std::move(word)).at = from;
    return {};
  }

  [[nodiscard]] bool is_string_prefix(std::string_view word) const {
    if (word == "B" || word == "X" || word == "N") return true;
    return postgres_ ? word == "E" : word.starts_with('_');
  }

  bool postgres_;
  std::string_view sql_;
  std::size_t at_ = 0;
  std::uint32_t question_marks_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokens_of(DatabaseKind kind, std::string_view sql) {
  if (sql.find('\0') != std::string_view::npos) return refuse("the statement holds a NUL byte");
  return Scanner(kind, sql).run();
}

}  // namespace troth::agent
