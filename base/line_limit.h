// base/line_limit.h
//
// How many lines of one kind may be written: a client that can cause a line at will must not fill the disk, or
// keep the event loop busy with writing. A few at once, then some per second; what is held back is counted, and told
// with the next line.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"

namespace troth {

struct LineRate {
  double at_once = 1;
  double per_second = 1;
};

class LineLimit {
 public:
  // Nothing: hold this line back. Else how many were held back since the last one that passed.
  [[nodiscard]] std::optional<std::uint64_t> take(Instant now, const LineRate& rate) {
    if (last_) {
      const std::chrono::duration<double> gone_by = now - *last_;
      left_ = std::min(rate.at_once, left_ + gone_by.count() * rate.per_second);
    } else {
      left_ = rate.at_once;
    }
    last_ = now;
    if (left_ < 1) {
      ++held_back_;
      return std::nullopt;
    }
    left_ -= 1;
    return std::exchange(held_back_, 0);
  }

 private:
  std::optional<Instant> last_;
  double left_ = 0;
  std::uint64_t held_back_ = 0;
};

}  // namespace troth
