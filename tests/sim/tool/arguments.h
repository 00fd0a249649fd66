// tests/sim/tool/arguments.h
//
// What troth-sim was told to do.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/simulation.h"
#include "tests/sim/tool/reading.h"

namespace troth::sim {

struct Arguments {
  std::uint64_t seed = 0;   // this one, with its trace
  std::uint64_t seeds = 0;  // so many, and a report
  std::uint64_t from = 1;
  unsigned jobs = 1;
  Variation variation;
  std::string plant;  // empty: none is switched on

  Reading reading;  // of a trace

  bool until_broken = false;
  bool no_shrink = false;
  bool rare = false;
  bool json = false;
  std::string results;  // empty: no file
};

// The exit code. With a trace, on standard output.
[[nodiscard]] int trace_seed(const Arguments& arguments);
[[nodiscard]] int run_many(const Arguments& arguments);

// Here, and the switched-on plant counted among the rare situations.
[[nodiscard]] Outcome run_seed(std::uint64_t seed, const Variation& variation);
// The command that shows it.
[[nodiscard]] std::string replay_of(const Arguments& arguments, std::uint64_t seed,
                                    const Variation& variation);

}  // namespace troth::sim
