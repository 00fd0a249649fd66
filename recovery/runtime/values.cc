#include "recovery/runtime/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/nearest_name.h"

namespace troth::recovery {
namespace {

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::optional<std::string> bytes_of(std::string_view hex) {
  std::string bytes;
  if (hex.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned int byte = 0;
    const auto [end, problem] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (problem != std::errc{} || end != hex.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::string hex_of(std::string_view bytes) {
  std::string hex = "\\x";
  for (const char byte : bytes)
    hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return hex;
}

// Sets the value from its text; false when the text is not of the type.
using Set = bool (*)(wire::Value& value, std::string_view text);
struct ParameterType {
  std::string_view name;
  Set set;
};

template <typename Number, void (wire::Value::*kSetter)(const Number)>
bool set_number(wire::Value& value, std::string_view text) {
  const auto number = number_of<Number>(text);
  if (number) (value.*kSetter)(*number);
  return number.has_value();
}

template <void (wire::Value::*kSetter)(const std::string&)>
bool set_text(wire::Value& value, std::string_view text) {
  (value.*kSetter)(std::string(text));
  return true;
}

bool set_unsigned(wire::Value& value, std::string_view text) {
  const auto number = number_of<std::uint64_t>(text);
  if (number) value.__set_uint64(static_cast<std::int64_t>(*number));
  return number.has_value();
}

bool set_boolean(wire::Value& value, std::string_view text) {
  value.__set_boolean(text == "true");
  return text == "true" || text == "false";
}

bool set_bytes(wire::Value& value, std::string_view text) {
  auto bytes = bytes_of(text);
  if (bytes) value.__set_bytes(*bytes);
  return bytes.has_value();
}

constexpr std::array kTypes = {
    ParameterType{"int", set_number<std::int64_t, &wire::Value::__set_int64>},
    ParameterType{"uint", set_unsigned},
    ParameterType{"bool", set_boolean},
    ParameterType{"float", set_number<double, &wire::Value::__set_float64>},
    ParameterType{"decimal", set_text<&wire::Value::__set_decimal>},
    ParameterType{"text", set_text<&wire::Value::__set_text>},
    ParameterType{"bytes", set_bytes},
    ParameterType{"date", set_text<&wire::Value::__set_date>},
    ParameterType{"time", set_text<&wire::Value::__set_time>},
    ParameterType{"timestamp", set_text<&wire::Value::__set_timestamp>},
    ParameterType{"timestamptz", set_text<&wire::Value::__set_timestamp_tz>},
    ParameterType{"json", set_text<&wire::Value::__set_json>},
    ParameterType{"uuid", set_text<&wire::Value::__set_uuid>},
};

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

constexpr std::string_view kArraySuffix = "[]";
constexpr int kDeepestArray = 16;  // the agent's own limit is lower, and named

// An element of a JSON array: null, another array, or a value of the type, as a string or as JSON itself has it.
// A number with a fraction is taken for a float only: JSON does not keep a decimal's digits.
bool set_element(wire::Value& value, const ParameterType& type, const Json& element, int depth) {
  if (element.is_null()) {
    value.__set_is_null(true);
    return true;
  }
  if (element.is_array()) {
    if (depth >= kDeepestArray) return false;
    std::vector<wire::Value> elements(element.size());
    for (std::size_t i = 0; i < element.size(); ++i)
      if (!set_element(elements[i], type, element[i], depth + 1)) return false;
    value.__set_elements(elements);
    return true;
  }
  if (element.is_string()) return type.set(value, element.get<std::string>());
  if (element.is_number_float() && type.name != "float") return false;
  return !element.is_object() && type.set(value, element.dump());
}

// JSON has neither NaN nor infinities: they are words.
Json float_json(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return number;
}

}  // namespace

std::string parameter_types() {
  std::string names = "null";
  for (const auto& type : kTypes)
    names += fmt::format(", {}", type.name);
  return names;
}

Result<wire::Value> parse_parameter(std::string_view text) {
  wire::Value value;
  if (text == "null") {
    value.__set_is_null(true);
    return value;
  }
  const auto colon = text.find(':');
  auto name = text.substr(0, colon);
  const bool is_array = colon != std::string_view::npos && name.ends_with(kArraySuffix);
  if (is_array) name.remove_suffix(kArraySuffix.size());
  const auto type = std::ranges::find(kTypes, name, &ParameterType::name);
  if (colon == std::string_view::npos || type == kTypes.end()) {
    std::vector<std::string> names{"null"};
    for (const auto& known : kTypes)
      names.emplace_back(known.name);
    const auto nearest = nearest_name(name, names);
    return refuse(
        fmt::format("parameter '{}': expected null or TYPE:VALUE{}; `troth execute --help` lists the types",
                    text.substr(0, 80), nearest ? fmt::format(", perhaps {}:..", *nearest) : ""));
  }
  if (is_array) {
    const auto array = Json::parse(text.substr(colon + 1), nullptr, /*allow_exceptions=*/false);
    if (!array.is_array() || !set_element(value, *type, array, 0)) {
      return refuse(
          fmt::format("parameter '{}': not a JSON array of values of type {}; write them as strings",
                      text.substr(0, 80), name));
    }
    return value;
  }
  if (!type->set(value, text.substr(colon + 1)))
    return refuse(fmt::format("parameter '{}': not a value of type {}", text.substr(0, 80), name));
  return value;
}

std::string value_text(const wire::Value& value) {
  const auto& set = value.__isset;
  if (set.boolean) return value.boolean ? "true" : "false";
  if (set.int64) return fmt::format("{}", value.int64);
  if (set.uint64) return fmt::format("{}", static_cast<std::uint64_t>(value.uint64));
  if (set.float64) return fmt::format("{}", value.float64);
  if (set.decimal) return value.decimal;
  if (set.text) return value.text;
  if (set.bytes) return hex_of(value.bytes);
  if (set.date) return value.date;
  if (set.time) return value.time;
  if (set.timestamp) return value.timestamp;
  if (set.timestamp_tz) return value.timestamp_tz;
  if (set.json) return value.json;
  if (set.uuid) return value.uuid;
  if (set.elements) {
    std::string list;
    for (const auto& element : value.elements)
      list += (list.empty() ? "" : ", ") + value_text(element);
    return fmt::format("[{}]", list);
  }
  return "NULL";
}

Json value_json(const wire::Value& value) {
  const auto& set = value.__isset;
  if (set.boolean) return value.boolean;
  if (set.int64) return value.int64;
  if (set.uint64) return static_cast<std::uint64_t>(value.uint64);
  if (set.float64) return float_json(value.float64);
  if (set.elements) {
    Json list = Json::array();
    for (const auto& element : value.elements)
      list.push_back(value_json(element));
    return list;
  }
  if (set.is_null) return nullptr;
  return value_text(value);
}

}  // namespace troth::recovery
