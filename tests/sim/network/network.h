// tests/sim/network/network.h
//
// Connections between machines, and everything that may happen to them: loss, duplication, delay, reordering, partitions of
// any shape, half-open connections, resets.
//
//   dial --reached--> open --reset seen, closed--> gone         each end by itself: the other may not know for long
//
// [T10] Any message may be lost, doubled, delayed or reordered; a doubled one may come long after, to a later start of the
// program, as from a connection that somebody else replays: its answer goes nowhere.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/core/node.h"

namespace troth::sim {

using Frame = std::vector<std::uint8_t>;

// So many times in 10,000 messages.
struct NetworkFaults {
  std::uint32_t lost = 0;
  std::uint32_t doubled = 0;
  std::uint32_t late = 0;   // by up to `latest`
  std::uint32_t reset = 0;  // the connection breaks at this message
  std::uint32_t full = 0;   // its buffer is full: what is to be sent waits for up to `fullest`
  Duration latest = std::chrono::seconds(2);
  Duration fullest = std::chrono::seconds(3);
};

// One end of a connection, as its program holds it.
class Wire {
 public:
  struct Events {
    std::function<void(const Frame&)> on_frame;
    std::function<void()> on_reset;
  };
  virtual ~Wire() = default;
  virtual void send(Frame frame) = 0;
  // The other end hears of it, unless something is in the way.
  virtual void close() = 0;
};
using WirePointer = std::shared_ptr<Wire>;

class Line;

class Network {
 public:
  // What a listening program does with a new connection; the wire's events must be set before anything can come.
  using Accept = std::function<Wire::Events(WirePointer wire)>;

  explicit Network(World& world) : world_(world) {}
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  void set_faults(const NetworkFaults& faults) { faults_ = faults; }
  // How long it is before a connection takes what its program has to send now; mostly 0.
  [[nodiscard]] Duration full_for();

  // Its program was killed, and its kernel tells those that were connected to it.
  void hang_up(const Node& node);

  // In the running program. `address` is anything that tells programs apart.
  void listen(Node& node, const std::string& address, Accept accept);
  void stop_listening(const std::string& address);
  // `done` with a wire, or none: refused. Where the other machine does not answer, never.
  void dial(Node& from, const std::string& address, Wire::Events events,
            std::function<void(WirePointer)> done);

  // ---- Partitions: what `from` sends does not reach `to`.
  void block(const Node& from, const Node& to);
  void heal();
  [[nodiscard]] bool reaches(const Node& from, const Node& to) const;

 private:
  friend class Line;
  struct Listener {
    Node* node;
    std::uint64_t generation;
    Accept accept;
  };

  [[nodiscard]] Duration delay();

  World& world_;
  NetworkFaults faults_;
  std::map<std::string, Listener> listeners_;
  std::map<std::string, Node*> machines_;  // who was ever reached there
  std::set<std::pair<const Node*, const Node*>> blocked_;
  std::vector<std::weak_ptr<Line>> lines_;  // that may be in use
};

}  // namespace troth::sim
