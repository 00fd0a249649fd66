// coordinator/consensus/membership.h
//
// Which configuration counts the votes of which slot. A change that is chosen at slot s takes effect `window` slots
// later; no leader proposes further than `window` slots above what is chosen, so that whoever proposes a slot knows
// its configuration.
//
// The window is a constant, and no limit that a process may set: replicas that differ in it would count one slot by different
// configurations, whose quorums need not meet where there was more than one change.
// Source: Lamport, Malkhi, Zhou, "Reconfiguring a State Machine" (2010), the alpha of its R-alpha algorithm.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "coordinator/consensus/durable.h"

namespace troth::coordinator::consensus {

// The alpha of every group, for ever: another one is another protocol.
inline constexpr std::uint64_t kWindow = 512;

// Whoever votes in one of them.
[[nodiscard]] Replicas voters_of(const std::vector<Configuration>& configurations);

class Membership {
 public:
  // `window`: kWindow, but in tests of a whole group.
  Membership(std::map<Slot, Configuration> configured, std::uint64_t window);

  [[nodiscard]] const Configuration& at(Slot slot) const;
  [[nodiscard]] const Configuration& newest() const { return configured_.rbegin()->second; }
  // By which slots above `slot` are counted, as far as what is chosen tells.
  [[nodiscard]] std::vector<Configuration> above(Slot slot) const;
  // And by which they may be counted besides, if some of these changes are chosen there: one may follow another.
  [[nodiscard]] std::vector<Configuration> above(Slot slot, std::vector<Configuration> revealed) const;
  // Who votes in one of these, and who is to be told.
  [[nodiscard]] Replicas voters_above(Slot slot) const;
  [[nodiscard]] Replicas everybody_above(Slot slot) const;

  // From which slot on a change at `slot` counts.
  [[nodiscard]] Slot effective(Slot slot) const { return {slot.value + window_}; }
  // One change at a time: is the newest in effect for the slot behind `chosen`?
  [[nodiscard]] bool is_settled(Slot chosen) const {
    return configured_.rbegin()->first.value <= chosen.value + 1;
  }
  // `next` was chosen at `slot`. False: it may not follow the newest (check_change), and nothing changes; the same at
  // every replica.
  bool change(Slot slot, const Configuration& next);

  // What a log that is cut below `slot` has to say again.
  [[nodiscard]] std::vector<ConfiguredFrom> standing(Slot slot) const;

 private:
  std::uint64_t window_;
  std::map<Slot, Configuration> configured_;
};

}  // namespace troth::coordinator::consensus
