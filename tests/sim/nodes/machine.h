// tests/sim/nodes/machine.h
//
// A machine as a program finds it: a node with a disk and a network card.
#pragma once

#include "tests/sim/core/node.h"
#include "tests/sim/disk/disk.h"
#include "tests/sim/network/network.h"

namespace troth::sim {

class Machine final : public Node {
 public:
  Machine(World& world, Network& network, std::string name, NodeClock clock, Boot boot)
      : Node(world, std::move(name), clock, std::move(boot)), network_(network), disk_(*this) {
    before_crash = [this](CrashKind) { disk_.before_crash(); };
    after_crash = [this](CrashKind kind) {
      disk_.after_crash(kind);
      if (kind == CrashKind::kKilled) network_.hang_up(*this);
    };
  }

  // The program goes before the disk that it uses.
  ~Machine() { end(); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Nobody boots it before that; who heals everything does.
  void stay_away(Duration until) { away_until_ = until; }
  [[nodiscard]] Duration away_until() const { return away_until_; }
  // Nobody ever boots it again.
  void lose() { is_lost_ = true; }
  [[nodiscard]] bool is_lost() const { return is_lost_; }

  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] Disk& disk() { return disk_; }

 private:
  Network& network_;
  Disk disk_;
  Duration away_until_{};
  bool is_lost_ = false;
};

// Every node is a machine.
[[nodiscard]] inline Machine& machine_of(Node& node) {
  return static_cast<Machine&>(node);
}
[[nodiscard]] inline Disk& disk_of(Node& node) {
  return machine_of(node).disk();
}
[[nodiscard]] inline Network& network_of(Node& node) {
  return machine_of(node).network();
}

}  // namespace troth::sim
