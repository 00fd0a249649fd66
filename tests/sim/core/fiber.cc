#include "tests/sim/core/fiber.h"

#include <array>
#include <cstddef>
#include <vector>

#include <ucontext.h>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace troth::sim {
namespace {

constexpr std::size_t kStackBytes = 256UL << 10;

struct Killed {};

using Stack = std::unique_ptr<std::byte[]>;

thread_local std::vector<Stack> spare_stacks;

Stack take_stack() {
  if (spare_stacks.empty()) return std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
  auto stack = std::move(spare_stacks.back());
  spare_stacks.pop_back();
  return stack;
}

}  // namespace

struct Fiber::State : std::enable_shared_from_this<Fiber::State> {
  Node& node;
  std::uint64_t generation;
  std::function<void()> body;
  Stack stack;
  ucontext_t own{};
  ucontext_t outside{};
  bool begun = false;
  bool over = false;
  bool killed = false;
  State* outer = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  void* outside_fake_stack = nullptr;
  const void* outside_bottom = nullptr;
  std::size_t outside_bytes = 0;
#endif

  State(Node& where, std::function<void()> what)
      : node(where), generation(where.generation()), body(std::move(what)) {}

  static thread_local State* inside;

  static void entry() {
    auto* state = inside;
    state->arrived();
    try {
      state->body();
    } catch (const Killed&) {
      CHECK(state->killed);
    } catch (const ProgramDied&) {
      CHECK(state->node.is_dying());  // whoever resumed this looks
    }
    state->body = nullptr;
    state->over = true;
    state->leave(true);
  }

  void arrived() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, &outside_bottom, &outside_bytes);
#endif
  }

  void leave([[maybe_unused]] bool for_ever) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake_stack, outside_bottom, outside_bytes);
#endif
    swapcontext(&own, &outside);
    arrived();
  }

  void resume() {
    if (over) return;
    if (!begun) {
      begun = true;
      stack = take_stack();
      getcontext(&own);
      own.uc_stack.ss_sp = stack.get();
      own.uc_stack.ss_size = kStackBytes;
      own.uc_link = nullptr;
      makecontext(&own, &State::entry, 0);
    }
    outer = std::exchange(inside, this);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&outside_fake_stack, stack.get(), kStackBytes);
#endif
    swapcontext(&outside, &own);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(outside_fake_stack, nullptr, nullptr);
#endif
    inside = outer;
    if (over && stack) spare_stacks.push_back(std::move(stack));
  }

  void kill() {
    if (over) return;
    killed = true;
    if (begun)
      resume();
    else
      over = true;
    CHECK(over, "a fiber outlived its end");
    body = nullptr;
  }
};

thread_local Fiber::State* Fiber::State::inside = nullptr;

Fiber::Fiber(Node& node, std::function<void()> body)
    : state_(std::make_shared<State>(node, std::move(body))) {
  node.post([state = state_] { state->resume(); });
}

Fiber::~Fiber() {
  CHECK(State::inside != state_.get(), "a fiber destroys itself");
  state_->kill();
}

bool Fiber::is_over() const {
  return state_->over;
}

bool Fiber::is_inside() {
  return State::inside != nullptr;
}

std::function<void()> Fiber::waker() {
  CHECK(State::inside != nullptr, "only a fiber waits");
  return [weak = State::inside->weak_from_this()] {
    const auto state = weak.lock();
    if (!state || state->over || state->generation != state->node.generation()) return;
    state->node.post([state] { state->resume(); });
  };
}

void Fiber::suspend() {
  auto* state = State::inside;
  state->leave(false);
  if (state->killed) throw Killed{};
}

void Fiber::sleep(Duration local_time) {
  auto& node = State::inside->node;
  static_cast<void>(await<bool>([&](const std::function<void(bool)>& done) {
    node.post_after(node.clock().true_time(local_time), [done] { done(true); });
  }));
}

}  // namespace troth::sim
