// thrift/runtime/channel.h over the simulated network: the same states, deadlines and answers, frames by the real codec.
#include "thrift/runtime/channel.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>

#include "base/runtime/clock.h"
#include "tests/sim/network/network.h"
#include "tests/sim/nodes/machine.h"
#include "thrift/runtime/tls.h"

namespace troth::rpc {
namespace {

using apache::thrift::TApplicationException;

Error error_of(ErrorCode code, Effect effect, std::string message) {
  return fail(code, effect, std::move(message)).error();
}

Error error_of(const TApplicationException& refusal, const std::string& method, const Address& server) {
  const bool never_ran = refusal.getType() == TApplicationException::UNKNOWN_METHOD ||
                         refusal.getType() == TApplicationException::PROTOCOL_ERROR;
  return error_of(never_ran ? ErrorCode::kInvalidArgument : ErrorCode::kInternal,
                  never_ran ? Effect::kNone : Effect::kUnknown,
                  fmt::format("{} refused '{}': {}", server.text(), method, refusal.what()));
}

}  // namespace

std::unexpected<Error> detail::unreadable_reply(std::string_view method, const std::exception& problem) {
  return fail(ErrorCode::kInternal, Effect::kUnknown,
              fmt::format("the reply to '{}' cannot be read: {}", method, problem.what()));
}

std::unexpected<Error> detail::empty_reply(std::string_view method) {
  return fail(ErrorCode::kInternal, Effect::kUnknown,
              fmt::format("the reply to '{}' holds neither a result nor an error", method));
}

JudgeCaller expect_role(Role) {
  return [](const Caller&) -> Status { return {}; };
}

class ChannelState : public std::enable_shared_from_this<ChannelState> {
 public:
  using Stage = Channel::Stage;
  using ReadReply = Channel::ReadReply;

  ChannelState(asio::io_context& loop, Address server, ChannelOptions options, Channel* channel)
      : loop_(loop),
        node_(loop.node()),
        server_(std::move(server)),
        options_(std::move(options)),
        channel_(channel),
        deadline_timer_(loop),
        connect_timer_(loop),
        reader_(options_.encoding, options_.message),
        writer_(options_.encoding) {}

  void send(std::string_view method, const Channel::WriteArguments& arguments, Duration timeout, Stage stage,
            ReadReply reader) {
    if (phase_ == Phase::kClosed || (stage == Stage::kGreeting && phase_ != Phase::kGreeting))
      return refuse_later(std::move(reader), "the channel is closed, or not greeting");
    if (calls_.size() >= options_.max_calls)
      return refuse_later(std::move(reader), "too many calls are under way", ErrorCode::kOverloaded);
    const auto seqid = ++last_seqid_;
    writer_.reset();
    auto& out = *writer_.protocol();
    out.writeMessageBegin(std::string(method), apache::thrift::protocol::T_CALL, seqid);
    arguments(out);
    out.writeMessageEnd();
    const auto frame = writer_.frame();
    const auto deadline = boot_now() + timeout;
    calls_.emplace(seqid, Call{std::string(method), std::move(reader), deadline,
                               sim::Frame(frame.begin(), frame.end()), false});
    deadlines_.emplace(deadline, seqid);
    watch_deadlines();
    (stage == Stage::kGreeting ? greeting_queue_ : queue_).push_back(seqid);
    if (phase_ == Phase::kIdle)
      connect_when_due();
    else
      flush_soon();
  }

  bool tell(std::string_view method, const Channel::WriteArguments& arguments) {
    if (phase_ != Phase::kOpen) return false;
    writer_.reset();
    auto& out = *writer_.protocol();
    out.writeMessageBegin(std::string(method), apache::thrift::protocol::T_ONEWAY, 0);
    arguments(out);
    out.writeMessageEnd();
    const auto frame = writer_.frame();
    told_.emplace_back(frame.begin(), frame.end());
    flush_soon();
    return true;
  }

  void connect_now() {
    if (phase_ == Phase::kIdle || phase_ == Phase::kBackingOff) connect();
  }

  void close() {
    if (std::exchange(phase_, Phase::kClosed) == Phase::kClosed) return;
    drop_wire();
    asio::post(loop_, [self = shared_from_this()] {
      self->fail_all(error_of(ErrorCode::kUnavailable, Effect::kUnknown, "the channel was closed"),
                     error_of(ErrorCode::kUnavailable, Effect::kNone, "the channel was closed"));
    });
  }

  void abandon() {
    phase_ = Phase::kClosed;
    channel_ = nullptr;
    options_.greet = nullptr;
    options_.on_connected = nullptr;
    options_.on_disconnected = nullptr;
    drop_wire();
    deadline_timer_.cancel();
    deadlines_.clear();
    std::exchange(calls_, {});
  }

