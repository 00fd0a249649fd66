#include "tests/sim/core/node.h"

#include "base/check.h"

namespace troth::sim {
namespace {

thread_local Node* running = nullptr;

class Running {
 public:
  explicit Running(Node& node) : outer_(std::exchange(running, &node)) {}
  ~Running() { running = outer_; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  Node* outer_;
};

}  // namespace

std::string crash_fault(std::string_view point) {
  return "crash at " + std::string(point);
}

Node& Node::current() {
  CHECK(running != nullptr, "code of a program runs outside of every program");
  return *running;
}

Node* Node::current_or_null() {
  return running;
}

Node::Node(World& world, std::string name, NodeClock clock, Boot boot)
    : world_(world), name_(std::move(name)), clock_(clock), boot_(std::move(boot)) {}

Node::~Node() {
  end();
}

void Node::end() {
  ++generation_;
  const Running scope(*this);
  program_.reset();
}

void Node::post_after(Duration delay, Action action) {
  if (dying_) return;
  world_.after(delay, [this, generation = generation_, action = std::move(action)]() mutable {
    run_in(generation, action);
  });
}

void Node::run_in(std::uint64_t generation, Action& action) {
  if (generation != generation_) return;
  if (world_.now() < paused_until_) {
    world_.after(paused_until_ - world_.now(),
                 [this, generation, waiting = std::move(action)]() mutable { run_in(generation, waiting); });
    return;
  }
  {
    const Running scope(*this);
    try {
      action();
    } catch (const ProgramDied&) {
      CHECK(dying_.has_value());
    }
    action = nullptr;  // what it holds is the program's, too
  }
  if (dying_)
    come_down(*dying_, {});
  else if (ended_)
    come_down(CrashKind::kKilled, *ended_);
}

void Node::boot() {
  CHECK(!is_up());
  ++generation_;
  booting_ = true;
  world_.trace().event(world_.now(), name_, "boots", generation_);
  Action start = [this] {
    program_ = boot_(*this);
    booting_ = false;
    if (program_ == nullptr) program_ended("did not start");
  };
  run_in(generation_, start);
}

void Node::crash(CrashKind kind) {
  if (!is_up()) return;
  dying_ = kind;
  come_down(kind, {});
}

void Node::come_down(CrashKind kind, std::string_view why) {
  world_.trace().event(world_.now(), name_, kind == CrashKind::kKilled ? "killed" : "power cut", generation_,
                       [&] { return std::string(why); });
  dying_ = kind;
  {
    const Running scope(*this);
    if (before_crash) before_crash(kind);
    ++generation_;
    booting_ = false;
    program_.reset();
  }
  dying_.reset();
  ended_.reset();
  armed_.reset();
  paused_until_ = Duration::zero();
  if (after_crash) after_crash(kind);
  if (on_down) on_down();
}

void Node::pause(Duration length) {
  world_.trace().event(world_.now(), name_, "paused", static_cast<std::uint64_t>(length.count()),
                       [&] { return std::to_string(length.count()) + " us"; });
  paused_until_ = std::max(paused_until_, world_.now() + length);
}

void Node::ask_to_stop() {
  if (program_ == nullptr) return;
  world_.trace().event(world_.now(), name_, "is asked to stop");
  post([this] { program_->stop(); });
}

void Node::set_wall(Duration error) {
  world_.trace().event(world_.now(), name_, "has its clock set", static_cast<std::uint64_t>(error.count()),
                       [&] { return std::to_string(error.count()) + " us"; });
  clock_.set_wall(error);
}

void Node::program_ended(std::string_view why) {
  if (!ended_) ended_ = std::string(why);
}

void Node::arm(std::string_view point, std::uint32_t hit, CrashKind kind) {
  world_.trace().event(world_.now(), name_, "will die at", hit, [&] {
    return std::string(point.empty() ? "any point" : point) + ", time " + std::to_string(hit);
  });
  armed_ = Armed{std::string(point), hit, kind};
}

void Node::reach(std::string_view point) {
  if (!armed_ || (!armed_->point.empty() && armed_->point != point) || --armed_->hits_left > 0) return;
  world_.trace().event(world_.now(), name_, "dies at", 0, [&] { return std::string(point); });
  world_.count_fault(crash_fault(point));
  die(armed_->kind);
}

void Node::die(CrashKind kind) {
  dying_ = kind;
  throw ProgramDied{};
}

}  // namespace troth::sim
