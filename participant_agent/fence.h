// participant_agent/fence.h
//
// Keeps out what is out of its time: another cluster, an older reign, a store that was set back.
//
// [T8] Every message carries the epoch; the newest is durable here before anything is answered under it. Older
//      ones are refused. A jump of more than kConfirmedJump is taken only with the same answer of the
//      coordinators, or one bogus number would stop this agent for ever (attack 55). The same number with
//      another nonce shows a coordinator whose store was set back: service stops, and `troth cluster
//      new-reign` is the way out (attack 11).
//
// From then a higher number alone is not enough, also after this agent's restart: the set-back coordinator gets
// one with every start of its own, and would presume abort for what it decided in its lost reign. Only a reign
// at or above one that an operator began, who saw what would be lost, is taken; every message of such a reign
// names that beginning.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "base/result.h"

namespace troth::agent {

inline constexpr std::uint32_t kConfirmedJump = 1000;

// Stands in every message of a coordinator.
struct LeaderStamp {
  ClusterId cluster;
  Epoch epoch;
  Position watermark;     // [T7] nothing below is first heard of
  EpochNumber new_reign;  // the newest epoch that `troth cluster new-reign` began; 0: none
  auto operator<=>(const LeaderStamp&) const = default;
};

class Fence {
 public:
  // `rival`: the newest epoch's number was heard with this other nonce, and no newer reign was taken since.
  Fence(ClusterId cluster, std::optional<Epoch> newest, std::optional<Epoch> rival)
      : cluster_(std::move(cluster)), newest_(newest), rival_(rival) {}

  enum class Verdict : std::uint8_t {
    kLive,          // the newest reign that is known
    kNewer,         // a newer one: make it durable before answering
    kOlder,         // refuse
    kSetBack,       // the same number, another nonce; or that was heard, and this is no new reign: stop
    kUnconfirmed,   // far ahead: ask the coordinators first
    kOtherCluster,  // refuse
  };
  // kNewer makes the epoch the newest, and clears the doubt about an older one.
  [[nodiscard]] Verdict judge(const LeaderStamp& stamp);

  // The coordinators named this epoch themselves.
  void confirm(const Epoch& epoch) { confirmed_ = epoch; }

  [[nodiscard]] const std::optional<Epoch>& newest() const { return newest_; }
  [[nodiscard]] const std::optional<Epoch>& rival() const { return rival_; }
  // Why nothing is taken, while a reign is doubted.
  [[nodiscard]] std::optional<Error> doubt() const;
  [[nodiscard]] const ClusterId& cluster() const { return cluster_; }

  // What a refused caller is told.
  [[nodiscard]] Error refusal(Verdict verdict, const LeaderStamp& stamp) const;

 private:
  ClusterId cluster_;
  std::optional<Epoch> newest_;
  std::optional<Epoch> rival_;
  std::optional<Epoch> confirmed_;
};

}  // namespace troth::agent