  [[nodiscard]] bool is_open() const { return phase_ == Phase::kOpen; }
  [[nodiscard]] std::size_t calls_in_flight() const { return calls_.size(); }
  [[nodiscard]] const Address& server() const { return server_; }

 private:
  enum class Phase : std::uint8_t { kIdle, kBackingOff, kConnecting, kGreeting, kOpen, kClosed };
  struct Call {
    std::string method;
    ReadReply reader;
    Instant deadline;
    sim::Frame frame;
    bool was_sent = false;
  };

  void refuse_later(ReadReply reader, std::string why, ErrorCode code = ErrorCode::kUnavailable) {
    asio::post(loop_,
               [self = shared_from_this(), reader = std::move(reader), why = std::move(why), code]() mutable {
                 if (self->channel_ != nullptr)
                   reader(std::unexpected(error_of(code, Effect::kNone, std::move(why))));
               });
  }

  void watch_deadlines() {
    if (deadlines_.empty() || deadlines_.begin()->first >= watched_) return;
    watched_ = deadlines_.begin()->first;
    deadline_timer_.expires_after(std::max(watched_ - boot_now(), Duration::zero()));
    deadline_timer_.async_wait([self = shared_from_this()](const asio::error_code& stopped) {
      if (!stopped) self->on_deadline();
    });
  }

  void on_deadline() {
    watched_ = Instant::max();
    const auto now = boot_now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      auto call = take(deadlines_.begin()->second);
      const bool sent = call.mapped().was_sent;
      call.mapped().reader(
          std::unexpected(error_of(ErrorCode::kTimeout, sent ? Effect::kUnknown : Effect::kNone,
                                   fmt::format("'{}' {} before its deadline", call.mapped().method,
                                               sent ? "was not answered" : "could not be sent"))));
    }
    watch_deadlines();
  }

  std::map<std::int32_t, Call>::node_type take(std::int32_t seqid) {
    auto call = calls_.extract(seqid);
    if (!call.empty()) deadlines_.erase({call.mapped().deadline, seqid});
    return call;
  }

  void fail_all(const Error& sent, const Error& unsent) {
    auto ended = std::exchange(calls_, {});
    deadlines_.clear();
    greeting_queue_.clear();
    queue_.clear();
    told_.clear();
    for (auto& [seqid, call] : ended) {
      if (channel_ == nullptr) return;
      call.reader(std::unexpected(call.was_sent ? sent : unsent));
    }
  }

  void connect_when_due() {
    if (backoff_ == Duration::zero()) return connect();
    phase_ = Phase::kBackingOff;
    const auto wait = std::max(next_attempt_ - boot_now(), Duration::zero());
    connect_timer_.expires_after(wait);
    connect_timer_.async_wait([self = shared_from_this()](const asio::error_code& stopped) {
      if (!stopped && self->phase_ == Phase::kBackingOff) self->connect();
    });
  }

  void connect() {
    phase_ = Phase::kConnecting;
    const auto number = ++link_;
    connect_timer_.expires_after(options_.connect_timeout);
    connect_timer_.async_wait([self = shared_from_this(), number](const asio::error_code& stopped) {
      if (!stopped && self->link_ == number && self->phase_ == Phase::kConnecting)
        self->lose("no answer in time");
    });
    sim::Wire::Events events;
    events.on_frame = [weak = weak_from_this(), number](const sim::Frame& frame) {
      if (const auto self = weak.lock(); self && self->link_ == number) self->on_frame(frame);
    };
    events.on_reset = [weak = weak_from_this(), number] {
      if (const auto self = weak.lock(); self && self->link_ == number) self->lose("the connection was lost");
    };
    sim::network_of(node_).dial(node_, server_.text(), std::move(events),
                                [weak = weak_from_this(), number](const sim::WirePointer& wire) {
                                  const auto self = weak.lock();
                                  if (!self || self->link_ != number || self->phase_ != Phase::kConnecting) {
                                    if (wire) wire->close();
                                    return;
                                  }
                                  if (!wire) return self->lose("connection refused");
                                  self->wire_ = wire;
                                  self->on_connected(number);
                                });
  }

  void on_connected(std::uint64_t number) {
    connect_timer_.cancel();
    phase_ = Phase::kGreeting;
    const auto greet = options_.greet;
    if (!greet) return on_greeted(number, {});
    greet(*channel_, [weak = weak_from_this(), number](const Status& status) {
      if (const auto self = weak.lock()) self->on_greeted(number, status);
    });
  }

  void on_greeted(std::uint64_t number, const Status& status) {
    if (link_ != number || phase_ != Phase::kGreeting) return;
    if (!status) return lose(status.error().message, status.error().code);
    phase_ = Phase::kOpen;
    backoff_ = Duration::zero();
    flush_soon();
    if (const auto notify = options_.on_connected) notify();
  }

