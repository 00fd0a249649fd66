#include "thrift/runtime/channel.h"

#include <algorithm>
#include <limits>

#include <asio/connect.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>

#include "thrift/runtime/channel_state.h"

namespace troth::rpc {
namespace {

using apache::thrift::TApplicationException;
using asio::ip::tcp;

constexpr std::size_t kReadBytes = 32U << 10;
constexpr std::size_t kMessagesPerWrite = 64;  // what one system call takes

Error error_of(ErrorCode code, Effect effect, std::string message) {
  return fail(code, effect, std::move(message)).error();
}

// What the server's refusal of a call says about its effect.
Error error_of(const TApplicationException& refusal, std::string_view method, const Address& server) {
  const auto make = [&](ErrorCode code, Effect effect) {
    return error_of(code, effect, fmt::format("{} refused '{}': {}", server.text(), method, refusal.what()));
  };
  switch (refusal.getType()) {
    case TApplicationException::UNKNOWN_METHOD:
    case TApplicationException::INVALID_MESSAGE_TYPE:
    case TApplicationException::WRONG_METHOD_NAME:
    case TApplicationException::PROTOCOL_ERROR:
    case TApplicationException::INVALID_TRANSFORM:
    case TApplicationException::INVALID_PROTOCOL:
    case TApplicationException::UNSUPPORTED_CLIENT_TYPE:
      return make(ErrorCode::kInvalidArgument, Effect::kNone);
    case TApplicationException::BAD_SEQUENCE_ID: return make(ErrorCode::kBusy, Effect::kNone);
    case TApplicationException::UNKNOWN:
    case TApplicationException::MISSING_RESULT:
    case TApplicationException::INTERNAL_ERROR: break;
  }
  return make(ErrorCode::kInternal, Effect::kUnknown);
}

}  // namespace

std::unexpected<Error> detail::unreadable_reply(std::string_view method, const std::exception& problem) {
  return fail(
      ErrorCode::kInternal, Effect::kUnknown,
      fmt::format("the reply to '{}' cannot be read: {}; are both sides of versions that work together?",
                  method, problem.what()));
}

std::unexpected<Error> detail::empty_reply(std::string_view method) {
  return fail(ErrorCode::kInternal, Effect::kUnknown,
              fmt::format("the reply to '{}' holds neither a result nor an error", method));
}

JudgeCaller expect_role(Role role) {
  return [role](const Caller& peer) -> Status {
    if (peer.role == role) return {};
    return fail(ErrorCode::kPermissionDenied, Effect::kNone,
                fmt::format("the certificate there is {}'s, and {} {} was expected", peer.text(),
                            role == Role::kAgent || role == Role::kOperator ? "an" : "a", name_of(role)));
  };
}

ChannelState::ChannelState(asio::io_context& loop, Address server, ChannelOptions options, Channel* channel)
    : loop_(loop),
      server_(std::move(server)),
      options_(std::move(options)),
      channel_(channel),
      deadline_timer_(loop),
      backoff_timer_(loop),
      binary_reader_(Encoding::kBinary, options_.message),
      compact_reader_(Encoding::kCompact, options_.message) {}

// ---- calls

void ChannelState::send(std::string_view method, const Channel::WriteArguments& arguments, Duration timeout,
                        Stage stage, ReadReply reader) {
  if (phase_ == Phase::kClosed || (stage == Stage::kGreeting && phase_ != Phase::kGreeting)) {
    return refuse_later(
        std::move(reader),
        error_of(ErrorCode::kUnavailable, Effect::kNone,
                 fmt::format("'{}' was not sent: the channel to {} is {}", method, server_.text(),
                             phase_ == Phase::kClosed ? "closed" : "not greeting")));
  }
  if (calls_.size() >= options_.max_calls || unsent_bytes_ > options_.max_unsent_bytes) {
    return refuse_later(
        std::move(reader),
        error_of(
            ErrorCode::kOverloaded, Effect::kNone,
            fmt::format("'{}' was not sent: {} calls to {} are under way, {} bytes unsent (max_calls {}, "
                        "max_unsent_bytes {})",
                        method, calls_.size(), server_.text(), unsent_bytes_, options_.max_calls,
                        options_.max_unsent_bytes)));
  }
  const std::int32_t seqid = next_seqid();
  auto message = writers_.take(options_.encoding);
  auto& out = *message->protocol();
  out.writeMessageBegin(std::string(method), apache::thrift::protocol::T_CALL, seqid);
  arguments(out);
  out.writeMessageEnd();
  const std::size_t bytes = message->frame().size();
  if (bytes - kFrameLengthBytes > options_.frame.max_frame_bytes) {
    return refuse_later(
        std::move(reader),
        error_of(ErrorCode::kInvalidArgument, Effect::kNone,
                 fmt::format("'{}' was not sent: it has {} bytes, the limit is {} (max_frame_bytes)", method,
                             bytes, options_.frame.max_frame_bytes)));
  }
  const auto deadline = Clock::now() + timeout;
  unsent_bytes_ += bytes;
  calls_.emplace(seqid,
                 OutgoingCall{std::string(method), std::move(reader), deadline, std::move(message), stage});
  deadlines_.emplace(deadline, seqid);
  watch_deadlines();
  (stage == Stage::kGreeting ? greeting_queue_ : queue_).push_back(seqid);
  if (phase_ == Phase::kIdle)
    connect_when_due();
  else
    flush_soon();
}

bool ChannelState::tell(std::string_view method, const Channel::WriteArguments& arguments) {
  if (phase_ != Phase::kOpen || unsent_bytes_ > options_.max_unsent_bytes) return false;
  auto message = writers_.take(options_.encoding);
  auto& out = *message->protocol();
  out.writeMessageBegin(std::string(method), apache::thrift::protocol::T_ONEWAY, 0);
  arguments(out);
  out.writeMessageEnd();
  const std::size_t bytes = message->frame().size();
  if (bytes - kFrameLengthBytes > options_.frame.max_frame_bytes) {
    writers_.give_back(std::move(message));
    return false;
  }
  unsent_bytes_ += bytes;
  told_.push_back(std::move(message));
  flush_soon();
  return true;
}

std::int32_t ChannelState::next_seqid() {
  do {
    last_seqid_ = last_seqid_ == std::numeric_limits<std::int32_t>::max() ? 1 : last_seqid_ + 1;
  } while (calls_.contains(last_seqid_));
  return last_seqid_;
}

void ChannelState::refuse_later(ReadReply reader, Error error) {
  asio::post(loop_,
             [self = shared_from_this(), reader = std::move(reader), error = std::move(error)]() mutable {
               if (!self->is_abandoned()) reader(std::unexpected(std::move(error)));
             });
}

ChannelState::Calls::node_type ChannelState::take_call(std::int32_t seqid) {
  auto call = calls_.extract(seqid);
  if (call.empty()) return call;
  deadlines_.erase({call.mapped().deadline, seqid});
  if (!call.mapped().was_sent()) unsent_bytes_ -= call.mapped().message->frame().size();
  return call;
}

void ChannelState::end_call(Calls::node_type call, Result<ThriftProtocol*> reply) {
  call.mapped().reader(std::move(reply));
}

void ChannelState::watch_deadlines() {
  if (deadlines_.empty()) {
    watched_deadline_ = Clock::time_point::max();
    deadline_timer_.cancel();
    return;
  }
  // A timer that rings too early looks and goes to sleep again; most calls never touch it.
  const auto earliest = deadlines_.begin()->first;
  if (earliest >= watched_deadline_) return;
  watched_deadline_ = earliest;
  deadline_timer_.expires_at(earliest);
  deadline_timer_.async_wait([self = shared_from_this()](const asio::error_code& problem) {
    if (!problem) self->on_deadline();
  });
}

void ChannelState::on_deadline() {
  watched_deadline_ = Clock::time_point::max();
  const auto now = Clock::now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    auto call = take_call(deadlines_.begin()->second);
    const bool was_sent = call.mapped().was_sent();
    auto error = error_of(ErrorCode::kTimeout, was_sent ? Effect::kUnknown : Effect::kNone,
                          fmt::format("'{}' to {} {} before its deadline", call.mapped().method,
                                      server_.text(), was_sent ? "was not answered" : "could not be sent"));
    end_call(std::move(call), std::unexpected(std::move(error)));
  }
  watch_deadlines();
}

