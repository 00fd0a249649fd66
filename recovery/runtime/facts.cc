#include "recovery/runtime/facts.h"

namespace troth::recovery {

Decision decision_of(wire::TransactionState::type state) {
  switch (state) {
    case wire::TransactionState::ACTIVE:
    case wire::TransactionState::PREPARING: return Decision::kUndecided;
    case wire::TransactionState::PENDING: return Decision::kPending;
    case wire::TransactionState::COMMITTED: return Decision::kCommit;
    case wire::TransactionState::NOT_COMMITTED: return Decision::kAbort;
    case wire::TransactionState::UNKNOWN: return Decision::kUnknown;
    case wire::TransactionState::TOO_OLD: return Decision::kTooOld;
    case wire::TransactionState::HEURISTIC_MIXED:
    case wire::TransactionState::HEURISTIC_COMMIT:
    case wire::TransactionState::HEURISTIC_ROLLBACK: return Decision::kHeuristic;
  }
  return Decision::kUnknown;  // of a later version
}

std::string_view name_of_state(wire::TransactionState::type state) {
  switch (state) {
    case wire::TransactionState::ACTIVE: return "active";
    case wire::TransactionState::PREPARING: return "preparing";
    case wire::TransactionState::PENDING: return "pending";
    case wire::TransactionState::COMMITTED: return "committed";
    case wire::TransactionState::NOT_COMMITTED: return "not committed";
    case wire::TransactionState::UNKNOWN: return "unknown";
    case wire::TransactionState::TOO_OLD: return "too old to know";
    case wire::TransactionState::HEURISTIC_MIXED: return "heuristic mixed";
    case wire::TransactionState::HEURISTIC_COMMIT: return "heuristic commit";
    case wire::TransactionState::HEURISTIC_ROLLBACK: return "heuristic rollback";
  }
  return "a state that this version does not know";
}

OpenWorkFacts facts_of(const wire::InDoubtReport& report) {
  OpenWorkFacts facts;
  for (const auto& open : report.transactions) {
    OpenTransaction transaction{.id = open.transaction_id,
                                .decision = decision_of(open.state),
                                .age_ms = open.age_ms,
                                .label = open.label};
    for (const auto& branch : open.branches) {
      transaction.branches.push_back(
          {{branch.resource}, {static_cast<std::uint32_t>(branch.branch)}, branch.state});
    }
    facts.transactions.push_back(std::move(transaction));
  }
  for (const auto& held : report.branches) {
    facts.branches.push_back({.resource = {held.resource},
                              .transaction = held.transaction_id,
                              .branch = {static_cast<std::uint32_t>(held.branch)},
                              .age_ms = held.age_ms,
                              .state = held.state,
                              .waiting_for = held.waiting_for,
                              .database_id = held.database_id});
  }
  facts.unreachable_agents = report.unreachable_agents;
  return facts;
}

}  // namespace troth::recovery
