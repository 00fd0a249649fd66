#include "participant_agent/dialect/written_out.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace troth::agent {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";
constexpr std::string_view kMarks = ".,()=<>!+-*/%?";
constexpr auto kOpensOther = std::to_array<std::string_view>({"--", "/*", "->", "<<", ">>"});
// Where these stand, what is beside an operator may be no operand of it, or no column of the one table.
constexpr auto kNotWithValues = std::to_array<std::string_view>({"BETWEEN", "JOIN", "SELECT"});
// An expression begins behind, and ends in front of these.
constexpr auto kBeforeExpressions =
    std::to_array<std::string_view>({"(", ",", "AND", "OR", "SET", "UPDATE", "WHERE"});
constexpr auto kBehindExpressions =
    std::to_array<std::string_view>({")", ",", ";", "AND", "LIMIT", "ON", "OR", "ORDER", "WHERE"});
constexpr auto kComparisons = std::to_array<std::string_view>({"=", "<", ">"});

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string in_upper_case(std::string_view word) {
  std::string upper(word);
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return upper;
}

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& texts, std::string_view text) {
  return std::ranges::find(texts, text) != texts.end();
}

struct Part {
  std::string text;  // a word in upper case, or one mark
  std::size_t at = 0;
  [[nodiscard]] bool is(std::string_view other) const { return text == other; }
  [[nodiscard]] bool word() const { return is_word(text.front()); }
};

std::optional<std::vector<Part>> parts_of(std::string_view sql) {
  for (const std::string_view opens : kOpensOther)
    if (sql.find(opens) != std::string_view::npos) return std::nullopt;
  std::vector<Part> parts;
  for (std::size_t at = 0; at < sql.size();) {
    const auto* const end = std::ranges::find_if_not(sql.begin() + at, sql.end(), is_word);
    const std::size_t size = std::max<std::size_t>(end - (sql.begin() + at), 1);
    const std::string_view text = sql.substr(at, size);
    if (is_word(text.front()) || kMarks.find(text) != std::string_view::npos)
      parts.push_back({.text = in_upper_case(text), .at = at});
    else if (kSpaces.find(text) == std::string_view::npos)
      return std::nullopt;
    at += size;
  }
  return parts;
}

bool is_ascii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) > 127; });
}

bool has_its_type(const Value& value, const ColumnShape& shape, bool in_sum) {
  using Form = ColumnShape::Form;
  const auto holds = [&]<typename T>() { return std::holds_alternative<T>(value.is); };
  if (value.is_null()) return true;
  const bool is_whole = holds.template operator()<std::int64_t>() ||
                        holds.template operator()<std::uint64_t>() || holds.template operator()<bool>();
  const bool is_decimal = holds.template operator()<Decimal>();
  switch (shape.form) {
    case Form::kInteger: return (is_whole || is_decimal) && shape.type != "year";
    case Form::kDecimal: return is_whole || is_decimal;
    case Form::kDouble: return !in_sum && holds.template operator()<double>();
    // Of a character that the column's set has not, MySQL tells something else when it is bound.
    case Form::kText:
      return !in_sum && holds.template operator()<Text>() && is_ascii(std::get<Text>(value.is).text);
    case Form::kBytes: return !in_sum && holds.template operator()<Bytes>();
    case Form::kDate: return !in_sum && holds.template operator()<Date>();
    case Form::kTime: return !in_sum && holds.template operator()<Time>();
    // MySQL makes microseconds of a timestamp that is bound, and tells them where it refuses one.
    case Form::kTimestamp:
    case Form::kTimestampTz:
    case Form::kFloat:
    case Form::kParsed:
    case Form::kOther: return false;
  }
  return false;
}

}  // namespace

class WritableTextReader {
 public:
  WritableTextReader(std::string_view sql, std::vector<Part> parts) : sql_(sql), parts_(std::move(parts)) {}

