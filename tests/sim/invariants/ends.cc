#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_ends(const Evidence& evidence, const Happening& happening, Broken& broken) {
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
  for (const auto& branch : decision->second.record.branches) {
    const auto database = evidence.database(branch.resource);
    const bool is_acknowledged = database && evidence.truth(id).acknowledged.contains(*database);
    if (!is_acknowledged && !evidence.store.resolutions.contains({id, branch.branch}))
      broken.push_back(fmt::format("T6: {} is ended, and nobody has acknowledged branch {}", id.text(),
                                   branch.branch.value));
  }
}

}  // namespace troth::sim
