// recovery/runtime/shell_screen.h
//
// The terminal that the shell shows rows on: its size, and a key between two pages.
#pragma once

#include <cstddef>
#include <string_view>

#include "recovery/runtime/interrupts.h"

namespace troth::recovery {

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t lines = 24;
};
// As it is now; the usual size where the terminal does not say.
[[nodiscard]] ScreenSize screen_size();

// Standard input and output are both a terminal.
[[nodiscard]] bool is_at_terminal();

// Shows the question until a key is pressed, then takes it away. False: q, Ctrl-C, Ctrl-D or an interrupt:
// enough.
[[nodiscard]] bool wants_more(std::string_view question, const Interrupts& interrupts);

}  // namespace troth::recovery
