#include "tests/sim/invariants/invariants.h"

#include <fmt/format.h>

#include "tests/sim/simulation.h"

namespace troth::sim {

Broken broken_invariants(Simulation& simulation, bool ended) {
  Broken broken;
  check_agreement(simulation, broken);
  check_tellings(simulation, broken);
  check_one_commit_per_request(simulation, broken);
  check_money(simulation, broken);
  if (ended) check_logs(simulation, broken);
  return broken;
}

std::string what_is_left(const Simulation& simulation) {
  std::size_t open = 0;
  for (const auto& [key, transfer] : simulation.ledger().transfers())
    if (!transfer.over) ++open;
  std::string left =
      fmt::format("liveness: {} of {} transfers have no end", open, simulation.ledger().transfers().size());
  for (const auto& database : simulation.databases())
    for (const auto& branch : database->server().prepared())
      left += fmt::format("; {} is in doubt in {}", branch.transaction.text(), database->name());
  return left;
}

std::uint64_t committed_transfers(const Simulation& simulation) {
  return simulation.committed().size();
}

}  // namespace troth::sim
