// participant_agent/resource_health.h
//
// What an agent says of a resource, to coordinators and operators: one word, why, and what to do about it.
// The words are those of ResourceHealth in thrift/agents.thrift.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace troth::agent {

enum class ResourceState : std::uint8_t {
  kStarting,  // connecting, claiming, ending old sessions: nothing is wrong
  kServing,
  kUnreachable,  // the server does not answer; tried again
  kWaiting,      // the server answers, but cannot be used as it is; looked at again
  kNotDurable,   // serves reads, refuses writes: the server may lose what it acknowledges
  kSetBack,      // another server, or an older state of it: an operator must look
  kNotOwner,     // another agent owns it
  kStopped,      // this agent takes nothing for any resource: the coordinators were set back [T8]
};

[[nodiscard]] std::string_view name_of(ResourceState state);

struct ResourceHealth {
  ResourceState state = ResourceState::kStarting;
  std::string reason;  // empty: nothing to say
  std::string remedy;  // empty: nothing to do
  bool operator==(const ResourceHealth&) const = default;
};

// With the remedy that belongs to the state.
[[nodiscard]] ResourceHealth health_of(ResourceState state, const ResourceName& resource, std::string reason);

}  // namespace troth::agent
