// Parameters as people type them, and rows as they are shown: every type of the contract, there and back.
#include "recovery/runtime/values.h"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

namespace troth::recovery {
namespace {

// As it is shown, in a table and in JSON; or why it was refused.
std::string shown(const std::string& parameter) {
  const auto value = parse_parameter(parameter);
  return value.has_value() ? value_text(*value) : "refused: " + value.error().message;
}
std::string json_of(const std::string& parameter) {
  const auto value = parse_parameter(parameter);
  return value.has_value() ? value_json(*value).dump() : "refused: " + value.error().message;
}

TEST(ToolValues, EveryTypeIsTypedAndShown) {
  struct Row {
    std::string parameter, text, json;
  };
  for (const auto& [parameter, text, json] : std::vector<Row>{
           {"null", "NULL", "null"},
           {"bool:true", "true", "true"},
           {"int:-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
           {"uint:18446744073709551615", "18446744073709551615", "18446744073709551615"},
           {"float:0.1", "0.1", "0.1"},
           {"float:nan", "nan", "\"NaN\""},
           {"float:-inf", "-inf", "\"-Infinity\""},
           {"float:-0", "-0", "-0.0"},
           {"decimal:-12.50", "-12.50", "\"-12.50\""},
           {"text:a:b", "a:b", "\"a:b\""},
           {"text:", "", "\"\""},
           {"bytes:00fF", "\\x00ff", "\"\\\\x00ff\""},
           {"date:2026-11-23", "2026-11-23", "\"2026-11-23\""},
           {"time:-838:59:59", "-838:59:59", "\"-838:59:59\""},
           {"timestamp:2026-11-23 13:37:00", "2026-11-23 13:37:00", "\"2026-11-23 13:37:00\""},
           {"timestamptz:2026-11-23 13:37:00+00", "2026-11-23 13:37:00+00", "\"2026-11-23 13:37:00+00\""},
           {"json:{\"a\":  1.50}", "{\"a\":  1.50}", "\"{\\\"a\\\":  1.50}\""},
           {"uuid:01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8057",
            "\"01890a5d-ac96-774b-bcce-b302099a8057\""},
           {"int[]:[1,null,-3]", "[1, NULL, -3]", "[1,null,-3]"},
           {"text[]:[[\"a\"],[\"b\"]]", "[[a], [b]]", "[[\"a\"],[\"b\"]]"},
           {"decimal[]:[\"12.50\",7]", "[12.50, 7]", "[\"12.50\",\"7\"]"},
           {"float[]:[0.5,\"inf\"]", "[0.5, inf]", "[0.5,\"Infinity\"]"},
           {"bool[]:[true]", "[true]", "[true]"},
           {"bytes[]:[]", "[]", "[]"}}) {
    EXPECT_EQ(shown(parameter), text) << parameter;
    EXPECT_EQ(json_of(parameter), json) << parameter;
  }
}

TEST(ToolValues, WhatIsNotOfItsTypeIsRefused) {
  for (const char* parameter :
       {"int:", "int:9223372036854775808", "int:1.5", "uint:-1", "bool:yes", "float:1e400", "bytes:0",
        "bytes:xx", "integer:1", "10", "int[]:1", "int[]:[1", "int[]:[1.5]", "decimal[]:[12.50]",
        "int[]:[{}]", "int[]:[\"a\"]", "ints[]:[1]"})
    EXPECT_TRUE(shown(parameter).starts_with("refused: parameter '"))
        << parameter << ": " << shown(parameter);
  EXPECT_NE(shown("decimals:1").find("perhaps decimal:.."), std::string::npos);
}

// The help and the refusals name the same types.
TEST(ToolValues, TypesAreNamed) {
  EXPECT_EQ(
      parameter_types(),
      "null, int, uint, bool, float, decimal, text, bytes, date, time, timestamp, timestamptz, json, uuid");
}

RC_GTEST_PROP(ToolValues, FloatsAreShownInFull, (double number)) {
  const auto value = parse_parameter("float:" + std::to_string(number));
  RC_ASSERT(value.has_value());
  const auto again = parse_parameter("float:" + value_text(*value));
  RC_ASSERT(again.has_value());
  RC_ASSERT(again->float64 == value->float64);
}

RC_GTEST_PROP(ToolValues, NoTextCrashesTheReader, (const std::string& text)) {
  for (const char* type : {"", "int[]:", "text[]:[", "bytes:", "json:"})
    static_cast<void>(parse_parameter(type + text));
}

}  // namespace
}  // namespace troth::recovery