  void lose(const std::string& why, ErrorCode code = ErrorCode::kUnavailable) {
    const bool was_open = phase_ == Phase::kOpen;
    drop_wire();
    backoff_ = std::clamp(backoff_ * 2, options_.first_backoff, options_.longest_backoff);
    next_attempt_ = boot_now() + backoff_;
    phase_ = Phase::kIdle;
    const auto reason = error_of(code, Effect::kNone, fmt::format("{}: {}", server_.text(), why));
    auto sent = reason;
    sent.code = ErrorCode::kUnavailable;
    sent.effect = Effect::kUnknown;
    fail_all(sent, reason);
    if (const auto notify = options_.on_disconnected; notify && was_open) notify(reason);
  }

  void drop_wire() {
    ++link_;
    connect_timer_.cancel();
    if (const auto wire = std::exchange(wire_, nullptr)) wire->close();
  }

  void flush_soon() {
    if (std::exchange(flush_posted_, true)) return;
    asio::post(loop_, [self = shared_from_this()] {
      const auto wait = sim::network_of(self->node_).full_for();
      if (wait == Duration::zero()) return self->flush_now();
      // Meanwhile the connection may go, or a deadline come, with what was never sent.
      self->node_.post_after(wait, [weak = self->weak_from_this()] {
        if (const auto waiting = weak.lock()) waiting->flush_now();
      });
    });
  }

  void flush_now() {
    flush_posted_ = false;
    flush();
  }

  void flush() {
    if (wire_ == nullptr || (phase_ != Phase::kGreeting && phase_ != Phase::kOpen)) return;
    for (; !told_.empty(); told_.pop_front())
      wire_->send(std::move(told_.front()));
    auto& queue = phase_ == Phase::kGreeting ? greeting_queue_ : queue_;
    while (!queue.empty()) {
      const auto found = calls_.find(queue.front());
      queue.pop_front();
      if (found == calls_.end()) continue;  // its deadline has passed
      found->second.was_sent = true;
      wire_->send(std::exchange(found->second.frame, {}));
    }
  }

  void on_frame(const sim::Frame& frame) {
    const auto content = Bytes(frame).subspan(kFrameLengthBytes);
    const auto header = read_message_header(content);
    CHECK(header.has_value());
    // A reply nobody waits for is late or doubled: the call has ended already, once.
    auto call = take(header->seqid);
    if (call.empty()) return;
    auto& in = *reader_.begin(content);
    std::string method;
    apache::thrift::protocol::TMessageType type{};
    std::int32_t seqid = 0;
    in.readMessageBegin(method, type, seqid);
    if (header->kind == MessageKind::kException) {
      TApplicationException refusal;
      refusal.read(&in);
      return call.mapped().reader(std::unexpected(error_of(refusal, call.mapped().method, server_)));
    }
    call.mapped().reader(&in);
  }

  asio::io_context& loop_;
  sim::Node& node_;
  Address server_;
  ChannelOptions options_;
  Channel* channel_;
  asio::steady_timer deadline_timer_;
  asio::steady_timer connect_timer_;
  MessageReader reader_;  // of the answers, which are in the calls' encoding
  MessageWriter writer_;
  Phase phase_ = Phase::kIdle;
  std::uint64_t link_ = 0;
  sim::WirePointer wire_;
  Duration backoff_{};
  Instant next_attempt_{};
  std::int32_t last_seqid_ = 0;
  std::map<std::int32_t, Call> calls_;
  std::set<std::pair<Instant, std::int32_t>> deadlines_;
  Instant watched_ = Instant::max();
  std::deque<std::int32_t> greeting_queue_;
  std::deque<std::int32_t> queue_;
  std::deque<sim::Frame> told_;
  bool flush_posted_ = false;
};

Channel::Channel(asio::io_context& loop, Address server, ChannelOptions options)
    : state_(std::make_shared<ChannelState>(loop, std::move(server), std::move(options), this)) {}

Channel::~Channel() {
  state_->abandon();
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

bool Channel::tell(std::string_view method, const WriteArguments& arguments) {
  return state_->tell(method, arguments);
}

void Channel::connect_now() {
  state_->connect_now();
}

// ---- nothing is encrypted

void describe_tls(Schema&, TlsFiles&) {}

Result<std::shared_ptr<Tls>> Tls::load(TlsFiles) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, "the simulator has no TLS: leave tls empty");
}

Result<std::shared_ptr<Tls>> Tls::load(TlsFiles files, Role) {
  return load(std::move(files));
}

Status Tls::reload() {
  return {};
}

}  // namespace troth::rpc
