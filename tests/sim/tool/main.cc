// troth-sim: many seeds and a report, or one seed and its trace.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/sim/planted/names.h"
#include "tests/sim/planted/planted.h"
#include "tests/sim/simulation.h"
#include "tests/sim/tool/crew.h"
#include "tests/sim/tool/knowledge.h"
#include "tests/sim/tool/progress.h"
#include "tests/sim/tool/reading.h"
#include "tests/sim/tool/report.h"
#include "tests/sim/tool/results.h"
#include "tests/sim/tool/shrink.h"

namespace {

using namespace troth::sim;

// So many failed seeds of a run are shrunk: where more fail, they mostly fail of the same.
constexpr std::size_t kMostShrunk = 3;
constexpr ShrinkLimits kShrinkLimits{};
constexpr std::chrono::seconds kLongestShrunk{10};
constexpr std::chrono::seconds kLongestTraced{600};

struct Arguments {
  std::uint64_t seed = 0;
  std::uint64_t seeds = 0;
  std::uint64_t from = 1;
  unsigned jobs = 1;
  bool rare = false;
  Variation variation;
  bool until_broken = false;
  bool no_shrink = false;
  bool json = false;
  std::string results;
  Reading reading;
  std::string plant;
  bool plants = false;
};

int complain(std::string_view message) {
  std::fputs(fmt::format("troth-sim: {}\n", message).c_str(), stderr);
  return 2;
}

// Lines that somebody else reads even when the process that writes them dies.
class SharedLines {
 public:
  SharedLines() : file_(std::tmpfile()) {
    CHECK(file_ != nullptr, "no temporary file");
    std::setvbuf(file_, nullptr, _IOLBF, 1U << 16);
  }
  ~SharedLines() { std::fclose(file_); }
  SharedLines(const SharedLines&) = delete;
  SharedLines& operator=(const SharedLines&) = delete;

  void write(std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), file_);
    std::fputc('\n', file_);
  }
  [[nodiscard]] std::vector<std::string> read() {
    std::fseek(file_, 0, SEEK_SET);
    std::vector<std::string> lines(1);
    for (int letter = std::fgetc(file_); letter != EOF; letter = std::fgetc(file_)) {
      if (letter == '\n')
        lines.emplace_back();
      else
        lines.back() += static_cast<char>(letter);
    }
    lines.pop_back();
    return lines;
  }

 private:
  std::FILE* file_;
};

int trace(const Arguments& arguments) {
  SharedLines lines;
  SharedLines known;
  const auto outcome = run_apart(arguments.seed, kLongestTraced, [&](std::uint64_t seed) {
    Simulation simulation(seed, arguments.variation, [&](std::string_view line) { lines.write(line); });
    auto result = simulation.run();
    if (!result.broken.empty())
      for (const auto& line : what_is_known(simulation, result.broken))
        known.write(line);
    return result;
  });
  const auto all = lines.read();
  const auto left = wanted(all, arguments.reading);
  for (const auto& line : left)
    fmt::print("{}\n", line);
  if (left.size() < all.size())
    fmt::print("({} of {} lines; --all has those that happen all the time, or again and again)\n",
               left.size(), all.size());
  fmt::print("\nseed {}: {} events, hash {:016x}, {} of {} transfers committed\n", outcome.seed,
             outcome.events, outcome.hash, outcome.committed, outcome.transfers);
  for (const auto& broken : outcome.broken)
    fmt::print("BROKEN {}\n", broken);
  for (const auto& line : known.read())
    fmt::print("  {}\n", line);
  return outcome.broken.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

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

int many(const Arguments& arguments) {
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
    if (const auto appended = append_result(arguments.results, line); !appended)
      return complain(appended.error().message);
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
      "troth-sim --seeds 5000 --jobs 2                      a report; a failing seed prints its replay\n"
      "troth-sim --seeds 1000000 --from 1000001 --rare --results sim.jsonl      a long run that adds up with "
      "others\n"
      "troth-sim --seed 253 --transaction 1.4               one seed with what its trace says of one "
      "transaction\n"
      "troth-sim --seed 253 --set clients=1,strikes=3+7     a shrunk one");
  Arguments arguments;
  app.add_option("--seed", arguments.seed, "One seed, with its trace")->check(CLI::PositiveNumber);
  app.add_option("--seeds", arguments.seeds, "So many seeds, and a report");
  app.add_option("--from", arguments.from, "The first of them [1]")->check(CLI::PositiveNumber);
  app.add_option("--jobs", arguments.jobs, "Processes that share them [1]")->check(CLI::Range(1, 256));
  std::string set;
  app.add_option("--set", set,
                 "Otherwise than the seed says: NAME=NUMBER,...; strikes=3+7: of its faults only these");
  app.add_option("--node", arguments.reading.nodes, "Of a trace only these machines: co, ag1, db1, cl1, ...")
      ->delimiter(',');
  app.add_option("--transaction", arguments.reading.transaction,
                 "Of a trace only this one: its id, or its request's");
  app.add_flag("--all", arguments.reading.everything,
               "Of a trace also what happens all the time: heartbeats, counters");
  app.add_flag("--no-shrink", arguments.no_shrink, "Leave a failing run as large as it is");
  app.add_flag("--until-broken", arguments.until_broken, "Stop at the first that fails");
  app.add_flag("--json", arguments.json,
               "The report as a line of JSON on standard output, the text on standard error");
  app.add_option("--results", arguments.results,
                 "Append the report to this file, as a line of JSON with the commit and the date");
  app.add_flag("--rare", arguments.rare,
               "Fail, too, where a rare situation was never met, or nobody died at a crash point");
  if (!planted_names().empty()) {
    app.add_option("--plant", arguments.plant, "Switch a planted bug on");
    app.add_flag("--plants", arguments.plants, "List the planted bugs");
  }
  CLI11_PARSE(app, argc, argv);
  try {
    auto variation = Variation::read(set);
    if (!variation) return complain(variation.error().message);
    arguments.variation = std::move(*variation);
    if (!arguments.results.empty() && (!set.empty() || !arguments.plant.empty()))
      return complain("only whole seeds of the product add up: --results with neither --set nor --plant");
    return run(arguments);
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}
