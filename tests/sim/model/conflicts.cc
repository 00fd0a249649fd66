#include "tests/sim/model/conflicts.h"

#include <algorithm>

namespace troth::sim {
namespace {

bool meet(const std::set<RowKey>& some, const std::set<RowKey>& others) {
  return std::ranges::any_of(some, [&](const RowKey& key) { return others.contains(key); });
}

}  // namespace

void Conflicts::begin(TransactionNumber number, CommitNumber snapshot) {
  traces_[number].snapshot = snapshot;
}

void Conflicts::read(TransactionNumber number, const RowKey& key) {
  if (const auto found = traces_.find(number); found != traces_.end()) found->second.reads.insert(key);
}

void Conflicts::write(TransactionNumber number, const RowKey& key) {
  if (const auto found = traces_.find(number); found != traces_.end()) found->second.writes.insert(key);
}

bool Conflicts::is_refused(TransactionNumber number) const {
  const auto found = traces_.find(number);
  if (found == traces_.end()) return false;
  const Trace& mine = found->second;
  return std::ranges::any_of(traces_, [&](const auto& entry) {
    const Trace& other = entry.second;
    const bool unseen = !other.committed.has_value() || *other.committed > mine.snapshot;
    return entry.first != number && other.settled && unseen && meet(mine.reads, other.writes) &&
           meet(other.reads, mine.writes);
  });
}

void Conflicts::settle(TransactionNumber number) {
  if (const auto found = traces_.find(number); found != traces_.end()) found->second.settled = true;
}

void Conflicts::commit(TransactionNumber number, CommitNumber at) {
  const auto found = traces_.find(number);
  if (found == traces_.end()) return;
  found->second.settled = true;
  found->second.committed = at;
  forget_what_everybody_sees();
}

void Conflicts::roll_back(TransactionNumber number) {
  if (traces_.erase(number) > 0) forget_what_everybody_sees();
}

void Conflicts::forget_what_everybody_sees() {
  CommitNumber oldest{UINT64_MAX};
  for (const auto& [number, trace] : traces_)
    if (!trace.committed.has_value()) oldest = std::min(oldest, trace.snapshot);
  std::erase_if(traces_, [&](const auto& entry) {
    return entry.second.committed.has_value() && *entry.second.committed <= oldest;
  });
}

}  // namespace troth::sim
