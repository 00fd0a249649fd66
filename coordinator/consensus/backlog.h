// coordinator/consensus/backlog.h
//
// What waits for the own log, in bytes. A disk that hangs does not stop what comes over the network: what has no room is not
// taken, or not said, and comes again [T10].
#pragma once

#include <cstddef>
#include <map>

#include "coordinator/consensus/log_position.h"

namespace troth::coordinator::consensus {

class Backlog {
 public:
  explicit Backlog(std::size_t most) : most_(most) {}

  // One always has, so that nothing is too large for ever.
  [[nodiscard]] bool has_room(std::size_t bytes) const { return bytes_ == 0 || bytes_ + bytes <= most_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  void add(LogWrite until_durable, std::size_t bytes) {
    waiting_[until_durable] += bytes;
    bytes_ += bytes;
  }
  void durable(LogWrite through) {
    while (!waiting_.empty() && waiting_.begin()->first <= through) {
      bytes_ -= waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
    }
  }

 private:
  std::size_t most_;
  std::size_t bytes_ = 0;
  std::map<LogWrite, std::size_t> waiting_;
};

}  // namespace troth::coordinator::consensus
