// recovery/runtime/interrupts.h
//
// Ctrl-C, and the signals that ask the shell to leave, as something that a wait can watch beside what it
// waits for: no handler runs, so nothing is interrupted in the middle.
#pragma once

#include <cstdint>

#include <signal.h>

namespace troth::recovery {

enum class Interrupt : std::uint8_t {
  kNone,
  kCancel,  // SIGINT: what runs now
  kLeave,   // SIGTERM, SIGHUP: the whole session
};

// While it lives, the calling thread takes these signals here and nowhere else. Use on that thread only.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Readable when take() has something to say.
  [[nodiscard]] int fd() const { return fd_; }
  // What came since it was last asked; a wish to leave stays.
  [[nodiscard]] Interrupt take();
  // A wish to leave was taken: it stays, though fd() has nothing more to say.
  [[nodiscard]] bool is_leaving() const { return leaving_; }

  enum class Woken : std::uint8_t { kReadable, kInterrupted };
  // Until `fd` can be read (or has ended), or an interrupt is there to be taken.
  [[nodiscard]] Woken wait_readable(int fd) const;

 private:
  int fd_ = -1;
  bool leaving_ = false;
  sigset_t before_{};
};

}  // namespace troth::recovery
