// troth-agent: stands in front of one or more databases and keeps their branches.

#include <cstdio>
#include <memory>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "base/runtime/entropy.h"
#include "base/runtime/process.h"
#include "base/runtime/secret.h"
#include "participant_agent/runtime/agent.h"
#include "participant_agent/runtime/agent_service.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/runtime/settings.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/server.h"
#include "thrift/runtime/wire_error.h"

namespace troth::agent {
namespace {

// Everything that a serving agent consists of, in the order in which it is made.
class AgentProcess {
 public:
  AgentProcess(Process& process, const AgentSettings& settings)
      : process_(process), settings_(settings), loop_(process.loop()) {}

  Status run() {
    for (const auto& text : settings_.coordinators) {
      auto address = rpc::Address::parse(text);
      if (!address) return std::unexpected(std::move(address.error()));
      addresses_.push_back(*std::move(address));
    }
    process_.on_stop([this] { stop(); });
    const auto& identity = process_.data().identity();
    coordinators_ = std::make_unique<Coordinators>(loop_, identity.agent, identity.cluster, addresses_);
    if (!identity.cluster.value.empty()) {
      if (auto begun = begin(); !begun) return begun;
    } else {
      learn_cluster();
    }
    return process_.run_loop();
  }

 private:
  // The very first start: whose agent this is, for ever.
  void learn_cluster() {
    coordinators_->ask_cluster([this](Result<ClusterId> cluster) {
      if (!cluster) return process_.finish(std::unexpected(std::move(cluster.error())));
      if (auto recorded = process_.data().record_cluster(*cluster); !recorded) {
        return process_.finish(std::move(recorded));
      }
      const auto agent = process_.data().identity().agent;
      coordinators_ = std::make_unique<Coordinators>(loop_, agent, *cluster, addresses_);
      if (auto begun = begin(); !begun) process_.finish(std::move(begun));
    });
  }

  Status begin() {
    const auto& identity = process_.data().identity();
    JournalOptions journal_options;
    journal_options.directory = process_.data().log_path();
    journal_options.cluster = identity.cluster;
    journal_options.agent = identity.agent;
    journal_options.segment_bytes = settings_.segment_bytes;
    journal_options.journal_bytes = settings_.journal_bytes;
    JournalState state;
    auto journal = Journal::open(loop_, journal_options, state);
    if (!journal) return std::unexpected(std::move(journal.error()));

    auto listen = rpc::Address::parse(settings_.listen);
    if (!listen) return std::unexpected(std::move(listen.error()));
    rpc::ServerOptions server_options;
    server_options.max_connections = settings_.max_connections;
    server_options.max_calls = settings_.branches * 2;
    server_options.max_calls_per_connection = settings_.branches * 2;
    server_options.frame.max_frame_bytes = settings_.max_frame_bytes;
    server_options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
      wire::from_error(error).write(&out);
    };
    server_ = std::make_unique<rpc::Server>(loop_, std::move(server_options));
    auto bound = server_->listen(*listen);
    if (!bound) return std::unexpected(std::move(bound.error()));

    auto options = agent_options(*bound);
    if (!options) return std::unexpected(std::move(options.error()));
    agent_ = std::make_unique<Agent>(loop_, *std::move(options), *std::move(journal), state, *coordinators_);
    server_->add_service<wire::AgentAsyncProcessor>(std::make_shared<AgentService>(*agent_));
    agent_->start();
    process_.ready(bound->text(), {{"agent", identity.agent}, {"incarnation", agent_->incarnation()}});
    return {};
  }

  Result<Agent::Options> agent_options(const rpc::Address& bound) {
    Agent::Options options;
    options.settings = settings_;
    options.agent = process_.data().identity().agent;
    options.cluster = process_.data().identity().cluster;
    options.address = bound;
    options.audit_path = process_.data().audit_path();
    if (!settings_.advertise.empty()) {
      auto advertised = rpc::Address::parse(settings_.advertise);
      if (!advertised) return std::unexpected(std::move(advertised.error()));
      options.address = *std::move(advertised);
    }
    options.on_failure = [this](const Error& error) { process_.finish(std::unexpected(error)); };
    for (const auto& settings : settings_.resources) {
      auto resource = resource_options(settings);
      if (!resource) return std::unexpected(std::move(resource.error()));
      options.resources.push_back(*std::move(resource));
    }
    return options;
  }

  Result<Resource::Options> resource_options(const ResourceSettings& settings) {
    auto password = read_secret(settings.password);
    if (!password) return std::unexpected(std::move(password.error()));
    ConnectOptions connect;
    connect.host = settings.host;
    connect.port = settings.port;
    connect.socket = settings.socket;
    connect.user = settings.user;
    connect.password = *std::move(password);
    connect.database = settings.database;
    connect.settings.application_name = fmt::format("troth-agent {}", process_.data().identity().agent.value);
    connect.settings.lock_wait_timeout = settings.lock_timeout;

    Resource::Options options;
    options.settings = settings;
    options.cluster = process_.data().identity().cluster;
    options.ownership.resource = ResourceName{settings.name};
    options.ownership.agent = process_.data().identity().agent;
    options.ownership.nonce = Nonce{random_nonce()};
    options.ownership.take_over = settings.take_over;
    options.ownership.counter_interval = settings_.counter_interval;
    options.barrier_wait = settings_.barrier_wait;
    options.statement_timeout = settings_.statement_timeout;
    options.list_interval = settings_.list_interval;
    options.limits.rows_per_statement = settings_.max_rows;
    options.limits.bytes_per_branch = settings_.max_result_bytes;
    options.open = [kind = settings.kind, connect] { return connect_to(kind, connect); };
    connect.settings.lock_wait_timeout = settings_.barrier_wait;
    // These run nothing that takes longer: a half-open one is found out sooner.
    connect.read_timeout =
        std::chrono::ceil<std::chrono::seconds>(kAgentTaskTimeout) + std::chrono::seconds(15);
    options.open_finishing = [kind = settings.kind, connect] { return connect_to(kind, connect); };
    return options;
  }

  void stop() {
    if (server_) server_->stop_accepting();
    if (!agent_) return process_.finish();
    agent_->shut_down(settings_.shutdown_grace, [this] {
      server_->close();
      process_.finish();
    });
  }

  Process& process_;
  const AgentSettings& settings_;
  asio::io_context& loop_;
  std::vector<rpc::Address> addresses_;
  std::unique_ptr<Coordinators> coordinators_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<rpc::Server> server_;  // before the agent that its services call
};

}  // namespace
}  // namespace troth::agent

int main(int argc, char** argv) {
  troth::agent::AgentSettings settings;
  return troth::run_program(
      {.name = "troth-agent",
       .purpose = "Stands in front of databases and makes their work branches of Troth's transactions.",
       .kind = troth::OwnerKind::kAgent,
       .crash_points = troth::agent::kCrashPoints,
       .describe = [&](troth::Schema& schema) { troth::agent::describe(schema, settings); },
       .run = [&](troth::Process& process) { return troth::agent::AgentProcess(process, settings).run(); }},
      argc, argv);
}
