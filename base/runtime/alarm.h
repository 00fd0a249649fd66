// base/runtime/alarm.h
//
// A timer that is set anew at every step and almost never rings: setting it later costs nothing. It rings at the
// earliest time it was ever set for, looks, and goes to sleep again.
//
// On one event loop's thread, which must outlive it; nothing rings after its destruction.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "base/runtime/clock.h"

namespace troth {

class Alarm {
 public:
  Alarm(asio::io_context& loop, std::function<void()> ring) : timer_(loop), ring_(std::move(ring)) {}
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // In place of the time it was set for before; none: not at all. A time that has passed rings on the next turn.
  void set(std::optional<Instant> at) {
    wanted_ = at;
    if (at && (!armed_ || *at < *armed_)) arm();
  }

  void stop() {
    wanted_.reset();
    armed_.reset();
    timer_.cancel();
  }

 private:
  void arm() {
    armed_ = wanted_;
    // Longer than that no timer's own units need take.
    constexpr Duration kLongest = std::chrono::hours(24);
    timer_.expires_after(std::clamp(*wanted_ - boot_now(), Duration::zero(), kLongest));
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const asio::error_code& stopped) {
      // It may have rung already, and waited for its turn.
      if (stopped || alive.expired()) return;
      armed_.reset();
      if (!wanted_) return;
      if (*wanted_ > boot_now()) return arm();
      wanted_.reset();
      ring_();
    });
  }

  asio::steady_timer timer_;
  const std::function<void()> ring_;
  std::optional<Instant> wanted_;
  std::optional<Instant> armed_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace troth
