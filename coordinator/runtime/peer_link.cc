#include "coordinator/runtime/peer_link.h"

#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/runtime/log.h"
#include "thrift/gen/group_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

constexpr Duration kGreetingTimeout = std::chrono::seconds(2);
constexpr Duration kConnectTimeout = std::chrono::seconds(2);
// What is sent and not acknowledged by the machine there: that machine, or the way to it, is gone.
constexpr Duration kSilence = std::chrono::seconds(4);
constexpr Duration kFirstWait = std::chrono::milliseconds(50);
constexpr Duration kLongestWait = std::chrono::milliseconds(500);
// More than a message of the log ever has: one entry, or a chunk of a snapshot.
constexpr std::uint32_t kMessageBytes = 16U << 20;
constexpr std::size_t kUnsentMessageBytes = std::size_t{16} << 20;
// What a client's message gets around it.
constexpr std::uint32_t kAroundCall = 4096;

}  // namespace

PeerLink::PeerLink(asio::io_context& loop, consensus::ReplicaId peer, rpc::Address address, Owner owner)
    : loop_(loop),
      peer_(peer),
      address_(std::move(address)),
      owner_(std::move(owner)),
      messages_(std::make_unique<rpc::Channel>(loop, address_, options(Use::kMessages))),
      calls_(loop, address_, options(Use::kCalls)),
      timer_(loop) {
  connect();
}

rpc::ChannelOptions PeerLink::options(Use use) {
  rpc::ChannelOptions options;
  options.tls = owner_.tls;
  options.judge_server = rpc::expect_role(rpc::Role::kCoordinator);
  options.encoding = rpc::Encoding::kCompact;
  options.connect_timeout = kConnectTimeout;
  options.silence_timeout = kSilence;
  options.first_backoff = kFirstWait;
  options.longest_backoff = kLongestWait;
  options.greet = [this, use](rpc::Channel& channel, const rpc::Greeted& greeted) {
    greet(channel, use, greeted);
  };
  if (use == Use::kMessages) {
    options.frame.max_frame_bytes = kMessageBytes;
    options.max_unsent_bytes = kUnsentMessageBytes;
    options.on_connected = [this] {
      wait_ = Duration::zero();
      trouble_.clear();
      log_info("replica reached", {{"replica", peer_}, {"address", address_.text()}});
      owner_.on_up();
    };
    options.on_disconnected = [this](const Error& why) {
      start_.reset();
      note_trouble(why);
      owner_.on_lost();
      connect_later();
    };
  } else if (use == Use::kQuestion) {
    options.on_connected = [this] { question_->close(); };  // it is answered
  } else {
    options.frame.max_frame_bytes = owner_.max_call_bytes + kAroundCall;
    options.max_calls = owner_.max_calls;
    options.max_unsent_bytes = owner_.max_unsent_bytes;
  }
  return options;
}

// Its own attempts end without a word where nothing waits for them: the timer looks.
void PeerLink::connect() {
  if (messages_->is_open()) return;
  messages_->connect_now();
  connect_later();
}

void PeerLink::connect_later() {
  wait_ = std::clamp(wait_ * 2, kFirstWait, kLongestWait);
  timer_.expires_after(wait_);
  timer_.async_wait(lifetime_.guard([this](const asio::error_code& stopped) {
    if (!stopped) connect();
  }));
}

void PeerLink::knock() {
  if (messages_->is_open()) return;
  wait_ = Duration::zero();
  connect();
}

void PeerLink::ask_again() {
  if (!messages_->is_open()) return knock();
  question_ = std::make_unique<rpc::Channel>(loop_, address_, options(Use::kQuestion));
  question_->connect_now();
}

void PeerLink::reconnect() {
  start_.reset();
  owner_.on_lost();
  messages_->close();
  // Not inside one of its own callbacks.
  asio::post(loop_, [old = std::shared_ptr<rpc::Channel>(std::move(messages_))] {});
  messages_ = std::make_unique<rpc::Channel>(loop_, address_, options(Use::kMessages));
  wait_ = Duration::zero();
  connect();
}

void PeerLink::greet(rpc::Channel& channel, Use use, const rpc::Greeted& greeted) {
  wire::ReplicaHello hello;
  hello.hello = rpc::hello_of("troth-coordinator", owner_.cluster);
  hello.replica = static_cast<std::int32_t>(owner_.self.value);
  hello.to = static_cast<std::int32_t>(peer_.value);
  hello.start = static_cast<std::int64_t>(owner_.start.value);
  hello.group = owner_.group;
  channel.call_in_greeting<wire::Replicas_greet>(
      hello, kGreetingTimeout, [this, use, greeted](Result<wire::ReplicaHello> reply) {
        Status outcome = reply ? check(*reply) : std::unexpected(refused(std::move(reply.error())));
        if (!outcome) {
          note_trouble(outcome.error());
        } else if (const Nonce start{static_cast<std::uint64_t>(reply->start)}; use == Use::kMessages) {
          start_ = start;
        } else if (use == Use::kQuestion && start_ && *start_ != start) {
          reconnect();  // to the one that is there now
        }
        greeted(outcome);
      });
}

// What the other side says of itself, and of this one, it says as "this process".
Error PeerLink::refused(Error why) const {
  if (why.code == ErrorCode::kNotOwner || why.code == ErrorCode::kStale)
    why.message = fmt::format("the process at {} refuses this one: {}", address_.text(), why.message);
  return why;
}

Status PeerLink::check(const wire::ReplicaHello& reply) const {
  if (auto fits = rpc::check_hello(reply.hello, owner_.cluster); !fits) return fits;
  if (reply.group != owner_.group) {
    return fail(ErrorCode::kNotOwner, Effect::kNone,
                fmt::format("replica {} at {} says that the group began with {}, and this one with {}: "
                            "group.founders and its "
                            "quorums must be the same at both, and as they were at the beginning",
                            peer_.value, address_.text(), reply.group, owner_.group));
  }
  if (reply.hello.cluster == owner_.cluster.value &&
      reply.replica == static_cast<std::int32_t>(peer_.value) && reply.start != 0)
    return {};
  return fail(
      ErrorCode::kNotOwner, Effect::kNone,
      fmt::format(
          "at {} answers replica {} of {}, and replica {} of {} was expected: is [[replicas]] the same "
          "list at both?",
          address_.text(), reply.replica, reply.hello.cluster, peer_.value, owner_.cluster.value));
}

bool PeerLink::send(std::string message) {
  wire::ReplicaMessage said;
  said.replica = static_cast<std::int32_t>(owner_.self.value);
  said.start = static_cast<std::int64_t>(owner_.start.value);
  said.message = std::move(message);
  return messages_->tell<wire::Replicas_deliver>(said);
}

void PeerLink::pass_on(wire::PassedCall call, Duration timeout, Passed done) {
  call.replica = static_cast<std::int32_t>(owner_.self.value);
  call.start = static_cast<std::int64_t>(owner_.start.value);
  calls_.call<wire::Replicas_pass_on>(call, timeout, std::move(done));
}

void PeerLink::note_trouble(const Error& why) {
  if (trouble_ == why.message) return;
  trouble_ = why.message;
  log_warning("replica out of reach", {{"replica", peer_}, {"address", address_.text()}, {"why", trouble_}});
}

}  // namespace troth::coordinator
