#include <fmt/format.h>

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

Status check_guard(const GuardRow& guard, const OwnerRow& mine, const BranchStart& start,
                   bool durability_required) {
  if (!guard.owner.same_owner(mine)) {
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format("agent {} (incarnation {}) owns this resource by now, not {} ({}); this agent stops "
                    "serving it",
                    guard.owner.agent.value, guard.owner.incarnation.value, mine.agent.value,
                    mine.incarnation.value));
  }
  const Position position = position_of(start.id.transaction);
  if (position < guard.floors.position) {
    return fail(ErrorCode::kTooOld, Effect::kNone,
                fmt::format("transaction {} is below the resource's floor {}.{}: what happened to it was "
                            "forgotten on purpose",
                            start.id.transaction.text(), guard.floors.position.epoch.value,
                            guard.floors.position.sequence.value));
  }
  if (start.request && start.request->id.unix_ms() < guard.floors.request_ms) {
    return fail(ErrorCode::kRequestIdTooOld, Effect::kNone,
                fmt::format("request_id {} is below the resource's request floor: it is no longer remembered "
                            "whether it committed",
                            start.request->id.text()));
  }
  if (durability_required && !guard.not_durable.empty()) {
    return fail(
        ErrorCode::kNotDurable, Effect::kNone,
        fmt::format("the server would lose what it acknowledges: {}; mend the setting, or switch the check "
                    "off by name in the agent's configuration",
                    guard.not_durable));
  }
  return {};
}

}  // namespace troth::agent