void ChannelState::fail_all(const Error& sent, const Error& unsent) {
  Calls ended;
  ended.swap(calls_);
  deadlines_.clear();
  watch_deadlines();
  greeting_queue_.clear();
  queue_.clear();
  told_.clear();
  unsent_bytes_ = 0;
  std::vector<std::int32_t> seqids;
  for (const auto& [seqid, call] : ended)
    seqids.push_back(seqid);
  std::ranges::sort(seqids);  // in the order of calling
  for (const auto seqid : seqids) {
    if (is_abandoned()) return;  // by one of the answers
    auto call = ended.extract(seqid);
    Error error = call.mapped().was_sent() ? sent : unsent;
    end_call(std::move(call), std::unexpected(std::move(error)));
  }
}

// ---- the connection

void ChannelState::connect_when_due() {
  if (backoff_ == Duration::zero()) return connect();
  phase_ = Phase::kBackingOff;
  backoff_timer_.async_wait([self = shared_from_this()](const asio::error_code& problem) {
    if (!problem && self->phase_ == Phase::kBackingOff) self->connect();
  });
}

void ChannelState::connect_now() {
  if (phase_ != Phase::kIdle && phase_ != Phase::kBackingOff) return;
  backoff_timer_.cancel();
  connect();
}

void ChannelState::connect() {
  phase_ = Phase::kConnecting;
  const auto link = link_ = std::make_shared<Link>(loop_, options_.frame);
  link->timer.expires_after(options_.connect_timeout);
  link->timer.async_wait([self = shared_from_this(), link](const asio::error_code& problem) {
    if (problem || self->link_ != link || self->phase_ != Phase::kConnecting) return;
    self->lose_link(error_of(ErrorCode::kUnavailable, Effect::kNone,
                             fmt::format("cannot connect to {}: no answer in time", self->server_.text())));
  });
  asio::error_code not_numeric;
  const auto numeric = asio::ip::make_address(server_.host, not_numeric);
  if (!not_numeric) {
    return connect_to(link, tcp::resolver::results_type::create(tcp::endpoint(numeric, server_.port),
                                                                server_.host, std::to_string(server_.port)));
  }
  link->resolver.async_resolve(
      server_.host, std::to_string(server_.port), tcp::resolver::numeric_service,
      [self = shared_from_this(), link](const asio::error_code& problem,
                                        const tcp::resolver::results_type& endpoints) {
        if (self->link_ != link) return;
        if (!problem) return self->connect_to(link, endpoints);
        self->lose_link(
            error_of(ErrorCode::kUnavailable, Effect::kNone,
                     fmt::format("cannot find the host of {}: {}", self->server_.text(), problem.message())));
      });
}

