// recovery/new_reign.h
//
// A coordinator whose disk was restored to an older state: which epoch it must get, and what that will do to
// the branches that agents still hold.
//
// [T8] Its next epoch would be one that agents have seen with another nonce, and they have stopped for it.
// The new one is above all that they have seen, and above reigns that came after those and that none of them was there to
// hear: their transaction ids are in clients' hands, and must not be given out again. [T5] A held branch without a record in the restored store
// will be rolled back. A commit that was decided after the backup is such a branch, too; that a part of it
// may stand in another resource only the markers there can tell. So these are named first, and go only with
// the operator's word.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "recovery/open_work.h"

namespace troth::recovery {

// Each start of a coordinator is a reign: so many in a row, at most, are thought to have had no agent.
inline constexpr std::uint32_t kUnseenReigns = 100;

struct AgentSeen {
  std::string agent;
  std::int64_t epoch = 0;  // the highest that it has taken
  std::vector<HeldBranch> held;
};

struct NewReignFacts {
  EpochNumber above;   // as the operator asked; 0: not at all
  EpochNumber stored;  // the restored store's own
  std::vector<AgentSeen> agents;
  std::set<std::string> decided_commits;  // of the held transactions, those that the restored store commits
};

struct NewReignPlan {
  EpochNumber stored;               // the newest of the restored store
  EpochNumber above;                // the new epoch is higher
  std::vector<HeldBranch> commits;  // held, and on record
  std::vector<HeldBranch> losses;   // held, and not on record: rolled back under the new reign
};

// Refuses (invalid_argument) an epoch that could not be followed by another.
[[nodiscard]] Result<NewReignPlan> plan_new_reign(const NewReignFacts& facts);

}  // namespace troth::recovery
