#include "coordinator/runtime/coordinator_server.h"

#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/runtime/entropy.h"
#include "base/runtime/log.h"
#include "coordinator/runtime/administration_service.h"
#include "coordinator/runtime/directory_service.h"
#include "coordinator/runtime/repeated_requests.h"
#include "coordinator/runtime/transactions_service.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

constexpr Duration kLastAnswers = std::chrono::seconds(2);  // to reach their clients at a clean stop

}  // namespace

CoordinatorServer::CoordinatorServer(asio::io_context& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      metrics_(std::make_shared<Metrics>(coordinator_metrics())),
      log_meter_(*metrics_),
      view_(*metrics_, options_.settings) {}

CoordinatorServer::~CoordinatorServer() = default;

Status CoordinatorServer::start() {
  auto address = rpc::Address::parse(options_.settings.listen);
  if (!address) return std::unexpected(std::move(address.error()));
  address_ = *std::move(address);

  Coordinator::Events events;
  events.on_serving = [this] { serve(); };
  events.on_stop = [this](const Error& error) { end(std::unexpected(error)); };
  events.on_drained = [this] { drain(); };
  coordinator_ =
      std::make_unique<Coordinator>(loop_, options_.cluster, options_.settings, std::move(events), metrics_);
  if (auto open = open_monitor(); !open) return open;

  auto store = open_store();
  if (!store) return std::unexpected(std::move(store.error()));
  store_ = *std::move(store);
  if (const auto& cut = store_->cut_tail()) {
    log_warning("the decision log's last batch was cut",
                {{"segment", cut->segment}, {"offset", cut->offset}, {"what", cut->what}});
  }
  coordinator_->start(*store_, Nonce{random_nonce()});
  return {};
}

// Before the log is opened, which may take long: until then /healthz and /readyz say that it starts.
Status CoordinatorServer::open_monitor() {
  if (options_.settings.http_listen.empty()) return {};
  auto address = rpc::Address::parse_local(options_.settings.http_listen);
  if (!address) return std::unexpected(std::move(address.error()));
  Monitor::Options options;
  options.host = address->host;
  options.port = address->port;
  options.refresh = [this] { refresh_metrics(); };
  options.readiness = [this] { return view_.readiness(*coordinator_); };
  auto monitor = Monitor::open(loop_, *metrics_, std::move(options));
  if (!monitor) return std::unexpected(std::move(monitor.error()));
  monitor_ = *std::move(monitor);
  return {};
}

void CoordinatorServer::refresh_metrics() {
  if (store_) {
    view_.refresh(*coordinator_, *store_);
    log_meter_.refresh(store_->counters(), store_->segments());
  }
  if (server_) rpc::refresh_server_metrics(*metrics_, server_->counts(), server_options_);
}

std::string CoordinatorServer::http_address() const {
  return monitor_ ? monitor_->address() : std::string();
}

Result<std::unique_ptr<store::LocalStore>> CoordinatorServer::open_store() {
  const auto& settings = options_.settings;
  store::LocalStoreOptions options;
  options.directory = options_.log_directory;
  options.cluster = options_.cluster;
  options.files = options_.files;
  options.segment_bytes = settings.segment_bytes;
  options.segments_kept = std::max<std::size_t>(2, settings.log_bytes / settings.segment_bytes);
  options.post = [this](std::function<void()> action) { asio::post(loop_, std::move(action)); };
  options.on_answers = [this](std::vector<store::Answered> answers) {
    for (auto& answer : answers)
      coordinator_->store_answered(std::move(answer));
  };
  options.on_failure = [this](const Error& error) { end(std::unexpected(error)); };
  options.on_synced = [this](const txlog::SyncedBatch& batch) { log_meter_.synced(batch); };
  options.on_warning = [](const Error& error) { log_warning("decision log", {{"why", error.message}}); };
  return store::LocalStore::open(std::move(options));
}

void CoordinatorServer::serve() {
  const auto& settings = options_.settings;
  auto& options = server_options_;
  options.max_connections = settings.max_connections;
  options.max_calls = settings.max_calls;
  options.max_calls_per_connection = settings.max_calls_per_connection;
  options.frame.max_frame_bytes = settings.max_frame_bytes;
  options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
    wire::from_error(error).write(&out);
  };
  options.effect_of_refusal = effect_of_refused_call;
  options.on_trouble = [](const std::string& line) {
    static LogLimit limit;
    log_limited(limit, LogLevel::kWarning, "client trouble", {{"what", line}});
  };
  server_ = std::make_unique<rpc::Server>(loop_, options);
  server_->add_service<wire::TransactionsAsyncProcessor>(
      std::make_shared<TransactionsService>(*coordinator_));
  server_->add_service<wire::DirectoryAsyncProcessor>(std::make_shared<DirectoryService>(*coordinator_));
  server_->add_service<wire::AdministrationAsyncProcessor>(std::make_shared<AdministrationService>(
      *coordinator_, options_.audit_path, [this] { return store_->counters().syncs; }));
  const auto bound = server_->listen(address_);
  if (!bound) return end(std::unexpected(bound.error()));
  options_.on_ready(*bound, coordinator_->table().epoch());
}

void CoordinatorServer::stop() {
  coordinator_->shut_down(options_.settings.shutdown_grace);
}

// Every call of the table is answered; the answers get a moment to leave.
void CoordinatorServer::drain() {
  if (!server_) return end({});
  server_->drain(kLastAnswers, [this](bool) {
    server_->close();
    end({});
  });
}

void CoordinatorServer::end(Status outcome) {
  if (std::exchange(ended_, true)) return;
  // Not inside a call that the server may be dispatching.
  asio::post(loop_, [this] {
    if (server_) server_->close();
  });
  options_.on_end(std::move(outcome));
}

}  // namespace troth::coordinator
