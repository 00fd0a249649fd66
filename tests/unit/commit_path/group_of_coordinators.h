// tests/unit/commit_path/group_of_coordinators.h
//
// Three coordinators of one group and two agents in this process, in front of the databases of world.h. Clients may call any
// of the coordinators.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/do_nothing_database.h"
#include "tests/support/in_process_servers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/commit_path/teller.h"
#include "thrift/gen/administration_types.h"

namespace troth {

class GroupOfCoordinators {
 public:
  static constexpr std::uint32_t kReplicas = 3;

  GroupOfCoordinators();

  InProcessCoordinator& coordinator(std::uint32_t number) { return *coordinators_.at(number); }
  InProcessAgent& left() { return *left_; }
  InProcessAgent& right() { return *right_; }
  [[nodiscard]] const std::map<std::string, std::shared_ptr<DoNothingDatabase>>& databases() const {
    return databases_;
  }
  // Where clients, and where other replicas, call it.
  [[nodiscard]] rpc::Address address(std::uint32_t number) const;
  [[nodiscard]] rpc::Address peer_address(std::uint32_t number) const;

  void start();
  // As the coordinator that is asked has it.
  [[nodiscard]] Result<wire::GroupStatus> status(std::uint32_t number);
  // Who leads and serves, when all that run agree on it.
  [[nodiscard]] std::optional<std::uint32_t> leader();
  // Any that does not lead and runs.
  [[nodiscard]] std::uint32_t follower();
  // Somebody leads, and serves every resource to whoever is asked.
  [[nodiscard]] bool serves();
  [[nodiscard]] Result<wire::GroupStatus> transfer(std::uint32_t asked, std::uint32_t to);
  // Nothing is open at the leader, in doubt at an agent, or unfinished in a database.
  [[nodiscard]] bool is_quiet() { return what_is_left().empty(); }
  [[nodiscard]] std::string what_is_left();

 private:
  [[nodiscard]] bool runs(std::uint32_t number) { return coordinator(number).is_running(); }

  TemporaryDirectory directory_;
  std::map<std::string, std::shared_ptr<DoNothingDatabase>> databases_;
  std::map<std::uint32_t, std::unique_ptr<InProcessCoordinator>> coordinators_;
  std::unique_ptr<InProcessAgent> left_;
  std::unique_ptr<InProcessAgent> right_;
};

}  // namespace troth
