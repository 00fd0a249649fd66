#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {
namespace {

using agent::BranchEnd;

void complain(Broken& broken, const TransactionId& id, const std::string& what, const std::string& but) {
  broken.push_back(fmt::format("T3: {}: {}, and {}", id.text(), what, but));
}

std::string named(DatabaseNumber database) {
  return fmt::format("database {}", database.value + 1);
}

// Somebody says that it commits.
void commits(const Evidence& evidence, const TransactionId& id, const std::string& what, Broken& broken) {
  const auto& truth = evidence.truth(id);
  // What a hand did stands against what was decided.
  if (truth.is_heuristic()) return;
  for (const auto database : truth.never)
    complain(broken, id, what, named(database) + " has it as never to commit");
  if (truth.abort_told) complain(broken, id, what, "an agent was told to roll it back");
}

// Somebody says that it never will.
void never_commits(const Evidence& evidence, const TransactionId& id, const std::string& what,
                   Broken& broken) {
  const auto& truth = evidence.truth(id);
  if (truth.is_heuristic()) return;
  if (truth.decided) complain(broken, id, what, "its commit was chosen");
  for (const auto database : truth.committed)
    complain(broken, id, what, named(database) + " has committed it");
}

void judge_record(const Evidence& evidence, const std::string& agent, const agent::JournalRecord& record,
                  Broken& broken) {
  const auto journal = "the journal of " + agent;
  if (const auto* learned = std::get_if<agent::DecisionLearned>(&record)) {
    const auto& id = learned->id.transaction;
    if (!evidence.truth(id).decided && !evidence.truth(id).decision_lost)
      complain(broken, id, journal + " learns its commit", "nobody chose it");
    commits(evidence, id, journal + " learns its commit", broken);
  } else if (const auto* finished = std::get_if<agent::Finished>(&record)) {
    const auto& id = finished->id.transaction;
    const auto database = database_of(finished->resource);
    if (finished->end == BranchEnd::kRolledBack) {
      never_commits(evidence, id, journal + " has it as rolled back", broken);
    } else if (finished->end == BranchEnd::kCommitted && !evidence.truth(id).committed.contains(database) &&
               !evidence.truth(id).lost.contains(database)) {
      complain(broken, id, journal + " has it as committed", named(database) + " never had");
    } else if (finished->end == BranchEnd::kLost && !evidence.truth(id).is_heuristic()) {
      complain(broken, id, journal + " has its branch as lost", "nothing that a server keeps is lost");
    }
  }
}

}  // namespace

void judge_contradiction(const Evidence& evidence, const Happening& happening, Broken& broken) {
  if (const auto* appended = std::get_if<StoreAppended>(&happening)) {
    if (const auto* commit = std::get_if<coordinator::store::CommitRecord>(&appended->record))
      commits(evidence, commit->transaction, "its commit is proposed", broken);
  } else if (const auto* stands = std::get_if<MarkerStands>(&happening)) {
    const auto id = transaction_of(stands->row);
    if (!id) return;
    const auto& truth = evidence.truth(*id);
    if (stands->row.state == agent::MarkerState::kCommitted) {
      commits(evidence, *id, named(stands->database) + " commits it", broken);
      if (!id->is_one_phase() && !truth.decided && !truth.decision_lost && !truth.is_heuristic())
        complain(broken, *id, named(stands->database) + " commits it", "nobody chose that");
    } else if (stands->row.state == agent::MarkerState::kBarred) {
      never_commits(evidence, *id, named(stands->database) + " bars it", broken);
    }
  } else if (const auto* record = std::get_if<JournalAppended>(&happening)) {
    judge_record(evidence, record->agent, record->record, broken);
  }
}

}  // namespace troth::sim
