// tests/unit/coordinator_runtime/scripted_peer.h
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>

#include "base/check.h"
#include "tests/unit/coordinator_runtime/replica_group.h"
#include "thrift/gen/Replicas.h"
#include "thrift/gen/group_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/refusal.h"
#include "thrift/runtime/server.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {

// Replica 2, of which every word is the test's.
class ScriptedPeer : public wire::ReplicasCobSvIf {
 public:
  static constexpr const char* kGroup = "replicas 1, 2, 3: write 2, elect 2, read 2, lease 150 ms";
  template <typename Reply>
  using Answer = std::function<void(const Reply&)>;

  ScriptedPeer() {
    reply.hello = rpc::hello_of("troth-coordinator", kGroupsCluster);
    reply.replica = 2;
    reply.to = 1;
    reply.start = 4711;
    reply.group = kGroup;
  }
  void greet(Answer<wire::ReplicaHello> answer, rpc::Refusal refuse,
             const wire::ReplicaHello& hello) override {
    greetings.push_back(hello);
    if (refusal) return rpc::refuse_with(refuse, *refusal);
    answer(reply);
  }
  void deliver(std::function<void()> taken, const wire::ReplicaMessage& message) override {
    delivered.push_back(message);
    taken();
  }
  void pass_on(Answer<wire::PassedAnswer> answer, rpc::Refusal refuse,
               const wire::PassedCall& call) override {
    passed.push_back(call);
    answers.push_back(std::move(answer));
    refusals.push_back(std::move(refuse));
  }

  wire::ReplicaHello reply;
  std::optional<Error> refusal;
  std::vector<wire::ReplicaHello> greetings;
  std::vector<wire::ReplicaMessage> delivered;
  std::vector<wire::PassedCall> passed;
  std::vector<Answer<wire::PassedAnswer>> answers;
  std::vector<rpc::Refusal> refusals;
};

// Serves it at an address.
class PeersServer {
 public:
  PeersServer(asio::io_context& loop, const rpc::Address& address, std::shared_ptr<ScriptedPeer> peer)
      : peer_(std::move(peer)), server_(loop, options()) {
    server_.add_service<wire::ReplicasAsyncProcessor>(peer_);
    const auto listening = server_.listen(address);
    CHECK(listening.has_value(), "{}", listening.error().message);
  }
  ~PeersServer() {
    server_.close();
    peer_->answers.clear();
    peer_->refusals.clear();
  }
  PeersServer(const PeersServer&) = delete;
  PeersServer& operator=(const PeersServer&) = delete;

 private:
  static rpc::ServerOptions options() {
    rpc::ServerOptions options;
    options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
      wire::from_error(error).write(&out);
    };
    return options;
  }
  std::shared_ptr<ScriptedPeer> peer_;
  rpc::Server server_;
};

}  // namespace troth::coordinator
