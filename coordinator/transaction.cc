#include "coordinator/transaction.h"

namespace troth::coordinator {

std::string_view name_of(TransactionState state) {
  switch (state) {
    case TransactionState::kActive: return "active";
    case TransactionState::kPreparing: return "preparing";
    case TransactionState::kPending: return "pending";
    case TransactionState::kCommitted: return "committed";
    case TransactionState::kNotCommitted: return "not committed";
    case TransactionState::kUnknown: return "unknown";
    case TransactionState::kTooOld: return "too old";
    case TransactionState::kHeuristicMixed: return "heuristic-mixed";
    case TransactionState::kHeuristicCommit: return "heuristic-commit";
    case TransactionState::kHeuristicRollback: return "heuristic-rollback";
  }
  return "invalid";
}

std::string_view name_of(BranchEnd end) {
  switch (end) {
    case BranchEnd::kCommitted: return "committed";
    case BranchEnd::kRolledBack: return "rolled back";
    case BranchEnd::kUndecided: return "undecided";
    case BranchEnd::kLost: return "lost";
    case BranchEnd::kTooOld: return "too old";
    case BranchEnd::kHeuristicCommitted: return "heuristic-commit";
    case BranchEnd::kHeuristicRolledBack: return "heuristic-rollback";
  }
  return "invalid";
}

std::string_view name_of(Acknowledgement acknowledgement) {
  switch (acknowledgement) {
    case Acknowledgement::kApplied: return "applied";
    case Acknowledgement::kDecided: return "decided";
  }
  return "invalid";
}

}  // namespace troth::coordinator
