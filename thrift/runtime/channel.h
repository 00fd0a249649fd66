// thrift/runtime/channel.h
//
// Calls a Thrift server: one connection, many calls in flight, answers in any order. Asynchronous, on the
// owner's event loop.
//
//   channel.call<wire::Agent_prepare>(request, std::chrono::seconds(5),
//                                     [](Result<wire::PrepareReply> reply) { ... });
//
// Each call ends once, by its answer, its declared exception, its deadline or the loss of the connection, and
// never inside call() itself. An Error's effect says what is known:
//
//   none      the call never left this process, or the server refused it (or our certificate) before any service
//             saw it
//   unknown   it was (perhaps only in part) handed to the kernel, and no answer came
//   else      as the declared exception says
//
// Connects when there is something to send. While it cannot connect, calls wait for the next attempt and fail
// with it; attempts are spaced by a back-off. A lost connection fails every call in flight, and none is sent
// again: only the caller knows whether it may be.
//
// Threads: none of its own (a host name, unlike a numeric address, is looked up in Asio's resolver thread).
// Use on the loop's thread only. Destroying the channel drops all calls without an answer; close() answers
// them.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "thrift/address.h"
#include "thrift/caller.h"
#include "thrift/frame.h"
#include "thrift/runtime/codec.h"

namespace asio {
class io_context;
}

namespace troth::rpc {

class Channel;
class ChannelState;
class Tls;
using TlsPointer = std::shared_ptr<const Tls>;

// Judges a peer by the name in its certificate, while the handshake runs.
using JudgeCaller = std::function<Status(const Caller& peer)>;
// Takes peers of this role only.
[[nodiscard]] JudgeCaller expect_role(Role role);

// Says whether a new connection may be used.
using Greeted = std::function<void(Status)>;

struct ChannelOptions {
  // With it the connection is encrypted and both sides show certificates; `judge_server` says whether the server's is
  // the right one (empty: any of the CA). Without it: loopback only.
  TlsPointer tls;
  JudgeCaller judge_server;
  Encoding encoding = Encoding::kBinary;
  FrameLimits frame;
  MessageLimits message;
  std::size_t max_calls = 4096;  // waiting or in flight
  std::size_t max_unsent_bytes = 64U << 20;
  Duration connect_timeout = std::chrono::seconds(5);  // the TLS handshake included
  // A peer that acknowledges nothing of what was sent for so long is gone (TCP_USER_TIMEOUT); zero: as the system has it,
  // which may be a quarter of an hour.
  Duration silence_timeout{0};
  Duration first_backoff = std::chrono::milliseconds(50);  // doubles with each failure
  Duration longest_backoff = std::chrono::seconds(2);

  // Runs on each new connection before any other call; it calls with call_in_greeting and then says whether
  // the server is the right one. An error closes the connection and fails the calls that wait.
  std::function<void(Channel& channel, Greeted greeted)> greet;
  std::function<void()> on_connected;                     // and greeted
  std::function<void(const Error& why)> on_disconnected;  // after on_connected
};

namespace detail {

template <typename Outcome>
struct ReplyOf {
  using type = void;
};
template <typename Outcome>
  requires requires(Outcome outcome) { outcome.success; }
struct ReplyOf<Outcome> {
  using type = std::remove_pointer_t<decltype(Outcome::success)>;
};

[[nodiscard]] std::unexpected<Error> unreadable_reply(std::string_view method, const std::exception& problem);
[[nodiscard]] std::unexpected<Error> empty_reply(std::string_view method);

}  // namespace detail

// What a method returns, or void.
template <typename Method>
using Reply = typename detail::ReplyOf<typename Method::Outcome>::type;

// Reads a reply's outcome. The IDL's exception type E needs a function `Error to_error(const E&)` in its own
// namespace.
template <typename Method>
[[nodiscard]] Result<Reply<Method>> read_outcome(ThriftProtocol& in) {
  constexpr bool kHasReply = !std::is_void_v<Reply<Method>>;
  typename Method::Outcome outcome;
  std::conditional_t<kHasReply, Reply<Method>, int> reply{};
  if constexpr (kHasReply) outcome.success = &reply;
  try {
    outcome.read(&in);
  } catch (const std::exception& problem) {
    return detail::unreadable_reply(Method::kName, problem);
  }
  if constexpr (requires { outcome.error; }) {
    if (outcome.__isset.error) return std::unexpected(to_error(outcome.error));
  }
  if constexpr (kHasReply) {
    if (!outcome.__isset.success) return detail::empty_reply(Method::kName);
    return reply;
  } else {
    return {};
  }
}

class Channel {
 public:
  Channel(asio::io_context& loop, Address server, ChannelOptions options);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Calls a method with one argument (every method of the IDL takes one request, or nothing).
  // `done` takes a Result<Reply<Method>>. `timeout` counts from now, the time to connect included.
  template <typename Method, typename Request, typename Done>
  void call(const Request& request, Duration timeout, Done done) {
    start<Method>(with(request, typename Method::Arguments()), timeout, Stage::kOpen, std::move(done));
  }
  template <typename Method, typename Done>
  void call(Duration timeout, Done done) {
    start<Method>(typename Method::Arguments(), timeout, Stage::kOpen, std::move(done));
  }
  // The same, ahead of all others, while the greeting of a new connection runs.
  template <typename Method, typename Request, typename Done>
  void call_in_greeting(const Request& request, Duration timeout, Done done) {
    start<Method>(with(request, typename Method::Arguments()), timeout, Stage::kGreeting, std::move(done));
  }

  // Sends a oneway method, if the channel is open and has room; false: it was not sent. True says no more than that it was
  // handed over here. It goes out ahead of calls that wait. `Request` is the method's one argument.
  template <typename Method, typename Request>
  bool tell(const Request& request) {
    const auto arguments = with(request, typename Method::Arguments());
    return tell(Method::kName, [&arguments](ThriftProtocol& out) { arguments.write(&out); });
  }
  // When it is down: tries to connect now, and not when the back-off is over.
  void connect_now();

  // Connected and greeted. A call may be made in any state.
  [[nodiscard]] bool is_open() const;
  [[nodiscard]] std::size_t calls_in_flight() const;  // waiting ones included
  [[nodiscard]] const Address& server() const;

  // Ends the connection and all calls, now and for ever.
  void close();

 private:
  enum class Stage : std::uint8_t { kGreeting, kOpen };
  friend class ChannelState;
  using WriteArguments = std::function<void(ThriftProtocol& out)>;
  using ReadReply = std::move_only_function<void(Result<ThriftProtocol*> reply)>;

  void send(std::string_view method, const WriteArguments& arguments, Duration timeout, Stage stage,
            ReadReply reader);

  bool tell(std::string_view method, const WriteArguments& arguments);

  // Thrift's "pargs" hold a pointer to each argument.
  template <typename Request, typename Arguments>
  static Arguments with(const Request& request, Arguments arguments) {
    auto& [argument] = arguments;
    argument = &request;
    return arguments;
  }

  template <typename Method, typename Done>
  void start(const typename Method::Arguments& arguments, Duration timeout, Stage stage, Done done) {
    send(
        Method::kName, [&arguments](ThriftProtocol& out) { arguments.write(&out); }, timeout, stage,
        [done = std::move(done)](Result<ThriftProtocol*> reply) mutable {
          if (reply)
            done(read_outcome<Method>(**reply));
          else
            done(Result<Reply<Method>>(std::unexpected(std::move(reply.error()))));
        });
  }

  std::shared_ptr<ChannelState> state_;
};

}  // namespace troth::rpc
