#include "tests/sim/invariants/invariants.h"

#include <fmt/format.h>

#include "tests/sim/invariants/run_end.h"
#include "tests/sim/simulation.h"

namespace troth::sim {

Broken broken_invariants(Simulation& simulation, bool ended) {
  Broken broken;
  const auto end = simulation.run_end();
  check_agreement(end, broken);
  check_tellings(end, broken);
  check_one_commit_per_request(end, broken);
  check_money(end, broken);
  if (ended) check_logs(simulation, broken);
  return broken;
}

std::string what_is_left(const RunEnd& end) {
  std::size_t open = 0;
  for (const auto& [key, transfer] : end.ledger.transfers())
    if (!transfer.over) ++open;
  std::string left =
      fmt::format("liveness: {} of {} transfers have no end", open, end.ledger.transfers().size());
  for (const auto& database : end.databases)
    for (const auto& branch : database.prepared)
      left += fmt::format("; {} is in doubt in {}", branch.transaction.text(), database.name);
  return left;
}

std::uint64_t committed_transfers(const Simulation& simulation) {
  return simulation.committed().size();
}

}  // namespace troth::sim
