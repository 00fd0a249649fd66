#include "coordinator/consensus/acceptor.h"

#include <utility>

#include "base/check.h"

namespace troth::coordinator::consensus {

Acceptor::Acceptor(const Restored& restored) : promised_(restored.promised) {
  for (const auto& [slot, accepted] : restored.accepted)
    if (slot > restored.chosen) accepted_.emplace(slot, accepted);
}

void Acceptor::promise(const Ballot& ballot) {
  CHECK(ballot >= promised_, "round {} after round {}", ballot.round, promised_.round);
  promised_ = ballot;
}

void Acceptor::accept(Accepted accepted) {
  CHECK(may_accept(accepted.ballot), "round {} after round {}", accepted.ballot.round, promised_.round);
  promised_ = accepted.ballot;
  const auto slot = accepted.slot;
  accepted_.insert_or_assign(slot, std::move(accepted));
}

bool Acceptor::take_over(const Accepted& accepted) {
  const auto* known = at(accepted.slot);
  if (known != nullptr && known->ballot >= accepted.ballot) return false;
  accepted_.insert_or_assign(accepted.slot, accepted);
  return true;
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

Slot Acceptor::highest() const {
  return accepted_.empty() ? Slot{} : accepted_.rbegin()->first;
}

void Acceptor::forget_through(Slot slot) {
  accepted_.erase(accepted_.begin(), accepted_.upper_bound(slot));
}

}  // namespace troth::coordinator::consensus
