// recovery/open_work.h
//
// What is open, told from both sides: the coordinator says what was decided, the agents say what their
// databases still hold. Here the two lists become one, each transaction with an explanation and a next step.
//
// The two lists are not read at one moment, so a young transaction may stand in one of them only. That is
// harmless: what is explained here is never acted on without asking again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"

namespace troth::recovery {

// ---- facts

// What the coordinator says of a transaction.
enum class Decision : std::uint8_t {
  kUndecided,  // still running: it will be decided
  kPending,    // commit was proposed; only the store (or the resource) can tell
  kCommit,
  kAbort,      // aborted, or never begun; it never will commit
  kHeuristic,  // some branch ended otherwise than decided
  kTooOld,     // below the floor: forgotten on purpose
  kUnknown,    // cannot be told now
};

[[nodiscard]] std::string_view name_of(Decision decision);

struct CoordinatorBranch {
  ResourceName resource;
  BranchNumber branch;
  std::string state;  // preparing, prepared, committing, committed, read-only, rolled back, lost, resolved
};

struct OpenTransaction {
  std::string id;
  Decision decision = Decision::kUnknown;
  std::int64_t age_ms = 0;
  std::vector<CoordinatorBranch> branches;
  std::string label;
};

// What an agent holds.
struct HeldBranch {
  ResourceName resource;
  std::string transaction;
  BranchNumber branch;
  std::int64_t age_ms = 0;
  std::string state;        // prepared, committing, rolling back, too old, orphan
  std::string waiting_for;  // in the agent's words
  std::string database_id;  // as the database itself shows it; may be empty
};

struct OpenWorkFacts {
  std::vector<OpenTransaction> transactions;
  std::vector<HeldBranch> branches;
  std::vector<std::string> unreachable_agents;
};

// ---- explained

enum class Attention : std::uint8_t {
  kNone,      // ends by itself, soon
  kWaits,     // ends by itself once something comes back
  kOperator,  // ends only by an operator's decision
};

[[nodiscard]] std::string_view name_of(Attention attention);

struct ExplainedBranch {
  ResourceName resource;
  BranchNumber branch;
  std::string coordinator_says;  // empty: not in the coordinator's list
  std::string agent_says;        // empty: not in an agent's list
  std::string waiting_for;
  std::string database_id;
};

struct ExplainedTransaction {
  std::string id;
  std::string label;
  std::optional<Decision> decision;  // none: the coordinator has nothing open for it
  std::int64_t age_ms = 0;           // of its oldest part
  std::vector<ExplainedBranch> branches;
  Attention attention = Attention::kNone;
  std::string explanation;
  std::string next_step;
};

struct ExplainedWork {
  std::vector<ExplainedTransaction> transactions;  // what needs an operator first, then the oldest
  bool complete = true;                            // false while an agent could not be asked
};

// Leaves out what is younger than `older_than_ms`.
[[nodiscard]] ExplainedWork explain(const OpenWorkFacts& facts, std::int64_t older_than_ms);

}  // namespace troth::recovery
