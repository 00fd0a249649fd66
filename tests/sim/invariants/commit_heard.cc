#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_commit_heard(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto check = [&](const TransactionId& id, const std::string& who) {
    const auto& truth = evidence.truth(id);
    if (truth.decision_lost) return;
    if (id.is_one_phase() ? truth.committed.empty() && truth.lost.empty() : !truth.decided)
      broken.push_back(
          fmt::format("T2: {} hears commit of {}, and {}", who, id.text(),
                      id.is_one_phase() ? "no marker of it ever stood" : "no record of it was ever durable"));
  };
  if (const auto* told = std::get_if<ToldCommitted>(&happening)) {
    check(told->transaction, told->request.client);
  } else if (const auto* called = std::get_if<CommitCalled>(&happening)) {
    check(called->branch.transaction, fmt::format("the agent of database {}", called->database.value + 1));
  }
}

}  // namespace troth::sim