void ChannelState::connect_to(const LinkPointer& link, const tcp::resolver::results_type& endpoints) {
  const bool is_here = std::ranges::all_of(
      endpoints, [](const auto& found) { return is_loopback(found.endpoint().address()); });
  if (!options_.tls && !is_here) {
    // Not inside call().
    return asio::post(loop_, [self = shared_from_this(), link] {
      if (self->link_ == link) self->lose_link(refuse_without_tls(self->server_.text()).error());
    });
  }
  asio::async_connect(
      link->stream.socket(), endpoints,
      [self = shared_from_this(), link](const asio::error_code& problem, const tcp::endpoint&) {
        if (self->link_ != link) return;
        if (!problem) return self->on_reached(link);
        self->lose_link(
            error_of(ErrorCode::kUnavailable, Effect::kNone,
                     fmt::format("cannot connect to {}: {}", self->server_.text(), problem.message())));
      });
}

void ChannelState::on_reached(const LinkPointer& link) {
  link->stream.make_prompt();
  if (options_.silence_timeout > Duration::zero()) link->stream.give_up_after(options_.silence_timeout);
  if (!options_.tls) return on_connected(link);
  link->stream.async_handshake(
      *options_.tls, Stream::Side::kClient, options_.judge_server,
      [self = shared_from_this(), link](const Status& outcome) {
        if (self->link_ != link) return;
        if (outcome) return self->on_connected(link);
        self->lose_link(error_of(
            outcome.error().code, Effect::kNone,
            fmt::format("no TLS connection to {}: {}", self->server_.text(), outcome.error().message)));
      });
}

