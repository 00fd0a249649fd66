// base/runtime/lifetime.h
//
// Functions that an event loop may call later than their owner lives: they do nothing then. A timer's handler is among
// them even though the owner's timer is cancelled with it, for it may have rung already, and wait for its turn.
//
// The last member of its owner, on one event loop's thread.
#pragma once

#include <memory>
#include <utility>

namespace troth {

class Lifetime {
 public:
  Lifetime() = default;
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  template <typename Work>
  [[nodiscard]] auto guard(Work work) const {
    return [alive = std::weak_ptr(alive_), work = std::move(work)](auto&&... arguments) mutable {
      if (!alive.expired()) work(std::forward<decltype(arguments)>(arguments)...);
    };
  }

 private:
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace troth
