// Many seeds and a report; those that fail are shrunk.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "tests/sim/planted/planted.h"
#include "tests/sim/tool/arguments.h"
#include "tests/sim/tool/crew.h"
#include "tests/sim/tool/progress.h"
#include "tests/sim/tool/report.h"
#include "tests/sim/tool/results.h"
#include "tests/sim/tool/shrink.h"

namespace troth::sim {

Outcome run_seed(std::uint64_t seed, const Variation& variation) {
  const auto before = troth::plant_reached;
  auto outcome = Simulation(seed, variation).run();
  if (const auto reached = troth::plant_reached - before; reached > 0)
    outcome.rare["the plant was reached"] = reached;
  return outcome;
}

std::string replay_of(const Arguments& arguments, std::uint64_t seed, const Variation& variation) {
  const auto set = variation.text();
  if (arguments.plant.empty())
    return fmt::format("make sim SEED={}{}{}", seed, set.empty() ? "" : " SET=", set);
  return fmt::format("build/dev/bin/troth-sim-planted --plant {} --seed {}{}{}", arguments.plant, seed,
                     set.empty() ? "" : " --set ", set);
}

namespace {

// So many failed seeds of a run are shrunk: where more fail, they mostly fail of the same.
constexpr std::size_t kMostShrunk = 3;
constexpr ShrinkLimits kShrinkLimits{};
constexpr std::chrono::seconds kLongestShrunk{10};

// The command that replays what is left of a failed run, and what is said of it.
std::string shrunk(const Arguments& arguments, const Outcome& failed) {
  const auto seed = failed.seed;
  World world(seed, Trace());
  const auto run = [seed](const Variation& variation) {
    return run_apart(seed, kLongestShrunk, [&](std::uint64_t) { return run_seed(seed, variation); });
  };
  const auto small =
      shrink(arguments.variation, failed, draw_swarm(world.random(Purpose::kSwarm)), kShrinkLimits, run);
  const auto again = run(small.variation);
  std::string said = fmt::format("  shrunk, in {} runs{}: {}\n", small.runs,
                                 small.has_ended ? "" : " (then its limit was reached)",
                                 replay_of(arguments, seed, small.variation));
  for (const auto& broken : small.outcome.broken)
    said += fmt::format("    {}\n", broken);
  if (again.hash != small.outcome.hash || again.broken != small.outcome.broken)
    said += "    IT DOES NOT REPLAY: the same run again came to something else\n";
  return said;
}

// For people; with --json standard output is for programs alone.
void say(const Arguments& arguments, std::string_view text) {
  auto* out = arguments.json ? stderr : stdout;
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

std::atomic<bool> was_interrupted = false;

}  // namespace

int run_many(const Arguments& arguments) {
  std::signal(SIGINT, [](int) { was_interrupted = true; });
  std::signal(SIGTERM, [](int) { was_interrupted = true; });
  Report report;
  Progress progress(arguments.seeds, ::isatty(STDERR_FILENO) == 1);
  const auto run = [&](std::uint64_t seed) { return run_seed(seed, arguments.variation); };
  const auto take = [&](const Outcome& outcome) {
    if (outcome.broken.empty()) {
      report.add(outcome);
      return !was_interrupted;
    }
    const auto replay = replay_of(arguments, outcome.seed, arguments.variation);
    report.add(outcome, replay);
    std::string said;
    for (const auto& broken : outcome.broken)
      said += fmt::format("seed {}: {}\n", outcome.seed, broken);
    progress.make_room();
    say(arguments, said + fmt::format("  replay: {}\n", replay));
    if (!arguments.no_shrink && report.failed() <= kMostShrunk) say(arguments, shrunk(arguments, outcome));
    return !arguments.until_broken && !was_interrupted;
  };
  run_seeds(arguments.from, arguments.seeds, {.jobs = arguments.jobs}, run, take, [&] {
    progress.tell(report.seeds(), report.failed());
    return !was_interrupted;
  });
  progress.make_room();

  // Last what matters most: a log's end is what is read.
  say(arguments, report.text() + report.failures());
  const auto line = report.json(built_from(), std::chrono::system_clock::now());
  if (arguments.json) fmt::print("{}\n", line);
  if (!arguments.results.empty() && report.seeds() > 0) {
    if (const auto appended = append_result(arguments.results, line); !appended) {
      std::fputs(fmt::format("troth-sim: {}\n", appended.error().message).c_str(), stderr);
      return 2;
    }
  }
  bool is_well = report.failed() == 0;
  if (arguments.rare) {
    for (const auto& name : report.never_met())
      say(arguments, fmt::format("never met: {}\n", name));
    for (const auto& point : report.never_died_at())
      say(arguments, fmt::format("nobody died at: {}\n", point));
    is_well = is_well && report.never_met().empty() && report.never_died_at().empty();
  }
  if (was_interrupted) return 130;
  return is_well ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace troth::sim
