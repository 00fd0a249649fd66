// bench-transfer: measures transfers between two databases on servers that run already. bench/run.sh starts
// those, then this.
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/report.h"
#include "bench/runtime/bank.h"
#include "bench/runtime/stage.h"
#include "bench/runtime/transfer_run.h"

namespace troth::bench {
namespace {

struct Arguments {
  std::string stage_path;
  std::vector<int> clients = {1, 8, 32};
  std::vector<std::string> acknowledge = {"applied", "decided"};
  double seconds = 5;
  int rounds = 3;
  std::string only;
  std::uint64_t seed = 1;
  bool json_only = false;
};

int complain(const std::string& message) {
  std::fputs(fmt::format("bench-transfer: {}\n", message).c_str(), stderr);
  return 1;
}

int run(const Arguments& arguments) {
  const auto stage = read_stage(arguments.stage_path);
  if (!stage) return complain(stage.error().message);
  const auto bank = Bank::open(*stage);
  if (!bank) return complain(bank.error().message);
  if (!arguments.json_only) fmt::print("{}", (*bank)->description());
  std::fflush(stdout);  // before what is told of the rounds

  const auto tell = [&](const std::string& line) {
    if (!arguments.json_only) std::fputs((line + "\n").c_str(), stderr);
  };
  const RunOptions options{
      .rounds = arguments.rounds,
      .round_length = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.seconds)),
      .handcoded = arguments.only != "troth",
      .troth = arguments.only != "handcoded",
      .seed = arguments.seed};
  if (options.troth && !stage->troth) return complain("no Troth runs on this stage: say --only handcoded");
  TransferRun transfer_run(*stage, **bank, options, tell);

  std::vector<Comparison> cells;
  for (const std::string& acknowledge : arguments.acknowledge) {
    for (const int clients : arguments.clients) {
      const auto acknowledgement =
          acknowledge == "decided" ? Acknowledgement::kDecided : Acknowledgement::kApplied;
      auto cell = transfer_run.measure(clients, acknowledgement);
      if (!cell) return complain(cell.error().message);
      cells.push_back(std::move(*cell));
    }
  }
  if (!arguments.json_only) fmt::print("\n{}\n", table(cells));
  if (arguments.only.empty())
    for (const Comparison& cell : cells)
      fmt::print("{}\n", json_line(cell));
  return 0;
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  troth::bench::Arguments arguments;
  CLI::App app{
      "Measures transfers between two databases on the servers that STAGE describes, hand-coded and through\n"
      "Troth in turns. bench/run.sh transfer starts the servers, then this."};
  app.add_option("stage", arguments.stage_path, "JSON file made by bench/runtime/transfer.py")->required();
  app.add_option("--clients", arguments.clients, "numbers of clients, one cell each")
      ->delimiter(',')
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  app.add_option("--acknowledge", arguments.acknowledge, "when Troth answers: applied, decided")
      ->delimiter(',')
      ->check(CLI::IsMember({"applied", "decided"}))
      ->capture_default_str();
  app.add_option("--seconds", arguments.seconds, "length of a round")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--rounds", arguments.rounds, "rounds of each side in a cell")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--only", arguments.only, "one side alone, for profiling: handcoded, troth")
      ->check(CLI::IsMember({"handcoded", "troth"}));
  app.add_option("--seed", arguments.seed, "of the transfers that are drawn")->capture_default_str();
  app.add_flag("--json-only", arguments.json_only, "print nothing but the lines of JSON");
  app.footer("Example: bench-transfer /tmp/x/stage.json --clients 8 --acknowledge applied --seconds 5");
  CLI11_PARSE(app, argc, argv);
  return troth::bench::run(arguments);
}
