// participant_agent/fence.h
//
// Keeps out what is out of its time: another cluster, an older reign, a store that was set back.
//
// [T8] Every message carries the epoch; the newest is durable here before anything is answered under it.
// Older
//      ones are refused. A jump of more than kConfirmedJump is taken only with the same answer of the
//      coordinators, or one bogus number would stop this agent for ever (attack 55). The same number with
//      another nonce shows a coordinator whose store was set back: service stops, and `troth cluster
//      new-reign` is the way out (attack 11).
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
  Position watermark;  // [T7] nothing below is first heard of
  auto operator<=>(const LeaderStamp&) const = default;
};

class Fence {
 public:
  Fence(ClusterId cluster, std::optional<Epoch> newest) : cluster_(std::move(cluster)), newest_(newest) {}

  enum class Verdict : std::uint8_t {
    kLive,          // the newest reign that is known
    kNewer,         // a newer one: make it durable before answering
    kOlder,         // refuse
    kSetBack,       // the same number, another nonce: stop
    kUnconfirmed,   // far ahead: ask the coordinators first
    kOtherCluster,  // refuse
  };
  // kNewer makes the epoch the newest.
  [[nodiscard]] Verdict judge(const LeaderStamp& stamp);

  // The coordinators named this epoch themselves.
  void confirm(const Epoch& epoch) { confirmed_ = epoch; }

  [[nodiscard]] const std::optional<Epoch>& newest() const { return newest_; }
  [[nodiscard]] const ClusterId& cluster() const { return cluster_; }

  // What a refused caller is told.
  [[nodiscard]] Error refusal(Verdict verdict, const LeaderStamp& stamp) const;

 private:
  ClusterId cluster_;
  std::optional<Epoch> newest_;
  std::optional<Epoch> confirmed_;
};

}  // namespace troth::agent
