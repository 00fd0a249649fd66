// A channel on an event loop of its own thread, and calls on it.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <gtest/gtest.h>

#include "tests/unit/thrift/test_bank.h"
#include "thrift/runtime/channel.h"

namespace troth::rpc::test {

inline constexpr Duration kLong = std::chrono::seconds(20);

inline Ticket ticket_of(std::int64_t number) {
  Ticket ticket;
  ticket.number = number;
  return ticket;
}

class ChannelThread {
 public:
  explicit ChannelThread(const Address& server, ChannelOptions options = {})
      : channel_(std::make_unique<Channel>(loop_, server, std::move(options))),
        thread_([this] { loop_.run(); }) {}
  ~ChannelThread() {
    on_loop([this](Channel&) { channel_.reset(); });
    work_.reset();
    thread_.join();
  }
  ChannelThread(const ChannelThread&) = delete;
  ChannelThread& operator=(const ChannelThread&) = delete;

  void on_loop(const std::function<void(Channel&)>& work) {
    std::promise<void> done;
    asio::post(loop_, [&] {
      work(*channel_);
      done.set_value();
    });
    done.get_future().wait();
  }

  template <typename Method, typename Request>
  std::future<Result<Reply<Method>>> call(const Request& request, Duration timeout = kLong) {
    auto promise = std::make_shared<std::promise<Result<Reply<Method>>>>();
    on_loop([&](Channel& channel) {
      // A second answer to one call would throw here and end the test program.
      channel.call<Method>(request, timeout, [promise](auto reply) { promise->set_value(std::move(reply)); });
    });
    return promise->get_future();
  }
  std::future<Result<std::int64_t>> hold(std::int64_t ticket, Duration timeout = kLong) {
    return call<Bank_hold>(ticket_of(ticket), timeout);
  }

 private:
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  std::unique_ptr<Channel> channel_;
  std::thread thread_;
};

inline void expect_error(std::future<Result<std::int64_t>> future, ErrorCode code, Effect effect,
                         std::string_view words) {
  const auto result = future.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(name_of(result.error().code), name_of(code)) << result.error().message;
  EXPECT_EQ(name_of(result.error().effect), name_of(effect)) << result.error().message;
  EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
}

}  // namespace troth::rpc::test