  std::optional<WritableText> read() {
    for (at_ = 0; at_ < parts_.size(); ++at_) {
      const Part& here = parts_[at_];
      if (here.is("(")) {
        open();
      } else if (here.is(")")) {
        if (open_.empty()) return std::nullopt;
        behind_row_ = open_.back().kind == Parentheses::Kind::kRow;
        open_.pop_back();
        continue;
      } else if (here.is("?") && !read_place()) {
        return std::nullopt;
      }
      if (!here.is(",")) behind_row_ = false;
    }
    if (!text_.places_.empty()) {
      const auto forbidden = [](const Part& part) { return is_one_of(kNotWithValues, part.text); };
      if (std::ranges::any_of(parts_, forbidden) || !read_table()) return std::nullopt;
    }
    std::size_t from = 0;
    for (const WritableText::Place& place : text_.places_) {
      text_.pieces_.emplace_back(sql_.substr(from, place.at - from));
      from = place.at + 1;
    }
    text_.pieces_.emplace_back(sql_.substr(from));
    return std::move(text_);
  }

 private:
  using Meets = WritableText::Meets;
  struct Parentheses {
    enum class Kind : std::uint8_t { kOther, kRow, kList, kCast };
    Kind kind = Kind::kOther;
    std::string column;  // of a list
  };

  // So far behind `at_`, or in front of it; past the text: its end.
  [[nodiscard]] Part part(std::ptrdiff_t away) const {
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(at_) + away;
    if (at < 0 || at >= std::ssize(parts_)) return {.text = ";", .at = sql_.size()};
    return parts_[static_cast<std::size_t>(at)];
  }
  // A word behind a point is a name.
  [[nodiscard]] bool keyword(std::ptrdiff_t away, std::string_view word) const {
    return part(away).is(word) && !part(away - 1).is(".");
  }
  [[nodiscard]] bool begins_behind(std::ptrdiff_t away) const {
    return is_one_of(kBeforeExpressions, part(away).text) && !part(away - 1).is(".");
  }
  // The column whose name ends there, and how far away the part before its name is.
  [[nodiscard]] std::optional<std::pair<std::string, std::ptrdiff_t>> column_at(std::ptrdiff_t away) const {
    const Part column = part(away);
    if (!column.word() || (column.text.front() >= '0' && column.text.front() <= '9')) return std::nullopt;
    --away;
    while (part(away).is(".") && part(away - 1).word())
      away -= 2;
    return std::pair(column.text, away);
  }

  void open() {
    Parentheses opened;
    std::ptrdiff_t before = -1;
    if (keyword(-1, "VALUES") || (part(-1).is(",") && behind_row_)) {
      opened.kind = Parentheses::Kind::kRow;
    } else if (keyword(-1, "CAST")) {
      opened.kind = Parentheses::Kind::kCast;
    } else if (keyword(-1, "IN")) {
      before = keyword(-2, "NOT") ? -3 : -2;
      const auto column = column_at(before);
      if (column.has_value() && begins_behind(column->second))
        opened = {.kind = Parentheses::Kind::kList, .column = column->first};
    }
    open_.push_back(std::move(opened));
  }

  bool read_place() {
    WritableText::Place place{
        .at = part(0).at, .meets = Meets::kColumn, .is_cast = false, .column = {}, .shape = {}};
    // Parts of the operand in front of the `?`, and behind it.
    std::ptrdiff_t in_front = 0;
    std::ptrdiff_t behind = 0;
    Parentheses inside = open_.empty() ? Parentheses{} : open_.back();
    if (inside.kind == Parentheses::Kind::kCast) {
      if (!is_cast()) return false;
      place.is_cast = true;
      in_front = 2;
      behind = 8;
      inside = open_.size() < 2 ? Parentheses{} : open_[open_.size() - 2];
    }
    const Part left = part(-in_front - 1);
    const Part right = part(behind + 1);
    if (!is_one_of(kBehindExpressions, right.text)) return false;
    if (left.is("(") || left.is(",")) {
      const bool alone = right.is(",") || right.is(")");
      if (!alone || (inside.kind != Parentheses::Kind::kRow && inside.kind != Parentheses::Kind::kList))
        return false;
      if (inside.kind == Parentheses::Kind::kRow) place.meets = Meets::kRow;
      place.column = inside.column;
    } else if (is_one_of(kComparisons, left.text)) {
      std::ptrdiff_t at = -in_front - 2;
      while (is_one_of(kComparisons, part(at).text) || part(at).is("!"))
        --at;
      const auto column = column_at(at);
      if (!column.has_value() || !begins_behind(column->second)) return false;
      place.column = column->first;
    } else if (left.is("+") || left.is("-")) {
      const auto column = column_at(-in_front - 2);
      if (!column.has_value()) return false;
      if (!begins_behind(column->second) && !is_one_of(kComparisons, part(column->second).text)) return false;
      place.column = column->first;
      place.meets = Meets::kSum;
    } else {
      return false;
    }
    text_.places_.push_back(std::move(place));
    return true;
  }

