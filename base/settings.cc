#include "base/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.h"
#include "base/nearest_name.h"

namespace troth {
namespace {

struct SizeUnit {
  std::string_view name;
  std::int64_t bytes;
};
constexpr std::array kSizeUnits = {SizeUnit{"GiB", 1 << 30}, SizeUnit{"MiB", 1 << 20},
                                   SizeUnit{"KiB", 1 << 10}};

std::string kind_of(const SettingsValue& value) {
  struct Names {
    std::string operator()(bool) const { return "a boolean"; }
    std::string operator()(std::int64_t) const { return "an integer"; }
    std::string operator()(double) const { return "a number with a fraction"; }
    std::string operator()(const std::string&) const { return "text"; }
    std::string operator()(const SettingsArray&) const { return "a list"; }
    std::string operator()(const SettingsTable&) const { return "a section"; }
    std::string operator()(const UnusableValue& other) const { return other.kind; }
  };
  return std::visit(Names{}, value.value);
}

std::string expected_but(std::string_view expected, const SettingsValue& found) {
  return fmt::format("expected {}, found {}", expected, kind_of(found));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string list_text(const std::vector<std::string>& values) {
  std::vector<std::string> parts;
  for (const auto& value : values)
    parts.push_back(quoted(value));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

std::string number_text(std::int64_t value, std::string_view type) {
  return type == "size" ? quoted(size_text(value)) : fmt::format("{}", value);
}

// "64MiB", "512 KiB" or "4096".
std::optional<std::int64_t> parse_size(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || number < 0) return std::nullopt;
  std::string_view unit(end, text.data() + text.size());
  while (unit.starts_with(' '))
    unit.remove_prefix(1);
  if (unit.empty()) return number;
  for (const auto& known : kSizeUnits) {
    if (unit != known.name) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / known.bytes) return std::nullopt;
    return number * known.bytes;
  }
  return std::nullopt;
}

std::string range_text(NumberLimits limits, std::string_view type) {
  const auto show = [&](std::int64_t n) { return type == "size" ? size_text(n) : fmt::format("{}", n); };
  if (limits.max == std::numeric_limits<std::int64_t>::max())
    return fmt::format("at least {}", show(limits.min));
  return fmt::format("{} to {}", show(limits.min), show(limits.max));
}

std::string count_text(CountLimits limits) {
  return limits.min == 0 ? fmt::format("at most {}", limits.max)
                         : fmt::format("{} to {}", limits.min, limits.max);
}

bool fits(std::size_t count, CountLimits limits) {
  return count >= limits.min && count <= limits.max;
}

std::string directory_of(std::string_view file) {
  const auto slash = file.rfind('/');
  return slash == std::string_view::npos ? std::string{} : std::string(file.substr(0, slash + 1));
}

}  // namespace

std::string size_text(std::int64_t bytes) {
  for (const auto& unit : kSizeUnits) {
    if (bytes != 0 && bytes % unit.bytes == 0) return fmt::format("{}{}", bytes / unit.bytes, unit.name);
  }
  return fmt::format("{}", bytes);
}

Schema::Schema(const SettingsDocument& document) : document_(document) {
  place_.table = &document.root;
  sections_.emplace_back();
}

std::string Schema::full_name(std::string_view key) const {
  const auto& section = sections_[place_.section];
  if (section.name.empty()) return std::string(key);
  return fmt::format("{}.{}", section.name, key);
}

const SettingsValue* Schema::take(std::string_view key) {
  CHECK(std::ranges::find(place_.known, key) == place_.known.end(), "setting '{}' described twice", key);
  place_.known.emplace_back(key);
  if (place_.table == nullptr) return nullptr;
  const auto entry = std::ranges::find(*place_.table, key, &SettingsEntry::key);
  return entry == place_.table->end() ? nullptr : &entry->value;
}

Setting& Schema::add(Setting setting, const SettingsValue* found) {
  setting.written = found != nullptr;
  setting.value = setting.initial;
  if (setting.mandatory) setting.initial.clear();
  return sections_[place_.section].settings.emplace_back(std::move(setting));
}

void Schema::refuse(int line, std::string_view key, std::string_view problem) {
  problems_.push_back({line, fmt::format("'{}': {}", full_name(key), problem)});
}

void Schema::refuse_missing(std::string_view key) {
  // An absent section has already been described with defaults; its mandatory keys are missing all the same.
  problems_.push_back({place_.line, fmt::format("'{}' is missing: it has no default", full_name(key))});
}

void Schema::refuse_unknown_keys() {
  if (place_.table == nullptr) return;
  for (const auto& entry : *place_.table) {
    if (std::ranges::find(place_.known, entry.key) != place_.known.end()) continue;
    const auto nearest = nearest_name(entry.key, place_.known);
    refuse(entry.value.line, entry.key,
           nearest ? fmt::format("no such setting; did you mean '{}'?", *nearest)
                   : "no such setting; --settings-reference lists all of them");
  }
}

void Schema::describe_table(const SettingsTable* table, int line, SettingsSection section,
                            const std::function<void()>& describe) {
  Place outer = std::move(place_);
  place_ = {.table = table, .line = line, .section = sections_.size(), .known = {}};
  sections_.push_back(std::move(section));
  describe();
  refuse_unknown_keys();
  place_ = std::move(outer);
}

void Schema::section(std::string_view name, std::string_view meaning, const std::function<void()>& describe) {
  CHECK(place_.section == 0, "section '{}' inside another", name);
  const auto* found = take(name);
  const auto* table = found == nullptr ? nullptr : std::get_if<SettingsTable>(&found->value);
  if (found != nullptr && table == nullptr)
    refuse(found->line, name, expected_but(fmt::format("a section [{}]", name), *found));
  describe_table(table, found == nullptr ? 0 : found->line,
                 {.name = std::string(name), .meaning = std::string(meaning), .settings = {}}, describe);
}

void Schema::each_table(std::string_view name, CountLimits limits, std::string_view meaning,
                        const std::function<void(bool)>& describe) {
  CHECK(place_.section == 0, "tables '{}' inside a section", name);
  const auto* found = take(name);
  const auto* array = found == nullptr ? nullptr : std::get_if<SettingsArray>(&found->value);
  const bool all_tables = array != nullptr && std::ranges::all_of(*array, [](const SettingsValue& each) {
                            return std::holds_alternative<SettingsTable>(each.value);
                          });
  if (found != nullptr && !all_tables) {
    refuse(found->line, name, expected_but(fmt::format("sections [[{}]]", name), *found));
    return;
  }
  const std::size_t count = array == nullptr ? 0 : array->size();
  if (!fits(count, limits)) {
    refuse(found == nullptr ? 0 : found->line, name,
           fmt::format("found {} sections [[{}]], expected {}", count, name, count_text(limits)));
  }
  const SettingsSection section{.name = std::string(name),
                                .meaning = std::string(meaning),
                                .repeated = true,
                                .absent = count == 0,
                                .settings = {}};
  if (count == 0) {
    // For the reference page only: what is missing inside a table that is not there is no problem.
    const auto problems = problems_.size();
    describe_table(nullptr, 0, section, [&] { describe(false); });
    problems_.resize(problems);
    return;
  }
  for (const auto& each : *array)
    describe_table(&std::get<SettingsTable>(each.value), each.line, section, [&] { describe(true); });
}

void Schema::text(std::string_view key, std::string& value, TextLimits limits, std::string_view meaning) {
  const auto* found = take(key);
  auto& setting = add({.key = std::string(key),
                       .type = "text",
                       .unit = {},
                       .limits = fmt::format("at most {} bytes", limits.max_bytes),
                       .meaning = std::string(meaning),
                       .initial = quoted(value),
                       .value = {},
                       .mandatory = limits.mandatory},
                      found);
  if (found == nullptr) {
    if (limits.mandatory) refuse_missing(key);
    return;
  }
  const auto* written = std::get_if<std::string>(&found->value);
  if (written == nullptr) return refuse(found->line, key, expected_but("text", *found));
  if (written->size() > limits.max_bytes) {
    return refuse(found->line, key,
                  fmt::format("{} bytes of text, at most {} are allowed", written->size(), limits.max_bytes));
  }
  if (limits.mandatory && written->empty()) return refuse(found->line, key, "must not be empty");
  value = *written;
  setting.value = quoted(value);
}

void Schema::path(std::string_view key, std::string& value, TextLimits limits, std::string_view meaning) {
  text(key, value, limits, meaning);
  auto& setting = sections_[place_.section].settings.back();
  setting.type = "path";
  setting.limits.clear();
  if (value.empty() || value.front() == '/' || !setting.written) return;
  value = directory_of(document_.source) + value;
  setting.value = quoted(value);
}

void Schema::boolean(std::string_view key, bool& value, std::string_view meaning) {
  const auto* found = take(key);
  auto& setting = add({.key = std::string(key),
                       .type = "boolean",
                       .unit = {},
                       .limits = "true or false",
                       .meaning = std::string(meaning),
                       .initial = value ? "true" : "false",
                       .value = {}},
                      found);
  if (found == nullptr) return;
  const auto* written = std::get_if<bool>(&found->value);
  if (written == nullptr) return refuse(found->line, key, expected_but("true or false", *found));
  value = *written;
  setting.value = value ? "true" : "false";
}

void Schema::text_list(std::string_view key, std::vector<std::string>& value, CountLimits limits,
                       std::string_view meaning) {
  const auto* found = take(key);
  const bool mandatory = limits.min > value.size();
  auto& setting = add({.key = std::string(key),
                       .type = "list of text",
                       .unit = {},
                       .limits = fmt::format("{} entries", count_text(limits)),
                       .meaning = std::string(meaning),
                       .initial = list_text(value),
                       .value = {},
                       .mandatory = mandatory},
                      found);
  if (found == nullptr) {
    if (mandatory) refuse_missing(key);
    return;
  }
  const auto* array = std::get_if<SettingsArray>(&found->value);
  if (array == nullptr) return refuse(found->line, key, expected_but("a list of text", *found));
  std::vector<std::string> read;
  for (const auto& each : *array) {
    const auto* written = std::get_if<std::string>(&each.value);
    if (written == nullptr) return refuse(each.line, key, expected_but("a list of text", each));
    read.push_back(*written);
  }
  if (!fits(read.size(), limits)) {
    return refuse(found->line, key,
                  fmt::format("{} entries, allowed are {}", read.size(), count_text(limits)));
  }
  value = std::move(read);
  setting.value = list_text(value);
}

void Schema::read_number(std::string_view key, std::int64_t& value, NumberLimits limits,
                         std::string_view meaning, Kind kind) {
  const auto* found = take(key);
  auto& setting = add({.key = std::string(key),
                       .type = std::string(kind.type),
                       .unit = std::string(kind.unit),
                       .limits = range_text(limits, kind.type),
                       .meaning = std::string(meaning),
                       .initial = number_text(value, kind.type),
                       .value = {}},
                      found);
  if (found == nullptr) return;
  std::optional<std::int64_t> read;
  if (const auto* number = std::get_if<std::int64_t>(&found->value)) read = *number;
  if (kind.type == "size") {
    if (const auto* words = std::get_if<std::string>(&found->value)) read = parse_size(*words);
  }
  if (!read) {
    const bool size = kind.type == "size";
    if (size && std::holds_alternative<std::string>(found->value))
      return refuse(found->line, key, "not a size: expected bytes, or text such as \"64MiB\"");
    return refuse(found->line, key, expected_but("an integer", *found));
  }
  if (*read < limits.min || *read > limits.max) {
    return refuse(found->line, key,
                  fmt::format("{} is out of range: allowed is {}{}{}", *read, range_text(limits, kind.type),
                              kind.unit.empty() ? "" : " ", kind.unit));
  }
  value = *read;
  setting.value = number_text(value, kind.type);
}

void Schema::choose(std::string_view key, const std::vector<std::string_view>& words, std::size_t& chosen,
                    std::string_view meaning) {
  const auto* found = take(key);
  auto& setting = add({.key = std::string(key),
                       .type = "choice",
                       .unit = {},
                       .limits = fmt::format("{}", fmt::join(words, ", ")),
                       .meaning = std::string(meaning),
                       .initial = quoted(words[chosen]),
                       .value = {}},
                      found);
  if (found == nullptr) return;
  const auto* written = std::get_if<std::string>(&found->value);
  if (written == nullptr) return refuse(found->line, key, expected_but("text", *found));
  const auto word = std::ranges::find(words, *written);
  if (word == words.end()) {
    return refuse(found->line, key,
                  fmt::format("'{}' is none of: {}", written->substr(0, 80), fmt::join(words, ", ")));
  }
  chosen = static_cast<std::size_t>(word - words.begin());
  setting.value = quoted(*word);
}

void Schema::secret(std::string_view key, SecretSource& value, TextLimits limits, std::string_view meaning) {
  const std::string file_key = fmt::format("{}_file", key);
  const std::string environment_key = fmt::format("{}_env", key);
  // The value itself may be a password: it is refused by name only, and never shown.
  if (const auto* written = take(key)) {
    refuse(
        written->line, key,
        fmt::format("secrets do not belong in this file: name a file with '{}', or an environment variable "
                    "with '{}'",
                    file_key, environment_key));
  }
  path(file_key, value.file, {.max_bytes = limits.max_bytes},
       fmt::format("{}: the file that holds it, up to its first line end.", meaning));
  text(environment_key, value.environment, {.max_bytes = 255},
       fmt::format("{}: the environment variable that holds it.", meaning));
  if (!value.file.empty() && !value.environment.empty())
    refuse(place_.line, file_key, fmt::format("stands beside '{}': give only one of them", environment_key));
  if (limits.mandatory && !value.is_set())
    refuse(place_.line, file_key, fmt::format("is missing: give it, or '{}'", environment_key));
}

void Schema::require(bool holds, std::string_view key, std::string_view problem) {
  if (holds) return;
  int line = place_.line;
  if (place_.table != nullptr) {
    const auto entry = std::ranges::find(*place_.table, key, &SettingsEntry::key);
    if (entry != place_.table->end()) line = entry->value.line;
  }
  refuse(line, key, problem);
}

Status Schema::verdict() {
  CHECK(place_.section == 0);
  refuse_unknown_keys();
  place_.table = nullptr;  // asked twice, the unknown keys are not reported twice
  if (problems_.empty()) return {};
  std::ranges::stable_sort(problems_, {}, &Problem::line);
  std::string message;
  for (const auto& problem : problems_) {
    if (!message.empty()) message += '\n';
    message += problem.line == 0 ? fmt::format("{}: {}", document_.source, problem.text)
                                 : fmt::format("{}:{}: {}", document_.source, problem.line, problem.text);
  }
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

}  // namespace troth
