// coordinator/runtime/coordinator_server.h
//
// A whole coordinator on an event loop: its decision store, the reign that decides, and the server in front of
// both. What `troth-coordinator` runs, and what tests run beside agents in one process.
//
//   opening the log --epoch durable--> serving --stop()--> draining --> ended
//          '-------------- log lost, reign over ---------------'------> ended, with why
//
// Everything runs on the loop's thread. The loop must have stopped, or run on this thread, when it is
// destroyed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/decision_store/runtime/local_store.h"
#include "coordinator/runtime/coordinator.h"
#include "coordinator/runtime/coordinator_view.h"
#include "coordinator/runtime/settings.h"
#include "thrift/address.h"
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

 private:
  [[nodiscard]] Result<std::unique_ptr<store::LocalStore>> open_store();
  void serve();
  void drain();
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
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<store::LocalStore> store_;
  std::unique_ptr<rpc::Server> server_;  // goes before the coordinator that its services call
  std::unique_ptr<Monitor> monitor_;     // goes first: it looks at all of them
};

}  // namespace troth::coordinator
