// tests/sim/core/node_clock.h
//
// One machine's two clocks: they run at a rate of their own, and begin anywhere.
#pragma once

#include "base/time.h"

namespace troth::sim {

class NodeClock {
 public:
  NodeClock() = default;
  // `drift_ppm`: how much faster than true time, in millionths. `booted`: what the machine's own clock says when the run
  // begins. `wall_error`: how far its UTC is off then.
  NodeClock(std::int64_t drift_ppm, Duration booted, Duration wall_error)
      : drift_ppm_(drift_ppm), booted_(booted), wall_error_(wall_error) {}

  [[nodiscard]] Instant boot(Duration now) const { return Instant(booted_ + local(now)); }
  [[nodiscard]] WallTime wall(Duration now) const { return WallTime(kBeginning + wall_error_ + local(now)); }
  // Somebody sets the machine's UTC; its own clock goes on.
  void set_wall(Duration error) { wall_error_ = error; }
  // How long true time takes for so much of this clock's, and a little more: a timer never rings too early.
  [[nodiscard]] Duration true_time(Duration local_time) const {
    if (local_time <= Duration::zero()) return Duration::zero();
    return Duration(local_time.count() * kMillion / (kMillion + drift_ppm_) + 1);
  }

 private:
  static constexpr std::int64_t kMillion = 1'000'000;
  // Some day of 2026, UTC.
  static constexpr Duration kBeginning = std::chrono::seconds(1'790'000'000);

  [[nodiscard]] Duration local(Duration now) const {
    return Duration(now.count() + now.count() * drift_ppm_ / kMillion);
  }

  std::int64_t drift_ppm_ = 0;
  Duration booted_{};
  Duration wall_error_{};
};

}  // namespace troth::sim
