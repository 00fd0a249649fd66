#include "participant_agent/resource_health.h"

#include <fmt/format.h>

namespace troth::agent {
namespace {

std::string remedy_of(ResourceState state, const ResourceName& resource) {
  switch (state) {
    case ResourceState::kStarting:
    case ResourceState::kServing: return "";
    case ResourceState::kUnreachable:
      return "see that the server runs and takes this agent's role; the agent tries again by itself";
    case ResourceState::kWaiting: return "mend what the reason names; the agent looks again by itself";
    case ResourceState::kNotDurable:
      return "change the server's setting, or set `require_durability = false` for the resource";
    case ResourceState::kSetBack:
      return fmt::format(
          "see what was restored, promoted or wrongly configured, and what it lost; then `troth resource "
          "take-over {}`",
          resource.value);
    case ResourceState::kNotOwner:
      return fmt::format("make sure that the other agent has stopped, then `troth resource take-over {}`",
                         resource.value);
    case ResourceState::kStopped:
      return "see why the coordinators' store was set back, then `troth cluster new-reign`";
  }
  return "";
}

}  // namespace

std::string_view name_of(ResourceState state) {
  switch (state) {
    case ResourceState::kStarting: return "starting";
    case ResourceState::kServing: return "serving";
    case ResourceState::kUnreachable: return "unreachable";
    case ResourceState::kWaiting: return "waiting";
    case ResourceState::kNotDurable: return "not durable";
    case ResourceState::kSetBack: return "set back";
    case ResourceState::kNotOwner: return "not owner";
    case ResourceState::kStopped: return "stopped";
  }
  return "invalid";
}

ResourceHealth health_of(ResourceState state, const ResourceName& resource, std::string reason) {
  return {state, std::move(reason), remedy_of(state, resource)};
}

}  // namespace troth::agent
