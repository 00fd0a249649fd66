#include "participant_agent/dialect/column_shape.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "participant_agent/dialect/decimal_digits.h"

namespace troth::agent {
namespace {

using Form = ColumnShape::Form;

std::string place(const ColumnShape& shape) {
  return shape.name.empty() ? fmt::format("a {}", shape.type)
                            : fmt::format("column {} ({})", shape.name, shape.type);
}

std::unexpected<Error> refuse(std::string_view what, const ColumnShape& shape, std::string_view remedy) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("{} cannot hold {} as it is: {}", place(shape), what, remedy));
}

Status check_scale(const DecimalDigits& digits, std::string_view what, const ColumnShape& shape) {
  if (!shape.scale.has_value() || digits.fraction() <= *shape.scale) return {};
  return refuse(fmt::format("{} with {} digits behind the point", what, digits.fraction()), shape,
                fmt::format("it has {}; round the value before it is sent, or ROUND it in the statement",
                            *shape.scale));
}

// The double nearest to the number has this number as its shortest form, or is exactly it.
bool is_a_double(const DecimalDigits& digits) {
  const std::string text = fmt::format("{}0.{}e{}", digits.negative ? "-" : "",
                                       digits.digits.empty() ? "0" : digits.digits, digits.point);
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  // Past a double's range: the server's own error.
  if (problem != std::errc{}) return true;
  return digits_of(number) == digits;
}

Status check_digits(const DecimalDigits& digits, std::string_view what, const ColumnShape& shape) {
  switch (shape.form) {
    case Form::kInteger:
      if (digits.fraction() == 0) return {};
      return refuse(fmt::format("{} with digits behind the point", what), shape,
                    "round the value before it is sent, or ROUND it in the statement");
    case Form::kDecimal: return check_scale(digits, what, shape);
    case Form::kDouble:
      if (is_a_double(digits)) return {};
      return refuse(fmt::format("{} of so many digits", what), shape,
                    "a double would round it; use a decimal column, or send a double");
    case Form::kFloat: {
      const std::string text = plain_text(digits, 0);
      float number = 0;
      const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (problem != std::errc{} || digits_of(number) == digits) return {};
      return refuse(fmt::format("{} of so many digits", what), shape,
                    "32 bits would round it; use a double or decimal column");
    }
    case Form::kOther:
    case Form::kParsed:
    case Form::kText:
    case Form::kBytes:
    case Form::kDate:
    case Form::kTime:
    case Form::kTimestamp:
    case Form::kTimestampTz: return {};
  }
  return {};
}

// Digits of the fraction of a second that are not zeros at its end.
std::uint32_t second_digits(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) return 0;
  std::size_t end = point + 1;
  std::uint32_t digits = 0;
  for (; end < text.size() && text[end] >= '0' && text[end] <= '9'; ++end)
    if (text[end] != '0') digits = static_cast<std::uint32_t>(end - point);
  return digits;
}

Status check_second(std::string_view text, std::string_view what, const ColumnShape& shape) {
  const std::uint32_t digits = second_digits(text);
  if (!shape.scale.has_value() || digits <= *shape.scale) return {};
  return refuse(fmt::format("{} with {} digits of a second", what, digits), shape,
                fmt::format("it has {}; send fewer", *shape.scale));
}

constexpr std::string_view kOtherKind = "send a value of the column's own kind, or CAST it in the statement";

Status check_calendar(std::string_view text, std::string_view what, const ColumnShape& shape) {
  const bool has_date = what != "a time";
  const bool has_time = what != "a date";
  const bool has_zone = what == "a timestamp with zone";
  switch (shape.form) {
    case Form::kDate:
      if (has_time) return refuse(what, shape, kOtherKind);
      return {};
    case Form::kTime:
      if (has_date) return refuse(what, shape, kOtherKind);
      return check_second(text, what, shape);
    case Form::kTimestamp:
      if (has_zone)
        return refuse(
            what, shape,
            "the zone would be lost; send a timestamp without one, in the zone that the column means");
      if (!has_date) return refuse(what, shape, kOtherKind);
      return check_second(text, what, shape);
    case Form::kTimestampTz:
      if (!has_date) return refuse(what, shape, kOtherKind);
      return check_second(text, what, shape);
    case Form::kInteger:
    case Form::kFloat:
    case Form::kDouble:
    case Form::kDecimal:
    case Form::kBytes: return refuse(what, shape, kOtherKind);
    case Form::kOther:
    case Form::kParsed:
    case Form::kText: return {};
  }
  return {};
}

std::size_t characters_of(std::string_view utf8) {
  std::size_t count = 0;
  for (const char c : utf8)
    if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) ++count;
  return count;
}

