#include "participant_agent/marker_judgement.h"

namespace troth::agent {
namespace {

Proof proof_of(MarkerState state) {
  switch (state) {
    case MarkerState::kCommitted:
    case MarkerState::kResolved:
    case MarkerState::kRepaired: return Proof::kCommitted;
    case MarkerState::kBarred:
    case MarkerState::kUndone: return Proof::kNever;
    case MarkerState::kLocal: return Proof::kUndecided;
  }
  return Proof::kUndecided;
}

}  // namespace

Proof proof_for(const BranchId& branch, const std::vector<MarkerRow>& rows) {
  for (const auto& row : rows) {
    if (row.branch == branch.branch && row.transaction == branch.transaction.text())
      return proof_of(row.state);
  }
  return Proof::kNothing;
}

Collision explain(const BranchId& branch, const std::optional<RequestKey>& request, const Digest& digest,
                  const std::vector<MarkerRow>& rows) {
  if (const Proof proof = proof_for(branch, rows); proof != Proof::kNothing) return OwnKeyTaken{proof};
  if (!request) return NobodyHolds{};
  for (const auto& row : rows) {
    if (row.request != request) continue;
    if (row.state == MarkerState::kBarred) return RequestBarred{};
    if (row.digest && *row.digest != digest) return RequestReused{row.transaction};
    if (row.state == MarkerState::kResolved) return RequestResolved{row.transaction};
    return RequestCommitted{row.transaction};
  }
  return NobodyHolds{};
}

RequestVerdict judge_request(const RequestKey& request, const std::vector<MarkerRow>& rows) {
  for (const auto& row : rows) {
    if (row.request != request) continue;
    switch (proof_of(row.state)) {
      case Proof::kCommitted:
        return {row.state == MarkerState::kResolved ? BranchEnd::kHeuristicCommitted : BranchEnd::kCommitted,
                row.transaction};
      case Proof::kNever: return {BranchEnd::kRolledBack, std::nullopt};
      case Proof::kUndecided:
      case Proof::kNothing: return {};
    }
  }
  return {};
}

}  // namespace troth::agent
