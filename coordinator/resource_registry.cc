#include "coordinator/resource_registry.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"

namespace troth::coordinator {

ResourceRegistry::ResourceRegistry(const std::vector<store::ResourceRecord>& records) {
  for (const auto& record : records)
    put(record);
}

Result<std::vector<store::ResourceRecord>> ResourceRegistry::check(
    const RegistrationRequested& request) const {
  if (request.incarnation < incarnation(request.agent))
    return fail(
        ErrorCode::kStale, Effect::kNone,
        fmt::format("agent '{}' registers as incarnation {}, and {} is known: is the same agent id running "
                    "twice?",
                    request.agent.value, request.incarnation.value, incarnation(request.agent).value));
  std::vector<store::ResourceRecord> records;
  std::set<ResourceName> seen;
  for (const auto& resource : request.resources) {
    if (!seen.insert(resource.name).second)
      return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                  fmt::format("resource '{}' is registered twice in one call", resource.name.value));
    const bool take_over = std::ranges::find(request.take_over, resource.name) != request.take_over.end();
    if (const auto known = records_.find(resource.name); known != records_.end() && !take_over) {
      const auto& holder = known->second;
      if (holder.agent != request.agent)
        return fail(
            ErrorCode::kNotOwner, Effect::kNone,
            fmt::format("resource '{}' belongs to agent '{}'; stop that agent, then use `troth resource "
                        "take-over {}` to move it",
                        resource.name.value, holder.agent.value, resource.name.value));
      if (holder.identity != resource.identity || holder.kind != resource.kind)
        return fail(
            ErrorCode::kSetBack, Effect::kNone,
            fmt::format("resource '{}' was {} {}, and now is {} {}: another server; point the agent at the "
                        "right one, or use `troth resource take-over {}`",
                        resource.name.value, holder.kind, holder.identity, resource.kind, resource.identity,
                        resource.name.value));
    }
    records.push_back({resource.name,
                       {},
                       resource.kind,
                       resource.identity,
                       request.agent,
                       request.incarnation,
                       request.address});
  }
  return records;
}

void ResourceRegistry::put(const store::ResourceRecord& record) {
  CHECK(record.number.value != 0, "resource '{}' has no number", record.name.value);
  const auto [at, fresh] = names_.emplace(record.number, record.name);
  CHECK(fresh || at->second == record.name, "number {} belongs to '{}' and to '{}'", record.number.value,
        at->second.value, record.name.value);
  records_[record.name] = record;
  auto& agent = agents_[record.agent];
  if (agent.incarnation < record.incarnation) agent = {record.incarnation, false};
}

bool ResourceRegistry::connect(const AgentId& agent, Incarnation incarnation) {
  auto& known = agents_[agent];
  if (incarnation < known.incarnation) return false;
  known = {incarnation, true};
  return true;
}

void ResourceRegistry::lose(const AgentId& agent) {
  if (const auto known = agents_.find(agent); known != agents_.end()) known->second.connected = false;
}

Incarnation ResourceRegistry::incarnation(const AgentId& agent) const {
  const auto known = agents_.find(agent);
  return known == agents_.end() ? Incarnation{} : known->second.incarnation;
}

bool ResourceRegistry::connected(const AgentId& agent) const {
  const auto known = agents_.find(agent);
  return known != agents_.end() && known->second.connected;
}

Result<Route> ResourceRegistry::route(const ResourceName& name) const {
  const auto at = records_.find(name);
  if (at == records_.end()) {
    auto error = refusal(
        ErrorCode::kUnknownResource, Effect::kNone,
        fmt::format("no resource '{}' is registered; `troth resources` lists those that are", name.value));
    error.resource = name.value;
    return std::unexpected(std::move(error));
  }
  const auto& record = at->second;
  if (!connected(record.agent)) {
    auto error = refusal(ErrorCode::kUnavailable, Effect::kNone,
                         fmt::format("agent '{}' of resource '{}' cannot be reached at {}; see that it runs",
                                     record.agent.value, name.value, record.address),
                         true);
    error.resource = name.value;
    return std::unexpected(std::move(error));
  }
  return Route{record.number, record.agent, incarnation(record.agent)};
}

std::optional<AgentId> ResourceRegistry::reachable_owner(const ResourceName& name) const {
  const auto at = records_.find(name);
  if (at == records_.end() || !connected(at->second.agent)) return std::nullopt;
  return at->second.agent;
}

bool ResourceRegistry::owns(const AgentId& agent, const ResourceName& name) const {
  const auto at = records_.find(name);
  return at != records_.end() && at->second.agent == agent;
}

const ResourceName* ResourceRegistry::find(ResourceNumber number) const {
  const auto at = names_.find(number);
  return at == names_.end() ? nullptr : &at->second;
}

const ResourceName& ResourceRegistry::name_of(ResourceNumber number) const {
  const auto* name = find(number);
  CHECK(name != nullptr, "no resource has number {}", number.value);
  return *name;
}

}  // namespace troth::coordinator
