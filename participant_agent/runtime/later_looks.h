// participant_agent/runtime/later_looks.h
//
// Looks again, after a moment, at what an event loop waits for and may not be told of: one timer for many.
#pragma once

#include <functional>
#include <memory>

namespace asio {
class io_context;
}

namespace troth::agent {

// Threads: the loop's only. What is still to be looked at when this goes is forgotten.
class LaterLooks {
 public:
  explicit LaterLooks(asio::io_context& loop);
  ~LaterLooks();
  LaterLooks(const LaterLooks&) = delete;
  LaterLooks& operator=(const LaterLooks&) = delete;

  // Calls it after 2 to 4 ms, and every 2 ms from then on, until it returns false.
  void add(std::function<bool()> look);

 private:
  class Rounds;
  const std::shared_ptr<Rounds> rounds_;
};

}  // namespace troth::agent
