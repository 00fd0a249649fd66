// tests/unit/commit_path/world.h
//
// One coordinator and two agents in this process, in front of three databases that do nothing:
//
//   till     agent `left`,  behaves like MySQL
//   vault    agent `left`,  behaves like MariaDB: a prepared branch is tied to its session
//   ledger   agent `right`, behaves like MySQL
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/support/do_nothing_database.h"
#include "tests/support/in_process_servers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/commit_path/teller.h"

namespace troth {

inline constexpr const char* kWork = "UPDATE account SET cents = cents + 1";
inline constexpr const char* kBlock = "UPDATE account SET cents = 'block'";
inline constexpr const char* kRefuse = "UPDATE account SET cents = -1";
inline constexpr const char* kRead = "SELECT cents FROM account";

struct WorldOptions {
  txlog::Files* coordinator_files = nullptr;
  std::uint64_t lose_an_ending_in = 0;
};

class World {
 public:
  explicit World(WorldOptions options = {});

  InProcessCoordinator& coordinator() { return *coordinator_; }
  InProcessAgent& left() { return *left_; }
  InProcessAgent& right() { return *right_; }
  DoNothingDatabase& database(const std::string& resource) { return *databases_.at(resource); }
  [[nodiscard]] const std::map<std::string, std::shared_ptr<DoNothingDatabase>>& databases() const {
    return databases_;
  }
  [[nodiscard]] rpc::Address address() const;

  void start();
  // Every resource is registered, connected and served.
  [[nodiscard]] bool serves();
  // Nothing is open at the coordinator, in doubt at an agent, or unfinished in a database.
  [[nodiscard]] bool is_quiet();
  // What is not, for a test's message.
  [[nodiscard]] std::string what_is_left();

 private:
  TemporaryDirectory directory_;
  std::map<std::string, std::shared_ptr<DoNothingDatabase>> databases_;
  std::unique_ptr<InProcessCoordinator> coordinator_;
  std::unique_ptr<InProcessAgent> left_;
  std::unique_ptr<InProcessAgent> right_;
};

}  // namespace troth
