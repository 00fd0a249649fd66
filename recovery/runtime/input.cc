#include "recovery/runtime/input.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace troth::recovery {

Input::Input(int fd, const Interrupts& interrupts) : interrupts_(interrupts), fd_(fd) {
  // Only of our controlling terminal do keys become signals.
  if (::tcgetpgrp(fd) >= 0) terminal_ = ::open("/dev/tty", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (terminal_ >= 0) fd_ = terminal_;
}

Input::~Input() {
  if (terminal_ >= 0) ::close(terminal_);
}

std::optional<std::size_t> Input::read(std::span<char> into) const {
  while (true) {
    if (interrupts_.wait_readable(fd_) == Interrupts::Woken::kInterrupted) return std::nullopt;
    const auto count = ::read(fd_, into.data(), into.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR && errno != EAGAIN) return 0;
  }
}

}  // namespace troth::recovery
