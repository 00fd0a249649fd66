// recovery/runtime/input.h
//
// Bytes of a terminal, a pipe or a file, whose wait an interrupt ends.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "recovery/runtime/interrupts.h"

namespace troth::recovery {

// Reads from `fd`, which stays the caller's.
class Input {
 public:
  Input(int fd, const Interrupts& interrupts);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // Waits for the first byte. How many came; 0: the end, or an error that is one; nothing: an interrupt is there
  // to be taken.
  [[nodiscard]] std::optional<std::size_t> read(std::span<char> into) const;

 private:
  const Interrupts& interrupts_;
  int fd_;
  // Ctrl-C makes the terminal throw away what was typed and not read, at any time between the wait that said
  // "readable" and the read, which would then wait for the next key. So it is read by an open file of its own
  // that does not wait; stdin's own flags belong to the shell that started us, too.
  int terminal_ = -1;
};

}  // namespace troth::recovery
