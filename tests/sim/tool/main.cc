// troth-sim: many seeds and a report, or one seed and its trace.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/sim/planted/names.h"
#include "tests/sim/planted/planted.h"
#include "tests/sim/tool/arguments.h"

namespace {

using namespace troth::sim;

int complain(std::string_view message) {
  std::fputs(fmt::format("troth-sim: {}\n", message).c_str(), stderr);
  return 2;
}

int run(const Arguments& arguments) {
  if (!arguments.plant.empty()) {
    if (std::ranges::find(planted_names(), arguments.plant) == planted_names().end())
      return complain(fmt::format("no bug '{}' is planted in here; planted are: {}", arguments.plant,
                                  fmt::join(planted_names(), ", ")));
    troth::chosen_plant = arguments.plant;
  }
  if (arguments.seed > 0) return trace_seed(arguments);
  if (arguments.seeds == 0) return complain("give --seed N or --seeds N (see --help)");
  return run_many(arguments);
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
  bool lists_plants = false;
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
    app.add_flag("--plants", lists_plants, "List the planted bugs");
  }
  CLI11_PARSE(app, argc, argv);
  if (lists_plants) {
    for (const auto name : planted_names())
      fmt::print("{}\n", name);
    return EXIT_SUCCESS;
  }
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
