// tests/sim/tool/crew.h
//
// Seeds spread over processes. Each seed is a world of its own, so they share nothing; and a process, unlike a thread, can
// die of a CHECK or never come back: then that is its seed's outcome, and the others go on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "tests/sim/simulation.h"

namespace troth::sim {

struct CrewOptions {
  unsigned jobs = 1;
  // Of true time, for one seed. Most take some milliseconds, under a sanitizer some hundred.
  std::chrono::seconds longest{60};
};

using SeedRun = std::function<Outcome(std::uint64_t seed)>;

// Runs `count` seeds from `from` on. `take` is called for each in their order, in this process, whatever came of it; `idle` now
// and then in between. Both say whether to go on.
void run_seeds(std::uint64_t from, std::uint64_t count, const CrewOptions& options, const SeedRun& run,
               const std::function<bool(Outcome)>& take, const std::function<bool()>& idle = {});

// One seed in a process of its own.
[[nodiscard]] Outcome run_apart(std::uint64_t seed, std::chrono::seconds longest, const SeedRun& run);

}  // namespace troth::sim
