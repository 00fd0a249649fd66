// base/settings_reference.h
//
// Two texts made from a described Schema: the reference page that is committed under docs/, and what
// `--check-config` prints. Neither can disagree with what is loaded, because nobody writes them by hand.
#pragma once

#include <string>
#include <string_view>

#include "base/settings.h"

namespace troth {

// A Markdown page: for each section a table of key, type, limits, default and meaning.
// `schema` must have been described from an empty document.
[[nodiscard]] std::string settings_reference(std::string_view program, const Schema& schema);

// What is in force, as TOML that loads to the same values; defaults are marked as such.
[[nodiscard]] std::string settings_in_force(const Schema& schema);

}  // namespace troth
