// tests/sim/shim/asio/io_context.hpp
//
// Stands in for Asio's: the event loop of one program is its node's turns, in virtual time.
#pragma once

#include "tests/sim/core/node.h"

namespace asio {

class io_context {
 public:
  explicit io_context(troth::sim::Node& node) : node_(node) {}
  io_context(const io_context&) = delete;
  io_context& operator=(const io_context&) = delete;

  [[nodiscard]] troth::sim::Node& node() { return node_; }

 private:
  troth::sim::Node& node_;
};

}  // namespace asio
