// troth-sim: many seeds and a report, or one seed and its trace.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "tests/sim/planted/names.h"
#include "tests/sim/planted/planted.h"
#include "tests/sim/simulation.h"
#include "tests/sim/tool/crew.h"
#include "tests/sim/tool/report.h"

namespace {

using namespace troth::sim;

struct Arguments {
  std::uint64_t seed = 0;
  std::uint64_t seeds = 0;
  std::uint64_t from = 1;
  unsigned jobs = 1;
  bool rare = false;
  bool until_broken = false;
  bool json = false;
  std::string plant;
  bool plants = false;
};

int complain(std::string_view message) {
  std::fputs(fmt::format("troth-sim: {}\n", message).c_str(), stderr);
  return 2;
}

int trace(const Arguments& arguments) {
  Simulation simulation(arguments.seed, [](std::string_view line) {
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

Outcome run_seed(std::uint64_t seed) {
  const auto before = troth::plant_reached;
  auto outcome = Simulation(seed).run();
  if (const auto reached = troth::plant_reached - before; reached > 0)
    outcome.rare["the plant was reached"] = reached;
  return outcome;
}

std::string replay_of(const Arguments& arguments, std::uint64_t seed) {
  if (arguments.plant.empty()) return fmt::format("make sim SEED={}", seed);
  return fmt::format("troth-sim-planted --plant {} --seed {}", arguments.plant, seed);
}

// For people; with --json standard output is for programs alone.
void say(const Arguments& arguments, std::string_view text) {
  auto* out = arguments.json ? stderr : stdout;
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

int many(const Arguments& arguments) {
  Report report;
  run_seeds(arguments.from, arguments.seeds, {.jobs = arguments.jobs}, run_seed, [&](const Outcome& outcome) {
    if (outcome.broken.empty()) {
      report.add(outcome);
      return true;
    }
    const auto replay = replay_of(arguments, outcome.seed);
    report.add(outcome, replay);
    std::string said;
    for (const auto& broken : outcome.broken)
      said += fmt::format("seed {}: {}\n", outcome.seed, broken);
    say(arguments, said + fmt::format("  replay: {}\n", replay));
    return !arguments.until_broken;
  });
  say(arguments, report.text());
  if (arguments.json) fmt::print("{}\n", report.json());
  if (arguments.rare) {
    for (const auto& name : report.never_met())
      say(arguments, fmt::format("never met: {}\n", name));
    for (const auto& point : report.never_died_at())
      say(arguments, fmt::format("nobody died at: {}\n", point));
    if (!report.never_met().empty() || !report.never_died_at().empty()) return EXIT_FAILURE;
  }
  return report.failed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int run(const Arguments& arguments) {
  if (arguments.plants) {
    for (const auto name : planted_names())
      fmt::print("{}\n", name);
    return EXIT_SUCCESS;
  }
  if (!arguments.plant.empty()) {
    if (std::ranges::find(planted_names(), arguments.plant) == planted_names().end())
      return complain(fmt::format("no bug '{}' is planted in here; planted are: {}", arguments.plant,
                                  fmt::join(planted_names(), ", ")));
    troth::chosen_plant = arguments.plant;
  }
  if (arguments.seed > 0) return trace(arguments);
  if (arguments.seeds == 0) return complain("give --seed N or --seeds N (see --help)");
  return many(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The simulator: whole servers in virtual time, one seed a run.");
  app.footer(
      "troth-sim --seeds 5000 --jobs 2     a report; a failing seed prints its replay\n"
      "troth-sim --seed 253                one seed with its trace");
  Arguments arguments;
  app.add_option("--seed", arguments.seed, "One seed, with its trace")->check(CLI::PositiveNumber);
  app.add_option("--seeds", arguments.seeds, "So many seeds, and a report");
  app.add_option("--from", arguments.from, "The first of them [1]")->check(CLI::PositiveNumber);
  app.add_option("--jobs", arguments.jobs, "Processes that share them [1]")->check(CLI::Range(1, 256));
  app.add_flag("--until-broken", arguments.until_broken, "Stop at the first that fails");
  app.add_flag("--json", arguments.json,
               "The report as a line of JSON on standard output, the text on standard error");
  app.add_flag("--rare", arguments.rare,
               "Fail, too, where a rare situation was never met, or nobody died at a crash point");
  if (!planted_names().empty()) {
    app.add_option("--plant", arguments.plant, "Switch a planted bug on");
    app.add_flag("--plants", arguments.plants, "List the planted bugs");
  }
  CLI11_PARSE(app, argc, argv);
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}
