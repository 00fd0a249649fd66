// participant_agent/dialect/column_shape.h
//
// What a column (or a typed parameter of Postgres) can hold of a value without changing it. Databases round,
// cut or reinterpret some values on their way into a column without an error: 1.5 becomes 2 in an INT of
// MySQL, a timestamp loses its time in a DATE and its zone in a `timestamp`, 0.123 becomes 0.12 in a
// NUMERIC(10,2). Troth refuses those by name before the statement runs. What the server itself refuses (out
// of range, too long, no such character) is left to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "participant_agent/dialect/sql_value.h"

namespace troth::agent {

struct ColumnShape {
  enum class Form : std::uint8_t {
    kOther,   // nothing is known, or the server refuses by itself what it cannot hold
    kParsed,  // the server reads it from a text of its own form (uuid, inet, an enum, json)
    kInteger,
    kFloat,   // 32 bits
    kDouble,  // 64 bits
    kDecimal,
    kText,
    kBytes,
    kDate,
    kTime,
    kTimestamp,    // without zone
    kTimestampTz,  // an instant
  };
  std::string name;  // of the column; empty: a parameter that the statement gives this type
  std::string type;  // as the database calls it
  Form form = Form::kOther;
  bool is_array = false;                // then the form is its elements'
  std::optional<std::uint32_t> scale;   // digits behind the point, of a decimal or of a second; empty: any
  std::optional<std::uint32_t> length;  // of a text, in characters; empty: any

  bool operator==(const ColumnShape&) const = default;
};

// invalid_argument, effect none, naming type and column, when the column would hold another value than this.
[[nodiscard]] Status check_fit(const Value& value, const ColumnShape& shape);

}  // namespace troth::agent
