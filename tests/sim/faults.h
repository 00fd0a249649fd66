// tests/sim/faults.h
//
// Strikes from time to time with one of the seed's faults, on a machine, a link or a database that is drawn too.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "tests/sim/disk/disk.h"
#include "tests/sim/simulation.h"
#include "tests/sim/swarm.h"

namespace troth::sim {

class FaultStorm {
 public:
  explicit FaultStorm(Simulation& simulation);
  void begin();
  void end() { alive_.reset(); }
  // What struck, or was left out, in its order.
  [[nodiscard]] const std::vector<FaultKind>& strikes() const { return strikes_; }

 private:
  void strike_later();
  void strike();
  void strike_with(FaultKind kind);
  void partition(FaultKind kind);
  void split_group(FaultKind kind);
  // Copies of disks as they were, for who restores one.
  void copy_later();
  void jump();
  void lose_disk(Machine& machine, FaultKind kind);
  void set_back_coordinator();
  void set_back_replica();
  void lose_replica();
  void restore(std::size_t database, bool promoted);
  void kill(Machine& machine, bool power_cut);
  // A coordinator or an agent.
  [[nodiscard]] Machine& server();
  [[nodiscard]] Machine& coordinator();
  // The replica whose disk may be damaged.
  [[nodiscard]] Machine& damaged();
  [[nodiscard]] bool is_coordinator(const Machine& machine) const;
  [[nodiscard]] Machine& agent();

  Simulation& simulation_;
  // When what strikes: apart from what a strike draws itself, so that one can be left out and the others stay.
  Random schedule_;
  std::vector<FaultKind> strikes_;
  [[nodiscard]] bool strikes_with(FaultKind kind) const;

  std::map<Machine*, std::vector<Disk::Image>> copies_;
  std::map<std::size_t, std::vector<DatabaseCopy>> database_copies_;
  struct ReplicaCopy {
    Disk::Image disk;
    std::uint64_t acceptances = 0;  // of the group by then
  };
  std::vector<ReplicaCopy> replica_copies_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace troth::sim
