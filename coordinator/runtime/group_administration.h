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
  // Who is to vote has to have learned what is chosen before: waits for a moment, and refuses where it does not come to that
  // (unavailable, effect none), or where it is no learner yet (invalid_argument).
  void change(const wire::ChangeGroupRequest& request, Done done);
  // Refused where the one that is to lead has no vote, is not reached or does not answer (invalid_argument, unavailable; effect
  // none).
  void transfer(consensus::ReplicaId to, Done done);

 private:
  struct Transfer {
    consensus::ReplicaId to;
    Instant until;
    Done done;
  };
  [[nodiscard]] Result<consensus::Configuration> configuration_of(
      const wire::ChangeGroupRequest& request) const;
  [[nodiscard]] Status check_from(const wire::ChangeGroupRequest& request) const;
  [[nodiscard]] Status check_voters(const consensus::Configuration& next) const;
  void change_when_learned(const wire::ChangeGroupRequest& request, const consensus::Configuration& next,
                           Instant until, const Done& done);
  void wait_for_successor(const std::shared_ptr<Transfer>& transfer);
  void watch(const std::shared_ptr<Transfer>& transfer);
  void look_again(const std::shared_ptr<Transfer>& transfer,
                  void (GroupAdministration::*look)(const std::shared_ptr<Transfer>&));
  void end(const Transfer& transfer, const Result<wire::GroupStatus>& outcome);

  asio::io_context& loop_;
  Replica& replica_;
  const CoordinatorSettings& settings_;
  ClusterId cluster_;
  Owner owner_;
  bool transferring_ = false;
  Lifetime lifetime_;
};

}  // namespace troth::coordinator
