// base/runtime/durable_file.h
//
// Small files that are read whole and replaced whole. For anything that grows there is txlog/.
//
// Durability: after write_durably() returned, a crash finds the new content; before, the old or the new,
// never a mixture: a temporary file is written and synced, renamed over the old one, and the directory
// synced.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace troth {

// Fails (invalid_argument, effect none) when the file is missing, unreadable, or larger than `max_bytes`.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t max_bytes);

// Mode 0600.
[[nodiscard]] Status write_durably(const std::string& path, std::string_view content);

[[nodiscard]] Status sync_directory(const std::string& path);

}  // namespace troth