void ChannelState::on_connected(const LinkPointer& link) {
  link->timer.cancel();
  link->read_buffer.resize(kReadBytes);
  phase_ = Phase::kGreeting;
  read(link);
  const auto greet = options_.greet;
  if (!greet) return on_greeted(link, {});
  // The owner may keep it for longer than the loop lives.
  greet(*channel_, [weak = weak_from_this(), weak_link = std::weak_ptr(link)](const Status& status) {
    const auto self = weak.lock();
    const auto greeted = weak_link.lock();
    if (self && greeted) self->on_greeted(greeted, status);
  });
}

void ChannelState::on_greeted(const LinkPointer& link, const Status& status) {
  if (link_ != link || phase_ != Phase::kGreeting) return;
  if (!status) return lose_link(status.error());
  phase_ = Phase::kOpen;
  backoff_ = Duration::zero();
  flush_soon();
  // Copied, because it may destroy the channel and itself with it.
  if (const auto notify = options_.on_connected) notify();
}

void ChannelState::lose_link(const Error& why, Sent what_was_sent) {
  const bool was_open = phase_ == Phase::kOpen;
  const auto link = std::exchange(link_, nullptr);
  link->timer.cancel();
  link->resolver.cancel();
  link->stream.close();
  backoff_ = std::clamp(backoff_ * 2, options_.first_backoff, options_.longest_backoff);
  backoff_timer_.expires_after(backoff_);
  phase_ = Phase::kIdle;  // a call that is made while others fail begins to wait for the next attempt
  Error sent = why;
  if (what_was_sent == Sent::kUnknown) sent.code = ErrorCode::kUnavailable;
  sent.effect = what_was_sent == Sent::kUnknown ? Effect::kUnknown : Effect::kNone;
  Error unsent = why;
  unsent.effect = Effect::kNone;
  fail_all(sent, unsent);
  if (const auto notify = options_.on_disconnected; notify && was_open) notify(why);
}

void ChannelState::close() {
  if (std::exchange(phase_, Phase::kClosed) == Phase::kClosed) return;
  const auto link = std::exchange(link_, nullptr);
  if (link) {
    link->timer.cancel();
    link->resolver.cancel();
    link->stream.close();
  }
  backoff_timer_.cancel();
  const std::string message = fmt::format("the channel to {} was closed", server_.text());
  asio::post(loop_, [self = shared_from_this(), message] {
    self->fail_all(error_of(ErrorCode::kUnavailable, Effect::kUnknown, message),
                   error_of(ErrorCode::kUnavailable, Effect::kNone, message));
  });
}

