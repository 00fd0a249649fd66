// coordinator/runtime/coordinator_server.h
//
// A whole coordinator on an event loop: its decision store, the reign that decides, and the server in front of
// both. What `troth-coordinator` runs, and what tests run beside agents in one process.
//
//   opening the log --epoch durable--> serving --stop()--> draining --> ended
//          '-------------- log lost, reign over ---------------'------> ended, with why
//
// As a replica of a group (settings.group) it serves at once, with a reign while it leads and by passing calls on while it
// does not, and stop() hands the lead over first:
//
//   opening the log --> serving --stop()--> finishing what runs --> handing over --> draining --> ended
//          '------- log lost -------'-----------------'------------------'---------------'-----> ended, with why
//
// Everything runs on the loop's thread. The loop must have stopped, or run on this thread, when it is
// destroyed; nothing of it runs any more then.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <asio/steady_timer.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "base/runtime/lifetime.h"
#include "coordinator/decision_store/runtime/local_store.h"
#include "coordinator/runtime/call_router.h"
#include "coordinator/runtime/coordinator_view.h"
#include "coordinator/runtime/grants.h"
#include "coordinator/runtime/group_administration.h"
#include "coordinator/runtime/reigns.h"
#include "coordinator/runtime/replica.h"
#include "coordinator/runtime/replica_reads.h"
#include "coordinator/runtime/settings.h"
#include "thrift/address.h"
#include "thrift/runtime/gate.h"
#include "thrift/runtime/server.h"

namespace troth::coordinator {

class CoordinatorServer {
 public:
  struct Options {
    CoordinatorSettings settings;
    ClusterId cluster;
    std::string log_directory;      // its parent must exist
    std::string audit_path;         // administrative calls leave their lines there
    txlog::Files* files = nullptr;  // null: the operating system's
    std::function<void(const rpc::Address&, const Epoch&)> on_ready;
    // Once: it has stopped as asked, or cannot go on. Every connection is closed, with whatever was asked on it
    // unanswered; the loop may stop.
    std::function<void(Status)> on_end;
  };

  CoordinatorServer(asio::io_context& loop, Options options);
  ~CoordinatorServer();
  CoordinatorServer(const CoordinatorServer&) = delete;
  CoordinatorServer& operator=(const CoordinatorServer&) = delete;

  // Opens the log. Serving begins later, at on_ready. An error is the end, and on_end is not called.
  [[nodiscard]] Status start();
  // Where it is looked at over HTTP, from start() on; empty: nowhere.
  [[nodiscard]] std::string http_address() const;
  // Takes no new work, lets what runs come to its answer within settings.shutdown_grace, then ends.
  void stop();
  // Reads certificates again, for connections to come. What is wrong with them is told, and changes nothing.
  void reread();

 private:
  [[nodiscard]] Status open_local();
  [[nodiscard]] Status open_replica();
  [[nodiscard]] Status listen();
  [[nodiscard]] rpc::ServerOptions server_options();
  [[nodiscard]] wire::Hello own_hello() const;
  [[nodiscard]] Epoch newest_epoch() const;
  [[nodiscard]] store::DecisionStore& store();
  [[nodiscard]] CallRouter::Here serves_here() const;
  [[nodiscard]] Duration finishing_time() const;
  void reign_serves();
  void reign_over(const Error& why);
  void lead_changed(bool leads);
  void finish_reign(std::function<void()> then);
  void reign_finished();
  void go_on();
  void end_reign(std::string_view why);
  void hand_over();
  void drain(Duration limit);
  void end(Status outcome);

  [[nodiscard]] Status open_monitor();
  void refresh_metrics();

  asio::io_context& loop_;
  Options options_;
  std::shared_ptr<Metrics> metrics_;  // before everything that counts
  txlog::LogMeter log_meter_;
  CoordinatorView view_;
  rpc::Address address_;
  rpc::ServerOptions server_options_;
  bool ended_ = false;
  rpc::Gate gate_;
  std::shared_ptr<rpc::Tls> tls_;  // null: plain
  std::optional<Grants> grants_;
  std::unique_ptr<Reigns> reigns_;
  std::unique_ptr<store::LocalStore> local_;  // one of these two
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<ReplicaReads> reads_;  // of a replica, like the router
  std::unique_ptr<CallRouter> router_;
  std::unique_ptr<GroupAdministration> group_;
  std::function<void()> finished_;  // what is to be done when the reign has finished what runs
  bool stopping_ = false;
  bool draining_ = false;
  Duration reign_wait_{0};
  std::optional<Instant> reign_began_;
  std::optional<Instant> hand_over_until_;
  asio::steady_timer timer_;             // of the next reign, of handing over
  std::unique_ptr<rpc::Server> server_;  // goes before the reigns that its services call
  std::unique_ptr<Monitor> monitor_;     // goes first: it looks at all of them
  Lifetime lifetime_;
};

}  // namespace troth::coordinator
