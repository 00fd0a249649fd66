// An event loop on a thread of its own, for tests of what it carries.
#pragma once

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/runtime/clock.h"

namespace troth::agent {

// The loop's own thread, so that it is stopped behind the pool.
class CarryingLoop {
 public:
  CarryingLoop() : thread_([this] { loop_.run(); }) {}
  ~CarryingLoop() {
    work_.reset();
    thread_.join();
  }
  CarryingLoop(const CarryingLoop&) = delete;
  CarryingLoop& operator=(const CarryingLoop&) = delete;

  [[nodiscard]] std::thread::id thread() const { return thread_.get_id(); }
  [[nodiscard]] asio::io_context& loop() { return loop_; }

  template <typename Act>
  void run(Act act) {
    std::promise<void> done;
    asio::post(loop_, [&] {
      act();
      done.set_value();
    });
    done.get_future().get();
  }

  // The longest turn of the loop while `act` runs elsewhere.
  template <typename Act>
  Duration longest_turn(Act act) {
    Duration longest{};
    auto acting = std::async(std::launch::async, act);
    while (acting.wait_for(std::chrono::milliseconds(0)) != std::future_status::ready) {
      const Instant began = boot_now();
      run([] {});
      longest = std::max(longest, boot_now() - began);
    }
    acting.get();
    return longest;
  }

 private:
  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  std::thread thread_;
};

}  // namespace troth::agent
