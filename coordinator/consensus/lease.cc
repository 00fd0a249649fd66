#include "coordinator/consensus/lease.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "base/check.h"

namespace troth::coordinator::consensus {

// ---- holder

void LeaseHolder::granted(Instant now, const LeaseGrant& grant, std::uint32_t drift_ppm) {
  if (grant.ballot != ballot_ || grant.sent > now || !check(grant.terms)) return;
  const LeaseTerms counted{grant.terms.length, std::max(grant.terms.drift_ppm, drift_ppm)};
  const auto until = grant.sent + counted.held();
  auto [known, is_first] = until_.try_emplace(grant.by, until);
  if (!is_first) known->second = std::max(known->second, until);
}

bool LeaseHolder::valid(Instant now, const Configuration& configuration) const {
  const auto until = valid_until(configuration);
  return until && now < *until;
}

std::optional<Instant> LeaseHolder::valid_until(const Configuration& configuration) const {
  if (given_up_) return std::nullopt;
  std::vector<Instant> until;
  for (const auto& [by, when] : until_)
    if (configuration.voters.contains(by)) until.push_back(when);
  if (until.size() < configuration.lease()) return std::nullopt;
  std::ranges::sort(until, std::ranges::greater{});
  return until[configuration.lease() - 1];
}

LeaseHandOver LeaseHolder::hand_over(ReplicaId successor) {
  CHECK(successor != ballot_.leader, "replica {} hands its lease over to itself", successor.value);
  give_up();
  return {ballot_, successor};
}

// ---- grantor

LeaseGrantor::LeaseGrantor(Duration waits, ReplicaId self, const Ballot& promised, Instant now) {
  if (!promised.is_none() && promised.leader != self) grant_ = Grant{promised, now + waits, std::nullopt};
}

LeaseGrantor LeaseGrantor::without_memory(Duration waits, Instant now) {
  return LeaseGrantor(Grant{Ballot{}, now + waits, std::nullopt});
}

bool LeaseGrantor::allows(Instant now, ReplicaId candidate) const {
  const auto grant = running(now);
  return !grant || candidate == grant->successor.value_or(grant->ballot.leader);
}

bool LeaseGrantor::grant(Instant now, const LeaseTerms& terms, const Ballot& ballot, const Ballot& promised) {
  if (ballot != promised || ballot.is_none()) return false;
  const bool is_same = grant_ && grant_->ballot == ballot;
  if (is_same && grant_->successor) return false;
  auto until = now + terms.length;
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
