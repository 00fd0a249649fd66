#include "tests/sim/model/locks.h"

#include "base/check.h"

namespace troth::sim {

bool Locks::Gap::lies_over(const RowKey& key) const {
  return key.table == table && (!low.has_value() || *low < key.key) && (!high.has_value() || key.key < *high);
}

std::set<TransactionNumber> Locks::blockers(TransactionNumber own, const RowKey& key, LockMode mode) const {
  std::set<TransactionNumber> blockers;
  if (const auto found = rows_.find(key); found != rows_.end()) {
    const Held& held = found->second;
    if (held.exclusive.has_value()) blockers.insert(*held.exclusive);
    if (mode != LockMode::kShared) blockers.insert(held.shared.begin(), held.shared.end());
  }
  if (mode == LockMode::kInsert) {
    for (const Gap& gap : gaps_)
      if (gap.lies_over(key)) blockers.insert(gap.holder);
  }
  blockers.erase(own);
  return blockers;
}

void Locks::take(TransactionNumber own, const RowKey& key, LockMode mode) {
  CHECK(blockers(own, key, mode).empty(), "{} is held", key.key);
  Held& held = rows_[key];
  if (mode == LockMode::kShared) {
    held.shared.insert(own);
  } else {
    held.exclusive = own;
  }
  held_by_[own].insert(key);
}

void Locks::take_gap(TransactionNumber own, Table table, std::optional<std::string> low,
                     std::optional<std::string> high) {
  gaps_.push_back({.holder = own, .table = table, .low = std::move(low), .high = std::move(high)});
}

std::set<RowKey> Locks::exclusive_of(TransactionNumber own) const {
  std::set<RowKey> keys;
  const auto mine = held_by_.find(own);
  if (mine == held_by_.end()) return keys;
  for (const RowKey& key : mine->second)
    if (rows_.at(key).exclusive == own) keys.insert(key);
  return keys;
}

void Locks::release(TransactionNumber own, const RowKey& key) {
  const auto mine = held_by_.find(own);
  if (mine == held_by_.end() || mine->second.erase(key) == 0) return;
  if (mine->second.empty()) held_by_.erase(mine);
  const auto found = rows_.find(key);
  Held& held = found->second;
  if (held.exclusive == own) held.exclusive.reset();
  held.shared.erase(own);
  if (!held.exclusive.has_value() && held.shared.empty()) rows_.erase(found);
}

void Locks::release_gaps(TransactionNumber own) {
  std::erase_if(gaps_, [own](const Gap& gap) { return gap.holder == own; });
}

void Locks::release_all(TransactionNumber own) {
  release_gaps(own);
  const auto mine = held_by_.find(own);
  if (mine == held_by_.end()) return;
  const std::set<RowKey> keys = mine->second;
  for (const RowKey& key : keys)
    release(own, key);
}

}  // namespace troth::sim
