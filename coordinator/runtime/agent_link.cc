#include "coordinator/runtime/agent_link.h"

#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/runtime/log.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

constexpr std::string_view kProgram = "troth-coordinator";
constexpr Duration kGreetingTimeout = std::chrono::seconds(5);

}  // namespace

AgentLink::AgentLink(asio::io_context& loop, AgentId agent, rpc::Address address, Owner owner)
    : loop_(loop),
      agent_(std::move(agent)),
      address_(std::move(address)),
      owner_(std::move(owner)),
      timer_(loop) {
  open_channel();
  knock();
}

AgentLink::~AgentLink() {
  timer_.cancel();
}

void AgentLink::open_channel() {
  const auto number = ++channel_number_;
  rpc::ChannelOptions options;
  options.tls = owner_.tls;
  options.judge_server = [agent = agent_](const rpc::Caller& peer) -> Status {
    if (auto is_agent = rpc::expect_role(rpc::Role::kAgent)(peer); !is_agent) return is_agent;
    if (rpc::is_name_of_agent(peer.name, agent.value)) return {};
    return fail(
        ErrorCode::kPermissionDenied, Effect::kNone,
        fmt::format("the certificate there is {}'s, and agent {} was expected", peer.text(), agent.value));
  };
  options.max_calls = owner_.max_calls;
  options.max_unsent_bytes = owner_.max_unsent_bytes;
  options.frame.max_frame_bytes = owner_.max_frame_bytes;
  options.greet = [this](rpc::Channel& channel, const rpc::Greeted& greeted) { greet(channel, greeted); };
  options.on_connected = [this, number] {
    if (number != channel_number_) return;
    connected_ = true;
    trouble_ = {};
    log_info("agent connected",
             {{"agent", agent_}, {"address", address_.text()}, {"incarnation", greeted_incarnation_}});
    owner_.on_connected(greeted_incarnation_);
    take(health_);
    schedule_heartbeat();
  };
  options.on_disconnected = [this, number](const Error& why) {
    if (number == channel_number_) lose(why);
  };
  channel_ = std::make_unique<rpc::Channel>(loop_, address_, std::move(options));
}

void AgentLink::greet(rpc::Channel& channel, const rpc::Greeted& greeted) {
  const auto hello = rpc::hello_of(kProgram, owner_.cluster);
  channel.call_in_greeting<wire::Agent_agent_hello>(
      hello, kGreetingTimeout, [this, &channel, greeted](Result<wire::Hello> reply) {
        if (!reply) return greeted(std::unexpected(reply.error()));
        if (auto fits = rpc::check_hello(*reply, owner_.cluster); !fits) return greeted(std::move(fits));
        channel.call_in_greeting<wire::Agent_heartbeat>(
            owner_.heartbeat(), kGreetingTimeout, [this, greeted](Result<wire::HeartbeatReply> first) {
              if (!first) return greeted(std::unexpected(first.error()));
              if (auto fits = check_reply(*first); !fits) return greeted(std::move(fits));
              greeted_incarnation_ = Incarnation{static_cast<std::uint64_t>(first->incarnation)};
              health_ = *std::move(first);
              greeted({});
            });
      });
}

Status AgentLink::check_reply(const wire::HeartbeatReply& reply) const {
  if (reply.agent_id == agent_.value) return {};
  return fail(
      ErrorCode::kNotOwner, Effect::kNone,
      fmt::format("agent {} is expected at {}, but {} answers there: give each agent an address of its own",
                  agent_.value, address_.text(), reply.agent_id));
}

void AgentLink::take(const wire::HeartbeatReply& reply) {
  health_ = reply;
  owner_.on_heartbeat(reply);
}

void AgentLink::schedule_heartbeat() {
  timer_.expires_after(owner_.heartbeat_interval);
  timer_.async_wait([this](const asio::error_code& stopped) {
    if (stopped || closed_) return;
    if (connected_) {
      send_heartbeat();
    } else {
      knock();
    }
  });
}

