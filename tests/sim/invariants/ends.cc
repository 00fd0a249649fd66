#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {
namespace {

using coordinator::store::CommitRecord;

// By its agent, or by an operator.
std::vector<BranchNumber> not_acknowledged(const Evidence& evidence, const CommitRecord& commit) {
  std::vector<BranchNumber> missing;
  for (const auto& branch : commit.branches) {
    const auto database = evidence.database(branch.resource);
    const bool is_acknowledged =
        database && evidence.truth(commit.transaction).acknowledged.contains(*database);
    if (!is_acknowledged && !evidence.store.resolutions.contains({commit.transaction, branch.branch}))
      missing.push_back(branch.branch);
  }
  return missing;
}

// Of this reign some may have come while the answer was being put together.
void judge_shown(const Evidence& evidence, const OpenShown& shown, Broken& broken) {
  const auto& store = evidence.store;
  for (const auto& [id, decision] : store.commits) {
    const bool is_open = store.epoch && id.epoch < store.epoch->number && decision.durable &&
                         !store.ended.contains(id) && !not_acknowledged(evidence, decision.record).empty();
    if (is_open && !shown.transactions.contains(id))
      broken.push_back(
          fmt::format("T6: {} is not ended, and the coordinator does not know it as open", id.text()));
  }
}

}  // namespace

void judge_ends(const Evidence& evidence, const Happening& happening, Broken& broken) {
  if (const auto* shown = std::get_if<OpenShown>(&happening)) return judge_shown(evidence, *shown, broken);
  const auto* appended = std::get_if<StoreAppended>(&happening);
  const auto* ended =
      appended == nullptr ? nullptr : std::get_if<coordinator::store::EndedRecord>(&appended->record);
  if (ended == nullptr) return;
  const auto& id = ended->transaction;
  const auto decision = evidence.store.commits.find(id);
  if (decision == evidence.store.commits.end()) {
    broken.push_back(fmt::format("T6: {} is ended, and its commit was never chosen", id.text()));
    return;
  }
  for (const auto branch : not_acknowledged(evidence, decision->second.record))
    broken.push_back(
        fmt::format("T6: {} is ended, and nobody has acknowledged branch {}", id.text(), branch.value));
}

}  // namespace troth::sim
