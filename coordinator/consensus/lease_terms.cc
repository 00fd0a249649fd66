#include "coordinator/consensus/lease_terms.h"

#include <fmt/format.h>

namespace troth::coordinator::consensus {
namespace {

constexpr std::int64_t kMillion = 1'000'000;

// By how much two clocks can differ over `length`, rounded up.
Duration drift_over(const LeaseTerms& terms) {
  return Duration{(terms.length.count() * 2 * terms.drift_ppm + kMillion - 1) / kMillion};
}

}  // namespace

// A fast clock shows 1 + d of true time, a slow one 1 - d. The holder's count c on a slow clock takes c / (1 - d), the
// grantor's length l on a fast one l / (1 + d); with c = l (1 - 2d) the first is the shorter for every d. One tick less,
// because the grantor's reading of its clock is rounded down.
Duration LeaseTerms::held() const {
  return length - drift_over(*this) - Duration{1};
}

Duration LeaseTerms::waited() const {
  return length + drift_over(*this) + Duration{1};
}

Status check(const LeaseTerms& terms) {
  constexpr Duration kShortest{1'000};
  if (terms.length < kShortest || terms.length > kLongestLease)
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("a lease of {} us: it must be {} to {} us long", terms.length.count(),
                            kShortest.count(), kLongestLease.count()));
  if (terms.drift_ppm > kMostDriftPpm)
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("a drift bound of {} ppm: at most {}, or little is left of the lease",
                            terms.drift_ppm, kMostDriftPpm));
  return {};
}

}  // namespace troth::coordinator::consensus
