// tests/sim/core/fiber.h
//
// What a thread of a program is in the simulator: code that waits in the middle, and goes on when what it waits for has
// come. Only one runs at a time, and only where an event resumes it.
//
//   Fiber fiber(node, [] { ... auto reply = Fiber::await<Reply>([&](auto done) { server.ask(question, done); }); ... });
//
// When its program crashes, or it is destroyed, a fiber that waits is unwound: the wait throws `Killed`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "tests/sim/core/node.h"

namespace troth::sim {

class Fiber {
 public:
  // Begins with the program's next turn.
  Fiber(Node& node, std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  [[nodiscard]] bool is_over() const;

  // In a fiber: waits until `done` is called, from wherever. `start` runs at once.
  template <typename T>
  [[nodiscard]] static T await(const std::function<void(std::function<void(T)>)>& start) {
    const auto answer = std::make_shared<std::optional<T>>();
    const auto wake = waker();
    start([answer, wake](T value) {
      if (answer->has_value()) return;
      answer->emplace(std::move(value));
      wake();
    });
    while (!answer->has_value())
      suspend();
    return std::move(**answer);
  }
  static void sleep(Duration local_time);
  [[nodiscard]] static bool is_inside();

 private:
  struct State;
  // Resumes the running fiber from its program's next turn, wherever it is called.
  [[nodiscard]] static std::function<void()> waker();
  static void suspend();
  std::shared_ptr<State> state_;
};

}  // namespace troth::sim
