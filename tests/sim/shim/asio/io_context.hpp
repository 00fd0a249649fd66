// tests/sim/shim/asio/io_context.hpp
//
// Stands in for Asio's: the event loop of one program is its node's turns, in virtual time. As there, what was posted and has
// not run goes with the loop, behind everything that the program had.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "tests/sim/core/node.h"

namespace asio {

class io_context {
 public:
  explicit io_context(troth::sim::Node& node) : node_(node) {}
  ~io_context() {
    // What goes may post.
    while (!posted_->empty())
      static_cast<void>(posted_->extract(posted_->begin()));
  }
  io_context(const io_context&) = delete;
  io_context& operator=(const io_context&) = delete;

  [[nodiscard]] troth::sim::Node& node() { return node_; }

  template <typename Action>
  void post(Action action) {
    const auto number = ++last_;
    posted_->emplace(number, std::move(action));
    node_.post([number, posted = std::weak_ptr(posted_)] {
      const auto there = posted.lock();
      auto taken = there ? there->extract(number) : Posted::node_type();
      if (!taken.empty()) taken.mapped()();
    });
  }

 private:
  using Posted = std::map<std::uint64_t, std::move_only_function<void()>>;

  troth::sim::Node& node_;
  std::uint64_t last_ = 0;
  std::shared_ptr<Posted> posted_ = std::make_shared<Posted>();
};

}  // namespace asio
