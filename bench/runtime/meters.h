// bench/runtime/meters.h
//
// What a round cost: CPU time by process, and the coordinator's syncs. Read before and after; the difference
// counts.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "bench/measurement.h"
#include "bench/runtime/stage.h"

namespace troth::bench {

struct Reading {
  CpuMs cpu;
  std::uint64_t log_syncs = 0;
};

// Reads /proc for the stage's processes and for this one ("load"), and asks the coordinator, if there is one
// (unavailable, effect none).
[[nodiscard]] Result<Reading> read_meters(const Stage& stage);

// What came on top. `later` knows every process that `earlier` knows.
[[nodiscard]] Reading difference(const Reading& later, const Reading& earlier);

}  // namespace troth::bench
