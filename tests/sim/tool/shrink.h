// tests/sim/tool/shrink.h
//
// Makes a failing run small: strikes of the storm are left out, first all, then by kind, by halves, one by one; message
// faults go, clients and transfers become fewer, the time in which faults strike shorter; as long as the same invariant
// breaks. What is left is a variation of the seed, and replays exactly.
//
// Every change of a run changes what comes after it, so what is left is small, and seldom the smallest.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tests/sim/simulation.h"

namespace troth::sim {

struct ShrinkLimits {
  std::uint32_t runs = 2'000;
  std::chrono::seconds time{30};
};

struct Shrunk {
  Variation variation;
  Outcome outcome;  // of the variation
  std::uint32_t runs = 0;
  bool has_ended = false;  // nothing more could be left out; otherwise a limit was reached
};

using VariedRun = std::function<Outcome(const Variation&)>;

// `failed`: what came of the seed with `begin`, and broke an invariant. `run`: what comes of it with another variation.
[[nodiscard]] Shrunk shrink(const Variation& begin, const Outcome& failed, const Swarm& drawn,
                            const ShrinkLimits& limits, const VariedRun& run);

// Which invariant it is that is broken, without what it knew, and whichever node it was: "journal of ag1" is "journal of ag".
[[nodiscard]] std::string invariant_of(std::string_view broken);

}  // namespace troth::sim
