// coordinator/consensus/ballot.h
//
// The numbers of Multi-Paxos: who, in which attempt to lead, at which place of the log.
// Source: Lamport, "Paxos Made Simple" (2001), sections 2.2 and 3.
#pragma once

#include <compare>
#include <cstdint>

#include "base/ids.h"

namespace troth::coordinator::consensus {

// One coordinator of the group; 1.., given once and never reused, not even when the replica was removed.
using ReplicaId = Named<struct ReplicaTag, std::uint32_t>;

// A place of the replicated log, 1..; zero: before the first.
using Slot = Named<struct SlotTag, std::uint64_t>;

// One attempt to lead. Two replicas never share one, because each makes only ballots of its own; and a replica
// never uses one twice, because its own promise is durable before anybody hears of the ballot (attack 22).
struct Ballot {
  std::uint64_t round = 0;  // 0: none
  ReplicaId leader;
  auto operator<=>(const Ballot&) const = default;

  [[nodiscard]] bool is_none() const { return round == 0; }
};

// The lowest ballot of `replica` above `other`.
[[nodiscard]] inline Ballot ballot_above(const Ballot& other, ReplicaId replica) {
  return {other.round + 1, replica};
}

}  // namespace troth::coordinator::consensus
