// tests/sim/shim/asio/steady_timer.hpp
//
// Stands in for Asio's: rings by the node's own clock. As there, whoever waits is told of a cancellation from the loop,
// later, and setting a new time cancels.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <asio/error_code.hpp>
#include <asio/io_context.hpp>

#include "base/time.h"

namespace asio {

class steady_timer {
 public:
  explicit steady_timer(io_context& loop) : loop_(&loop) {}
  steady_timer(io_context& loop, troth::Duration delay) : steady_timer(loop) { expires_after(delay); }
  ~steady_timer() { cancel(); }
  steady_timer(const steady_timer&) = delete;
  steady_timer& operator=(const steady_timer&) = delete;

  void expires_after(troth::Duration delay) {
    cancel();
    auto& node = loop_->node();
    due_ = node.world().now() + node.clock().true_time(delay);
  }

  template <typename Handler>
  void async_wait(Handler handler) {
    auto& node = loop_->node();
    auto waiter = std::make_shared<Waiter>(Waiter{std::move(handler)});
    // Weak, because what waits may hold the timer.
    std::erase_if(waiters_, [](const auto& each) { return each.expired(); });
    waiters_.push_back(waiter);
    node.post_after(std::max(due_ - node.world().now(), troth::Duration::zero()),
                    [waiter] { waiter->ring(error_code()); });
  }

  void cancel() {
    for (const auto& each : std::exchange(waiters_, {})) {
      const auto waiter = each.lock();
      if (waiter && waiter->handler && !std::exchange(waiter->cancelled, true))
        loop_->node().post([waiter] { waiter->ring(error_code(true)); });
    }
  }

 private:
  struct Waiter {
    std::move_only_function<void(const error_code&)> handler;
    bool cancelled = false;

    void ring(const error_code& problem) {
      if (!handler || (cancelled && !problem)) return;
      auto ringing = std::move(handler);
      handler = nullptr;
      ringing(problem);
    }
  };

  io_context* loop_;
  troth::Duration due_{};
  std::vector<std::weak_ptr<Waiter>> waiters_;
};

}  // namespace asio
