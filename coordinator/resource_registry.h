// coordinator/resource_registry.h
//
// Which resources there are, which agent owns each, and whether that agent can be reached now.
// A name belongs to one agent and moves only by take-over; its number is given once, by the store.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/decision_store/records.h"
#include "coordinator/table_messages.h"

namespace troth::coordinator {

// Where work for a resource goes now.
struct Route {
  ResourceNumber number;
  AgentId agent;
  Incarnation incarnation;
};

class ResourceRegistry {
 public:
  explicit ResourceRegistry(const std::vector<store::ResourceRecord>& records);

  // The records that this registration asks the store for, or why it is refused.
  [[nodiscard]] Result<std::vector<store::ResourceRecord>> check(const RegistrationRequested& request) const;
  void put(const store::ResourceRecord& record);

  // False: an older incarnation than the known one, which is to be ignored.
  [[nodiscard]] bool connect(const AgentId& agent, Incarnation incarnation);
  void lose(const AgentId& agent);
  // Of the agent, as last heard; 0: never.
  [[nodiscard]] Incarnation incarnation(const AgentId& agent) const;
  [[nodiscard]] bool connected(const AgentId& agent) const;

  // Refuses an unknown resource, and one whose agent cannot be reached (effect none).
  [[nodiscard]] Result<Route> route(const ResourceName& name) const;
  // Its owner, if it can be reached.
  [[nodiscard]] std::optional<AgentId> reachable_owner(const ResourceName& name) const;
  [[nodiscard]] bool owns(const AgentId& agent, const ResourceName& name) const;
  [[nodiscard]] bool knows(const ResourceName& name) const { return records_.contains(name); }

  // Null: no resource was ever given that number.
  [[nodiscard]] const ResourceName* find(ResourceNumber number) const;
  // Of a number that some record of the store names.
  [[nodiscard]] const ResourceName& name_of(ResourceNumber number) const;
  [[nodiscard]] const std::map<ResourceName, store::ResourceRecord>& records() const { return records_; }

 private:
  struct Agent {
    Incarnation incarnation;
    bool connected = false;
  };

  std::map<ResourceName, store::ResourceRecord> records_;
  std::map<ResourceNumber, ResourceName> names_;
  std::map<AgentId, Agent> agents_;
};

}  // namespace troth::coordinator
