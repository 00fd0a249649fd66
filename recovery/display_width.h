// recovery/display_width.h
//
// How many columns of a terminal a text takes: East Asian wide characters and emoji two, combining marks
// none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace troth::recovery {

// One character of UTF-8 text. A byte that begins none stands for itself.
struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;  // 1..4
  bool valid = false;
};
[[nodiscard]] Character first_character(std::string_view text);  // of a text that is not empty

[[nodiscard]] std::size_t display_width(std::string_view text);

// At most `columns` wide; what is cut is marked by a `…` at the end, which counts. `columns` is 1 or more.
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t columns);

}  // namespace troth::recovery
