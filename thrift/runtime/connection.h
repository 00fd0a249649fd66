// thrift/runtime/connection.h
//
// One client's connection on the server's side: cuts the stream into calls, checks each against the limits,
// hands it to its service, and sends the answers in their order.
//
//   handshaking (with TLS) --certificate taken--> open
//   open --client ends its sending, or is refused--> closing --all sent--> lingering --end of stream-->
//   closed
//     '------------------------------ broken stream, timeout, server closes ---------------------------'
//
// closing takes no more calls and sends what is owed; lingering has sent its end and waits for the client's,
// so that the kernel does not throw away a refusal that the client has not read yet.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "thrift/frame.h"
#include "thrift/message.h"
#include "thrift/runtime/call.h"
#include "thrift/runtime/stream.h"

namespace troth::rpc {

class ServerState;
enum class Place : std::uint8_t;

class Connection final : public CallEnd, public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(std::shared_ptr<ServerState> server, std::uint64_t id, Stream::Socket socket);

  void start();
  void close();
  // Closes itself when one of its timeouts has passed.
  void check_timeouts(Clock::time_point now);

  void give_up_handshake(const std::string& why);

  void finish_call(const Ticket& ticket, Bytes frame) override;
  void refuse_call(const Ticket& ticket, const Error& error) override;
  void fail_call(const Ticket& ticket, int type, const std::string& message) override;

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] Place place() const { return place_; }
  // Null without TLS, and until its handshake is over.
  [[nodiscard]] const Caller* caller() const { return stream_.peer(); }

 private:
  enum class Phase : std::uint8_t { kHandshaking, kOpen, kClosing, kLingering, kClosed };

  void begin_handshake();
  void open();
  void continue_reading();
  void on_read(const asio::error_code& problem, std::size_t count);
  void take_input();
  void on_frame(Bytes content);
  void on_skipped(const SkippedFrame& skipped);
  void dispatch(Ticket ticket, Bytes content);
  [[nodiscard]] bool accept_call(const Ticket& ticket, Bytes content);
  [[nodiscard]] Ticket open_ticket(const MessageHeader& header);

  void refuse(const Ticket& ticket, const Error& error);
  void refuse_overloaded(const Ticket& ticket, Bytes content, std::string what);
  void refuse_exception(const Ticket& ticket, int type, const std::string& message);
  void send_answer(const Ticket& ticket, Bytes frame);
  void append(Bytes frame);
  void end_turn();

  void flush_soon();
  void flush();
  void write_some();
  void on_written(const asio::error_code& problem, std::size_t count);
  void begin_closing();
  void linger_when_sent();

  void break_off(const std::string& why);  // close, with a line of trouble
  void account();
  [[nodiscard]] std::size_t unsent_bytes() const;
  [[nodiscard]] bool is_owed_anything() const;
  [[nodiscard]] bool is_paused() const;

  std::shared_ptr<ServerState> server_;
  std::uint64_t id_;
  Stream stream_;
  std::string peer_;
  Place place_;
  std::string too_many_;  // of what, where it has no place: its first call is answered with that
  Phase phase_ = Phase::kHandshaking;

  std::vector<std::uint8_t> read_buffer_;
  Bytes input_;  // of read_buffer_, not yet taken
  FrameDecoder decoder_;
  bool reading_ = false;
  bool paused_ = false;        // not reading, because the client does not read
  bool taking_input_ = false;  // answers are gathered until it is over
  bool end_of_stream_ = false;

  std::size_t calls_ = 0;
  std::unordered_set<std::int32_t> seqids_;  // in flight, without 0

  // Answers to calls with seqid 0 that wait for an earlier one.
  struct Turn {
    bool ready = false;
    std::vector<std::uint8_t> frame;
  };
  std::deque<Turn> turns_;
  std::uint64_t first_turn_ = 0;
  std::size_t waiting_bytes_ = 0;

  std::vector<std::uint8_t> output_;   // to be sent next
  std::vector<std::uint8_t> writing_;  // being sent
  std::size_t written_ = 0;            // of writing_
  bool flush_posted_ = false;

  std::size_t accounted_held_ = 0;
  std::size_t accounted_unsent_ = 0;

  Clock::time_point accepted_;
  Clock::time_point last_activity_;
  Clock::time_point frame_began_;
  Clock::time_point write_progress_;
  Clock::time_point lingering_since_;
};

}  // namespace troth::rpc
