// coordinator/consensus/lease_terms.h
//
// How long a lease is, and how far from true time clocks may run: a part of the group's configuration, changed through its log
// like the rest of it, and never a setting of one process. See lease.h.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/time.h"

namespace troth::coordinator::consensus {

struct LeaseTerms {
  Duration length{150'000};
  // How far a replica's clock may run from true time, in millionths of it: two clocks differ by twice that. 1% is far
  // outside of what crystals (0.01%) and clock discipline (0.05%) do, and costs 3 ms of 150.
  std::uint32_t drift_ppm = 10'000;

  bool operator==(const LeaseTerms&) const = default;

  // What the holder counts.
  [[nodiscard]] Duration held() const;
  // What a grantor waits after its start, or longer.
  [[nodiscard]] Duration waited() const;
};

inline constexpr Duration kLongestLease{10'000'000};
inline constexpr std::uint32_t kMostDriftPpm = 100'000;

// kInvalidArgument, effect none: a length of 1 ms to kLongestLease, a drift of at most kMostDriftPpm.
[[nodiscard]] Status check(const LeaseTerms& terms);

}  // namespace troth::coordinator::consensus
