// coordinator/backoff.h
//
// How long to wait before asking again: doubling from `first` to `longest`, and from that delay a random part
// of its upper half, so that what failed together does not come back together.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/random.h"
#include "base/time.h"

namespace troth::coordinator {

struct Backoff {
  Duration first;
  Duration longest;

  // `attempt` counts from 0.
  [[nodiscard]] Duration delay(std::uint32_t attempt, Random& random) const {
    auto delay = first;
    for (; attempt > 0 && delay < longest; --attempt)
      delay *= 2;
    const auto bounded = std::max(std::min(delay, longest).count(), Duration::rep{2});
    return Duration{random.between(bounded / 2, bounded)};
  }
};

}  // namespace troth::coordinator
