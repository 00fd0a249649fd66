// base/runtime/line_budget.h
//
// How many lines a stranger can make us write: a few at once, then some per second. What is left out is counted, and
// told with the next line.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"

namespace troth {

class LineBudget {
 public:
  LineBudget(double at_once, double per_second)
      : at_once_(at_once), per_second_(per_second), left_(at_once) {}

  // Nothing: leave this line out. Else how many were left out since the last one.
  [[nodiscard]] std::optional<std::uint64_t> take(Instant now) {
    if (last_) {
      const std::chrono::duration<double> passed = now - *last_;
      left_ = std::min(at_once_, left_ + passed.count() * per_second_);
    }
    last_ = now;
    if (left_ < 1) {
      ++left_out_;
      return std::nullopt;
    }
    left_ -= 1;
    return std::exchange(left_out_, 0);
  }

 private:
  double at_once_;
  double per_second_;
  double left_;
  std::optional<Instant> last_;
  std::uint64_t left_out_ = 0;
};

}  // namespace troth
