// tests/sim/core/node.h
//
// One machine and the program that it runs. The program's memory goes with a crash, and with it everything that was to
// happen in it; the disk and the name stay.
//
//   down --boot--> running --reach() of the armed point, crash()--> down
//                   |    ^
//                   '----'  pause: what comes for it waits, its clocks go on
//
// Whatever runs in a program runs inside `run_in`: what reads "the" clock there reads this machine's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/core/node_clock.h"
#include "tests/sim/core/world.h"

namespace troth::sim {

// Thrown where a program dies in the middle of a step. Not an std::exception: nobody on the way may take it for an error.
struct ProgramDied {};

enum class CrashKind : std::uint8_t {
  kKilled,    // kill -9: the machine lives, the page cache with it
  kPowerCut,  // what was not synced may be gone
};

// What a machine runs; made at each boot, destroyed at each crash.
class Program {
 public:
  virtual ~Program() = default;
  // SIGTERM: it finishes what it does, and ends. Who does not take it goes on.
  virtual void stop() {}
};

// What a death at a crash point is counted as.
[[nodiscard]] std::string crash_fault(std::string_view point);

class Node {
 public:
  using Action = World::Action;
  using Boot = std::function<std::unique_ptr<Program>(Node&)>;

  Node(World& world, std::string name, NodeClock clock, Boot boot);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // In the program, as soon as it turns next; after a crash: never.
  void post(Action action) { post_after(Duration::zero(), std::move(action)); }
  // `delay` is true time.
  void post_after(Duration delay, Action action);

  // The run is over: the program goes, and nothing happens here any more.
  void end();
  void boot();
  void crash(CrashKind kind);
  void pause(Duration length);
  // Its program is asked to end in good order.
  void ask_to_stop();
  // Its UTC is set: so far off it is from here.
  void set_wall(Duration error);
  // The program ends of itself; it is booted again like a crashed one.
  void program_ended(std::string_view why);

  // The n-th time that it comes to this point, the program dies there.
  void arm(std::string_view point, std::uint32_t hit, CrashKind kind);
  // The n-th time that it comes to any point.
  void arm_any(std::uint32_t hit, CrashKind kind) { arm({}, hit, kind); }
  void disarm() { armed_.reset(); }
  void reach(std::string_view point);
  // From a step that may not go on.
  [[noreturn]] void die(CrashKind kind);

  [[nodiscard]] bool is_up() const { return program_ != nullptr || booting_; }
  // It runs no step any more.
  [[nodiscard]] bool is_dying() const { return dying_.has_value(); }
  // Rises with each boot and each crash: tells what belongs to an earlier program.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const NodeClock& clock() const { return clock_; }
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Program* program() { return program_.get(); }

  // Called at each crash, before the program's memory goes, and when it is gone.
  std::function<void(CrashKind)> before_crash;
  std::function<void(CrashKind)> after_crash;
  // Called when the program is down for any reason, to decide when it is booted again.
  std::function<void()> on_down;

  // The node whose program runs now.
  [[nodiscard]] static Node& current();
  [[nodiscard]] static Node* current_or_null();
  void run_in(std::uint64_t generation, Action& action);

 private:
  struct Armed {
    std::string point;  // empty: any
    std::uint32_t hits_left;
    CrashKind kind;
  };
  void come_down(CrashKind kind, std::string_view why);

  World& world_;
  std::string name_;
  NodeClock clock_;
  Boot boot_;
  std::unique_ptr<Program> program_;
  std::uint64_t generation_ = 0;
  bool booting_ = false;
  Duration paused_until_{};
  std::optional<Armed> armed_;
  std::optional<CrashKind> dying_;
  std::optional<std::string> ended_;
};

}  // namespace troth::sim
