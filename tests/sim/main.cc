// troth-sim: many seeds and a report, or one seed and its trace.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "tests/sim/report.h"
#include "tests/sim/simulation.h"

namespace {

using namespace troth::sim;

constexpr const char* kUsage =
    "usage: troth-sim --seed N            one seed, with its trace\n"
    "       troth-sim --seeds N [--from M] [--rare]   a report; with --rare a situation that was never met "
    "fails\n";

int trace(std::uint64_t seed) {
  Simulation simulation(seed, [](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
  });
  const auto outcome = simulation.run();
  fmt::print("seed {}: {} events, hash {:016x}, {} of {} transfers committed\n", outcome.seed, outcome.events,
             outcome.hash, outcome.committed, outcome.transfers);
  for (const auto& broken : outcome.broken)
    fmt::print("BROKEN {}\n", broken);
  return outcome.broken.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seed = 0;
  std::uint64_t seeds = 0;
  std::uint64_t from = 1;
  bool rare = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto number = [&]() -> std::uint64_t {
      return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0;
    };
    if (word == "--seed") {
      seed = number();
    } else if (word == "--seeds") {
      seeds = number();
    } else if (word == "--from") {
      from = number();
    } else if (word == "--rare") {
      rare = true;
    } else {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  if (seed > 0) return trace(seed);
  if (seeds == 0) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  Report report;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    const auto outcome = Simulation(from + i).run();
    report.add(outcome);
    for (const auto& broken : outcome.broken)
      fmt::print("seed {}: {}\n  replay: make sim SEED={}\n", outcome.seed, broken, outcome.seed);
    std::fflush(stdout);
  }
  fmt::print("{}", report.text());
  if (rare) {
    for (const auto& name : report.never_met())
      fmt::print("never met: {}\n", name);
    for (const auto& point : report.never_died_at())
      fmt::print("nobody died at: {}\n", point);
    if (!report.never_met().empty() || !report.never_died_at().empty()) return EXIT_FAILURE;
  }
  return report.failed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
