// thrift/runtime/blocking_channel.h
//
// A channel for a program that does one call at a time and waits for it: the tool, tests, examples. It has an
// event loop of its own, which runs only inside call().
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "thrift/runtime/channel.h"

namespace troth::rpc {

class BlockingChannel {
 public:
  explicit BlockingChannel(Address server, ChannelOptions options = {});
  ~BlockingChannel();

  // As Channel::call, and returns its result. Never blocks longer than `timeout`.
  template <typename Method, typename Request>
  [[nodiscard]] Result<Reply<Method>> call(const Request& request, Duration timeout) {
    std::optional<Result<Reply<Method>>> result;
    channel_->call<Method>(request, timeout, [&result](auto reply) { result = std::move(reply); });
    run_until([&result] { return result.has_value(); });
    return std::move(*result);
  }
  template <typename Method>
  [[nodiscard]] Result<Reply<Method>> call(Duration timeout) {
    std::optional<Result<Reply<Method>>> result;
    channel_->call<Method>(timeout, [&result](auto reply) { result = std::move(reply); });
    run_until([&result] { return result.has_value(); });
    return std::move(*result);
  }

 private:
  void run_until(const std::function<bool()>& finished);

  std::unique_ptr<asio::io_context> loop_;
  std::unique_ptr<Channel> channel_;
};

}  // namespace troth::rpc
