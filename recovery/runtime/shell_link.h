// recovery/runtime/shell_link.h
//
// The shell's connection to its coordinator: one call at a time, and Ctrl-C ends the wait for it, not the
// call itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "recovery/runtime/interrupts.h"
#include "thrift/runtime/channel.h"

namespace troth::recovery {

class ShellLink {
 public:
  ShellLink(rpc::Address coordinator, rpc::ChannelOptions options, Interrupts& interrupts);
  ~ShellLink();

  // nullopt: an interrupt came first; it is there to be taken. The call goes on, and its answer is thrown
  // away.
  template <typename Method, typename Request>
  [[nodiscard]] std::optional<Result<rpc::Reply<Method>>> call(const Request& request, Duration timeout) {
    const auto reply = std::make_shared<std::optional<Result<rpc::Reply<Method>>>>();
    notice_what_came();
    channel_->call<Method>(request, timeout, [reply](auto result) { *reply = std::move(result); });
    run_until([&reply] { return reply->has_value(); });
    return std::move(*reply);
  }
  template <typename Method>
  [[nodiscard]] std::optional<Result<rpc::Reply<Method>>> call(Duration timeout) {
    const auto reply = std::make_shared<std::optional<Result<rpc::Reply<Method>>>>();
    notice_what_came();
    channel_->call<Method>(timeout, [reply](auto result) { *reply = std::move(result); });
    run_until([&reply] { return reply->has_value(); });
    return std::move(*reply);
  }
  // False: an interrupt came first.
  [[nodiscard]] bool pause(Duration time);

 private:
  struct Waiting;

  // A connection that was lost while nobody waited is known as lost before the next call is given to it.
  void notice_what_came();
  void run_until(const std::function<bool()>& finished);

  std::unique_ptr<Waiting> waiting_;
  std::unique_ptr<rpc::Channel> channel_;
};

}  // namespace troth::recovery