  // CAST(? AS DECIMAL(65,2))
  [[nodiscard]] bool is_cast() const {
    return part(-1).is("(") && keyword(1, "AS") && keyword(2, "DECIMAL") && part(3).is("(") &&
           part(4).word() && part(5).is(",") && part(6).word() && part(7).is(")") && part(8).is(")");
  }

  // UPDATE table SET, DELETE FROM table, INSERT INTO table: nothing else has columns then.
  bool read_table() {
    at_ = 0;
    const bool updates = keyword(0, "UPDATE");
    const bool deletes = keyword(0, "DELETE") && keyword(1, "FROM");
    const bool inserts = (keyword(0, "INSERT") || keyword(0, "REPLACE")) && keyword(1, "INTO");
    if (!updates && !deletes && !inserts) return false;
    at_ = updates ? 1 : 2;
    if (!part(0).word()) return false;
    TableName table{.schema = {}, .name = spelled(0)};
    ++at_;
    if (part(0).is(".")) {
      if (!part(1).word()) return false;
      table = {.schema = std::move(table.name), .name = spelled(1)};
      at_ += 2;
    }
    text_.table_ = std::move(table);
    if (updates) return part(0).is("SET");
    if (deletes) return part(0).is("WHERE");
    return part(0).is("(") || part(0).is("VALUES") || part(0).is("SET");
  }
  [[nodiscard]] std::string spelled(std::ptrdiff_t away) const {
    return std::string(sql_.substr(part(away).at, part(away).text.size()));
  }

  const std::string_view sql_;
  const std::vector<Part> parts_;
  std::size_t at_ = 0;
  std::vector<Parentheses> open_;
  bool behind_row_ = false;  // a row of VALUES ends here, or in front of this comma
  WritableText text_;
};

std::optional<WritableText> WritableText::of(std::string_view sql) {
  std::optional<std::vector<Part>> parts = parts_of(sql);
  if (!parts.has_value()) return std::nullopt;
  return WritableTextReader(sql, std::move(*parts)).read();
}

bool WritableText::learn(const std::vector<ColumnShape>& columns, const ParameterShapes& assigned) {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    switch (place.meets) {
      case Meets::kRow: {
        const auto shape = std::ranges::find(assigned, i + 1, &ParameterShape::parameter);
        if (shape == assigned.end()) return false;
        place.shape = shape->shape;
        break;
      }
      case Meets::kColumn:
      case Meets::kSum: {
        const auto shape = std::ranges::find_if(
            columns, [&](const ColumnShape& column) { return in_upper_case(column.name) == place.column; });
        if (shape == columns.end()) return false;
        place.shape = *shape;
        break;
      }
    }
  }
  return true;
}

bool WritableText::takes(const std::vector<Value>& values) const {
  CHECK(values.size() == places_.size(), "{} values for {} places", values.size(), places_.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Place& place = places_[i];
    if (place.is_cast != std::holds_alternative<Decimal>(values[i].is) ||
        !has_its_type(values[i], place.shape, place.meets == Meets::kSum))
      return false;
  }
  return true;
}

std::string WritableText::with(const std::vector<std::string>& literals) const {
  CHECK(literals.size() == places_.size(), "{} values for {} places", literals.size(), places_.size());
  std::string text = pieces_.front();
  for (std::size_t i = 0; i < literals.size(); ++i) {
    text += ' ';
    text += literals[i];
    text += ' ';
    text += pieces_[i + 1];
  }
  return text;
}

}  // namespace troth::agent
