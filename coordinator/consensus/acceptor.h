// coordinator/consensus/acceptor.h
//
// The acceptor of every slot at once: one promise for all of them, and the last acceptance of each that is not
// known to be chosen.
//
// Durability: none of its own. What is promised or accepted here must be durable before anybody hears of it; the
// caller appends the record and names it (attack 22).
// Source: Lamport, "Paxos Made Simple" (2001), section 2.2 (P1a, P2b) and section 3.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "coordinator/consensus/durable.h"
#include "coordinator/consensus/synod_rules.h"

namespace troth::coordinator::consensus {

class Acceptor {
 public:
  explicit Acceptor(const Restored& restored);

  [[nodiscard]] const Ballot& promised() const { return promised_; }
  [[nodiscard]] bool may_promise(const Ballot& ballot) const {
    return consensus::may_promise(promised_, ballot);
  }
  [[nodiscard]] bool may_accept(const Ballot& ballot) const {
    return consensus::may_accept(promised_, ballot);
  }

  void promise(const Ballot& ballot);
  void accept(const Accepted& accepted);
  // What it may have accepted itself, and has lost since: as others know it. False: it knows better.
  bool take_over(const Accepted& accepted);

  [[nodiscard]] const Accepted* at(Slot slot) const;
  // In the order of slots.
  [[nodiscard]] std::vector<Accepted> above(Slot slot) const;
  // As much of it as one message takes.
  struct Part {
    std::vector<Accepted> accepted;
    std::optional<Slot> through;  // there is more behind this slot
  };
  [[nodiscard]] Part part_above(Slot slot, std::size_t bytes) const;
  // Of everything that is accepted and not known to be chosen.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] Slot highest() const;
  // They are chosen, and known to be.
  void forget_through(Slot slot);

 private:
  void keep(const Accepted& accepted);

  Ballot promised_;
  std::map<Slot, Accepted> accepted_;
  std::size_t bytes_ = 0;
};

}  // namespace troth::coordinator::consensus
