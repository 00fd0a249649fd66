// troth-coordinator: decides transactions, and drives their branches to the end that was decided.

#include <algorithm>
#include <memory>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/runtime/entropy.h"
#include "base/runtime/log.h"
#include "base/runtime/process.h"
#include "coordinator/decision_store/runtime/local_store.h"
#include "coordinator/runtime/administration_service.h"
#include "coordinator/runtime/coordinator.h"
#include "coordinator/runtime/crash_points.h"
#include "coordinator/runtime/directory_service.h"
#include "coordinator/runtime/settings.h"
#include "coordinator/runtime/transactions_service.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/server.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

constexpr Duration kLastAnswers = std::chrono::seconds(2);  // to reach their clients at a clean stop

// Everything that a serving coordinator consists of, in the order in which it is made.
class CoordinatorProcess {
 public:
  CoordinatorProcess(Process& process, const CoordinatorSettings& settings)
      : process_(process), settings_(settings), loop_(process.loop()) {}

  Status run() {
    auto address = rpc::Address::parse(settings_.listen);
    if (!address) return std::unexpected(std::move(address.error()));
    address_ = *std::move(address);
    const auto& cluster = process_.data().identity().cluster;

    Coordinator::Events events;
    events.on_serving = [this] { serve(); };
    events.on_stop = [this](const Error& error) { process_.finish(std::unexpected(error)); };
    events.on_drained = [this] { close(); };
    coordinator_ = std::make_unique<Coordinator>(loop_, cluster, settings_, std::move(events));

    auto store = open_store(cluster);
    if (!store) return std::unexpected(std::move(store.error()));
    store_ = *std::move(store);
    if (const auto& cut = store_->cut_tail()) {
      log_warning("the decision log's last batch was cut",
                  {{"segment", cut->segment}, {"offset", cut->offset}, {"what", cut->what}});
    }
    process_.on_stop([this] { coordinator_->shut_down(settings_.shutdown_grace); });
    coordinator_->start(*store_, Nonce{random_nonce()});
    return process_.run_loop();
  }

 private:
  Result<std::unique_ptr<store::LocalStore>> open_store(const ClusterId& cluster) {
    store::LocalStoreOptions options;
    options.directory = process_.data().log_path();
    options.cluster = cluster;
    options.segment_bytes = settings_.segment_bytes;
    options.segments_kept = std::max<std::size_t>(2, settings_.log_bytes / settings_.segment_bytes);
    options.post = [this](std::function<void()> action) { asio::post(loop_, std::move(action)); };
    options.on_answers = [this](std::vector<store::Answered> answers) {
      for (auto& answer : answers)
        coordinator_->store_answered(std::move(answer));
    };
    options.on_failure = [this](const Error& error) { process_.finish(std::unexpected(error)); };
    options.on_warning = [](const Error& error) { log_warning("decision log", {{"why", error.message}}); };
    return store::LocalStore::open(std::move(options));
  }

  void serve() {
    rpc::ServerOptions options;
    options.max_connections = settings_.max_connections;
    options.max_calls = settings_.max_calls;
    options.max_calls_per_connection = settings_.max_calls_per_connection;
    options.frame.max_frame_bytes = settings_.max_frame_bytes;
    options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
      wire::from_error(error).write(&out);
    };
    options.on_trouble = [](const std::string& line) { log_warning("client trouble", {{"what", line}}); };
    server_ = std::make_unique<rpc::Server>(loop_, std::move(options));
    server_->add_service<wire::TransactionsAsyncProcessor>(
        std::make_shared<TransactionsService>(*coordinator_));
    server_->add_service<wire::DirectoryAsyncProcessor>(std::make_shared<DirectoryService>(*coordinator_));
    server_->add_service<wire::AdministrationAsyncProcessor>(std::make_shared<AdministrationService>(
        *coordinator_, process_.data().audit_path(), [this] { return store_->counters().syncs; }));
    const auto bound = server_->listen(address_);
    if (!bound) return process_.finish(std::unexpected(bound.error()));
    process_.ready(bound->text(),
                   {{"cluster", coordinator_->cluster()}, {"epoch", coordinator_->table().epoch().number}});
  }

  // Every call of the table is answered; the answers get a moment to leave.
  void close() {
    if (!server_) return process_.finish();
    server_->drain(kLastAnswers, [this](bool) {
      server_->close();
      process_.finish();
    });
  }

  Process& process_;
  const CoordinatorSettings& settings_;
  asio::io_context& loop_;
  rpc::Address address_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<store::LocalStore> store_;
  std::unique_ptr<rpc::Server> server_;  // before the coordinator that its services call
};

}  // namespace
}  // namespace troth::coordinator

int main(int argc, char** argv) {
  troth::coordinator::CoordinatorSettings settings;
  return troth::run_program(
      {.name = "troth-coordinator",
       .purpose = "Decides transactions over several databases, and drives every branch to the decided end.",
       .kind = troth::OwnerKind::kCoordinator,
       .crash_points = troth::coordinator::kCrashPoints,
       .describe = [&](troth::Schema& schema) { troth::coordinator::describe(schema, settings); },
       .run =
           [&](troth::Process& process) {
             return troth::coordinator::CoordinatorProcess(process, settings).run();
           }},
      argc, argv);
}
