// tests/sim/core/world.h
//
// One run: virtual time, the events that are still to come, and the random numbers that everything is drawn from. Events of
// one moment happen in the order in which they were asked for, so that a seed replays exactly.
//
// Each purpose has a generator of its own: a change in what the network draws does not change what the disks do.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "tests/sim/core/trace.h"
#include "tests/sim/core/witness.h"

namespace troth::sim {

enum class Purpose : std::uint8_t {
  kClock,
  kNetwork,
  kDisk,
  kEntropy,
  kDatabase,
  kSessions,
  kClients,
  kSwarm,
  kFaults,
  kOperator,
  kGroupOperator,
};
inline constexpr std::size_t kPurposes = 11;

// Within [low, high], mostly near the low end.
[[nodiscard]] Duration draw(Random& random, Duration low, Duration high);

class World {
 public:
  using Action = std::move_only_function<void()>;

  World(std::uint64_t seed, Trace trace);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Since the run began, of nobody's clock.
  [[nodiscard]] Duration now() const { return now_; }
  void after(Duration delay, Action action);
  // Everything that is due until then, and what comes of it.
  void run_until(Duration end);
  // The run is over: nothing more happens.
  void end() { std::exchange(events_, {}); }
  // Nothing more happens in it, but time goes on: whoever runs it sees that it stands.
  void stop() { stopped_ = true; }
  [[nodiscard]] bool is_stopped() const { return stopped_; }

  // Who sees what programs do; none: nobody.
  void set_witness(Witness* witness) { witness_ = witness; }
  [[nodiscard]] Witness* witness() const { return witness_; }

  [[nodiscard]] Random& random(Purpose purpose) { return random_[std::to_underlying(purpose)]; }
  [[nodiscard]] Duration draw(Purpose purpose, Duration low, Duration high) {
    return sim::draw(random(purpose), low, high);
  }
  // True so many times in 10,000.
  [[nodiscard]] bool chance(Purpose purpose, std::uint32_t per_10000);

  [[nodiscard]] Trace& trace() { return trace_; }
  [[nodiscard]] const Trace& trace() const { return trace_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  // Faults that were injected, and situations that a run is worth something for: by name.
  void count_fault(std::string_view name) { ++faults_[std::string(name)]; }
  void count_rare(std::string_view name) { ++rare_[std::string(name)]; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& faults() const { return faults_; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& rare() const { return rare_; }

 private:
  struct Event {
    Duration at;
    std::uint64_t number;
    Action action;
  };
  static bool later(const Event& a, const Event& b) {
    return std::pair(a.at, a.number) > std::pair(b.at, b.number);
  }

  std::uint64_t seed_;
  Trace trace_;
  Witness* witness_ = nullptr;
  Duration now_{};
  bool stopped_ = false;
  std::uint64_t last_event_ = 0;
  std::vector<Event> events_;  // a heap
  std::vector<Random> random_;
  std::map<std::string, std::uint64_t> faults_;
  std::map<std::string, std::uint64_t> rare_;
};

}  // namespace troth::sim
