#include "recovery/new_reign.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace troth::recovery {

Result<NewReignPlan> plan_new_reign(const NewReignFacts& facts) {
  NewReignPlan plan;
  plan.stored = facts.stored;
  std::int64_t above = facts.stored.value;
  for (const auto& agent : facts.agents) {
    above = std::max(above, agent.epoch);
    for (const auto& branch : agent.held)
      (facts.decided_commits.contains(branch.transaction) ? plan.commits : plan.losses).push_back(branch);
  }
  above = std::max<std::int64_t>(above + kUnseenReigns, facts.above.value);
  // Each later start takes one more.
  constexpr std::int64_t kHighest = std::numeric_limits<std::uint32_t>::max() - 1'000'000;
  if (above > kHighest) {
    return fail(
        ErrorCode::kInvalidArgument, Effect::kNone,
        fmt::format("an epoch above {} leaves no room for later ones: check --above, and what the agents "
                    "have seen",
                    above));
  }
  plan.above.value = static_cast<std::uint32_t>(above);
  return plan;
}

}  // namespace troth::recovery
