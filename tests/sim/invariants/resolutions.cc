#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_resolutions(const Evidence& evidence, const Happening& happening, Broken& broken) {
  using agent::BranchEnd;
  const auto* appended = std::get_if<JournalAppended>(&happening);
  if (appended == nullptr) return;
  if (const auto* resolved = std::get_if<agent::Resolved>(&appended->record)) {
    if (!evidence.store.resolutions.contains(resolved->id) && !evidence.ended_by_hand.contains(resolved->id))
      broken.push_back(fmt::format("{} ends {} by hand, and no store has a word of it", appended->agent,
                                   resolved->id.transaction.text()));
  } else if (const auto* finished = std::get_if<agent::Finished>(&appended->record)) {
    const bool is_by_hand =
        finished->end == BranchEnd::kHeuristicCommitted || finished->end == BranchEnd::kHeuristicRolledBack;
    const bool was_resolved =
        evidence.truth(finished->id.transaction).resolved.contains(database_of(finished->resource));
    if (is_by_hand && !was_resolved)
      broken.push_back(fmt::format("{} has {} as ended by hand, and nobody did", appended->agent,
                                   finished->id.transaction.text()));
  }
}

}  // namespace troth::sim
