#include "thrift/runtime/connection.h"

#include <algorithm>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>
#include <thrift/TApplicationException.h>

#include "thrift/runtime/server_state.h"

namespace troth::rpc {
namespace {

using apache::thrift::TApplicationException;

constexpr std::size_t kFirstReadBytes = 2U << 10;
constexpr std::size_t kMostReadBytes = 32U << 10;
// A buffer above this is given back when it is empty.
constexpr std::size_t kKeptOutputBytes = 64U << 10;
// A half-received frame up to this size is kept even when memory is short, so that small calls (and the
// operator's) get through.
constexpr std::size_t kAlwaysHeldBytes = 64U << 10;
// What an answer that waits for its turn costs beside its bytes.
constexpr std::size_t kTurnBytes = 64;
constexpr auto kLingerTime = std::chrono::seconds(1);
constexpr auto kTurnedAwayTime = std::chrono::seconds(5);

std::string peer_of(const Stream::Socket& socket) {
  asio::error_code problem;
  const auto endpoint = socket.remote_endpoint(problem);
  return problem ? "a client that is gone" : Address{endpoint.address().to_string(), endpoint.port()}.text();
}

void clear(std::vector<std::uint8_t>& bytes) {
  bytes.clear();
  if (bytes.capacity() > kKeptOutputBytes) bytes.shrink_to_fit();
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerState> server, std::uint64_t id, Stream::Socket socket)
    : server_(std::move(server)),
      id_(id),
      stream_(std::move(socket)),
      peer_(peer_of(stream_.socket())),
      place_(Place::kHandshake),
      decoder_(server_->options().frame),
      accepted_(Clock::now()),
      last_activity_(accepted_) {}

void Connection::start() {
  stream_.make_prompt();
  const auto probe_after = server_->options().probe_silent_clients;
  if (probe_after > Duration::zero()) stream_.probe_after(probe_after);
  if (server_->options().tls) return begin_handshake();
  open();
}

void Connection::begin_handshake() {
  stream_.async_handshake(*server_->options().tls, Stream::Side::kServer, nullptr,
                          [self = shared_from_this()](const Status& outcome) {
                            if (self->phase_ == Phase::kClosed) return;
                            if (!outcome) return self->give_up_handshake(outcome.error().message);
                            self->open();
                          });
}

void Connection::give_up_handshake(const std::string& why) {
  ++server_->counts().handshakes_failed;
  break_off(fmt::format("its TLS handshake failed: {}", why));
}

void Connection::open() {
  phase_ = Phase::kOpen;
  last_activity_ = Clock::now();
  read_buffer_.resize(kFirstReadBytes);
  place_ = server_->admit(*this, too_many_);
  if (place_ == Place::kNone) return close();
  continue_reading();
}

void Connection::close() {
  if (std::exchange(phase_, Phase::kClosed) == Phase::kClosed) return;
  stream_.close();
  input_ = {};
  output_.clear();
  turns_.clear();
  waiting_bytes_ = 0;
  account();
  server_->connection_closed(*this);
}

void Connection::break_off(const std::string& why) {
  if (phase_ == Phase::kClosed) return;
  const auto named = caller() == nullptr ? std::string() : fmt::format(" ({})", caller()->text());
  server_->trouble(fmt::format("connection of {}{} closed: {}", peer_, named, why));
  close();
}

// ---- what comes in

void Connection::continue_reading() {
  if (reading_ || end_of_stream_) return;
  if (phase_ == Phase::kOpen) {
    if (!input_.empty()) take_input();
    if (phase_ == Phase::kOpen && is_paused()) {
      paused_ = true;
      return;
    }
  }
  if (phase_ == Phase::kClosed) return;
  // The time in which nothing was read is not the client's.
  if (std::exchange(paused_, false)) frame_began_ = Clock::now();
  reading_ = true;
  stream_.async_read_some(asio::buffer(read_buffer_),
                          [self = shared_from_this()](const asio::error_code& problem, std::size_t count) {
                            self->on_read(problem, count);
                          });
}

void Connection::on_read(const asio::error_code& problem, std::size_t count) {
  reading_ = false;
  if (phase_ == Phase::kClosed) return;
  if (problem) {
    end_of_stream_ = true;
    // A client that half-closes still reads its answers; one that is gone makes the next write fail.
    if (problem.category() == asio::error::get_ssl_category()) {
      ++server_->counts().malformed;
      return break_off(fmt::format("what it sent is not TLS: {}", problem.message()));
    }
    if (problem != asio::error::eof || phase_ == Phase::kLingering) return close();
    if (decoder_.is_inside_frame()) {
      ++server_->counts().malformed;
      server_->trouble(fmt::format("{} ended its stream in the middle of a frame", peer_));
    }
    return begin_closing();
  }
  last_activity_ = Clock::now();
  if (phase_ == Phase::kOpen) {
    input_ = Bytes(read_buffer_).first(count);
    take_input();
    if (input_.empty() && count == read_buffer_.size() && count < kMostReadBytes)
      read_buffer_.resize(count * 2);
  }
  continue_reading();
}

void Connection::take_input() {
  taking_input_ = true;
  bool began_inside = decoder_.is_inside_frame();
  while (phase_ == Phase::kOpen && !is_paused()) {
    const FrameEvent event = decoder_.next(input_);
    if (std::holds_alternative<NeedMore>(event)) break;
    began_inside = false;
    if (const auto* frame = std::get_if<Frame>(&event)) on_frame(frame->content);
    if (const auto* skipped = std::get_if<SkippedFrame>(&event)) on_skipped(*skipped);
    if (const auto* broken = std::get_if<BrokenStream>(&event)) {
      ++server_->counts().malformed;
      if (is_tls_record(broken->length)) {
        break_off("it speaks TLS, and this server has none: set tls.ca, tls.certificate and tls.key");
      } else {
        break_off(fmt::format("it announced a frame of {} bytes: expected Thrift's framed transport",
                              broken->length));
      }
    }
  }
  if (phase_ != Phase::kOpen) input_ = {};
  if (decoder_.is_inside_frame() && !began_inside) frame_began_ = last_activity_;
  taking_input_ = false;
  account();
  if (server_->is_out_of_memory() && decoder_.held_bytes() > kAlwaysHeldBytes) {
    decoder_.give_up_frame();
    account();
  }
  flush();
}

void Connection::on_frame(Bytes content) {
  const auto header = read_message_header(content);
  if (!header) {
    ++server_->counts().malformed;
    return break_off(header.error().message);
  }
  if (header->kind != MessageKind::kCall && header->kind != MessageKind::kOneway) {
    ++server_->counts().malformed;
    return break_off(fmt::format("it sent a reply named '{}': a server takes calls only", header->method));
  }
  Ticket ticket = open_ticket(*header);
  if (accept_call(ticket, content)) dispatch(std::move(ticket), content);
}

void Connection::on_skipped(const SkippedFrame& skipped) {
  const auto header = read_message_header(skipped.head);
  if (!header || header->kind != MessageKind::kCall) {
    ++server_->counts().malformed;
    return break_off(fmt::format("a frame of {} bytes was skipped and holds no call", skipped.length));
  }
  const Ticket ticket = open_ticket(*header);
  if (!skipped.over_limit) return refuse_overloaded(ticket, {}, "the server's memory for requests is full");
  ++server_->counts().malformed;
  Error error;
  error.code = ErrorCode::kInvalidArgument;
  error.effect = Effect::kNone;
  error.message =
      fmt::format("'{}' came in a frame of {} bytes, the limit is {} (max_frame_bytes): send less at once",
                  ticket.method, skipped.length, server_->options().frame.max_frame_bytes);
  refuse(ticket, error);
}

Ticket Connection::open_ticket(const MessageHeader& header) {
  Ticket ticket{header.encoding, header.kind, std::string(header.method), header.seqid, 0};
  if (header.kind == MessageKind::kCall && header.seqid == 0) {
    ticket.turn = first_turn_ + turns_.size();
    turns_.emplace_back();
    waiting_bytes_ += kTurnBytes;
  }
  return ticket;
}

bool Connection::accept_call(const Ticket& ticket, Bytes content) {
  const auto& options = server_->options();
  if (place_ == Place::kTurnedAway) {
    refuse_overloaded(ticket, content, too_many_);
    begin_closing();
    return false;
  }
  if (server_->is_draining()) {
    refuse(ticket, server_->closing(ticket, content));
    return false;
  }
  if (ticket.seqid != 0 && seqids_.contains(ticket.seqid)) {
    refuse_exception(ticket, TApplicationException::BAD_SEQUENCE_ID,
                     fmt::format("seqid {} of '{}' is still in flight on this connection: use another",
                                 ticket.seqid, ticket.method));
    return false;
  }
  if (options.is_exempt && options.is_exempt(ticket.method)) return true;
  if (calls_ >= options.max_calls_per_connection) {
    refuse_overloaded(
        ticket, content,
        fmt::format("{} calls are in flight on this connection (max_calls_per_connection)", calls_));
    return false;
  }
  if (auto full = server_->what_is_full()) {
    refuse_overloaded(ticket, content, *std::move(full));
    return false;
  }
  return true;
}

void Connection::dispatch(Ticket ticket, Bytes content) {
  ++calls_;
  if (ticket.seqid != 0) seqids_.insert(ticket.seqid);
  const std::string method = ticket.method;
  server_->take_call(shared_from_this(), std::move(ticket), {method, peer_, id_, caller()}, content);
}

// ---- what goes out

void Connection::finish_call(const Ticket& ticket, Bytes frame) {
  --calls_;
  seqids_.erase(ticket.seqid);
  ++server_->counts().answered;
  const std::size_t content_bytes = frame.size() - kFrameLengthBytes;
  const std::size_t limit = server_->options().frame.max_frame_bytes;
  if (content_bytes <= limit) return send_answer(ticket, frame);
  Error error;
  error.code = ErrorCode::kInvalidArgument;
  error.effect = Effect::kUnknown;
  error.message =
      fmt::format("the answer of '{}' has {} bytes, the limit is {} (max_frame_bytes): ask for less at once",
                  ticket.method, content_bytes, limit);
  refuse(ticket, error);
}

void Connection::fail_call(const Ticket& ticket, int type, const std::string& message) {
  --calls_;
  seqids_.erase(ticket.seqid);
  refuse_exception(ticket, type, message);
}

void Connection::refuse_call(const Ticket& ticket, const Error& error) {
  --calls_;
  seqids_.erase(ticket.seqid);
  refuse(ticket, error);
}

void Connection::refuse_overloaded(const Ticket& ticket, Bytes content, std::string what) {
  ++server_->counts().overloaded;
  refuse(ticket, server_->overloaded(ticket, content, std::move(what)));
}

void Connection::refuse(const Ticket& ticket, const Error& error) {
  send_answer(ticket, server_->refusal_of(ticket, error));
}

void Connection::refuse_exception(const Ticket& ticket, int type, const std::string& message) {
  send_answer(ticket, server_->exception_of(ticket, type, message));
}

void Connection::send_answer(const Ticket& ticket, Bytes frame) {
  if (phase_ == Phase::kClosed) return;
  if (ticket.kind == MessageKind::kOneway) return linger_when_sent();
  if (ticket.seqid != 0) {
    append(frame);
  } else if (ticket.turn == first_turn_) {
    end_turn();
    append(frame);
    while (!turns_.empty() && turns_.front().ready) {
      const auto waiting = std::move(turns_.front().frame);
      waiting_bytes_ -= waiting.size();
      end_turn();
      append(waiting);
    }
  } else {
    auto& turn = turns_[ticket.turn - first_turn_];
    turn.frame.assign(frame.begin(), frame.end());
    turn.ready = true;
    waiting_bytes_ += frame.size();
  }
  if (unsent_bytes() > server_->options().max_unsent_bytes) {
    ++server_->counts().closed_slow;
    return break_off(fmt::format("it reads too slowly: {} bytes of answers wait for it", unsent_bytes()));
  }
  if (taking_input_) return;
  account();
  flush_soon();
}

void Connection::end_turn() {
  turns_.pop_front();
  ++first_turn_;
  waiting_bytes_ -= kTurnBytes;
}

void Connection::append(Bytes frame) {
  output_.insert(output_.end(), frame.begin(), frame.end());
}

// Answers that are given in one turn of the loop go out in one write.
void Connection::flush_soon() {
  if (flush_posted_ || !writing_.empty()) return;
  flush_posted_ = true;
  asio::post(server_->loop(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (phase_ == Phase::kClosed || !writing_.empty()) return;
  if (output_.empty()) return linger_when_sent();
  writing_.swap(output_);
  written_ = 0;
  write_progress_ = Clock::now();
  write_some();
}

void Connection::write_some() {
  stream_.async_write_some(asio::buffer(writing_.data() + written_, writing_.size() - written_),
                           [self = shared_from_this()](const asio::error_code& problem, std::size_t count) {
                             self->on_written(problem, count);
                           });
}

void Connection::on_written(const asio::error_code& problem, std::size_t count) {
  if (phase_ == Phase::kClosed) return;
  if (problem) return close();
  written_ += count;
  write_progress_ = last_activity_ = Clock::now();
  if (written_ < writing_.size()) return write_some();
  clear(writing_);
  written_ = 0;
  flush();
  account();
  continue_reading();
}

void Connection::begin_closing() {
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kClosing;
  linger_when_sent();
}

void Connection::linger_when_sent() {
  if (phase_ != Phase::kClosing || is_owed_anything()) return;
  if (end_of_stream_) return close();
  stream_.end_writing();
  phase_ = Phase::kLingering;
  lingering_since_ = Clock::now();
}

// ---- limits

void Connection::check_timeouts(Clock::time_point now) {
  const auto& options = server_->options();
  const bool is_idle = calls_ == 0 && !is_owed_anything() && !decoder_.is_inside_frame();
  if (phase_ == Phase::kLingering && now - lingering_since_ > kLingerTime) return close();
  if (phase_ == Phase::kHandshaking) {
    if (now - accepted_ > options.handshake_timeout) give_up_handshake("it has not ended within its timeout");
    return;
  }
  if (place_ == Place::kTurnedAway && now - accepted_ > kTurnedAwayTime) return close();
  if (!writing_.empty() && now - write_progress_ > options.write_timeout) {
    ++server_->counts().closed_slow;
    return break_off("it has not read its answers for longer than the write timeout");
  }
  if (reading_ && decoder_.is_inside_frame() && now - frame_began_ > options.frame_timeout) {
    ++server_->counts().closed_slow;
    return break_off("it has not finished a frame within the frame timeout");
  }
  if (options.idle_timeout > Duration::zero() && is_idle && now - last_activity_ > options.idle_timeout) {
    ++server_->counts().closed_idle;
    close();
  }
}

void Connection::account() {
  const std::size_t held = phase_ == Phase::kClosed ? 0 : decoder_.held_bytes();
  const std::size_t unsent = phase_ == Phase::kClosed ? 0 : unsent_bytes();
  const auto change = [](std::size_t now, std::size_t& accounted) {
    return static_cast<std::ptrdiff_t>(now) - static_cast<std::ptrdiff_t>(std::exchange(accounted, now));
  };
  const auto held_change = change(held, accounted_held_);
  server_->change_buffered(held_change, change(unsent, accounted_unsent_));
}

std::size_t Connection::unsent_bytes() const {
  return output_.size() + (writing_.size() - written_) + waiting_bytes_;
}

bool Connection::is_paused() const {
  return unsent_bytes() > server_->options().pause_reading_bytes;
}

bool Connection::is_owed_anything() const {
  return calls_ > 0 || unsent_bytes() > 0;
}

}  // namespace troth::rpc
