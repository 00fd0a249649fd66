// coordinator/consensus/phase_one.h
//
// What a candidate hears in its ballot, until it may lead: promises of an E quorum of every configuration by which the
// slots may be counted in which something may have been proposed. One prepare stands for all slots.
//
// Nothing is proposed at or below a slot that somebody knows to be chosen: it is fetched first (attack 12). What a
// promise reveals of a change of configuration has to be heard of, too (attack 13).
// Source: Lamport, "Paxos Made Simple" (2001), section 2.2 (P2c) and section 3.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "coordinator/consensus/membership.h"
#include "coordinator/consensus/messages.h"
#include "coordinator/consensus/synod_rules.h"

namespace troth::coordinator::consensus {

class PhaseOne {
 public:
  explicit PhaseOne(Ballot ballot) : ballot_(ballot) {}

  [[nodiscard]] const Ballot& ballot() const { return ballot_; }
  [[nodiscard]] bool has_promised(ReplicaId from) const { return promised_.contains(from); }
  // A promise counts when it is whole: its parts may come doubled, late and in any order, and each is taken that goes on
  // where those before it ended. True: there is more of it, to be asked for.
  [[nodiscard]] bool hear(ReplicaId from, const Promise& promise, Slot chosen);
  // Through which slot it has told what it accepted.
  [[nodiscard]] Slot told_by(ReplicaId replica, Slot chosen) const;

  // Whom to ask, as far as is known by now.
  [[nodiscard]] Replicas voters(const Membership& membership, Slot chosen) const;
  // Have enough promised, and is everything known here that they know to be chosen?
  [[nodiscard]] bool is_won(const Membership& membership, Slot chosen) const;
  // Who knows the most that is chosen, if it is more than `chosen`.
  [[nodiscard]] std::optional<ReplicaId> ahead_of(Slot chosen) const;

  // When won: what has to be proposed again, from the slot behind `chosen` on: in each the entry that was accepted in
  // the highest ballot, and a no-op where there is none.
  [[nodiscard]] std::vector<Entry> adopted(Slot chosen) const;

 private:
  Ballot ballot_;
  Replicas promised_;
  std::map<ReplicaId, Slot> told_;                    // by those whose promise is not whole
  std::map<Slot, std::optional<Accepted>> accepted_;  // in the highest ballot of those heard of
  std::vector<Configuration> changes_;
  Slot chosen_;
  ReplicaId knows_chosen_;
};

}  // namespace troth::coordinator::consensus
