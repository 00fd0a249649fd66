#include "coordinator/consensus/lease.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"

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

// ---- holder

void LeaseHolder::granted(Instant now, const LeaseGrant& grant) {
  if (grant.ballot != ballot_ || grant.sent > now) return;
  auto [known, is_first] = sent_.try_emplace(grant.by, grant.sent);
  if (!is_first) known->second = std::max(known->second, grant.sent);
}

bool LeaseHolder::valid(Instant now, const Configuration& configuration) const {
  const auto until = valid_until(configuration);
  return until && now < *until;
}

std::optional<Instant> LeaseHolder::valid_until(const Configuration& configuration) const {
  if (given_up_) return std::nullopt;
  std::vector<Instant> sent;
  for (const auto& [by, when] : sent_)
    if (configuration.voters.contains(by)) sent.push_back(when);
  if (sent.size() < configuration.lease()) return std::nullopt;
  std::ranges::sort(sent, std::ranges::greater{});
  return sent[configuration.lease() - 1] + terms_.held();
}

LeaseHandOver LeaseHolder::hand_over(ReplicaId successor) {
  CHECK(successor != ballot_.leader, "replica {} hands its lease over to itself", successor.value);
  give_up();
  return {ballot_, successor};
}

// ---- grantor

LeaseGrantor::LeaseGrantor(const LeaseTerms& terms, ReplicaId self, const Ballot& promised, Instant now)
    : terms_(terms) {
  if (!promised.is_none() && promised.leader != self)
    grant_ = Grant{promised, now + terms_.waited(), std::nullopt};
}

LeaseGrantor LeaseGrantor::without_memory(const LeaseTerms& terms, Instant now) {
  return {terms, Grant{Ballot{}, now + terms.waited(), std::nullopt}};
}

bool LeaseGrantor::allows(Instant now, ReplicaId candidate) const {
  const auto grant = running(now);
  return !grant || candidate == grant->successor.value_or(grant->ballot.leader);
}

bool LeaseGrantor::grant(Instant now, const Ballot& ballot, const Ballot& promised) {
  if (ballot != promised || ballot.is_none()) return false;
  const bool is_same = grant_ && grant_->ballot == ballot;
  if (is_same && grant_->successor) return false;
  auto until = now + terms_.length;
  if (is_same) until = std::max(until, grant_->until);
  grant_ = Grant{ballot, until, std::nullopt};
  return true;
}

void LeaseGrantor::hand_over(const LeaseHandOver& hand_over) {
  const bool is_its_own = hand_over.successor == hand_over.ballot.leader;
  if (grant_ && grant_->ballot == hand_over.ballot && !grant_->successor && !is_its_own)
    grant_->successor = hand_over.successor;
}

std::optional<LeaseGrantor::Grant> LeaseGrantor::running(Instant now) const {
  if (!grant_ || now >= grant_->until) return std::nullopt;
  return grant_;
}

}  // namespace troth::coordinator::consensus