void ChannelState::abandon() {
  phase_ = Phase::kClosed;
  channel_ = nullptr;
  options_.greet = nullptr;
  options_.on_connected = nullptr;
  options_.on_disconnected = nullptr;
  const auto link = std::exchange(link_, nullptr);
  if (link) {
    link->timer.cancel();
    link->resolver.cancel();
    link->stream.close();
  }
  backoff_timer_.cancel();
  deadline_timer_.cancel();
  deadlines_.clear();
  Calls dropped;
  dropped.swap(calls_);
}

// ---- bytes

void ChannelState::read(const LinkPointer& link) {
  link->stream.async_read_some(
      asio::buffer(link->read_buffer),
      [self = shared_from_this(), link](const asio::error_code& problem, std::size_t count) {
        if (self->link_ != link) return;
        if (!problem) return self->on_read(link, count);
        // With TLS 1.3 the server judges our certificate after we may send, but before it reads.
        if (!link->has_answered && is_certificate_refused(problem)) {
          return self->lose_link(error_of(ErrorCode::kPermissionDenied, Effect::kNone,
                                          fmt::format("{} refused our certificate: {}; its log says why",
                                                      self->server_.text(), problem.message())),
                                 Sent::kNeverRead);
        }
        self->lose_link(
            error_of(ErrorCode::kUnavailable, Effect::kUnknown,
                     fmt::format("the connection to {} was lost: {}", self->server_.text(),
                                 problem == asio::error::eof ? "the server closed it" : problem.message())));
      });
}

void ChannelState::on_read(const LinkPointer& link, std::size_t count) {
  Bytes input = Bytes(link->read_buffer).first(count);
  while (link_ == link) {
    const FrameEvent event = link->decoder.next(input);
    if (std::holds_alternative<NeedMore>(event)) return read(link);
    if (const auto* frame = std::get_if<Frame>(&event)) {
      link->has_answered = true;
      on_frame(frame->content);
      continue;
    }
    if (const auto* skipped = std::get_if<SkippedFrame>(&event)) {
      on_skipped(*skipped);
      continue;
    }
    if (const auto length = std::get<BrokenStream>(event).length;
        !link->has_answered && is_tls_record(length)) {
      return lose_link(
          error_of(ErrorCode::kUnavailable, Effect::kNone,
                   fmt::format("{} speaks TLS, and this side has none: set tls.ca, tls.certificate and "
                               "tls.key (the tool: --tls-ca, --tls-certificate, --tls-key)",
                               server_.text())),
          Sent::kNeverRead);
    }
    lose_link(error_of(ErrorCode::kUnavailable, Effect::kUnknown,
                       fmt::format("{} announced a reply of {} bytes: is that Thrift's framed transport?",
                                   server_.text(), std::get<BrokenStream>(event).length)));
  }
}

// Too large to be kept. Its bytes were passed over and the stream is in step: only its own call ends.
void ChannelState::on_skipped(const SkippedFrame& skipped) {
  const auto header = read_message_header(skipped.head);
  if (!header || header->kind == MessageKind::kCall || header->kind == MessageKind::kOneway) {
    return lose_link(error_of(ErrorCode::kUnavailable, Effect::kUnknown,
                              fmt::format("{} sent what is no reply", server_.text())));
  }
  auto call = take_call(header->seqid);
  if (call.empty()) return;
  auto error = error_of(
      ErrorCode::kInvalidArgument, Effect::kUnknown,
      fmt::format("the answer of '{}' from {} has {} bytes, the limit is {} "
                  "(max_frame_bytes): ask for less at once",
                  call.mapped().method, server_.text(), skipped.length, options_.frame.max_frame_bytes));
  end_call(std::move(call), std::unexpected(std::move(error)));
}

