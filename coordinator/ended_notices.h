// coordinator/ended_notices.h
//
// Which agents are still to be told that a transaction has ended: only then may marker and journal entry go
// [T6]. Kept by resource, because a resource may move to another agent. At the start of a reign every ended
// record that is still kept is told again; agents take what they know already as taken.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "base/ids.h"
#include "coordinator/decision_store/records.h"

namespace troth::coordinator {

class EndedNotices {
 public:
  void add(const store::CommitRecord& commit) { add(position_of(commit.transaction), commit.branches); }
  void add(Position transaction, const std::vector<store::RecordBranch>& branches) {
    for (const auto& branch : branches)
      untold_[branch.resource].insert(transaction);
  }
  void taken(ResourceNumber resource, Position transaction) {
    const auto at = untold_.find(resource);
    if (at == untold_.end()) return;
    at->second.erase(transaction);
    if (at->second.empty()) untold_.erase(at);
  }
  // Below the floor nothing is told any more: "too old" and no open record says the same.
  void drop_below(Position floor) {
    for (auto& [resource, transactions] : untold_)
      transactions.erase(transactions.begin(), transactions.lower_bound(floor));
    std::erase_if(untold_, [](const auto& entry) { return entry.second.empty(); });
  }
  void collect(ResourceNumber resource, std::size_t limit, std::set<Position>& into) const {
    const auto at = untold_.find(resource);
    if (at == untold_.end()) return;
    for (const auto& transaction : at->second) {
      if (into.size() >= limit) return;
      into.insert(transaction);
    }
  }

 private:
  std::map<ResourceNumber, std::set<Position>> untold_;
};

}  // namespace troth::coordinator
