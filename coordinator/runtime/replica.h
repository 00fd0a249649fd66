// coordinator/runtime/replica.h
//
// This coordinator as a replica of its group: the group's decision store, the connections to the other replicas, and the
// server that they call.
//
// Who speaks: a message counts as replica n's only when it names the start of whoever answers at n's configured address.
// So a second process that was given the number of another one says nothing that is believed, and neither does what an
// earlier start left in a socket. It costs that two replicas need to reach each other in both directions.
//
// Everything runs on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/runtime/alarm.h"
#include "coordinator/decision_store/runtime/group_store.h"
#include "coordinator/runtime/peer_link.h"
#include "coordinator/runtime/settings.h"
#include "thrift/runtime/gate.h"
#include "thrift/runtime/server.h"

namespace troth::coordinator {

class Replica {
 public:
  struct Owner {
    std::function<void(std::vector<store::Answered>)> on_answers;
    std::function<void(bool leads)> on_lead;
    // Who leads has changed, as far as this one knows, or how a replica can be reached.
    std::function<void()> on_change;
    std::function<void(const Error&)> on_failure;  // once: this replica cannot go on
    std::function<void(const txlog::SyncedBatch&)> on_synced;
    // A client's call that another replica passed on; see rpc::Server::take_passed.
    std::function<void(const rpc::CallContext&, rpc::Bytes content, rpc::Server::Passed done)> take_passed;
  };
  struct Options {
    CoordinatorSettings settings;
    ClusterId cluster;
    std::string log_directory;
    txlog::Files* files = nullptr;  // null: the operating system's
    rpc::TlsPointer tls;
  };

  // Opens the store and begins to call the others; they are answered once it listens.
  [[nodiscard]] static Result<std::unique_ptr<Replica>> open(asio::io_context& loop, Options options,
                                                             rpc::Gate& gate, Owner owner);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  [[nodiscard]] Result<rpc::Address> listen();
  // The others hear nothing more of it.
  void close();

  [[nodiscard]] store::GroupStore& store() { return *store_; }
  [[nodiscard]] const store::GroupStore& store() const { return *store_; }
  [[nodiscard]] consensus::ReplicaId self() const { return self_; }
  [[nodiscard]] bool leads() const { return leads_; }
  [[nodiscard]] std::optional<consensus::ReplicaId> leader() const { return leader_; }
  // Where clients call the leader; nullopt: none is known.
  [[nodiscard]] std::optional<std::string> leader_address() const;
  // Null: this one leads, or it is not known who, or that one cannot be reached.
  [[nodiscard]] PeerLink* link_to_leader();
  [[nodiscard]] const std::map<consensus::ReplicaId, std::unique_ptr<PeerLink>>& links() const {
    return links_;
  }

  // Hands the lead to a replica that votes and is reached, each time to another one; false: there is none.
  bool hand_over();

 private:
  friend class ReplicasService;
  Replica(asio::io_context& loop, Options options, Owner owner);
  [[nodiscard]] Status open_store();
  [[nodiscard]] Status open_links();
  void serve(rpc::Gate& gate);

  // ---- what the others call (replicas_service.cc)
  [[nodiscard]] Result<wire::ReplicaHello> greet(const wire::ReplicaHello& hello);
  void deliver(const wire::ReplicaMessage& message);
  void pass_on(const wire::PassedCall& call, std::function<void(Result<rpc::Bytes>)> done);
  [[nodiscard]] PeerLink* find(std::int32_t number);
  [[nodiscard]] bool is_who_answers_there(const PeerLink& link, std::int64_t start) const;

  asio::io_context& loop_;
  Options options_;
  Owner owner_;
  consensus::ReplicaId self_;
  Nonce start_;
  bool leads_ = false;
  std::optional<consensus::ReplicaId> leader_;
  std::optional<consensus::ReplicaId> last_successor_;
  Alarm alarm_;
  std::map<consensus::ReplicaId, std::unique_ptr<PeerLink>> links_;
  std::map<consensus::ReplicaId, Instant> asked_again_;
  std::unique_ptr<store::GroupStore> store_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace troth::coordinator
