#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {
namespace {

const agent::MarkerRow* known(const Evidence& evidence, DatabaseNumber database, const std::string& key) {
  const auto rows = evidence.markers.find(database);
  if (rows == evidence.markers.end()) return nullptr;
  const auto found = rows->second.find(key);
  return found == rows->second.end() ? nullptr : &found->second;
}

// An operator's commit: the marker is to say whose word it was, and nothing else of it changes.
bool only_becomes_resolved(const Evidence& evidence, DatabaseNumber database, const agent::MarkerRow& before,
                           const agent::MarkerRow& after) {
  const auto id = transaction_of(before);
  auto expected = before;
  expected.state = agent::MarkerState::kResolved;
  return before.state == agent::MarkerState::kCommitted && after == expected && id &&
         evidence.truth(*id).resolved.contains(database);
}

}  // namespace

void judge_markers(const Evidence& evidence, const Happening& happening, Broken& broken) {
  if (const auto* stands = std::get_if<MarkerStands>(&happening)) {
    const auto* before = known(evidence, stands->database, stands->key);
    if (before != nullptr && *before != stands->row &&
        !only_becomes_resolved(evidence, stands->database, *before, stands->row))
      broken.push_back(fmt::format("T7: the marker of {} in database {} was {}, and becomes {}",
                                   before->transaction, stands->database.value + 1, name_of(before->state),
                                   name_of(stands->row.state)));
  } else if (const auto* gone = std::get_if<MarkerGone>(&happening)) {
    const auto* before = known(evidence, gone->database, gone->key);
    if (before == nullptr) return;
    const auto id = transaction_of(*before);
    if (id && position_of(*id) >= gone->floor)
      broken.push_back(fmt::format("T6: the marker of {} in database {} is gone, above the floor",
                                   before->transaction, gone->database.value + 1));
  }
}

}  // namespace troth::sim
