#include "recovery/runtime/interrupts.h"

#include <array>
#include <cerrno>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"

namespace troth::recovery {

Interrupts::Interrupts() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    sigaddset(&ours, signal);
  CHECK(::pthread_sigmask(SIG_BLOCK, &ours, &before_) == 0);
  fd_ = ::signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
  CHECK(fd_ >= 0);
}

Interrupts::~Interrupts() {
  // What came too late to be taken would end the process now, in the middle of its last words.
  static_cast<void>(take());
  ::close(fd_);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

Interrupt Interrupts::take() {
  bool cancelled = false;
  signalfd_siginfo info{};
  while (::read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGINT) {
      cancelled = true;
    } else {
      leaving_ = true;
    }
  }
  if (leaving_) return Interrupt::kLeave;
  return cancelled ? Interrupt::kCancel : Interrupt::kNone;
}

Interrupts::Woken Interrupts::wait_readable(int fd) const {
  std::array<pollfd, 2> watched = {pollfd{fd, POLLIN, 0}, pollfd{fd_, POLLIN, 0}};
  while (::poll(watched.data(), watched.size(), -1) < 0)
    CHECK(errno == EINTR || errno == EAGAIN);
  return watched[1].revents != 0 ? Woken::kInterrupted : Woken::kReadable;
}

}  // namespace troth::recovery
