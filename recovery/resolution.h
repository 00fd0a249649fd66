// recovery/resolution.h
//
// An operator wants to end one branch by hand. Is that in line with what was decided?
//
// [T3] A decision never changes: what contradicts it is a heuristic end that leaves the resources in
// disagreement, so it is done only when the operator names it, and it is recorded either way.
#pragma once

#include <cstdint>
#include <string>

#include "recovery/open_work.h"

namespace troth::recovery {

enum class Wish : std::uint8_t { kCommit, kRollback };

struct Resolution {
  std::string transaction;
  ResourceName resource;
  BranchNumber branch;
  Wish wish = Wish::kRollback;
};

enum class Judgement : std::uint8_t {
  kAgrees,       // the decision says the same
  kContradicts,  // the decision says the opposite
  kUndecided,    // no decision is known: this one goes ahead of it
  kTooEarly,     // it is still running: its deadline ends it
};

struct Assessment {
  Judgement judgement = Judgement::kUndecided;
  std::string explanation;
};

[[nodiscard]] Assessment assess(const Resolution& resolution, Decision decision);

// Which branch is meant, when only its number was given: the resource that coordinator or agents name for it.
// Nothing when none does.
[[nodiscard]] std::optional<ResourceName> resource_of(const OpenWorkFacts& facts,
                                                      const std::string& transaction, BranchNumber branch);

}  // namespace troth::recovery
