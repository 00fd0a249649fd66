// base/runtime/settings_file.h
//
// Reads a TOML file into the neutral tree that a Schema understands.
#pragma once

#include <string>

#include "base/result.h"
#include "base/settings_document.h"

namespace troth {

inline constexpr std::size_t kMaxSettingsFileBytes = 1 << 20;

// Fails (effect none) when the file cannot be read or is not TOML, with file and line.
[[nodiscard]] Result<SettingsDocument> read_settings_file(const std::string& path);

// The same from text; `source` names it in messages.
[[nodiscard]] Result<SettingsDocument> parse_settings(const std::string& text, const std::string& source);

}  // namespace troth
