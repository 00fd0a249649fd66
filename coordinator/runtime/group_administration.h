// coordinator/runtime/group_administration.h
//
// What operators ask of a group, and of one coordinator as a part of it: how it stands, a change of its members or quorums,
// another leader. See thrift/administration.thrift.
#pragma once

#include <functional>
#include <memory>

#include <asio/steady_timer.hpp>

#include "base/runtime/lifetime.h"
#include "coordinator/runtime/replica.h"
#include "thrift/gen/administration_types.h"

namespace troth::coordinator {

class GroupAdministration {
 public:
  using Done = std::function<void(const Result<wire::GroupStatus>&)>;

  struct Owner {
    std::function<bool()> serves;  // a reign does
    // What runs here comes to its end, and what begins waits; then the reign ends, and `then` is called.
    std::function<void(std::function<void()> then)> finish_reign;
    std::function<void()> go_on;  // behind finish_reign: the lead stayed here
  };

  GroupAdministration(asio::io_context& loop, Replica& replica, const CoordinatorSettings& settings,
                      ClusterId cluster, Owner owner);

  [[nodiscard]] wire::GroupStatus status() const;
  void change(const wire::ChangeGroupRequest& request, Done done);
  // Refused where the one that is to lead has no vote or is not reached (invalid_argument, unavailable; effect none).
  void transfer(consensus::ReplicaId to, Done done);

 private:
  struct Transfer {
    consensus::ReplicaId to;
    Instant until;
    Done done;
  };
  [[nodiscard]] Result<consensus::Configuration> configuration_of(
      const wire::ChangeGroupRequest& request) const;
  void watch(const std::shared_ptr<Transfer>& transfer);

  asio::io_context& loop_;
  Replica& replica_;
  const CoordinatorSettings& settings_;
  ClusterId cluster_;
  Owner owner_;
  bool transferring_ = false;
  Lifetime lifetime_;
};

}  // namespace troth::coordinator
