#include "recovery/resolution.h"

#include <fmt/format.h>

namespace troth::recovery {

Assessment assess(const Resolution& resolution, Decision decision) {
  const bool commit = resolution.wish == Wish::kCommit;
  const std::string_view wished = commit ? "commit" : "rollback";
  switch (decision) {
    case Decision::kUndecided:
      return {
          Judgement::kTooEarly,
          fmt::format("{} is still running: its own deadline ends it, and a branch ended by hand now could "
                      "disagree with the others",
                      resolution.transaction)};
    case Decision::kCommit:
    case Decision::kAbort: {
      const bool agrees = commit == (decision == Decision::kCommit);
      if (agrees) {
        return {Judgement::kAgrees, fmt::format("the decision of {} is {}: the branch would end so by itself",
                                                resolution.transaction, name_of(decision))};
      }
      return {Judgement::kContradicts,
              fmt::format(
                  "the decision of {} is {}, and {} of branch {} in {} is the opposite: the resources would "
                  "disagree for ever",
                  resolution.transaction, name_of(decision), wished, resolution.branch.value,
                  resolution.resource.value)};
    }
    case Decision::kPending:
    case Decision::kHeuristic:
    case Decision::kTooOld:
    case Decision::kUnknown: break;
  }
  return {
      Judgement::kUndecided,
      fmt::format("the decision of {} is {}: {} of branch {} in {} goes ahead of it, and is compared with it "
                  "later",
                  resolution.transaction, name_of(decision), wished, resolution.branch.value,
                  resolution.resource.value)};
}

std::optional<ResourceName> resource_of(const OpenWorkFacts& facts, const std::string& transaction,
                                        BranchNumber branch) {
  for (const auto& held : facts.branches) {
    if (held.transaction == transaction && held.branch == branch) return held.resource;
  }
  for (const auto& open : facts.transactions) {
    if (open.id != transaction) continue;
    for (const auto& known : open.branches) {
      if (known.branch == branch) return known.resource;
    }
  }
  return std::nullopt;
}

}  // namespace troth::recovery
