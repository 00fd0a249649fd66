// bench-count: makes a number of transfers one after the other, for bench/runtime/count.py, which counts meanwhile.
//
// Speaks in lines, so that the counters are read when nothing moves: prints `warm` and waits for a line; makes the
// transfers, prints one line of JSON, and waits for the end of its input before its connections close.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/runtime/bank.h"
#include "bench/runtime/handcoded_teller.h"
#include "bench/runtime/stage.h"
#include "bench/runtime/troth_teller.h"

namespace troth::bench {
namespace {

struct Arguments {
  std::string stage_path;
  std::string side;
  std::string acknowledge = "applied";
  int transfers = 500;
  int warm_up = 100;
  std::uint64_t seed = 1;
};

constexpr auto kSettleBound = std::chrono::seconds(60);

int complain(const std::string& message) {
  std::fputs(fmt::format("bench-count: {}\n", message).c_str(), stderr);
  return 1;
}

struct Done {
  std::int64_t moved = 0;
  int conflicts = 0;
};

Result<Done> make_transfers(Teller& teller, Random& random, int number, std::int64_t accounts) {
  Done done;
  for (int i = 0; i < number; ++i) {
    const Transfer transfer = draw_transfer(random, accounts);
    const auto conflicts = teller.transfer(transfer);
    if (!conflicts) return std::unexpected(conflicts.error());
    done.conflicts += *conflicts;
    done.moved += transfer.amount;
  }
  return done;
}

void tell(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

int run(const Arguments& arguments) {
  const auto stage = read_stage(arguments.stage_path);
  if (!stage) return complain(stage.error().message);
  const auto bank = Bank::open(*stage);
  if (!bank) return complain(bank.error().message);
  const auto before = (*bank)->totals();
  if (!before) return complain(before.error().message);
  const auto acknowledgement =
      arguments.acknowledge == "decided" ? Acknowledgement::kDecided : Acknowledgement::kApplied;
  const auto teller = arguments.side == "handcoded" ? open_handcoded_teller(*stage, 1, 1)
                                                    : open_troth_teller(*stage, acknowledgement, 1);
  if (!teller) return complain(teller.error().message);

  Random random(arguments.seed);
  const auto warm = make_transfers(**teller, random, arguments.warm_up, stage->accounts);
  if (!warm) return complain(warm.error().message);
  std::string line;
  tell("warm");
  if (!std::getline(std::cin, line)) return complain("nobody counts");

  const auto begin = std::chrono::steady_clock::now();
  const auto done = make_transfers(**teller, random, arguments.transfers, stage->accounts);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  if (!done) return complain(done.error().message);
  tell(fmt::format(R"({{"transfers": {}, "conflicts": {}, "seconds": {:.3f}}})", arguments.transfers,
                   done->conflicts, elapsed.count()));
  while (std::getline(std::cin, line)) {
  }

  if (const Status settled = (*bank)->wait_until_settled(kSettleBound); !settled)
    return complain(settled.error().message);
  const auto after = (*bank)->totals();
  if (!after) return complain(after.error().message);
  const std::int64_t moved = warm->moved + done->moved;
  if (*after != Totals{.postgres = before->postgres + moved, .mysql = before->mysql - moved})
    return complain(
        fmt::format("money is wrong: Postgres holds {}, the other database {}, after {} was moved",
                    after->postgres, after->mysql, moved));
  return 0;
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  troth::bench::Arguments arguments;
  CLI::App app{
      "Makes transfers one after the other on the servers that STAGE describes, while somebody else counts "
      "what\n"
      "they cost. bench/run.sh count starts the servers, then this, and talks to it in lines."};
  app.add_option("stage", arguments.stage_path, "JSON file made by bench/runtime/stage.py")->required();
  app.add_option("--side", arguments.side, "handcoded or troth")
      ->required()
      ->check(CLI::IsMember({"handcoded", "troth"}));
  app.add_option("--acknowledge", arguments.acknowledge, "when Troth answers: applied, decided")
      ->check(CLI::IsMember({"applied", "decided"}))
      ->capture_default_str();
  app.add_option("--transfers", arguments.transfers, "how many are counted")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--warm-up", arguments.warm_up, "how many before, uncounted")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "of the transfers that are drawn")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return troth::bench::run(arguments);
}
