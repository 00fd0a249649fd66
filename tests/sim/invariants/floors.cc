#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {
namespace {

std::string text_of(const Position& position) {
  return fmt::format("{}.{}", position.epoch.value, position.sequence.value);
}

// A start has read its log, and says its first word.
void judge_what_was_found(const Evidence& evidence, Broken& broken) {
  const auto& store = evidence.store;
  for (const auto& [id, decision] : store.owed) {
    if (store.commits.contains(id)) continue;
    const auto& request = decision.record.request;
    const bool was_ended = store.ended.contains(id) || store.found_ended.contains(id);
    const bool was_forgotten = was_ended && position_of(id) < store.floors.transactions &&
                               (!request || request->id.unix_ms() < store.floors.request_ms);
    if (!was_forgotten)
      broken.push_back(fmt::format("T6: the store has lost the commit of {}, which {}", id.text(),
                                   was_ended ? "is above its floor" : "was not ended"));
  }
}

}  // namespace

void judge_floors(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto& store = evidence.store;
  if (const auto* appended = std::get_if<StoreAppended>(&happening)) {
    if (store.reads) judge_what_was_found(evidence, broken);
    if (const auto* commit = std::get_if<coordinator::store::CommitRecord>(&appended->record);
        commit != nullptr && !store.commits.contains(commit->transaction) &&
        position_of(commit->transaction) < store.floors.transactions)
      broken.push_back(fmt::format("T5: commit of {} is proposed below the floor {}",
                                   commit->transaction.text(), text_of(store.floors.transactions)));
    return;
  }
  const auto* record = std::get_if<JournalAppended>(&happening);
  const auto* raised = record == nullptr ? nullptr : std::get_if<agent::FloorRaised>(&record->record);
  if (raised == nullptr) return;
  const auto& floor = raised->floors;
  if (floor.position > store.floors.transactions || floor.request_ms > store.floors.request_ms)
    broken.push_back(fmt::format("T6: the floor {} of {} passes the store's {}", text_of(floor.position),
                                 raised->resource.value, text_of(store.floors.transactions)));
  const auto database = database_of(raised->resource);
  for (const auto& [id, decision] : store.commits) {
    // Who has acknowledged is not asked again, and owes nothing.
    if (evidence.truth(id).acknowledged.contains(database)) continue;
    if (!decision.durable || store.ended.contains(id) || position_of(id) >= floor.position) continue;
    for (const auto& branch : decision.record.branches)
      if (evidence.database(branch.resource) == database)
        broken.push_back(fmt::format("T6: the floor {} of {} passes {}, whose commit is not ended",
                                     text_of(floor.position), raised->resource.value, id.text()));
  }
}

}  // namespace troth::sim
