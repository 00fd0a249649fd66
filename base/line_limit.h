// base/line_limit.h
//
// How many lines of one kind may be written: a client that can cause a line at will must not fill the disk, or
// keep the event loop busy with writing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"

namespace troth {

class LineLimit {
 public:
  // Nothing: hold this line back. Else how many were held back since the last one that passed.
  [[nodiscard]] std::optional<std::uint64_t> take(Instant now, std::uint32_t per_second) {
    if (!began_ || now - *began_ >= std::chrono::seconds(1)) {
      began_ = now;
      passed_ = 0;
    }
    if (passed_ >= per_second) {
      ++held_back_;
      return std::nullopt;
    }
    ++passed_;
    return std::exchange(held_back_, 0);
  }

 private:
  std::optional<Instant> began_;  // the second that is counted
  std::uint32_t passed_ = 0;
  std::uint64_t held_back_ = 0;
};

}  // namespace troth