void ChannelState::on_frame(Bytes content) {
  const auto header = read_message_header(content);
  if (!header || header->kind == MessageKind::kCall || header->kind == MessageKind::kOneway) {
    return lose_link(error_of(ErrorCode::kUnavailable, Effect::kUnknown,
                              fmt::format("{} sent what is no reply{}{}", server_.text(), header ? "" : ": ",
                                          header ? "" : header.error().message)));
  }
  // A reply nobody waits for is late or doubled: the call has ended already, once.
  auto call = take_call(header->seqid);
  if (call.empty()) return;
  auto& reader = header->encoding == Encoding::kBinary ? binary_reader_ : compact_reader_;
  auto& in = *reader.begin(content);
  try {
    std::string method;
    apache::thrift::protocol::TMessageType type{};
    std::int32_t seqid = 0;
    in.readMessageBegin(method, type, seqid);
    if (header->kind == MessageKind::kException) {
      TApplicationException refusal;
      refusal.read(&in);
      auto error = error_of(refusal, call.mapped().method, server_);
      return end_call(std::move(call), std::unexpected(std::move(error)));
    }
  } catch (const apache::thrift::TException& problem) {
    auto error = detail::unreadable_reply(call.mapped().method, problem);
    return end_call(std::move(call), std::move(error));
  }
  if (header->method != call.mapped().method) {
    auto error = error_of(ErrorCode::kInternal, Effect::kUnknown,
                          fmt::format("{} answered '{}' with a reply to '{}'", server_.text(),
                                      call.mapped().method, header->method));
    return end_call(std::move(call), std::unexpected(std::move(error)));
  }
  end_call(std::move(call), &in);
}

// Calls that are made in one turn of the loop go out in one write.
void ChannelState::flush_soon() {
  if (flush_posted_) return;
  flush_posted_ = true;
  asio::post(loop_, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void ChannelState::flush() {
  if (link_ == nullptr || !link_->writing.empty()) return;
  const auto buffers = take_queued();
  if (buffers.empty()) return;
  asio::async_write(link_->stream, buffers,
                    [self = shared_from_this(), link = link_](const asio::error_code& problem, std::size_t) {
                      for (auto& message : link->writing)
                        self->writers_.give_back(std::move(message));
                      link->writing.clear();
                      // The end of a broken stream is found by the read, behind replies that did come.
                      if (!problem && self->link_ == link) self->flush();
                    });
}

std::vector<asio::const_buffer> ChannelState::take_queued() {
  std::vector<asio::const_buffer> buffers;
  auto& queue = phase_ == Phase::kGreeting ? greeting_queue_ : queue_;
  if (phase_ != Phase::kGreeting && phase_ != Phase::kOpen) return buffers;
  const auto take = [&](std::unique_ptr<MessageWriter> message) {
    const Bytes frame = message->frame();
    unsent_bytes_ -= frame.size();
    buffers.emplace_back(frame.data(), frame.size());
    link_->writing.push_back(std::move(message));
  };
  for (; !told_.empty() && buffers.size() < kMessagesPerWrite; told_.pop_front())
    take(std::move(told_.front()));
  while (!queue.empty() && buffers.size() < kMessagesPerWrite) {
    const auto found = calls_.find(queue.front());
    queue.pop_front();
    if (found == calls_.end()) continue;  // its deadline has passed
    take(std::move(found->second.message));
  }
  return buffers;
}

// ---- Channel

Channel::Channel(asio::io_context& loop, Address server, ChannelOptions options)
    : state_(std::make_shared<ChannelState>(loop, std::move(server), std::move(options), this)) {}

Channel::~Channel() {
  state_->abandon();
}

bool Channel::tell(std::string_view method, const WriteArguments& arguments) {
  return state_->tell(method, arguments);
}

void Channel::connect_now() {
  state_->connect_now();
}

bool Channel::is_open() const {
  return state_->is_open();
}

std::size_t Channel::calls_in_flight() const {
  return state_->calls_in_flight();
}

const Address& Channel::server() const {
  return state_->server();
}

void Channel::close() {
  state_->close();
}

void Channel::send(std::string_view method, const WriteArguments& arguments, Duration timeout, Stage stage,
                   ReadReply reader) {
  state_->send(method, arguments, timeout, stage, std::move(reader));
}

}  // namespace troth::rpc
