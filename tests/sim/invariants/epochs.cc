#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_epochs(const Evidence& evidence, const Happening& happening, Broken& broken) {
  if (const auto* record = std::get_if<JournalAppended>(&happening)) {
    const auto* seen = std::get_if<agent::EpochSeen>(&record->record);
    const auto& newest = evidence.journal(record->agent).newest;
    if (seen == nullptr || !newest) return;
    // A checkpoint says the newest again.
    if (seen->epoch.number < newest->number ||
        (seen->epoch.number == newest->number && seen->epoch != *newest))
      broken.push_back(fmt::format("T8: {} takes epoch {} behind epoch {}", record->agent,
                                   seen->epoch.number.value, newest->number.value));
  } else if (const auto* sent = std::get_if<VoteSent>(&happening)) {
    if (sent->vote != agent::Vote::kYes && sent->vote != agent::Vote::kCommitted) return;
    const auto& newest = evidence.journal(sent->agent).newest;
    if (!newest || newest->number < sent->epoch.number)
      broken.push_back(fmt::format("T8: {} votes under epoch {}, which its journal does not have",
                                   sent->agent, sent->epoch.number.value));
  }
}

}  // namespace troth::sim
