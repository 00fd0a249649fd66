// tests/sim/model/task.h
//
// A coroutine that is begun by whoever awaits it, or by resume(). Destroying it ends it where it stands, and all that it
// awaits: this is how a session dies.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "base/check.h"

namespace troth::sim {

template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> awaits_it = std::noop_coroutine();

    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Ended {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
        return ended.promise().awaits_it;
      }
      void await_resume() noexcept {}
    };
    Ended final_suspend() noexcept { return {}; }
    void return_value(T returned) { value.emplace(std::move(returned)); }
    void unhandled_exception() { CHECK(false, "the model does not throw"); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  void resume() { handle_.resume(); }
  [[nodiscard]] bool is_there() const { return static_cast<bool>(handle_); }
  [[nodiscard]] bool is_done() const { return handle_ && handle_.done(); }
  [[nodiscard]] T take() { return std::move(*handle_.promise().value); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaits_it) noexcept {
    handle_.promise().awaits_it = awaits_it;
    return handle_;
  }
  T await_resume() { return take(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace troth::sim
