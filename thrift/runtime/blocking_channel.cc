#include "thrift/runtime/blocking_channel.h"

#include <utility>  // Asio 1.22 uses std::exchange without including it

#include <asio/io_context.hpp>

namespace troth::rpc {

BlockingChannel::BlockingChannel(Address server, ChannelOptions options)
    : loop_(std::make_unique<asio::io_context>(1)),
      channel_(std::make_unique<Channel>(*loop_, std::move(server), std::move(options))) {}

BlockingChannel::~BlockingChannel() = default;

void BlockingChannel::run_until(const std::function<bool()>& finished) {
  loop_->restart();
  while (!finished())
    loop_->run_one();
}

}  // namespace troth::rpc
