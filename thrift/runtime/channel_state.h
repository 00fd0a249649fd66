// thrift/runtime/channel_state.h
//
// What a channel is behind its header.
//
//   idle --a call--> connecting --> greeting --> open
//    ^                   |             |           |
//    '---- back-off -----+-------------+-----------'   every call fails: sent ones "unknown", others "none"
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "thrift/runtime/call.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/stream.h"

namespace troth::rpc {

class ChannelState : public std::enable_shared_from_this<ChannelState> {
 public:
  using Clock = std::chrono::steady_clock;
  using Stage = Channel::Stage;
  using ReadReply = Channel::ReadReply;

  ChannelState(asio::io_context& loop, Address server, ChannelOptions options, Channel* channel);

  void send(std::string_view method, const Channel::WriteArguments& arguments, Duration timeout, Stage stage,
            ReadReply reader);
  bool tell(std::string_view method, const Channel::WriteArguments& arguments);
  void connect_now();
  void close();
  void abandon();  // the Channel is being destroyed

  [[nodiscard]] bool is_open() const { return phase_ == Phase::kOpen; }
  [[nodiscard]] std::size_t calls_in_flight() const { return calls_.size(); }
  [[nodiscard]] const Address& server() const { return server_; }

 private:
  enum class Phase : std::uint8_t { kIdle, kBackingOff, kConnecting, kGreeting, kOpen, kClosed };

  struct OutgoingCall {
    std::string method;
    ReadReply reader;
    Clock::time_point deadline;
    std::unique_ptr<MessageWriter> message;  // until it is being sent
    Stage stage = Stage::kOpen;
    [[nodiscard]] bool was_sent() const { return message == nullptr; }
  };
  using Calls = std::unordered_map<std::int32_t, OutgoingCall>;

  // One connection; a new one for every attempt, so that what is late from an old one is known by it.
  struct Link {
    Link(asio::io_context& loop, FrameLimits limits)
        : stream(loop), resolver(loop), timer(loop), decoder(limits) {}
    Stream stream;
    asio::ip::tcp::resolver resolver;
    asio::steady_timer timer;  // of connecting
    FrameDecoder decoder;
    std::vector<std::uint8_t> read_buffer;
    std::vector<std::unique_ptr<MessageWriter>> writing;
    bool has_answered = false;  // a reply has come on it
  };
  using LinkPointer = std::shared_ptr<Link>;

  [[nodiscard]] bool is_abandoned() const { return channel_ == nullptr; }

  void connect_when_due();
  void connect();
  void connect_to(const LinkPointer& link, const asio::ip::tcp::resolver::results_type& endpoints);
  void on_reached(const LinkPointer& link);  // connected, before the handshake if there is one
  void on_connected(const LinkPointer& link);
  void on_greeted(const LinkPointer& link, const Status& status);
  // What is known of the calls that were sent on a link that is lost.
  enum class Sent : bool { kNeverRead, kUnknown };
  void lose_link(const Error& why, Sent sent = Sent::kUnknown);

  void read(const LinkPointer& link);
  void on_read(const LinkPointer& link, std::size_t count);
  void on_frame(Bytes content);
  void on_skipped(const SkippedFrame& skipped);
  void end_call(Calls::node_type call, Result<ThriftProtocol*> reply);

  void flush_soon();
  void flush();
  [[nodiscard]] std::vector<asio::const_buffer> take_queued();

  void refuse_later(ReadReply reader, Error error);
  void watch_deadlines();
  void on_deadline();
  [[nodiscard]] Calls::node_type take_call(std::int32_t seqid);
  [[nodiscard]] std::int32_t next_seqid();
  void fail_all(const Error& sent, const Error& unsent);

  asio::io_context& loop_;
  Address server_;
  ChannelOptions options_;
  Channel* channel_;
  Phase phase_ = Phase::kIdle;
  LinkPointer link_;

  Calls calls_;
  std::deque<std::int32_t> greeting_queue_;  // not yet sent; those no longer in calls_ are passed over
  std::deque<std::int32_t> queue_;
  std::deque<std::unique_ptr<MessageWriter>> told_;  // not yet sent; only while open
  std::size_t unsent_bytes_ = 0;                     // of these and of calls
  std::int32_t last_seqid_ = 0;
  bool flush_posted_ = false;

  std::set<std::pair<Clock::time_point, std::int32_t>> deadlines_;
  asio::steady_timer deadline_timer_;
  Clock::time_point watched_deadline_ = Clock::time_point::max();

  Duration backoff_{0};
  asio::steady_timer backoff_timer_;

  WriterPool writers_;
  MessageReader binary_reader_;
  MessageReader compact_reader_;
};

}  // namespace troth::rpc