// A text is the statement's own way of saying any type; where it says a number or a time, that must fit.
Status check_text(const Text& text, const ColumnShape& shape) {
  switch (shape.form) {
    case Form::kText:
      if (!shape.length.has_value() || characters_of(text.text) <= *shape.length) return {};
      return refuse(fmt::format("a text of {} characters", characters_of(text.text)), shape,
                    fmt::format("at most {} fit", *shape.length));
    case Form::kInteger:
    case Form::kFloat:
    case Form::kDouble:
    case Form::kDecimal:
      if (const auto digits = digits_of(text.text); digits.has_value())
        return check_digits(*digits, "a text", shape);
      return {};
    case Form::kDate:
      if (check_value({Timestamp{text.text}}).has_value() ||
          check_value({TimestampTz{text.text}}).has_value())
        return refuse("a text that is a timestamp", shape, kOtherKind);
      return {};
    case Form::kTimestamp:
      if (check_value({TimestampTz{text.text}}).has_value())
        return check_calendar(text.text, "a timestamp with zone", shape);
      return check_second(text.text, "a text", shape);
    case Form::kTime:
      if (check_value({Timestamp{text.text}}).has_value() ||
          check_value({TimestampTz{text.text}}).has_value() || check_value({Date{text.text}}).has_value())
        return refuse("a text that is a date", shape, kOtherKind);
      return check_second(text.text, "a text", shape);
    case Form::kTimestampTz: return check_second(text.text, "a text", shape);
    case Form::kOther:
    case Form::kParsed:
    case Form::kBytes: return {};
  }
  return {};
}

struct Fit {
  const ColumnShape& shape;

  Status operator()(const Null&) const { return {}; }
  // Postgres would write `t` into a text, MySQL `1`.
  Status operator()(bool) const {
    if (shape.form == Form::kText || shape.form == Form::kBytes || shape.form == Form::kParsed)
      return refuse("a bool", shape, kOtherKind);
    return {};
  }
  template <typename Integer>
    requires std::is_integral_v<Integer>
  Status operator()(Integer number) const {
    // Postgres takes 64 bits of an oid for 32.
    if (shape.type == "oid" && (std::cmp_less(number, 0) || std::cmp_greater(number, 0xffff'ffffU)))
      return refuse(fmt::format("the integer {}", number), shape, "it is out of range");
    const auto digits = digits_of(fmt::format("{}", number));
    return digits.has_value() ? check_digits(*digits, "an integer", shape) : Status{};
  }
  Status operator()(double number) const {
    if (shape.form == Form::kFloat) {
      if (as_float(number).has_value() || std::abs(number) > 3.5e38) return {};
      return refuse(fmt::format("the double {}", number), shape,
                    "32 bits would round it; use a double column, or round the value before it is sent");
    }
    if (shape.form == Form::kDouble) return {};
    const auto digits = digits_of(number);
    return digits.has_value() ? check_digits(*digits, "a double", shape) : Status{};
  }
  Status operator()(const Decimal& decimal) const {
    const auto digits = digits_of(decimal.text);
    return digits.has_value() ? check_digits(*digits, "a decimal", shape) : Status{};
  }
  Status operator()(const Text& text) const { return check_text(text, shape); }
  Status operator()(const Bytes&) const {
    if (shape.form == Form::kBytes || shape.form == Form::kOther) return {};
    return refuse("bytes", shape, kOtherKind);
  }
  Status operator()(const Date& v) const { return check_calendar(v.text, "a date", shape); }
  Status operator()(const Time& v) const { return check_calendar(v.text, "a time", shape); }
  Status operator()(const Timestamp& v) const { return check_calendar(v.text, "a timestamp", shape); }
  Status operator()(const TimestampTz& v) const {
    return check_calendar(v.text, "a timestamp with zone", shape);
  }
  Status operator()(const Json&) const { return {}; }
  Status operator()(const Uuid&) const { return {}; }
  Status operator()(const Array& array) const {
    for (const Value& element : array.elements)
      if (Status fits = std::visit(*this, element.is); !fits.has_value()) return fits;
    return {};
  }
};

}  // namespace

Status check_fit(const Value& value, const ColumnShape& shape) {
  const bool is_array = std::holds_alternative<Array>(value.is);
  if (is_array && !shape.is_array && shape.form != Form::kOther && shape.form != Form::kParsed)
    return refuse("an array", shape, kOtherKind);
  // Null, an array, or the server's own text for one.
  const bool may_be_array = is_array || value.is_null() || std::holds_alternative<Text>(value.is);
  if (shape.is_array && !may_be_array)
    return refuse(fmt::format("a value of type {}", type_name(value)), shape, "it is an array; send one");
  if (shape.form == Form::kOther || (shape.is_array && !is_array)) return {};
  return std::visit(Fit{shape}, value.is);
}

}  // namespace troth::agent
