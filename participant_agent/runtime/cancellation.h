// participant_agent/runtime/cancellation.h
//
// Stops what a database session is doing, from another thread. A connection hands one out when it opens; it
// stays valid after the connection is gone, and then does nothing.
//
// A session that was ever asked to stop is closed after its task: a late cancel request would otherwise hit
// the statement of the next branch.
#pragma once

#include <atomic>

namespace troth::agent {

class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  virtual ~Cancellation() = default;

  // The session is to stop; asked between two statements by whoever runs them.
  void request() { requested_.store(true); }
  [[nodiscard]] bool requested() const { return requested_.load(); }

  // Asks the server to end the running statement. It finds nothing to end between two statements, so it is
  // called again until the task is over. May block for long where the server hangs; never throws.
  virtual void interrupt() noexcept = 0;
  // Breaks the connection off on this side, so that a call that waits for a dead server returns. Where the
  // driver gives no way to do that, its read timeout does it later.
  virtual void break_off() noexcept = 0;

 private:
  std::atomic<bool> requested_{false};
};

}  // namespace troth::agent
