#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_not_committed(const Evidence& evidence, const Happening& happening, Broken& broken) {
  if (const auto* told = std::get_if<ToldNotCommitted>(&happening)) {
    const auto& truth = evidence.truth(told->transaction);
    if (truth.decision_lost) return;  // of it nobody knows there any more
    if (truth.is_committed() || (!truth.told_committed.empty() && truth.lost.empty()))
      broken.push_back(fmt::format("T3: {} hears that {} is not committed, and it is", told->request.client,
                                   told->transaction.text()));
    return;
  }
  const auto check = [&](const TransactionId& id, std::string_view what) {
    if (!evidence.truth(id).resolved.empty()) return;  // a hand may
    if (evidence.truth(id).decision_lost) return;
    for (const auto& request : evidence.truth(id).told_not_committed)
      broken.push_back(
          fmt::format("T3: {} was told that {} is not committed, and {}", request.client, id.text(), what));
  };
  if (const auto* appended = std::get_if<StoreAppended>(&happening)) {
    if (const auto* commit = std::get_if<coordinator::store::CommitRecord>(&appended->record))
      check(commit->transaction, "its commit is proposed");
  } else if (const auto* stands = std::get_if<MarkerStands>(&happening)) {
    const auto id = transaction_of(stands->row);
    if (id && stands->row.state == agent::MarkerState::kCommitted)
      check(*id, fmt::format("database {} commits it", stands->database.value + 1));
  } else if (const auto* committed = std::get_if<ToldCommitted>(&happening)) {
    check(committed->transaction, committed->request.client + " is told that it is");
  }
}

}  // namespace troth::sim
