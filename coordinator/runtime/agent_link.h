// coordinator/runtime/agent_link.h
//
// The coordinator's side of one agent: a channel to its address, and the heartbeat that tells it epoch,
// watermark and floors before it is given any work, and from then on.
//
//   connecting --hello, first heartbeat--> connected --heartbeat fails, connection lost--> connecting
//
// [T7] An agent gets no work on a connection before it has heard epoch and watermark on it.
// [T8] Every message carries the epoch; the agent makes it durable before it answers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <asio/steady_timer.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "thrift/address.h"
#include "thrift/gen/agents_types.h"
#include "thrift/runtime/channel.h"

namespace troth::coordinator {

class AgentLink {
 public:
  struct Owner {
    ClusterId cluster;
    rpc::TlsPointer tls;
    Duration heartbeat_interval;
    Duration call_timeout;
    // The table's own limits bound what is under way. A channel that refused more by itself would refuse
    // heartbeats, too.
    std::size_t max_calls;
    std::size_t max_unsent_bytes;
    std::uint32_t max_frame_bytes;
    // What the next heartbeat tells.
    std::function<wire::HeartbeatRequest()> heartbeat;
    std::function<void(Incarnation)> on_connected;
    std::function<void()> on_lost;
    std::function<void(const wire::HeartbeatReply&)> on_heartbeat;
  };
  template <typename Reply>
  using Done = std::function<void(Result<Reply>)>;

  AgentLink(asio::io_context& loop, AgentId agent, rpc::Address address, Owner owner);
  ~AgentLink();
  AgentLink(const AgentLink&) = delete;
  AgentLink& operator=(const AgentLink&) = delete;

  // Ends it, and its timers. Calls under way are answered from the loop's next turn, and until then it must live.
  // Afterwards nothing may be called on it.
  void close();

  void prepare(const wire::PrepareRequest& request, Duration timeout, Done<wire::PrepareReply> done);
  void run_statement(const wire::StatementRequest& request, Duration timeout,
                     Done<wire::StatementReply> done);
  void commit(const wire::FinishRequest& request, Done<wire::FinishReply> done);
  void rollback(const wire::FinishRequest& request);
  void settle(const wire::SettleRequest& request, Done<wire::SettleReply> done);
  void status(Done<wire::AgentStatus> done);
  void resolve(const wire::ResolveBranchRequest& request, Done<wire::FinishReply> done);

  [[nodiscard]] const rpc::Address& address() const { return address_; }
  [[nodiscard]] bool is_connected() const { return connected_; }
  // Why it is not connected: the agent cannot be reached, or refuses this coordinator. Empty message: not known.
  [[nodiscard]] const Error& trouble() const { return trouble_; }
  // As the last heartbeat told it.
  [[nodiscard]] const wire::HeartbeatReply& health() const { return health_; }

 private:
  void open_channel();
  void close_channel();
  void greet(rpc::Channel& channel, const rpc::Greeted& greeted);
  [[nodiscard]] Status check_reply(const wire::HeartbeatReply& reply) const;
  void take(const wire::HeartbeatReply& reply);
  void schedule_heartbeat();
  void send_heartbeat();
  void lose(const Error& why);
  void knock();

  asio::io_context& loop_;
  AgentId agent_;
  rpc::Address address_;
  Owner owner_;
  std::unique_ptr<rpc::Channel> channel_;
  std::uint64_t channel_number_ = 0;  // tells a late callback of an older channel
  asio::steady_timer timer_;
  bool closed_ = false;
  bool connected_ = false;
  Incarnation greeted_incarnation_;
  wire::HeartbeatReply health_;
  Error trouble_;  // logged once while it lasts
};

}  // namespace troth::coordinator
