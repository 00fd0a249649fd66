#include "recovery/runtime/facts.h"

namespace troth::recovery {
namespace {

std::vector<HeldBranch> held_branches(const std::vector<wire::InDoubtBranch>& branches) {
  std::vector<HeldBranch> held;
  for (const auto& branch : branches) {
    held.push_back({.resource = {branch.resource},
                    .transaction = branch.transaction_id,
                    .branch = {static_cast<std::uint32_t>(branch.branch)},
                    .age_ms = branch.age_ms,
                    .state = branch.state,
                    .waiting_for = branch.waiting_for,
                    .database_id = branch.database_id});
  }
  return held;
}

}  // namespace

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

std::string_view name_of_end(wire::BranchEnd::type end) {
  switch (end) {
    case wire::BranchEnd::COMMITTED: return "committed";
    case wire::BranchEnd::ROLLED_BACK: return "rolled back";
    case wire::BranchEnd::UNDECIDED: return "not ended yet";
    case wire::BranchEnd::LOST: return "lost";
    case wire::BranchEnd::TOO_OLD: return "too old";
    case wire::BranchEnd::HEURISTIC_COMMITTED: return "committed by hand";
    case wire::BranchEnd::HEURISTIC_ROLLED_BACK: return "rolled back by hand";
  }
  return "an end that this version does not know";
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
  facts.branches = held_branches(report.branches);
  facts.unreachable_agents = report.unreachable_agents;
  return facts;
}

AgentSeen seen_of(const wire::AgentStatus& status) {
  return {.agent = status.agent_id, .epoch = status.epoch.number, .held = held_branches(status.in_doubt)};
}

}  // namespace troth::recovery
