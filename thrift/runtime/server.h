// thrift/runtime/server.h
//
// Serves Thrift calls on one event loop: framed transport, compact and binary protocol told apart by each
// message, several services on one port, dispatched by method name.
//
// Order: calls with seqid 0 (stock clients) are answered in the order in which they came. Others are answered
// when they are done; a seqid that is still in flight on its connection is refused (BAD_SEQUENCE_ID).
//
// Limits: each has a named refusal. Past the limits on connections, calls and memory the caller gets the
// declared exception `overloaded` with retry-after, in place of its result, so that a stock client sees an
// answer and not a broken connection. A client that reads too slowly is first not read from, then closed.
//
// Nothing that a client sends ends the process: what cannot be read is answered with PROTOCOL_ERROR, or,
// where not even the method's name can be read, by closing that connection.
//
// TLS: a client that has not shown its certificate holds at most a place among `max_handshakes`, for a short time, and
// none that another one needs.
//
// Threads: none of its own. Construct, use and destroy it on the loop's thread (or while the loop does not
// run); services answer on that thread too.
//
// A service may answer at any later time by the functions that it was given, once. Dropping them unanswered
// answers INTERNAL_ERROR. They keep the service alive: one that stores them answers or drops them before it
// expects to be destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <thrift/async/TAsyncProcessor.h>

#include "base/result.h"
#include "base/time.h"
#include "thrift/address.h"
#include "thrift/caller.h"
#include "thrift/frame.h"
#include "thrift/runtime/codec.h"
#include "thrift/runtime/methods.h"

namespace troth::rpc {
class Tls;
using TlsPointer = std::shared_ptr<const Tls>;
}  // namespace troth::rpc

namespace asio {
class io_context;
}

namespace troth::rpc {

// Writes `error` as the IDL's exception struct. Every method declares that exception as field 1 of its
// result.
using WriteError = std::function<void(ThriftProtocol& out, const Error& error)>;

// What is known of the effect of a call that is refused before any service saw it. By itself the call has none;
// but where it may be sent again, an earlier attempt of the same may have had one. `content` is the message, or
// empty where it was not kept.
using EffectOfRefusal = std::function<Effect(std::string_view method, Bytes content)>;

// Who is calling; valid while the service's method runs (copy what is needed later).
struct CallContext {
  std::string_view method;
  std::string_view peer;           // address and port of the client
  std::uint64_t connection = 0;    // distinct for every connection of this server
  const Caller* caller = nullptr;  // as its certificate says; null without TLS
};

// May this call be made? An error is the answer in its place; its effect is taken from effect_of_refusal.
using Authorize = std::function<Status(const CallContext& call)>;

class DivertedCall;

// Calls that are not this server's to answer, for now: `wanted` says which, when they come, and `take` gets them.
struct Divert {
  std::function<bool(const CallContext& call, Bytes content)>
      wanted;  // empty: none; `content` is the message
  std::function<void(std::unique_ptr<DivertedCall> call)> take;
};

struct ServerOptions {
  // With it every connection is encrypted, and every client shows a certificate. Without it: loopback only.
  TlsPointer tls;
  Authorize authorize;  // empty: everything; a diverted call is judged where it is served
  Divert divert;
  std::size_t max_connections = 1024;
  std::size_t max_connections_per_caller = 1024;  // of one certificate's name
  std::size_t max_handshakes = 256;               // TLS handshakes under way; past it the oldest is closed
  std::size_t max_calls = 1024;                   // in flight, over all connections
  std::size_t max_calls_per_connection = 256;
  FrameLimits frame;  // max_frame_bytes holds for replies too
  MessageLimits message;

  // Half-received frames and unsent replies over all connections; past it calls are refused.
  std::size_t max_buffered_bytes = 512U << 20;
  // Unsent replies of one connection: past the first it is not read from, past the second it is closed.
  std::size_t pause_reading_bytes = 1U << 20;
  std::size_t max_unsent_bytes = 64U << 20;

  Duration idle_timeout{0};                              // without a call in flight; zero: never
  Duration frame_timeout = std::chrono::seconds(30);     // from a frame's first byte to its last
  Duration write_timeout = std::chrono::seconds(30);     // without one byte taken by the client
  Duration handshake_timeout = std::chrono::seconds(5);  // of TLS

  // A client of whom nothing came for so long is asked by the kernel whether it is there, and lost a few seconds later
  // (SO_KEEPALIVE); zero: as the system has it.
  Duration probe_silent_clients{0};
  // Calls that no limit of calls in flight, or of memory for requests, refuses.
  std::function<bool(std::string_view method)> is_exempt;

  std::chrono::milliseconds retry_after{100};          // what an `overloaded` suggests
  WriteError write_error;                              // without it refusals are TApplicationExceptions
  EffectOfRefusal effect_of_refusal;                   // of the overloaded and the closing; without it: none
  std::function<void(const std::string&)> on_trouble;  // one line about a client that misbehaved, for the log
};

// Since the server was made, except for the first two.
struct ServerCounts {
  std::size_t connections = 0;  // now, those in their handshake included
  std::size_t calls = 0;        // in flight now
  std::uint64_t accepted = 0;
  std::uint64_t answered = 0;    // calls that a service answered
  std::uint64_t overloaded = 0;  // calls refused past a limit
  std::uint64_t malformed = 0;   // messages or streams that could not be read
  std::uint64_t closed_slow = 0;
  std::uint64_t closed_idle = 0;
  std::uint64_t handshakes_failed = 0;
  std::uint64_t denied = 0;
};

// The call that is being dispatched on this thread, or null.
[[nodiscard]] const CallContext* current_call();

class ServerState;

// Generated for each service of the IDL: reads a call's arguments, calls the implementation, writes its
// answer.
using GeneratedService = apache::thrift::async::TAsyncProcessor;

class Server {
 public:
  Server(asio::io_context& loop, ServerOptions options);
  ~Server();  // close()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves all methods of one IDL service: add_service<wire::AgentAsyncProcessor>(agent), where `agent` is a
  // shared_ptr to an implementation of wire::AgentCobSvIf. Method names are unique over all services (CHECK).
  template <typename Generated, typename Implementation>
  void add_service(std::shared_ptr<Implementation> implementation) {
    add_methods(MethodsOf<Generated>::kNames, std::make_shared<Generated>(std::move(implementation)));
  }
  void add_methods(std::span<const std::string_view> methods, std::shared_ptr<GeneratedService> service);

  // Listens; port 0 takes any free one. Returns the real address. May be called for several addresses.
  [[nodiscard]] Result<Address> listen(const Address& address);

  // Serves a call that another process took from its client: `context` is of that client, `content` the message as it came.
  // `done` gets the answer as a frame, a refusal or an exception included, once, now or later; or an Error when nothing was done:
  // it is no call, or this server is shutting down. Limits hold as for calls on connections. Nothing comes of it when the
  // server is closed before.
  using Passed = std::function<void(Result<Bytes> frame)>;
  void take_passed(const CallContext& context, Bytes content, Passed done);

  // Connections stay, no new ones come.
  void stop_accepting();

  // stop_accepting(), refuses new calls as unavailable, and calls `done` once when every call in flight is
  // answered and sent (true) or when `limit` has passed (false). The owner then calls close().
  void drain(Duration limit, std::function<void(bool all_answered)> done);

  // Ends everything at once. Late answers of services are dropped.
  void close();

  [[nodiscard]] ServerCounts counts() const;

 private:
  std::shared_ptr<ServerState> state_;
};

}  // namespace troth::rpc
