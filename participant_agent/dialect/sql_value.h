// participant_agent/dialect/sql_value.h
//
// A typed SQL value: what a service binds as a parameter and what it gets back in a row. Numbers that a
// double would bend, and everything of the calendar, travel as text in one fixed form, so that three
// databases and any client language read the same.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "participant_agent/dialect/database_kind.h"

namespace troth::agent {

inline constexpr std::size_t kMaxValueBytes = 16U << 20;
inline constexpr std::size_t kMaxArrayElements = 65'536;  // of all its dimensions together
inline constexpr int kMaxArrayDimensions = 6;             // Postgres' own limit
inline constexpr std::size_t kMaxDecimalBytes = 150'000;  // longer than any numeric of Postgres

struct Null {
  auto operator<=>(const Null&) const = default;
};

// Text of one meaning; `Tag` is never defined. The form of each is checked by `check_value`.
template <typename Tag>
struct Texted {
  std::string text;
  auto operator<=>(const Texted&) const = default;
};

using Decimal = Texted<struct DecimalTag>;      // [-]digits[.digits][e[-]digits]; Postgres: NaN, [-]Infinity
using Text = Texted<struct TextTag>;            // UTF-8
using Date = Texted<struct DateTag>;            // YYYY-MM-DD
using Time = Texted<struct TimeTag>;            // [-]HH:MM:SS[.ffffff]
using Timestamp = Texted<struct TimestampTag>;  // YYYY-MM-DD HH:MM:SS[.ffffff], no zone
using TimestampTz = Texted<struct TimestampTzTag>;  // the same with Z, +HH or +HH:MM behind it
using Json = Texted<struct JsonTag>;                // UTF-8; the database parses it
using Uuid = Texted<struct UuidTag>;                // 8-4-4-4-12 hexadecimal digits

struct Bytes {
  std::string octets;
  auto operator<=>(const Bytes&) const = default;
};

struct Value;

// Elements of one type, or null; or arrays, all of one shape: further dimensions. Postgres only.
struct Array {
  std::vector<Value> elements;
  bool operator==(const Array&) const;
};

struct Value {
  using Variant = std::variant<Null, bool, std::int64_t, std::uint64_t, double, Decimal, Text, Bytes, Date,
                               Time, Timestamp, TimestampTz, Json, Uuid, Array>;
  Variant is;

  bool operator==(const Value&) const = default;
  [[nodiscard]] bool is_null() const { return std::holds_alternative<Null>(is); }
};

// "int64", "timestamp_tz", ...: the names that the Thrift contract uses.
[[nodiscard]] std::string_view type_name(const Value& value);

// Memory that the value holds, for limits.
[[nodiscard]] std::size_t size_of(const Value& value);

// Refuses text that is not UTF-8, a form that is not the type's, and what is past the limits
// (invalid_argument, effect none).
[[nodiscard]] Status check_value(const Value& value);

// Refuses what no column of this kind of database can hold, and the server would store as something else
// (invalid_argument, effect none): a NUL in a text of Postgres; NaN, infinities, arrays and decimals of more
// than 65 digits in MySQL and MariaDB.
[[nodiscard]] Status check_holdable(DatabaseKind kind, const Value& value);

// The most digits that a decimal has behind the point.
[[nodiscard]] std::uint32_t most_decimal_scale(DatabaseKind kind);

// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace troth::agent
