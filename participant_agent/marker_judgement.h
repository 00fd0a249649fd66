// participant_agent/marker_judgement.h
//
// What the rows at a branch's keys say [T9]. A duplicate key on a marker insert is resolved by reading which
// key and which state it hit (attack 48).
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "participant_agent/dialect/resource_rows.h"
#include "participant_agent/work.h"

namespace troth::agent {

// What the row at the branch's own key proves.
enum class Proof : std::uint8_t {
  kNothing,    // no row: absence proves nothing
  kCommitted,  // committed, repaired or resolved
  kNever,      // barred or undone
  kUndecided,  // local: undo mode, not yet ended
};

[[nodiscard]] Proof proof_for(const BranchId& branch, const std::vector<MarkerRow>& rows);

// Why a branch's marker could not be inserted.
struct OwnKeyTaken {
  Proof proof = Proof::kNothing;
};
// Another transaction carried the same request and committed.
struct RequestCommitted {
  std::string transaction;
};
// One of its branches, this resource's, was committed by an operator's word: of the others nothing is known.
struct RequestResolved {
  std::string transaction;
};
// Another transaction carried the request_id with other content.
struct RequestReused {
  std::string transaction;
};
// The request was barred: it may never commit here.
struct RequestBarred {};
// The holder has gone in the meantime.
struct NobodyHolds {};
using Collision =
    std::variant<OwnKeyTaken, RequestCommitted, RequestResolved, RequestReused, RequestBarred, NobodyHolds>;

[[nodiscard]] Collision explain(const BranchId& branch, const std::optional<RequestKey>& request,
                                const Digest& digest, const std::vector<MarkerRow>& rows);

// What the rows at a request's key say after its barrier met a duplicate.
struct RequestVerdict {
  // Committed, heuristically committed (by an operator's word), rolled back (barred), undecided.
  BranchEnd end = BranchEnd::kUndecided;
  std::optional<std::string> committed_as;
};
[[nodiscard]] RequestVerdict judge_request(const RequestKey& request, const std::vector<MarkerRow>& rows);

}  // namespace troth::agent
