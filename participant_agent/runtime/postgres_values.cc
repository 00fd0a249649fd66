#include "participant_agent/runtime/postgres_values.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "participant_agent/dialect/decimal_digits.h"

namespace troth::agent {
namespace {

// pg_type.dat of PostgreSQL: the OIDs of built-in types never change.
enum class Form : std::uint8_t {
  kBool,
  kInt,
  kFloat,
  kDouble,
  kDecimal,
  kText,
  kBytes,
  kDate,
  kTime,
  kStamp,
  kStampTz,
  kJson,
  kUuid
};

struct TypeEntry {
  std::uint32_t type;
  std::uint32_t array_type;
  std::string_view name;
  std::string_view array_name;
  Form form;
};

constexpr std::array kTypes{
    TypeEntry{16, 1000, "bool", "_bool", Form::kBool},
    TypeEntry{17, 1001, "bytea", "_bytea", Form::kBytes},
    TypeEntry{19, 1003, "name", "_name", Form::kText},
    TypeEntry{20, 1016, "int8", "_int8", Form::kInt},
    TypeEntry{21, 1005, "int2", "_int2", Form::kInt},
    TypeEntry{23, 1007, "int4", "_int4", Form::kInt},
    TypeEntry{25, 1009, "text", "_text", Form::kText},
    TypeEntry{26, 1028, "oid", "_oid", Form::kInt},
    TypeEntry{114, 199, "json", "_json", Form::kJson},
    TypeEntry{700, 1021, "float4", "_float4", Form::kFloat},
    TypeEntry{701, 1022, "float8", "_float8", Form::kDouble},
    TypeEntry{1042, 1014, "bpchar", "_bpchar", Form::kText},
    TypeEntry{1043, 1015, "varchar", "_varchar", Form::kText},
    TypeEntry{1082, 1182, "date", "_date", Form::kDate},
    TypeEntry{1083, 1183, "time", "_time", Form::kTime},
    TypeEntry{1114, 1115, "timestamp", "_timestamp", Form::kStamp},
    TypeEntry{1184, 1185, "timestamptz", "_timestamptz", Form::kStampTz},
    TypeEntry{1266, 1270, "timetz", "_timetz", Form::kText},
    TypeEntry{1186, 1187, "interval", "_interval", Form::kText},
    TypeEntry{1700, 1231, "numeric", "_numeric", Form::kDecimal},
    TypeEntry{2950, 2951, "uuid", "_uuid", Form::kUuid},
    TypeEntry{3802, 3807, "jsonb", "_jsonb", Form::kJson},
};

std::string hex_of(std::string_view octets) {
  std::string hex = "\\x";
  hex.reserve(2 + 2 * octets.size());
  for (const char octet : octets)
    fmt::format_to(std::back_inserter(hex), "{:02x}", static_cast<unsigned char>(octet));
  return hex;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// `bytea_output` is hex in every session.
std::optional<std::string> octets_of_hex(std::string_view text) {
  if (!text.starts_with("\\x") || text.size() % 2 != 0) return std::nullopt;
  std::string octets;
  octets.reserve(text.size() / 2 - 1);
  for (std::size_t i = 2; i < text.size(); i += 2) {
    const int high = digit_of(text[i]);
    const int low = digit_of(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    octets.push_back(static_cast<char>(high * 16 + low));
  }
  return octets;
}

std::string float_text(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return fmt::format("{}", number);  // the shortest text that reads back as the same double
}

double float_of(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string array_text(const Array& array) {
  std::string text = "{";
  for (const Value& element : array.elements) {
    if (text.size() > 1) text += ',';
    const std::optional<std::string> inner = to_postgres(element);
    if (!inner.has_value()) {
      text += "NULL";
      continue;
    }
    if (std::holds_alternative<Array>(element.is)) {
      text += *inner;
      continue;
    }
    text += '"';
    for (const char c : *inner) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

struct Writer {
  std::optional<std::string> operator()(const Null&) const { return std::nullopt; }
  std::optional<std::string> operator()(bool b) const { return b ? "t" : "f"; }
  std::optional<std::string> operator()(std::int64_t n) const { return std::to_string(n); }
  std::optional<std::string> operator()(std::uint64_t n) const { return std::to_string(n); }
  std::optional<std::string> operator()(double d) const { return float_text(d); }
  std::optional<std::string> operator()(const Bytes& bytes) const { return hex_of(bytes.octets); }
  std::optional<std::string> operator()(const Array& array) const { return array_text(array); }
  template <typename Tag>
  std::optional<std::string> operator()(const Texted<Tag>& texted) const {
    return texted.text;
  }
};

// The contract's forms have neither an infinity nor years before Christ or past 9999.
bool is_plain_calendar(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9' && !text.ends_with("BC") &&
         (text.find('-') == std::string_view::npos || text.find('-') == 4);
}

template <typename T>
Value calendar(std::string_view text) {
  if (!is_plain_calendar(text)) return {Text{std::string(text)}};
  return {T{std::string(text)}};
}

Value value_of(Form form, std::string_view text) {
  switch (form) {
    case Form::kBool: return {text == "t"};
    case Form::kInt: {
      std::int64_t number = 0;
      std::from_chars(text.data(), text.data() + text.size(), number);
      return {number};
    }
    case Form::kFloat: return {widened(static_cast<float>(float_of(text)))};
    case Form::kDouble: return {float_of(text)};
    case Form::kDecimal: return {Decimal{std::string(text)}};
    case Form::kText: return {Text{std::string(text)}};
    case Form::kBytes:
      if (std::optional<std::string> octets = octets_of_hex(text)) return {Bytes{std::move(*octets)}};
      return {Text{std::string(text)}};
    case Form::kDate: return calendar<Date>(text);
    case Form::kTime: return calendar<Time>(text);
    case Form::kStamp: return calendar<Timestamp>(text);
    case Form::kStampTz: return calendar<TimestampTz>(text);
    case Form::kJson: return {Json{std::string(text)}};
    case Form::kUuid: return {Uuid{std::string(text)}};
  }
  return {Text{std::string(text)}};
}

// Reads `{1,NULL,"a b"}` and `{{1,2},{3,4}}`. Dimensions that do not begin at 1 are written before the braces,
// and are not read.
class ArrayReader {
 public:
  ArrayReader(Form form, std::string_view text) : form_(form), text_(text) {}

  std::optional<Array> read() {
    std::optional<Array> array = read_array(0);
    if (!array.has_value() || at_ != text_.size()) return std::nullopt;
    return array;
  }

 private:
  [[nodiscard]] bool is_at(char c) const { return at_ < text_.size() && text_[at_] == c; }

  std::optional<Array> read_array(int dimension) {
    if (!is_at('{') || dimension >= kMaxArrayDimensions) return std::nullopt;
    ++at_;
    Array array;
    while (!is_at('}')) {
      if (is_at('{')) {
        std::optional<Array> inner = read_array(dimension + 1);
        if (!inner.has_value()) return std::nullopt;
        array.elements.push_back({std::move(*inner)});
      } else {
        array.elements.push_back(read_element());
      }
      if (is_at(',')) {
        ++at_;
      } else if (!is_at('}')) {
        return std::nullopt;
      }
    }
    ++at_;
    return array;
  }

  Value read_element() {
    std::string element;
    const bool quoted = is_at('"');
    if (quoted) {
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
        if (text_[at_] == '\\') ++at_;
        if (at_ < text_.size()) element += text_[at_];
      }
      ++at_;
    } else {
      while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}')
        element += text_[at_++];
    }
    if (!quoted && element == "NULL") return {Null{}};
    return value_of(form_, element);
  }

  const Form form_;
  const std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::string> to_postgres(const Value& value) {
  return std::visit(Writer{}, value.is);
}

Value from_postgres(std::uint32_t type, std::string_view text) {
  for (const TypeEntry& entry : kTypes) {
    if (entry.type == type) return value_of(entry.form, text);
    if (entry.array_type == type) {
      if (std::optional<Array> array = ArrayReader(entry.form, text).read()) return {std::move(*array)};
      break;
    }
  }
  return {Text{std::string(text)}};
}

std::optional<std::string_view> postgres_type_name(std::uint32_t type) {
  for (const TypeEntry& entry : kTypes) {
    if (entry.type == type) return entry.name;
    if (entry.array_type == type) return entry.array_name;
  }
  return std::nullopt;
}

}  // namespace troth::agent
