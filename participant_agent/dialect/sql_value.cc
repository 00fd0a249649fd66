#include "participant_agent/dialect/sql_value.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "participant_agent/dialect/decimal_digits.h"

namespace troth::agent {
namespace {

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Walks a text's fixed form from left to right.
class Form {
 public:
  explicit Form(std::string_view text) : rest_(text) {}

  bool one_of(std::string_view set) {
    if (rest_.empty() || set.find(rest_.front()) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // Exactly `count` digits whose number lies in [low, high].
  bool number(std::size_t count, int low, int high) {
    if (rest_.size() < count || !std::ranges::all_of(rest_.substr(0, count), is_digit)) return false;
    int value = 0;
    for (const char c : rest_.substr(0, count))
      value = value * 10 + (c - '0');
    rest_.remove_prefix(count);
    return value >= low && value <= high;
  }

  std::size_t digits() {
    std::size_t count = 0;
    while (count < rest_.size() && is_digit(rest_[count]))
      ++count;
    rest_.remove_prefix(count);
    return count;
  }

  bool fraction() {
    if (!one_of(".")) return true;
    const auto count = digits();
    return count >= 1 && count <= 6;
  }

  [[nodiscard]] bool ends() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

bool read_date(Form& form) {
  return form.number(4, 0, 9999) && form.one_of("-") && form.number(2, 0, 12) && form.one_of("-") &&
         form.number(2, 0, 31);
}

// Hours up to a day's for timestamps, up to 838 for the TIME of MySQL and MariaDB. No leap second: no database
// here keeps one, and Postgres would make the next minute of it.
bool read_time(Form& form, bool of_day) {
  const std::size_t hour_digits = !of_day && form.rest().size() > 2 && is_digit(form.rest()[2]) ? 3 : 2;
  return form.number(hour_digits, 0, of_day ? 23 : 838) && form.one_of(":") && form.number(2, 0, 59) &&
         form.one_of(":") && form.number(2, 0, 59) && form.fraction();
}

bool is_date(std::string_view text) {
  Form form(text);
  return read_date(form) && form.ends();
}

bool is_time(std::string_view text) {
  Form form(text);
  form.one_of("-");
  return read_time(form, false) && form.ends();
}

bool read_timestamp(Form& form) {
  return read_date(form) && form.one_of(" T") && read_time(form, true);
}

bool is_timestamp(std::string_view text) {
  Form form(text);
  return read_timestamp(form) && form.ends();
}

bool is_timestamp_tz(std::string_view text) {
  Form form(text);
  if (!read_timestamp(form)) return false;
  if (form.one_of("Z")) return form.ends();
  if (!form.one_of("+-") || !form.number(2, 0, 15)) return false;
  if (form.ends()) return true;
  return form.one_of(":") && form.number(2, 0, 59) && form.ends();
}

bool is_decimal(std::string_view text) {
  if (text == "NaN" || text == "Infinity" || text == "-Infinity") return true;
  if (text.size() > kMaxDecimalBytes) return false;
  Form form(text);
  form.one_of("+-");
  const bool whole = form.digits() > 0;
  const bool point = form.one_of(".");
  const bool fraction = point && form.digits() > 0;
  if (point ? !fraction : !whole) return false;
  if (form.one_of("eE")) {
    form.one_of("+-");
    const auto exponent = form.digits();
    if (exponent < 1 || exponent > 4) return false;
  }
  return form.ends();
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

Status check_form(bool fits, std::string_view type, std::string_view text, std::string_view form) {
  if (fits) return {};
  return refuse(fmt::format("'{}' is not a {}: expected {}",
                            is_utf8(text.substr(0, 40)) ? text.substr(0, 40) : "...", type, form));
}

Status check_text(std::string_view text) {
  if (!is_utf8(text)) return refuse("a text value is not UTF-8; send it as bytes, or mend its encoding");
  return {};
}

// Walks an array of any dimensions: one type, one shape, no empty array inside another (Postgres would drop it).
class ArrayCheck {
 public:
  Status check(const Array& array, std::size_t dimension) {
    if (dimension >= static_cast<std::size_t>(kMaxArrayDimensions))
      return refuse(fmt::format("an array has more than {} dimensions", kMaxArrayDimensions));
    if (dimension > 0 && array.elements.empty()) return refuse("an array holds an empty array");
    if (dimension == lengths_.size()) lengths_.push_back(array.elements.size());
    if (lengths_[dimension] != array.elements.size())
      return refuse("an array holds arrays of different lengths");
    for (const auto& element : array.elements) {
      if (auto status = check_element(element, dimension); !status) return status;
    }
    return {};
  }

 private:
  Status check_element(const Value& element, std::size_t dimension) {
    const auto* inner = std::get_if<Array>(&element.is);
    if (inner == nullptr && ++elements_ > kMaxArrayElements)
      return refuse(fmt::format("an array has more than {} elements", kMaxArrayElements));
    if (!leaves_at_) leaves_at_ = inner == nullptr ? std::optional(dimension) : std::nullopt;
    const bool is_leaf_dimension = leaves_at_ == dimension;
    if (inner != nullptr) {
      if (is_leaf_dimension) return refuse("an array holds arrays beside other elements");
      return check(*inner, dimension + 1);
    }
    if (!is_leaf_dimension) return refuse("an array holds arrays beside other elements");
    if (element.is_null()) return {};
    if (type_ && *type_ != element.is.index()) return refuse("an array's elements are of different types");
    type_ = element.is.index();
    return check_value(element);
  }

  std::vector<std::size_t> lengths_;
  std::optional<std::size_t> leaves_at_;
  std::optional<std::size_t> type_;
  std::size_t elements_ = 0;
};

constexpr std::uint32_t kMostInnodbDigits = 65;

Status check_innodb_decimal(DatabaseKind kind, const Decimal& decimal) {
  const auto digits = digits_of(decimal.text);
  if (!digits) return refuse(fmt::format("{} has no decimal {}", name_of(kind), decimal.text.substr(0, 10)));
  const auto scale = most_decimal_scale(kind);
  if (digits->fraction() <= scale && digits->whole() + digits->fraction() <= kMostInnodbDigits) return {};
  return refuse(fmt::format(
      "a decimal has {} digits before and {} behind the point; {} has {} in all, {} behind the point",
      digits->whole(), digits->fraction(), name_of(kind), kMostInnodbDigits, scale));
}

Status check_postgres_text(std::string_view text) {
  if (text.find('\0') == std::string_view::npos) return {};
  return refuse("a text holds a NUL, which Postgres has none of; send it as bytes");
}

Status check_postgres_holdable(const Value& value) {
  return std::visit(Overloaded{[](const Text& v) { return check_postgres_text(v.text); },
                               [](const Json& v) { return check_postgres_text(v.text); },
                               [](const Array& v) {
                                 for (const auto& element : v.elements)
                                   if (auto status = check_postgres_holdable(element); !status) return status;
                                 return Status{};
                               },
                               [](const auto&) { return Status{}; }},
                    value.is);
}

}  // namespace

bool Array::operator==(const Array&) const = default;

std::string_view type_name(const Value& value) {
  return std::visit(
      Overloaded{[](const Null&) { return "null"; }, [](bool) { return "bool"; },
                 [](std::int64_t) { return "int64"; }, [](std::uint64_t) { return "uint64"; },
                 [](double) { return "double"; }, [](const Decimal&) { return "decimal"; },
                 [](const Text&) { return "text"; }, [](const Bytes&) { return "bytes"; },
                 [](const Date&) { return "date"; }, [](const Time&) { return "time"; },
                 [](const Timestamp&) { return "timestamp"; },
                 [](const TimestampTz&) { return "timestamp_tz"; }, [](const Json&) { return "json"; },
                 [](const Uuid&) { return "uuid"; }, [](const Array&) { return "array"; }},
      value.is);
}

std::size_t size_of(const Value& value) {
  return sizeof(Value) +
         std::visit(Overloaded{[](const Bytes& bytes) { return bytes.octets.size(); },
                               [](const Array& array) {
                                 std::size_t size = 0;
                                 for (const auto& element : array.elements)
                                   size += size_of(element);
                                 return size;
                               },
                               []<typename Tag>(const Texted<Tag>& text) { return text.text.size(); },
                               [](const auto&) { return std::size_t{0}; }},
                    value.is);
}

Status check_value(const Value& value) {
  if (size_of(value) > kMaxValueBytes + sizeof(Value))
    return refuse(fmt::format("a value has more than {} MiB", kMaxValueBytes >> 20));
  return std::visit(
      Overloaded{
          [](const Decimal& v) {
            return check_form(is_decimal(v.text), "decimal", v.text, "digits like -12.50");
          },
          [](const Text& v) { return check_text(v.text); }, [](const Json& v) { return check_text(v.text); },
          [](const Date& v) { return check_form(is_date(v.text), "date", v.text, "YYYY-MM-DD"); },
          [](const Time& v) { return check_form(is_time(v.text), "time", v.text, "HH:MM:SS[.ffffff]"); },
          [](const Timestamp& v) {
            return check_form(is_timestamp(v.text), "timestamp", v.text, "YYYY-MM-DD HH:MM:SS[.ffffff]");
          },
          [](const TimestampTz& v) {
            return check_form(is_timestamp_tz(v.text), "timestamp with zone", v.text,
                              "YYYY-MM-DD HH:MM:SS[.ffffff] and Z or +HH:MM");
          },
          [](const Uuid& v) {
            return check_form(is_uuid(v.text), "uuid", v.text, "8-4-4-4-12 hexadecimal digits");
          },
          [](const Array& v) { return ArrayCheck().check(v, 0); }, [](const auto&) { return Status{}; }},
      value.is);
}

std::uint32_t most_decimal_scale(DatabaseKind kind) {
  switch (kind) {
    case DatabaseKind::kPostgres: return 16'383;
    case DatabaseKind::kMysql: return 30;
    case DatabaseKind::kMariadb: return 38;
  }
  return 0;
}

Status check_holdable(DatabaseKind kind, const Value& value) {
  if (kind == DatabaseKind::kPostgres) return check_postgres_holdable(value);
  return std::visit(
      Overloaded{[kind](double number) -> Status {
                   if (std::isfinite(number)) return {};
                   return refuse(fmt::format("{} has no double {}", name_of(kind), number));
                 },
                 [kind](const Decimal& decimal) { return check_innodb_decimal(kind, decimal); },
                 [kind](const Array&) -> Status {
                   return refuse(fmt::format("the value is an array; {} has none", name_of(kind)));
                 },
                 [](const auto&) { return Status{}; }},
      value.is);
}

// RFC 3629, table of well-formed byte sequences.
bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto byte = [&text](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  while (i < text.size()) {
    const std::uint8_t first = byte(i);
    std::size_t more = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xBF;
    if (first < 0x80) {
      ++i;
      continue;
    }
    if (first >= 0xC2 && first <= 0xDF) {
      more = 1;
    } else if (first >= 0xE0 && first <= 0xEF) {
      more = 2;
      if (first == 0xE0) low = 0xA0;
      if (first == 0xED) high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
      more = 3;
      if (first == 0xF0) low = 0x90;
      if (first == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    if (i + more >= text.size()) return false;
    if (byte(i + 1) < low || byte(i + 1) > high) return false;
    for (std::size_t k = 2; k <= more; ++k) {
      if (byte(i + k) < 0x80 || byte(i + k) > 0xBF) return false;
    }
    i += more + 1;
  }
  return true;
}

}  // namespace troth::agent
