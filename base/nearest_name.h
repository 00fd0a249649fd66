// base/nearest_name.h
//
// "Did you mean ...?": which of the known names a mistyped one was probably meant to be.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace troth {

// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other
// (optimal string alignment distance).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `names` (the first one among equals), if it is near enough to be what was meant:
// at most two edits, or a third of the length of what was written.
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view written,
                                                      std::span<const std::string> names);

}  // namespace troth
