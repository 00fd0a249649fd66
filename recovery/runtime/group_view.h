// recovery/runtime/group_view.h
//
// A group of coordinators as its own members tell of it, each asked by itself: who answers, who leads, and how far each has come.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recovery/group_change.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/peers.h"
#include "thrift/gen/administration_types.h"

namespace troth::recovery {

struct ReplicaView {
  std::uint32_t replica = 0;
  std::string address;
  std::optional<wire::GroupStatus> status;
  std::string trouble;  // why there is none
};

struct GroupView {
  wire::GroupStatus told;  // by the one that knows the most: who leads, else who has come furthest
  bool led = false;        // `told` is by one that says that it leads, and that nobody left for a newer one
  std::vector<ReplicaView> replicas;

  [[nodiscard]] GroupMembers members() const;
  [[nodiscard]] QuorumSizes quorums() const;
  // Each voter answers and votes, one leads and decides, and no change is under way.
  [[nodiscard]] bool is_well() const;
};

// Asks a coordinator, and then each of the others that it names. Fails where none answers.
[[nodiscard]] Result<GroupView> look_at_group(const Surroundings& around);

[[nodiscard]] std::string text_of(const GroupView& view);
[[nodiscard]] Json json_of(const GroupView& view);

}  // namespace troth::recovery
