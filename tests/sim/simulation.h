// tests/sim/simulation.h
//
// One seed: a cluster of real servers in a world of its own, a bank that moves money through it, faults, then healing.
//
//   safety: clients work, the seed's own mixture of faults strikes
//   healing: every fault ends, what is down is booted
//   liveness: every transfer comes to its end and nothing is left in doubt, within a bound
//
// Then, and at every moment at which it can be told, the invariants hold (invariants/).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/runtime/settings.h"
#include "tests/sim/bank/ledger.h"
#include "tests/sim/core/world.h"
#include "tests/sim/database/database.h"
#include "tests/sim/invariants/observer.h"
#include "tests/sim/invariants/run_end.h"
#include "tests/sim/network/network.h"
#include "tests/sim/nodes/machine.h"
#include "tests/sim/swarm.h"
#include "tests/sim/variation.h"

namespace troth::sim {

struct Outcome {
  std::uint64_t seed = 0;
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  Duration virtual_time{};
  std::uint64_t transfers = 0;
  std::uint64_t committed = 0;
  std::vector<std::string> broken;   // invariants, in words: their name, a colon, what they knew
  std::vector<std::string> strikes;  // of the storm, by kind; the left out ones, too
  std::map<std::string, std::uint64_t> faults;
  std::map<std::string, std::uint64_t> rare;
};

// What everybody saw of a database when the copy was made, too.
struct DatabaseCopy {
  Database::Copy server;
  std::set<std::pair<RequestKey, std::string>> committed;  // and as which transaction
  std::set<BranchId> prepared;
};

class Simulation {
 public:
  // `print`: where the trace's lines go; empty: nowhere.
  explicit Simulation(std::uint64_t seed, Variation variation = {},
                      std::function<void(std::string_view)> print = {});
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  [[nodiscard]] Outcome run();

  // ---- For the invariants and the faults
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] const Swarm& swarm() const { return swarm_; }
  [[nodiscard]] const Variation& variation() const { return variation_; }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }
  // One, or a group, the first of it replica 1.
  [[nodiscard]] std::vector<std::unique_ptr<Machine>>& coordinators() { return coordinators_; }
  // Who leads the group, or did last; the only one, where there is no other.
  [[nodiscard]] Machine& leader();
  [[nodiscard]] std::vector<std::unique_ptr<Machine>>& agents() { return agents_; }
  [[nodiscard]] std::vector<std::unique_ptr<Machine>>& clients() { return clients_; }
  [[nodiscard]] std::vector<std::unique_ptr<Database>>& databases() { return databases_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Database>>& databases() const { return databases_; }
  [[nodiscard]] bool is_healed() const { return healed_; }
  [[nodiscard]] Observer& observer() { return *observer_; }
  [[nodiscard]] const Observer& observer() const { return *observer_; }
  // The databases' own word on what committed: a marker in state `committed` is true once it is visible [T9]. By request:
  // which transaction committed it, in which databases.
  using CommittedBy = std::map<RequestKey, std::map<std::string, std::set<std::size_t>>>;
  [[nodiscard]] const CommittedBy& committed() const { return committed_; }

  [[nodiscard]] RunEnd run_end() const;

  [[nodiscard]] DatabaseCopy copy_database(std::size_t database);
  void restore_database(std::size_t database, const DatabaseCopy& copy, bool promoted);
  // Of one that is alone. Its disk is an earlier one: it does not start before an operator has begun a new reign.
  void restore_coordinator();

 private:
  std::unique_ptr<Machine> machine(std::string name, Node::Boot boot);
  void build();
  void build_coordinators();
  [[nodiscard]] std::uint32_t replicas() const;  // members or not
  [[nodiscard]] coordinator::CoordinatorSettings coordinator_settings() const;
  void hire_operator();
  void hire_group_operator();
  [[nodiscard]] std::vector<std::string> coordinator_addresses() const;
  void watch();
  void heal();
  void observe();
  void observe_later();
  [[nodiscard]] Outcome summed_up(Outcome outcome) const;
  [[nodiscard]] bool is_quiet() const;
  [[nodiscard]] bool clients_are_done() const;

  World world_;
  Network network_;
  Variation variation_;
  Swarm swarm_;
  Ledger ledger_;
  std::vector<std::unique_ptr<Database>> databases_;
  std::vector<std::unique_ptr<Machine>> coordinators_;
  std::vector<std::unique_ptr<Machine>> agents_;
  std::vector<std::unique_ptr<Machine>> clients_;
  std::unique_ptr<Machine> operator_;
  std::unique_ptr<Machine> group_operator_;  // null: the members do not change
  std::unique_ptr<Observer> observer_;
  CommittedBy committed_;
  bool healed_ = false;
  bool needs_new_reign_ = false;
};

}  // namespace troth::sim
