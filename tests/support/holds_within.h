// Waits for a condition, with a bound: the only way in which a test may wait for something outside of it.
#pragma once

#include <chrono>
#include <thread>

namespace troth {

// Whether `condition` came to hold within `limit`; looks every `interval`.
template <typename Condition>
[[nodiscard]] bool holds_within(std::chrono::milliseconds limit, Condition condition,
                                std::chrono::milliseconds interval = std::chrono::milliseconds(5)) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(interval);
  }
  return true;
}

}  // namespace troth
