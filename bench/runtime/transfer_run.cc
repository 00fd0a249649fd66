#include "bench/runtime/transfer_run.h"

#include <algorithm>

#include <fmt/format.h>

#include "bench/runtime/handcoded_teller.h"
#include "bench/runtime/load.h"
#include "bench/runtime/meters.h"
#include "bench/runtime/troth_teller.h"

namespace troth::bench {
namespace {

// Longer than any timeout of agent and coordinator, so that what is merely slow is not taken for stuck.
constexpr auto kSettleBound = std::chrono::seconds(60);

std::string round_text(std::string_view side, const Round& round) {
  const double seconds = std::chrono::duration<double>(round.elapsed).count();
  return fmt::format("{} {:.0f} tx/s", side, static_cast<double>(round.latencies.size()) / seconds);
}

}  // namespace

TransferRun::TransferRun(const Stage& stage, Bank& bank, const RunOptions& options,
                         std::function<void(const std::string&)> tell)
    : stage_(stage), bank_(bank), options_(options), tell_(std::move(tell)) {}

Result<Comparison> TransferRun::measure(int clients, Acknowledgement acknowledgement) {
  struct Side {
    std::string_view name;
    OpenTeller open_teller;
    std::vector<Round> rounds;
    std::optional<Summary> Comparison::* summary;
  };
  std::vector<Side> sides;
  if (options_.handcoded)
    sides.push_back(
        {.name = "hand-coded",
         .open_teller = [this](int client) { return open_handcoded_teller(stage_, rounds_begun_, client); },
         .rounds = {},
         .summary = &Comparison::handcoded});
  if (options_.troth)
    sides.push_back(
        {.name = "troth",
         .open_teller = [this, acknowledgement](
                            int client) { return open_troth_teller(stage_, acknowledgement, client); },
         .rounds = {},
         .summary = &Comparison::troth});

  for (int number = 1; number <= options_.rounds; ++number) {
    std::string line = fmt::format("{} clients, {}, round {} of {}:", clients, name_of(acknowledgement),
                                   number, options_.rounds);
    for (Side& side : sides) {
      auto measured = round(clients, side.open_teller);
      if (!measured) return std::unexpected(measured.error());
      line += " " + round_text(side.name, *measured);
      side.rounds.push_back(std::move(*measured));
    }
    tell_(line);
    // Who goes first in one round goes last in the next: neither always finds the caches the other one left.
    std::reverse(sides.begin(), sides.end());
  }

  Comparison comparison{.databases = stage_.databases,
                        .clients = clients,
                        .acknowledgement = acknowledgement,
                        .handcoded = std::nullopt,
                        .troth = std::nullopt};
  for (const Side& side : sides) {
    const auto summary = summarise(side.rounds);
    if (!summary) return std::unexpected(summary.error());
    comparison.*side.summary = *summary;
  }
  return comparison;
}

Result<Round> TransferRun::round(int clients, const OpenTeller& open_teller) {
  ++rounds_begun_;
  const auto before = bank_.totals();
  if (!before) return std::unexpected(before.error());

  Load load({.clients = clients,
             .length = options_.round_length,
             .accounts = stage_.accounts,
             .seed = options_.seed + static_cast<std::uint64_t>(rounds_begun_)},
            open_teller);
  if (const Status warm = load.warm_up(); !warm) return std::unexpected(warm.error());
  if (const Status settled = bank_.wait_until_settled(kSettleBound); !settled)
    return std::unexpected(settled.error());
  const auto first_reading = read_meters(stage_);
  if (!first_reading) return std::unexpected(first_reading.error());

  auto result = load.run();
  if (!result) return std::unexpected(result.error());
  if (const Status settled = bank_.wait_until_settled(kSettleBound); !settled)
    return std::unexpected(settled.error());
  const auto end = std::chrono::steady_clock::now();
  const auto last_reading = read_meters(stage_);
  if (!last_reading) return std::unexpected(last_reading.error());
  if (const Status kept = check_totals(*before, result->moved); !kept) return std::unexpected(kept.error());

  const Reading cost = difference(*last_reading, *first_reading);
  return Round{.latencies = std::move(result->latencies),
               .conflicts = result->conflicts,
               .moved = result->moved,
               .elapsed = std::chrono::duration_cast<Duration>(end - result->began),
               .cpu = cost.cpu,
               .log_syncs = cost.log_syncs};
}

Status TransferRun::check_totals(const Totals& before, std::int64_t moved) {
  const auto after = bank_.totals();
  if (!after) return std::unexpected(after.error());
  const Totals expected{.postgres = before.postgres + moved, .mysql = before.mysql - moved};
  if (*after == expected) return {};
  return fail(
      ErrorCode::kInternal, Effect::kApplied,
      fmt::format(
          "money is wrong: Postgres holds {} and should hold {}, the other database {} and should {}; "
          "look into both with the transactions of the last round",
          after->postgres, expected.postgres, after->mysql, expected.mysql));
}

}  // namespace troth::bench
