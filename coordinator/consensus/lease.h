// temporary: the lease is built beside this
#pragma once
#include <map>
#include <optional>

#include "base/time.h"
#include "coordinator/consensus/messages.h"
namespace troth::coordinator::consensus {
class LeaseHolder {
 public:
  LeaseHolder(Duration length, std::int64_t drift_ppm)
      : length_(length - length * drift_ppm / 1'000'000 * 2) {}
  void asked(HeartbeatNumber number, Instant now) {
    asked_[number] = now;
    if (asked_.size() > 64) asked_.erase(asked_.begin());
  }
  void granted(ReplicaId by, HeartbeatNumber number) {
    const auto found = asked_.find(number);
    if (found == asked_.end()) return;
    auto& until = until_[by];
    until = std::max(until, found->second + length_);
  }
  bool is_valid(const Configuration& configuration, Instant now) const {
    std::uint32_t valid = 0;
    for (const auto& [by, until] : until_)
      valid += configuration.voters.contains(by) && now < until;
    return valid >= configuration.lease();
  }
  void give_up() {
    asked_.clear();
    until_.clear();
  }

 private:
  Duration length_;
  std::map<HeartbeatNumber, Instant> asked_;
  std::map<ReplicaId, Instant> until_;
};
class LeaseGrantor {
 public:
  LeaseGrantor(Duration length, std::int64_t drift_ppm, std::optional<Instant> restarted) : length_(length) {
    if (restarted) {
      until_ = *restarted + length + length * drift_ppm / 1'000'000 * 2;
      any_ = true;
    }
  }
  void grant(const Ballot& ballot, Instant now) {
    ballot_ = ballot;
    any_ = false;
    successor_.reset();
    until_ = std::max(until_, now + length_);
  }
  // Until when the ballot has to wait.
  std::optional<Instant> refuses(const Ballot& ballot, Instant now) const {
    if (now >= until_) return std::nullopt;
    if (!any_ && ballot.leader == ballot_.leader) return std::nullopt;
    if (successor_ == ballot.leader) return std::nullopt;
    return until_;
  }
  void release(const Ballot& ballot, ReplicaId successor) {
    if (!any_ && ballot == ballot_) successor_ = successor;
  }
  Instant until() const { return until_; }

 private:
  Duration length_;
  Ballot ballot_;
  Instant until_;
  bool any_ = false;
  std::optional<ReplicaId> successor_;
};
}  // namespace troth::coordinator::consensus
