#include <fmt/format.h>

#include "tests/sim/invariants/invariants.h"
#include "tests/sim/invariants/run_end.h"

namespace troth::sim {
void check_tellings(const RunEnd& end, Broken& broken) {
  const auto& committed = end.committed;
  for (const auto& [key, transfer] : end.ledger.transfers()) {
    const auto found = committed.find(key);
    const auto is_committed = [&](const std::string& transaction) {
      return found != committed.end() && found->second.contains(transaction);
    };
    const auto is_heuristic = [&](const std::string& transaction) {
      const auto id = TransactionId::parse(transaction);
      if (!id) return false;
      const auto& truth = end.evidence.truth(*id);
      return truth.is_heuristic() || truth.decision_lost;
    };
    for (const auto& transaction : transfer.told_committed)
      if (!is_committed(transaction) && !is_heuristic(transaction) && end.in_doubt(transaction).empty())
        broken.push_back(fmt::format("T2: {} was told committed as {}, and no database has it", key.id.text(),
                                     transaction));
    for (const auto& transaction : transfer.told_not_committed)
      if ((is_committed(transaction) && !is_heuristic(transaction)) ||
          (transfer.told_committed.contains(transaction) && !is_heuristic(transaction)))
        broken.push_back(
            fmt::format("T3: {} was told not committed as {}, and it is", key.id.text(), transaction));
    if (transfer.told_barred && found != committed.end() && !end.evidence.bars_lost.contains(key))
      broken.push_back(fmt::format("T3: {} was barred, and is committed as {}", key.id.text(),
                                   found->second.begin()->first));
  }
}

}  // namespace troth::sim
