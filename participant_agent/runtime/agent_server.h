// participant_agent/runtime/agent_server.h
//
// A whole agent on an event loop: its journal, its resources with their sessions, and the server in front of
// them. What `troth-agent` runs, and what tests run beside a coordinator in one process.
//
// Everything runs on the loop's thread, but for the sessions, which have threads of their own. The loop must
// have stopped, or run on this thread, when it is destroyed; what is posted to it afterwards does nothing,
// because it never runs again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "participant_agent/runtime/agent.h"
#include "participant_agent/runtime/coordinators.h"
#include "participant_agent/runtime/settings.h"
#include "thrift/address.h"
#include "thrift/runtime/server.h"

namespace troth::agent {

class AgentServer {
 public:
  // How sessions of one resource are opened, for branches and for what ends them.
  struct Openers {
    Resource::Opener open;
    Resource::Opener open_finishing;
  };
  struct Options {
    AgentSettings settings;
    AgentId agent;
    ClusterId cluster;  // empty at the very first start: the coordinators tell it
    std::string journal_directory;
    std::string audit_path;  // operators' acts leave their lines there
    std::function<Result<Openers>(const ResourceSettings&)> openers;
    std::function<Status(const ClusterId&)> record_cluster;  // whose agent this is, for ever
    std::function<void(const rpc::Address&, Incarnation)> on_ready;
    // Once: it has stopped as asked, or cannot go on. Every connection is closed, with whatever was asked on it
    // unanswered; the loop may stop.
    std::function<void(Status)> on_end;
  };

  AgentServer(asio::io_context& loop, Options options);
  ~AgentServer();
  AgentServer(const AgentServer&) = delete;
  AgentServer& operator=(const AgentServer&) = delete;

  // An error is the end, and on_end is not called.
  [[nodiscard]] Status start();
  // Where it is looked at over HTTP, from start() on; empty: nowhere.
  [[nodiscard]] std::string http_address() const;
  // Takes no new connections, lets running branches end within settings.shutdown_grace, then ends.
  void stop();

 private:
  void learn_cluster();
  [[nodiscard]] Status begin();
  [[nodiscard]] Result<Agent::Options> agent_options(const rpc::Address& bound);
  [[nodiscard]] Result<Resource::Options> resource_options(const ResourceSettings& settings) const;
  void end(Status outcome);
  [[nodiscard]] Status open_monitor();
  void refresh_metrics();
  [[nodiscard]] Readiness readiness() const;

  asio::io_context& loop_;
  Options options_;
  std::shared_ptr<Metrics> metrics_;  // before everything that counts
  txlog::LogMeter log_meter_;
  rpc::ServerOptions server_options_;
  std::vector<rpc::Address> addresses_;
  bool ended_ = false;
  std::unique_ptr<Coordinators> coordinators_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<rpc::Server> server_;  // goes before the agent that its services call
  std::unique_ptr<Monitor> monitor_;     // goes first: it looks at all of them
};

}  // namespace troth::agent