void AgentLink::send_heartbeat() {
  const auto number = channel_number_;
  channel_->call<wire::Agent_heartbeat>(
      owner_.heartbeat(), owner_.call_timeout, [this, number](Result<wire::HeartbeatReply> reply) {
        if (number != channel_number_ || !connected_) return;
        const auto incarnation =
            reply ? Incarnation{static_cast<std::uint64_t>(reply->incarnation)} : Incarnation{};
        if (reply && incarnation == greeted_incarnation_) {
          take(*reply);
          return schedule_heartbeat();
        }
        // Too busy to take one more call, it is there all the same.
        if (!reply && reply.error().code == ErrorCode::kOverloaded) return schedule_heartbeat();
        // A silent agent's connection may be half-open: a new one tells.
        Error why = reply ? Error{} : reply.error();
        if (reply) why.message = "the agent's incarnation changed on a living connection";
        channel_->close();
        lose(why);
      });
}

void AgentLink::lose(const Error& why) {
  if (connected_) {
    log_warning("agent lost", {{"agent", agent_}, {"address", address_.text()}, {"why", why.message}});
    connected_ = false;
    owner_.on_lost();
  }
  // Not inside a call of the channel that is going away.
  timer_.expires_after(std::chrono::milliseconds(20));
  timer_.async_wait([this](const asio::error_code& stopped) {
    if (stopped || closed_) return;
    close_channel();
    open_channel();
    knock();
  });
}

void AgentLink::close() {
  closed_ = true;  // for a timer that has fired and waits for its turn
  timer_.cancel();
  close_channel();
}

// What was called while the old channel lost its calls waits in it, and is answered now that it goes. Dropped
// in silence, a settle would never be sent again: its transaction would stay pending until the next reign.
void AgentLink::close_channel() {
  ++channel_number_;
  channel_->close();
  // Behind the answers, which are posted.
  asio::post(loop_, [old = std::shared_ptr<rpc::Channel>(std::move(channel_))] {});
}

// A channel connects when there is something to send.
void AgentLink::knock() {
  const auto number = channel_number_;
  channel_->call<wire::Agent_agent_hello>(
      rpc::hello_of(kProgram, owner_.cluster), owner_.call_timeout,
      [this, number](Result<wire::Hello> reply) {
        if (number != channel_number_ || reply || connected_) return;
        const bool known = reply.error().message == trouble_.message;
        trouble_ = reply.error();
        if (!known) {
          log_warning("agent cannot be reached",
                      {{"agent", agent_}, {"address", address_.text()}, {"why", trouble_.message}});
        }
        schedule_heartbeat();
      });
}

void AgentLink::prepare(const wire::PrepareRequest& request, Duration timeout,
                        Done<wire::PrepareReply> done) {
  channel_->call<wire::Agent_prepare>(request, timeout, std::move(done));
}

void AgentLink::run_statement(const wire::StatementRequest& request, Duration timeout,
                              Done<wire::StatementReply> done) {
  channel_->call<wire::Agent_run_statement>(request, timeout, std::move(done));
}

void AgentLink::commit(const wire::FinishRequest& request, Done<wire::FinishReply> done) {
  channel_->call<wire::Agent_commit_branch>(request, owner_.call_timeout, std::move(done));
}

void AgentLink::rollback(const wire::FinishRequest& request) {
  channel_->call<wire::Agent_rollback_branch>(request, owner_.call_timeout,
                                              [](const Result<wire::FinishReply>&) {});
}

void AgentLink::settle(const wire::SettleRequest& request, Done<wire::SettleReply> done) {
  channel_->call<wire::Agent_settle_branch>(request, owner_.call_timeout, std::move(done));
}

void AgentLink::status(Done<wire::AgentStatus> done) {
  channel_->call<wire::Agent_agent_status>(kGreetingTimeout, std::move(done));
}

void AgentLink::resolve(const wire::ResolveBranchRequest& request, Done<wire::FinishReply> done) {
  channel_->call<wire::Agent_resolve_branch>(request, owner_.call_timeout, std::move(done));
}

}  // namespace troth::coordinator
