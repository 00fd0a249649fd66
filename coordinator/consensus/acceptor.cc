#include "coordinator/consensus/acceptor.h"

#include "base/check.h"

namespace troth::coordinator::consensus {

Acceptor::Acceptor(const Restored& restored) : promised_(restored.promised) {
  for (const auto& [slot, accepted] : restored.accepted)
    if (slot > restored.chosen) keep(accepted);
}

void Acceptor::promise(const Ballot& ballot) {
  CHECK(ballot >= promised_, "round {} after round {}", ballot.round, promised_.round);
  promised_ = ballot;
}

void Acceptor::accept(const Accepted& accepted) {
  CHECK(may_accept(accepted.ballot), "round {} after round {}", accepted.ballot.round, promised_.round);
  promised_ = accepted.ballot;
  keep(accepted);
}

bool Acceptor::take_over(const Accepted& accepted) {
  const auto* known = at(accepted.slot);
  if (known != nullptr && known->ballot >= accepted.ballot) return false;
  keep(accepted);
  return true;
}

void Acceptor::keep(const Accepted& accepted) {
  if (const auto* known = at(accepted.slot)) bytes_ -= size_of(known->entry);
  bytes_ += size_of(accepted.entry);
  accepted_.insert_or_assign(accepted.slot, accepted);
}

const Accepted* Acceptor::at(Slot slot) const {
  const auto found = accepted_.find(slot);
  return found == accepted_.end() ? nullptr : &found->second;
}

std::vector<Accepted> Acceptor::above(Slot slot) const {
  std::vector<Accepted> all;
  for (auto each = accepted_.upper_bound(slot); each != accepted_.end(); ++each)
    all.push_back(each->second);
  return all;
}

Acceptor::Part Acceptor::part_above(Slot slot, std::size_t bytes) const {
  Part part;
  MessageRoom room(bytes);
  for (auto each = accepted_.upper_bound(slot); each != accepted_.end(); ++each) {
    if (!room.take(each->second.entry)) {
      part.through = part.accepted.back().slot;
      break;
    }
    part.accepted.push_back(each->second);
  }
  return part;
}

Slot Acceptor::highest() const {
  return accepted_.empty() ? Slot{} : accepted_.rbegin()->first;
}

void Acceptor::forget_through(Slot slot) {
  while (!accepted_.empty() && accepted_.begin()->first <= slot) {
    bytes_ -= size_of(accepted_.begin()->second.entry);
    accepted_.erase(accepted_.begin());
  }
}

}  // namespace troth::coordinator::consensus
