#include "base/runtime/settings_file.h"

#include <map>
#include <sstream>

#include <fmt/format.h>
#include <toml.hpp>

#include "base/runtime/durable_file.h"

namespace troth {
namespace {

using TomlValue = toml::basic_value<toml::discard_comments, std::map, std::vector>;

int line_of(const TomlValue& value) {
  return static_cast<int>(value.location().line());
}

SettingsValue converted(const TomlValue& value);

SettingsTable converted_table(const TomlValue& value) {
  SettingsTable table;
  for (const auto& [key, each] : value.as_table())
    table.push_back({key, converted(each)});
  return table;
}

SettingsArray converted_array(const TomlValue& value) {
  SettingsArray array;
  for (const auto& each : value.as_array())
    array.push_back(converted(each));
  return array;
}

SettingsValue converted(const TomlValue& value) {
  const int line = line_of(value);
  switch (value.type()) {
    case toml::value_t::boolean: return {value.as_boolean(), line};
    case toml::value_t::integer: return {static_cast<std::int64_t>(value.as_integer()), line};
    case toml::value_t::floating: return {static_cast<double>(value.as_floating()), line};
    case toml::value_t::string: return {value.as_string().str, line};
    case toml::value_t::array: return {converted_array(value), line};
    case toml::value_t::table: return {converted_table(value), line};
    case toml::value_t::empty:
    case toml::value_t::offset_datetime:
    case toml::value_t::local_datetime:
    case toml::value_t::local_date:
    case toml::value_t::local_time: break;
  }
  return {UnusableValue{"a date or time"}, line};
}

// toml11 explains a problem over many lines, with the source line in it, which may hold anything; the first
// line names the problem.
std::string first_line_of(std::string_view explanation) {
  auto line = explanation.substr(0, explanation.find('\n'));
  for (const std::string_view prefix : {"[error] ", "toml::"}) {
    if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
  }
  return std::string(line);
}

}  // namespace

Result<SettingsDocument> parse_settings(const std::string& text, const std::string& source) {
  try {
    std::istringstream stream(text);
    const auto root = toml::parse<toml::discard_comments, std::map, std::vector>(stream, source);
    return SettingsDocument{source, converted_table(root)};
  } catch (const toml::exception& problem) {
    return fail(
        ErrorCode::kInvalidArgument, Effect::kNone,
        fmt::format("{}:{}: not TOML: {}", source, problem.location().line(), first_line_of(problem.what())));
  } catch (const std::exception& problem) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("{}: not TOML: {}", source, first_line_of(problem.what())));
  }
}

Result<SettingsDocument> read_settings_file(const std::string& path) {
  auto text = read_file(path, kMaxSettingsFileBytes);
  if (!text) return std::unexpected(std::move(text.error()));
  return parse_settings(*text, path);
}

}  // namespace troth
