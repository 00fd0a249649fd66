// bench/runtime/coordinator_calls.h
//
// The one question to the coordinator's administration that a measurement needs.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "bench/runtime/stage.h"

namespace troth::bench {

// Syncs of its log since it started (unavailable, effect none). Connects anew: it is asked twice in a round.
[[nodiscard]] Result<std::uint64_t> coordinator_log_syncs(const TrothAddress& address);

}  // namespace troth::bench
