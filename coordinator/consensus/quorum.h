// coordinator/consensus/quorum.h
//
// Which replicas vote, and how many of them it takes: N replicas of which W accept (a value is chosen), E elect
// (a ballot leads) and R answer a quorum read. Sizes need not be majorities; what must meet is computed.
//
//   E + W > N   a new leader meets every value that may have been chosen
//   R + W > N   a reader meets every value that was chosen
//
// A change keeps the same between old and new replicas, or it is refused with the sum, and goes by steps
// (attacks 13, 60).
// Source: Howard, Malkhi, Spiegelman, "Flexible Paxos: Quorum Intersection Revisited" (2016).
#pragma once

#include <cstdint>
#include <set>

#include "base/result.h"
#include "coordinator/consensus/ballot.h"
#include "coordinator/consensus/lease_terms.h"

namespace troth::coordinator::consensus {

inline constexpr std::size_t kMostVoters = 7;

struct Quorums {
  std::uint32_t write = 0;
  std::uint32_t elect = 0;
  std::uint32_t read = 0;
  bool operator==(const Quorums&) const = default;
};

using Replicas = std::set<ReplicaId>;

struct Configuration {
  Replicas voters;
  Quorums quorums;
  Replicas learners;  // are sent everything, and counted nowhere: a replica learns before it votes
  LeaseTerms lease_terms{};
  bool operator==(const Configuration&) const = default;

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(voters.size()); }
  [[nodiscard]] Replicas everybody() const;
  // How many replicas have to grant a lease, so that no E quorum is without one of them: N - E + 1.
  [[nodiscard]] std::uint32_t lease() const { return size() - quorums.elect + 1; }
};

// Each of the three is the smallest majority.
[[nodiscard]] Configuration with_majorities(Replicas voters);

// kInvalidArgument, effect none, with the sum that does not hold: no replica or more than kMostVoters, a replica
// numbered 0, a size of zero or above N, quorums that do not meet, a lease that cannot be.
[[nodiscard]] Status check(const Configuration& configuration);

// May `next` follow `current` in one step? Both are checked, and all of E_new + W_old, E_old + W_new, R_new + W_old
// and R_old + W_new must be above the number of replicas in either.
[[nodiscard]] Status check_change(const Configuration& current, const Configuration& next);

// How many of `replicas` vote in `configuration`.
[[nodiscard]] std::uint32_t votes_of(const Replicas& replicas, const Configuration& configuration);

}  // namespace troth::coordinator::consensus
