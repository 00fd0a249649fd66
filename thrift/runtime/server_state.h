// thrift/runtime/server_state.h
//
// What all connections of a server share: its services, limits, counters and listening sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "thrift/runtime/call.h"
#include "thrift/runtime/codec.h"
#include "thrift/runtime/server.h"
#include "thrift/runtime/stream.h"

namespace troth::rpc {

class Connection;

// What a connection takes up.
enum class Place : std::uint8_t {
  kHandshake,   // one of max_handshakes
  kAdmitted,    // one of max_connections
  kTurnedAway,  // one of a few that only wait to hear that there are too many
  kNone,        // not even that
};

class ServerState : public std::enable_shared_from_this<ServerState> {
 public:
  ServerState(asio::io_context& loop, ServerOptions options);

  [[nodiscard]] Result<Address> listen(const Address& address);
  void stop_accepting();
  void drain(Duration limit, std::function<void(bool)> done);
  void close();

  // For connections.
  [[nodiscard]] asio::io_context& loop() { return loop_; }
  [[nodiscard]] const ServerOptions& options() const { return options_; }
  [[nodiscard]] ServerCounts& counts() { return counts_; }
  [[nodiscard]] WriterPool& writers() { return writers_; }
  [[nodiscard]] bool is_draining() const { return draining_; }
  [[nodiscard]] bool is_closed() const { return closed_; }
  [[nodiscard]] bool is_out_of_memory() const {
    return held_bytes_ + unsent_bytes_ > options_.max_buffered_bytes;
  }
  void change_buffered(std::ptrdiff_t held, std::ptrdiff_t unsent);
  void call_began() { ++counts_.calls; }
  void call_ended();
  // Its handshake, if it has one, is over: what place there is for it. Without one, `why` says of what there is too much.
  [[nodiscard]] Place admit(const Connection& connection, std::string& why);
  void connection_closed(const Connection& connection);
  void trouble(const std::string& line) const;

  void add_methods(std::span<const std::string_view> methods,
                   const std::shared_ptr<GeneratedService>& service);

  // ---- server_calls.cc
  // It is diverted, or served. `end` gets its end, now or later.
  void take_call(const std::shared_ptr<CallEnd>& end, Ticket ticket, const CallContext& context,
                 Bytes content);
  void serve(const std::shared_ptr<CallEnd>& end, Ticket ticket, const CallContext& context, Bytes content);
  void take_passed(const CallContext& context, Bytes content, Server::Passed done);
  // Why no call is taken now, if so.
  [[nodiscard]] std::optional<std::string> what_is_full() const;
  [[nodiscard]] Effect effect_of_refusal(const Ticket& ticket, Bytes content) const;
  [[nodiscard]] Error overloaded(const Ticket& ticket, Bytes content, std::string what) const;
  [[nodiscard]] Error closing(const Ticket& ticket, Bytes content) const;
  // Frames; valid until the next one is made.
  [[nodiscard]] Bytes refusal_of(const Ticket& ticket, const Error& error);
  [[nodiscard]] Bytes exception_of(const Ticket& ticket, int type, const std::string& message);

 private:
  [[nodiscard]] MessageReader& reader(Encoding encoding);
  // For an answer that is not a service's; begins empty.
  [[nodiscard]] MessageWriter& refusal_writer(Encoding encoding);
  [[nodiscard]] std::shared_ptr<GeneratedService> find_service(std::string_view method) const;
  [[nodiscard]] bool has_room_for_call() const { return counts_.calls < options_.max_calls; }
  struct Listener;
  void accept(const std::shared_ptr<Listener>& listener);
  void on_accepted(Stream::Socket socket);
  void make_room_for_handshake();
  void watch_timeouts();
  void finish_drain_when_quiet();
  void finish_drain(bool all_answered);

  asio::io_context& loop_;
  ServerOptions options_;
  ServerCounts counts_;
  std::map<std::string, std::shared_ptr<GeneratedService>, std::less<>> services_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::uint64_t last_connection_ = 0;
  std::set<std::uint64_t> handshaking_;                                 // of connections_, the oldest first
  std::size_t admitted_ = 0;                                            // of connections_
  std::size_t turned_away_ = 0;                                         // of connections_
  std::map<std::string, std::size_t, std::less<>> admitted_by_caller_;  // with TLS
  std::size_t held_bytes_ = 0;
  std::size_t unsent_bytes_ = 0;

  WriterPool writers_;
  MessageReader binary_reader_;
  MessageReader compact_reader_;
  MessageWriter binary_refusals_{Encoding::kBinary};
  MessageWriter compact_refusals_{Encoding::kCompact};

  // Gone after close(): a service may hold an unanswered call, and this state with it, for longer than the
  // loop lives.
  struct Timers {
    explicit Timers(asio::io_context& loop) : timeouts(loop), drain(loop) {}
    asio::steady_timer timeouts;
    asio::steady_timer drain;
  };
  std::unique_ptr<Timers> timers_;
  bool watching_timeouts_ = false;
  bool draining_ = false;
  bool closed_ = false;
  std::function<void(bool)> drained_;
};

}  // namespace troth::rpc
