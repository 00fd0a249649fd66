// tests/sim/database/database.h
//
// A model database server as a machine in the world: reached over the network, crashed and started by faults.
//
// Between a client and its session anything may go wrong that goes wrong with TCP: the connection breaks before a request
// came, after it was done, or is cut off without the server's ever hearing of it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "tests/sim/core/node.h"
#include "tests/sim/model/model_server.h"
#include "tests/sim/network/network.h"

namespace troth::sim {

class Database {
 public:
  Database(World& world, Network& network, std::string name, ModelOptions options);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // So many of 10,000 requests lose their connection.
  void set_breaks(std::uint32_t per_10000) { breaks_ = per_10000; }

  // ---- For a program's connections; `done` is called in the program.
  void open(Node& client, const std::string& role, const agent::SessionSettings& settings,
            std::function<void(Result<SessionHandle>)> done);
  // Nothing: the connection is lost. Where the network keeps something back: never.
  void ask(Node& client, SessionHandle session, Request request,
           std::function<void(std::optional<Completion>)> done);
  void interrupt(Node& client, SessionHandle session);
  // The client's end is gone, and what it waits for is lost.
  void let_go(Node& client, SessionHandle session);
  [[nodiscard]] agent::SessionIdentity identity(SessionHandle session) const {
    return server_->identity(session);
  }

  // A client's program went: its sessions lose their client's end.
  void wake();

  // What everybody sees committed of a marker, as soon as it is so; none: it is gone.
  std::function<void(const std::string& key, const agent::MarkerRow* row)> on_marker;

  // An agent asks for something.
  std::function<void(const Request& request)> on_request;

  // ---- Faults
  void crash();
  void start();
  [[nodiscard]] bool is_up() const { return server_->is_up(); }
  // Every session loses its client.
  void cut_all();
  // What it is asked, and what it answers, takes its time until then.
  void be_slow_until(Duration until);
  // A copy of its disk as it is now, and what was seen of it by then.
  struct Copy {
    Snapshot disk;
    agent::OwnerRow owner;
  };
  [[nodiscard]] Copy copy() const { return {server_->snapshot(), server_->owner()}; }
  // Somebody restores a copy, or promotes a standby that has come as far as that: it crashes, and starts with it.
  void restore(const Copy& copy, bool promoted);

  [[nodiscard]] const std::string& name() const { return node_.name(); }
  [[nodiscard]] agent::DatabaseKind kind() const { return kind_; }
  [[nodiscard]] Node& node() { return node_; }
  [[nodiscard]] ModelServer& server() { return *server_; }
  [[nodiscard]] const ModelServer& server() const { return *server_; }

 private:
  struct Waiting {
    Node* client;
    std::uint64_t generation;
    std::function<void(std::optional<Completion>)> done;
    bool loses_reply = false;
    std::string asked;  // in words; empty where nobody reads the trace
  };
  [[nodiscard]] Instant now() const { return Instant(world_.now()); }
  [[nodiscard]] Duration delay();

  void tell_markers();
  void deliver();
  void answer(SessionHandle session, Waiting waiting, std::optional<Completion> completion);

  World& world_;
  Network& network_;
  agent::DatabaseKind kind_;
  Node node_;
  std::unique_ptr<ModelServer> server_;
  std::uint32_t breaks_ = 0;
  Duration slow_until_{};
  std::map<SessionHandle, Waiting> waiting_;
  std::map<SessionHandle, std::pair<Node*, std::uint64_t>> clients_;
  std::optional<Instant> wakes_at_;
  std::set<std::string> markers_told_;
};

}  // namespace troth::sim
