// recovery/runtime/values.h
//
// SQL values between the contract and people: parameters as they are typed, and rows as they are shown.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "recovery/runtime/console.h"
#include "thrift/gen/common_types.h"

namespace troth::recovery {

// "int:10", "text:any text", "null", "bytes:00ff", "int[]:[1,null,3]". Refuses an unknown type with the nearest name, and what is
// not of its type (invalid_argument, effect none). Dates, times, decimals, JSON and UUIDs are the database's
// to check.
[[nodiscard]] Result<wire::Value> parse_parameter(std::string_view text);

// The names of the types, for a help text.
[[nodiscard]] std::string parameter_types();

// For a table: NULL is `NULL`, bytes are \x00ff.
[[nodiscard]] std::string value_text(const wire::Value& value);

// Numbers, booleans and null as such (NaN, Infinity and -Infinity as text); a decimal as text, because its digits are exact; bytes as \x00ff.
[[nodiscard]] Json value_json(const wire::Value& value);

}  // namespace troth::recovery
