// tests/sim/shim/participant_agent/runtime/deadline_watch.h
//
// Stands in for the file of that name: asks by timers of the node instead of by threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/time.h"
#include "participant_agent/runtime/cancellation.h"

namespace troth::agent {

struct DeadlineWatchOptions {
  Duration repeat_after = std::chrono::seconds(1);      // the pause between two requests to the same session
  Duration break_off_after = std::chrono::seconds(10);  // from the deadline
};

class DeadlineWatch {
 public:
  explicit DeadlineWatch(DeadlineWatchOptions options);

  using Ticket = std::uint64_t;

  [[nodiscard]] Ticket watch(Instant deadline, std::shared_ptr<Cancellation> cancellation);
  void forget(Ticket ticket);
  void expire_all();

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace troth::agent
