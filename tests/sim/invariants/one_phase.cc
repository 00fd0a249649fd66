#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {
namespace {

// Somebody says of one-phase work that it never commits. What never came to its database needs no barrier there.
void never_commits(const Evidence& evidence, const BranchId& branch, DatabaseNumber database,
                   const std::string& agent, Broken& broken) {
  const auto& truth = evidence.truth(branch.transaction);
  if (!truth.ran.contains(database) || truth.barriers.contains(database)) return;
  if (evidence.ever_set_back.contains(database)) return;  // what stood there may have gone
  broken.push_back(fmt::format("T9: {} says that {} never commits, and no barrier stands in database {}",
                               agent, branch.transaction.text(), database.value + 1));
}

}  // namespace

void judge_one_phase(const Evidence& evidence, const Happening& happening, Broken& broken) {
  if (const auto* sent = std::get_if<VoteSent>(&happening)) {
    if (sent->branch.transaction.is_one_phase() && sent->nothing_stands)
      never_commits(evidence, sent->branch, sent->database, sent->agent, broken);
  } else if (const auto* settled = std::get_if<SettleSent>(&happening)) {
    if (settled->end == agent::BranchEnd::kRolledBack)
      never_commits(evidence, settled->branch, settled->database, settled->agent, broken);
  } else if (const auto* runs = std::get_if<OnePhaseRuns>(&happening)) {
    if (evidence.truth(runs->branch.transaction).refused.contains(runs->database))
      broken.push_back(fmt::format("T7: {} runs in database {}, and was told never to commit",
                                   runs->branch.transaction.text(), runs->database.value + 1));
  }
}

}  // namespace troth::sim
