// tests/sim/shim/asio/post.hpp
//
// Stands in for Asio's.
#pragma once

#include <utility>

#include <asio/io_context.hpp>

namespace asio {

template <typename Action>
void post(io_context& loop, Action action) {
  loop.post(std::move(action));
}

}  // namespace asio
