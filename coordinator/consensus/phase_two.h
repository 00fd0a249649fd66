// coordinator/consensus/phase_two.h
//
// What a leader has proposed in its ballot and what is accepted of it: many slots in flight, capped in slots and bytes.
// Each is chosen when a W quorum of its slot's configuration has accepted it durably, the leader's own log among them.
//
// Source: Lamport, "Paxos Made Simple" (2001), section 3.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "base/time.h"
#include "coordinator/consensus/membership.h"
#include "coordinator/consensus/messages.h"

namespace troth::coordinator::consensus {

class PhaseTwo {
 public:
  // The first slot is the one behind `chosen`.
  PhaseTwo(Ballot ballot, Slot chosen, Instant now) : ballot_(ballot), chosen_(chosen), moved_(now) {}

  [[nodiscard]] const Ballot& ballot() const { return ballot_; }
  [[nodiscard]] Slot chosen() const { return chosen_; }
  [[nodiscard]] Slot last() const { return {chosen_.value + in_flight_.size()}; }
  [[nodiscard]] std::size_t slots() const { return in_flight_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // Since when the lowest slot in flight has waited; nothing: none waits.
  [[nodiscard]] std::optional<Instant> waits_since() const;

  Slot propose(Entry entry, Instant now);
  // Its acceptance of these is durable.
  void accepted(ReplicaId by, Slot first, Slot last);
  // The next entry that is chosen by now, in the order of slots.
  [[nodiscard]] std::optional<Entry> next_chosen(const Membership& membership, Instant now);
  // What is not known to be accepted by `replica`: a run of slots from the lowest on, at most so many bytes. Empty
  // entries: nothing.
  [[nodiscard]] Accept missing_at(ReplicaId replica, std::size_t bytes) const;

 private:
  struct InFlight {
    Entry entry;
    Replicas accepted;
    Instant proposed;
  };

  Ballot ballot_;
  Slot chosen_;
  Instant moved_;  // when a slot was chosen last
  std::deque<InFlight> in_flight_;
  std::size_t bytes_ = 0;
};

}  // namespace troth::coordinator::consensus
