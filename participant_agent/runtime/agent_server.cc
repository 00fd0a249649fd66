#include "participant_agent/runtime/agent_server.h"

#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/runtime/entropy.h"
#include "base/runtime/log.h"
#include "participant_agent/runtime/agent_service.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::agent {

AgentServer::AgentServer(asio::io_context& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      metrics_(std::make_shared<Metrics>(agent_metrics())),
      log_meter_(*metrics_) {}

AgentServer::~AgentServer() = default;

Status AgentServer::start() {
  if (auto open = open_monitor(); !open) return open;
  for (const auto& text : options_.settings.coordinators) {
    auto address = rpc::Address::parse(text);
    if (!address) return std::unexpected(std::move(address.error()));
    addresses_.push_back(*std::move(address));
  }
  coordinators_ = std::make_unique<Coordinators>(loop_, options_.agent, options_.cluster, addresses_);
  if (!options_.cluster.value.empty()) return begin();
  learn_cluster();
  return {};
}

// Before the journal is opened, which may take long: until then /healthz and /readyz say that it starts.
Status AgentServer::open_monitor() {
  if (options_.settings.http_listen.empty()) return {};
  auto address = rpc::Address::parse_local(options_.settings.http_listen);
  if (!address) return std::unexpected(std::move(address.error()));
  Monitor::Options options;
  options.host = address->host;
  options.port = address->port;
  options.refresh = [this] { refresh_metrics(); };
  options.readiness = [this] { return readiness(); };
  auto monitor = Monitor::open(loop_, *metrics_, std::move(options));
  if (!monitor) return std::unexpected(std::move(monitor.error()));
  monitor_ = *std::move(monitor);
  return {};
}

void AgentServer::refresh_metrics() {
  if (agent_) {
    agent_->refresh_metrics();
    log_meter_.refresh(agent_->journal().counters(), agent_->journal().segments());
  }
  if (server_) rpc::refresh_server_metrics(*metrics_, server_->counts(), server_options_);
}

Readiness AgentServer::readiness() const {
  if (agent_) return agent_->readiness();
  return {false, "no coordinator has told yet which cluster this agent belongs to",
          "see that a coordinator of `coordinators` runs and can be reached from here"};
}

std::string AgentServer::http_address() const {
  return monitor_ ? monitor_->address() : std::string();
}

// The very first start: whose agent this is, for ever.
void AgentServer::learn_cluster() {
  coordinators_->ask_cluster([this](Result<ClusterId> cluster) {
    if (!cluster) return end(std::unexpected(std::move(cluster.error())));
    if (auto recorded = options_.record_cluster(*cluster); !recorded) return end(std::move(recorded));
    options_.cluster = *std::move(cluster);
    coordinators_ = std::make_unique<Coordinators>(loop_, options_.agent, options_.cluster, addresses_);
    if (auto begun = begin(); !begun) end(std::move(begun));
  });
}

Status AgentServer::begin() {
  const auto& settings = options_.settings;
  JournalOptions journal_options;
  journal_options.directory = options_.journal_directory;
  journal_options.cluster = options_.cluster;
  journal_options.agent = options_.agent;
  journal_options.segment_bytes = settings.segment_bytes;
  journal_options.journal_bytes = settings.journal_bytes;
  journal_options.on_synced = [this](const txlog::SyncedBatch& batch) { log_meter_.synced(batch); };
  JournalState state;
  auto journal = Journal::open(loop_, journal_options, state);
  if (!journal) return std::unexpected(std::move(journal.error()));

  auto listen = rpc::Address::parse(settings.listen);
  if (!listen) return std::unexpected(std::move(listen.error()));
  auto& server_options = server_options_;
  server_options.max_connections = settings.max_connections;
  server_options.max_calls = settings.branches * 2;
  server_options.max_calls_per_connection = settings.branches * 2;
  server_options.frame.max_frame_bytes = settings.max_frame_bytes;
  server_options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
    wire::from_error(error).write(&out);
  };
  server_options.on_trouble = [](const std::string& line) {
    static LogLimit limit;
    log_limited(limit, LogLevel::kWarning, "client trouble", {{"what", line}});
  };
  server_ = std::make_unique<rpc::Server>(loop_, server_options);
  auto bound = server_->listen(*listen);
  if (!bound) return std::unexpected(std::move(bound.error()));

  auto options = agent_options(*bound);
  if (!options) return std::unexpected(std::move(options.error()));
  agent_ = std::make_unique<Agent>(loop_, *std::move(options), *std::move(journal), state, *coordinators_);
  server_->add_service<wire::AgentAsyncProcessor>(std::make_shared<AgentService>(*agent_));
  agent_->start();
  options_.on_ready(*bound, agent_->incarnation());
  return {};
}

Result<Agent::Options> AgentServer::agent_options(const rpc::Address& bound) {
  Agent::Options options;
  options.settings = options_.settings;
  options.agent = options_.agent;
  options.cluster = options_.cluster;
  options.address = bound;
  options.audit_path = options_.audit_path;
  options.metrics = metrics_;
  if (!options_.settings.advertise.empty()) {
    auto advertised = rpc::Address::parse(options_.settings.advertise);
    if (!advertised) return std::unexpected(std::move(advertised.error()));
    options.address = *std::move(advertised);
  }
  options.on_failure = [this](const Error& error) { end(std::unexpected(error)); };
  for (const auto& settings : options_.settings.resources) {
    auto resource = resource_options(settings);
    if (!resource) return std::unexpected(std::move(resource.error()));
    options.resources.push_back(*std::move(resource));
  }
  return options;
}

Result<Resource::Options> AgentServer::resource_options(const ResourceSettings& settings) const {
  auto openers = options_.openers(settings);
  if (!openers) return std::unexpected(std::move(openers.error()));
  Resource::Options options;
  options.settings = settings;
  options.cluster = options_.cluster;
  options.ownership.resource = ResourceName{settings.name};
  options.ownership.agent = options_.agent;
  options.ownership.nonce = Nonce{random_nonce()};
  options.ownership.take_over = settings.take_over;
  options.ownership.counter_interval = options_.settings.counter_interval;
  options.barrier_wait = options_.settings.barrier_wait;
  options.statement_timeout = options_.settings.statement_timeout;
  options.list_interval = options_.settings.list_interval;
  options.slow_branch = options_.settings.slow_branch;
  options.limits.rows_per_statement = options_.settings.max_rows;
  options.limits.bytes_per_branch = options_.settings.max_result_bytes;
  options.open = std::move(openers->open);
  options.open_finishing = std::move(openers->open_finishing);
  return options;
}

void AgentServer::stop() {
  if (server_) server_->stop_accepting();
  if (!agent_) return end({});
  agent_->shut_down(options_.settings.shutdown_grace, [this] {
    server_->close();
    end({});
  });
}

void AgentServer::end(Status outcome) {
  if (std::exchange(ended_, true)) return;
  // Not inside a call that the server may be dispatching.
  asio::post(loop_, [this] {
    if (server_) server_->close();
  });
  options_.on_end(std::move(outcome));
}

}  // namespace troth::agent
