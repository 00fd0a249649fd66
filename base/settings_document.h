// base/settings_document.h
//
// A configuration file as read: keys, values and the lines they stand on, before anybody has asked what they
// mean. Apart from settings.h so that the parser (base/runtime/settings_file.h) and the meaning know nothing
// of each other.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace troth {

struct SettingsValue;
struct SettingsEntry;

using SettingsArray = std::vector<SettingsValue>;
// Of distinct keys; their order means nothing.
using SettingsTable = std::vector<SettingsEntry>;

// What TOML can hold and no setting ever is (dates, times); `kind` is its name for messages.
struct UnusableValue {
  std::string kind;
};

struct SettingsValue {
  std::variant<bool, std::int64_t, double, std::string, SettingsArray, SettingsTable, UnusableValue> value;
  int line = 0;  // 1..; 0 when unknown
};

struct SettingsEntry {
  std::string key;
  SettingsValue value;
};

struct SettingsDocument {
  std::string source;  // the file's name, for messages; relative paths start from its directory
  SettingsTable root;
};

}  // namespace troth
