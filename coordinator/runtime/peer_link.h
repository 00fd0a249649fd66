// coordinator/runtime/peer_link.h
//
// Another replica of the group, as this one calls it. Two connections: one for the replicated log's messages, which is
// always wanted, and one for clients' calls that are passed on to it, so that no large call stands in front of a heartbeat.
//
//   down --greeted--> up --reset, or silent while something is sent to it--> down, and the owner hears of it
//
// Each connection begins with a greeting; what answers at the address must be of this cluster, and the replica that was
// meant. Which start of it answers there is who that replica is: what another start says is not believed (replica.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <asio/steady_timer.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "base/runtime/lifetime.h"
#include "base/time.h"
#include "coordinator/consensus/ballot.h"
#include "thrift/address.h"
#include "thrift/gen/group_types.h"
#include "thrift/runtime/channel.h"

namespace troth::coordinator {

class PeerLink {
 public:
  struct Owner {
    consensus::ReplicaId self;
    Nonce start;
    ClusterId cluster;
    std::string group;  // by what it began
    rpc::TlsPointer tls;
    std::uint32_t max_call_bytes = 0;  // of a client's message
    std::size_t max_calls = 0;         // passed on and not answered
    std::size_t max_unsent_bytes = 0;  // of these
    std::function<void()> on_up;
    std::function<void()> on_lost;
  };
  using Passed = std::function<void(Result<wire::PassedAnswer>)>;

  PeerLink(asio::io_context& loop, consensus::ReplicaId peer, rpc::Address address, Owner owner);
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  // May be lost; false: it is.
  bool send(std::string message);
  // An error's effect: none, no service saw the call; unknown, it may have been served.
  void pass_on(wire::PassedCall call, Duration timeout, Passed done);

  // It has called here, so that it is to be had again: tries now.
  void knock();
  // Somebody else claims to be it: who answers at its address is asked anew.
  void ask_again();

  [[nodiscard]] consensus::ReplicaId peer() const { return peer_; }
  [[nodiscard]] const rpc::Address& address() const { return address_; }
  [[nodiscard]] bool is_up() const { return start_.has_value(); }
  // Of whoever answers at its address; nullopt while nobody does.
  [[nodiscard]] std::optional<Nonce> start() const { return start_; }
  // Why it is down, or why the last attempt failed.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  enum class Use : std::uint8_t { kMessages, kCalls, kQuestion };
  void reconnect();
  [[nodiscard]] rpc::ChannelOptions options(Use use);
  void greet(rpc::Channel& channel, Use use, const rpc::Greeted& greeted);
  [[nodiscard]] Error refused(Error why) const;
  [[nodiscard]] Status check(const wire::ReplicaHello& reply) const;
  void connect();
  void connect_later();
  void note_trouble(const Error& why);

  asio::io_context& loop_;
  consensus::ReplicaId peer_;
  rpc::Address address_;
  Owner owner_;
  std::optional<Nonce> start_;
  std::string trouble_;
  Duration wait_{0};
  std::unique_ptr<rpc::Channel> messages_;
  std::unique_ptr<rpc::Channel> question_;  // who answers there?
  rpc::Channel calls_;
  asio::steady_timer timer_;
  Lifetime lifetime_;
};

}  // namespace troth::coordinator
