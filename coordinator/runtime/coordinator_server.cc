#include "coordinator/runtime/coordinator_server.h"

#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "coordinator/runtime/administration_service.h"
#include "coordinator/runtime/directory_service.h"
#include "coordinator/runtime/transactions_service.h"
#include "coordinator/runtime/unread_calls.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/tls.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

constexpr Duration kLastAnswers = std::chrono::seconds(2);  // to reach their clients at a clean stop
constexpr Duration kAroundCalls = std::chrono::seconds(10);
constexpr Duration kFirstReignWait = std::chrono::milliseconds(50);
constexpr Duration kLongestReignWait = std::chrono::seconds(2);
// How long a leader that stops looks for another one: four attempts, each with another replica.
constexpr Duration kHandOver = std::chrono::seconds(2);
constexpr Duration kLookForLeader = std::chrono::milliseconds(20);
constexpr Duration kLongEnough = std::chrono::seconds(10);  // for a reign to have been a good one

}  // namespace

CoordinatorServer::CoordinatorServer(asio::io_context& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      metrics_(std::make_shared<Metrics>(coordinator_metrics())),
      log_meter_(*metrics_),
      view_(*metrics_, options_.settings),
      gate_(options_.audit_path),
      timer_(loop) {}

CoordinatorServer::~CoordinatorServer() = default;

Status CoordinatorServer::start() {
  const auto& settings = options_.settings;
  auto address = rpc::Address::parse(settings.listen);
  if (!address) return std::unexpected(std::move(address.error()));
  address_ = *std::move(address);

  if (settings.tls.is_set()) {
    auto tls = rpc::Tls::load(settings.tls, rpc::Role::kCoordinator);
    if (!tls) return std::unexpected(std::move(tls.error()));
    tls_ = *std::move(tls);
  }
  grants_.emplace(settings, gate_);

  Reigns::Owner owner;
  owner.on_serving = [this] { reign_serves(); };
  owner.on_over = [this](const Error& why) { reign_over(why); };
  owner.on_drained = [this] {
    if (!replica_) return drain(kLastAnswers);
    end_reign("this coordinator hands the lead over");
    reign_finished();
  };
  reigns_ = std::make_unique<Reigns>(loop_, options_.cluster, settings, metrics_, tls_, std::move(owner));
  if (auto open = open_monitor(); !open) return open;
  return settings.group.is_set() ? open_replica() : open_local();
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
  options.readiness = [this] { return view_.readiness(*reigns_, replica_.get(), stopping_); };
  auto monitor = Monitor::open(loop_, *metrics_, std::move(options));
  if (!monitor) return std::unexpected(std::move(monitor.error()));
  monitor_ = *std::move(monitor);
  return {};
}

void CoordinatorServer::refresh_metrics() {
  if (local_) {
    view_.refresh_store(local_->record_counts());
    log_meter_.refresh(local_->counters(), local_->segments());
  }
  if (replica_) {
    view_.refresh_store(replica_->store().record_counts());
    log_meter_.refresh(replica_->store().counters(), replica_->store().segments());
    view_.refresh_replica(*replica_, *router_);
  }
  view_.refresh_reign(*reigns_);
  if (server_) rpc::refresh_server_metrics(*metrics_, server_->counts(), server_options_);
}

std::string CoordinatorServer::http_address() const {
  return monitor_ ? monitor_->address() : std::string();
}

// ---- the store

Status CoordinatorServer::open_local() {
  const auto& settings = options_.settings;
  store::LocalStoreOptions options;
  options.directory = options_.log_directory;
  options.cluster = options_.cluster;
  options.files = options_.files;
  options.segment_bytes = settings.segment_bytes;
  options.segments_kept = std::max<std::size_t>(2, settings.log_bytes / settings.segment_bytes);
  options.post = [this](std::function<void()> action) { asio::post(loop_, std::move(action)); };
  options.on_answers = [this](std::vector<store::Answered> answers) {
    reigns_->store_answered(std::move(answers));
  };
  options.on_failure = [this](const Error& error) { end(std::unexpected(error)); };
  options.on_synced = [this](const txlog::SyncedBatch& batch) { log_meter_.synced(batch); };
  options.on_warning = [](const Error& error) { log_warning("decision log", {{"why", error.message}}); };
  auto opened = store::LocalStore::open(std::move(options));
  if (!opened) return std::unexpected(std::move(opened.error()));
  local_ = *std::move(opened);
  if (const auto& cut = local_->cut_tail()) {
    log_warning("the decision log's last batch was cut",
                {{"segment", cut->segment}, {"offset", cut->offset}, {"what", cut->what}});
  }
  reigns_->begin(*local_);
  return {};
}

Status CoordinatorServer::open_replica() {
  const auto& settings = options_.settings;
  Replica::Options options;
  options.settings = settings;
  options.cluster = options_.cluster;
  options.log_directory = options_.log_directory;
  options.files = options_.files;
  options.tls = tls_;
  Replica::Owner owner;
  owner.on_answers = [this](std::vector<store::Answered> answers) {
    reads_->store_answered(answers);
    reigns_->store_answered(std::move(answers));
  };
  owner.on_lead = [this](bool leads) { lead_changed(leads); };
  owner.on_change = [this] {
    if (router_) router_->look_again();
  };
  owner.on_failure = [this](const Error& error) { end(std::unexpected(error)); };
  owner.on_synced = [this](const txlog::SyncedBatch& batch) { log_meter_.synced(batch); };
  owner.take_passed = [this](const rpc::CallContext& context, rpc::Bytes content, rpc::Server::Passed done) {
    if (server_ && router_->serves_here(context.method))
      return server_->take_passed(context, content, std::move(done));
    auto refused = fail(ErrorCode::kUnavailable, Effect::kNone,
                        fmt::format("replica {} does not lead, or not yet, or hands the lead over",
                                    options_.settings.group.replica));
    refused.error().retryable = true;
    done(std::move(refused));
  };
  auto opened = Replica::open(loop_, std::move(options), gate_, std::move(owner));
  if (!opened) return std::unexpected(std::move(opened.error()));
  replica_ = *std::move(opened);
  reads_ = std::make_unique<ReplicaReads>(loop_, replica_->store(), options_.cluster);
  const auto longest = std::max(settings.table.longest_timeout, settings.table.longest_idle) + kAroundCalls;
  router_ = std::make_unique<CallRouter>(
      loop_, *replica_, [this] { return serves_here(); }, settings.group.patience, longest);
  GroupAdministration::Owner administered;
  administered.serves = [this] { return reigns_->serves(); };
  administered.finish_reign = [this](std::function<void()> then) { finish_reign(std::move(then)); };
  administered.go_on = [this] { go_on(); };
  group_ = std::make_unique<GroupAdministration>(loop_, *replica_, options_.settings, options_.cluster,
                                                 std::move(administered));
  if (auto listening = replica_->listen(); !listening) return std::unexpected(std::move(listening.error()));
  // Not before start() has returned.
  asio::post(loop_, lifetime_.guard([this] {
    if (auto listening = listen(); !listening) end(std::move(listening));
  }));
  return {};
}

store::DecisionStore& CoordinatorServer::store() {
  if (replica_) return replica_->store();
  return *local_;
}

Epoch CoordinatorServer::newest_epoch() const {
  if (replica_) return replica_->store().prefix().epoch;
  return reigns_->serves() ? reigns_->serving().table().epoch() : Epoch{};
}

// ---- the server

rpc::ServerOptions CoordinatorServer::server_options() {
  const auto& settings = options_.settings;
  rpc::ServerOptions options;
  options.tls = tls_;
  options.authorize = [this](const rpc::CallContext& call) { return gate_.authorize(call); };
  options.divert.wanted = [this](const rpc::CallContext& call, rpc::Bytes content) {
    if (router_) return router_->wants(call, content);
    return !reigns_->serves() && call.method != "hello" && call.method != "current_epoch";
  };
  options.divert.take = [this](std::unique_ptr<rpc::DivertedCall> call) {
    if (router_) return router_->take(std::move(call));
    call->refuse(fail(ErrorCode::kUnavailable, call->effect_of_refusal(),
                      "this coordinator stops, and its reign is over: ask again after its next start")
                     .error());
  };
  options.max_connections = settings.max_connections;
  options.max_connections_per_caller = settings.max_connections_per_caller;
  options.max_handshakes = settings.max_handshakes;
  options.handshake_timeout = settings.handshake_timeout;
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
  return options;
}

wire::Hello CoordinatorServer::own_hello() const {
  auto hello = rpc::hello_of("troth-coordinator", options_.cluster);
  if (!replica_) return hello;
  for (const auto& replica : options_.settings.group.replicas)
    hello.coordinators.push_back(replica.address);
  if (const auto leader = replica_->leader_address()) hello.__set_leader(*leader);
  return hello;
}

Status CoordinatorServer::listen() {
  server_options_ = server_options();
  server_ = std::make_unique<rpc::Server>(loop_, server_options_);
  server_->add_service<wire::TransactionsAsyncProcessor>(std::make_shared<TransactionsService>(
      *reigns_, *grants_, reads_.get(), [this] { return own_hello(); }));
  server_->add_service<wire::DirectoryAsyncProcessor>(
      std::make_shared<DirectoryService>(*reigns_, gate_, [this] { return newest_epoch(); }));
  server_->add_service<wire::AdministrationAsyncProcessor>(std::make_shared<AdministrationService>(
      *reigns_, group_.get(), gate_, options_.audit_path,
      [this] { return replica_ ? replica_->store().counters().syncs : local_->counters().syncs; }));
  const auto bound = server_->listen(address_);
  if (!bound) return std::unexpected(bound.error());
  options_.on_ready(*bound, newest_epoch());
  return {};
}

CallRouter::Here CoordinatorServer::serves_here() const {
  if (!reigns_->serves() || server_ == nullptr) return CallRouter::Here::kNothing;
  if (stopping_ || finished_) return CallRouter::Here::kRunning;
  return CallRouter::Here::kEverything;
}

// ---- reigns

void CoordinatorServer::reign_serves() {
  reign_began_ = boot_now();
  if (router_) return router_->look_again();
  if (auto listening = listen(); !listening) end(std::move(listening));
}

// By itself: a newer epoch rules, it was given none, or what it found cannot be.
void CoordinatorServer::reign_over(const Error& why) {
  if (!replica_ || why.code == ErrorCode::kCorrupt) return end(std::unexpected(why));
  reign_finished();
  if (stopping_) return;
  if (reign_began_ && boot_now() - *reign_began_ > kLongEnough) reign_wait_ = Duration::zero();
  reign_began_.reset();
  reign_wait_ = std::clamp<Duration>(reign_wait_ * 2, kFirstReignWait, kLongestReignWait);
  // Another one may have more luck.
  if (reign_wait_ == kLongestReignWait) replica_->hand_over();
  timer_.expires_after(reign_wait_);
  timer_.async_wait(lifetime_.guard([this](const asio::error_code& stopped) {
    if (stopped || !replica_->leads() || stopping_ || reigns_->current() != nullptr) return;
    reigns_->begin(store());
  }));
}

void CoordinatorServer::lead_changed(bool leads) {
  if (!leads) {
    if (!stopping_) timer_.cancel();
    end_reign("this coordinator leads its group no longer; ask again, and the next leader answers");
    return reign_finished();
  }
  if (stopping_) return hand_over();
  reign_wait_ = Duration::zero();
  if (reigns_->current() == nullptr) reigns_->begin(store());
}

void CoordinatorServer::finish_reign(std::function<void()> then) {
  if (!reigns_->serves()) return then();
  finished_ = std::move(then);
  reigns_->shut_down(finishing_time());
}

// However it ended, and also where this coordinator stops: whoever waits for that end hears of it, so that a hand-over that came
// to nothing may be asked for again. One that was asked for goes before the one of the stop, which is another one's choice.
void CoordinatorServer::reign_finished() {
  if (const auto then = std::exchange(finished_, nullptr)) then();
  if (stopping_) hand_over();
}

void CoordinatorServer::go_on() {
  if (!stopping_ && replica_->leads() && reigns_->current() == nullptr) reigns_->begin(store());
}

void CoordinatorServer::end_reign(std::string_view why) {
  auto error = fail(ErrorCode::kUnavailable, Effect::kUnknown, std::string(why)).error();
  error.retryable = true;
  if (reigns_->current() == nullptr) return;
  view_.refresh_reign(*reigns_);
  view_.reign_ended();
  reigns_->end(error);
}

// ---- the end

// Of a group's leader: the calls that begin something wait for the next one meanwhile, and their patience is not to be used up.
Duration CoordinatorServer::finishing_time() const {
  const Duration grace = options_.settings.shutdown_grace;
  return replica_ ? std::min<Duration>(grace, options_.settings.group.patience / 2) : grace;
}

void CoordinatorServer::stop() {
  if (std::exchange(stopping_, true)) return;
  timer_.cancel();
  reigns_->shut_down(finishing_time());
}

// What ran here has its answer, or runs elsewhere; what came meanwhile waits in the router. It leaves once another one leads;
// and where it is elected again meanwhile, it hands over again.
void CoordinatorServer::hand_over() {
  if (ended_ || reigns_->current() != nullptr) return;  // it finishes what runs
  const auto now = boot_now();
  if (!hand_over_until_) hand_over_until_ = now + kHandOver;
  const bool is_late = now >= *hand_over_until_;
  if (!draining_ && (is_late || !replica_->leads())) {
    const bool led_elsewhere = replica_->link_to_leader() != nullptr;
    if (led_elsewhere || is_late || router_->waiting() == 0) {
      router_->look_again();
      if (!led_elsewhere) router_->refuse_waiting("this coordinator shuts down, and no other one leads");
      drain(options_.settings.shutdown_grace);
    }
  }
  if (replica_->leads() && !is_late && !replica_->hand_over()) hand_over_until_ = now;
  timer_.expires_after(replica_->leads() ? kHandOver / 4 : kLookForLeader);
  timer_.async_wait(lifetime_.guard([this](const asio::error_code& stopped) {
    if (!stopped) hand_over();
  }));
}

void CoordinatorServer::reread() {
  if (tls_) gate_.note_reread("certificate", tls_->reload());
}

// Every call of the table is answered; the answers get a moment to leave.
void CoordinatorServer::drain(Duration limit) {
  if (std::exchange(draining_, true)) return;
  if (!server_) return end({});
  server_->drain(std::max(limit, kLastAnswers), [this](bool) {
    server_->close();
    end({});
  });
}

void CoordinatorServer::end(Status outcome) {
  if (std::exchange(ended_, true)) return;
  timer_.cancel();
  // Not inside a call that the server may be dispatching.
  asio::post(loop_, lifetime_.guard([this] {
    if (server_) server_->close();
    if (replica_) replica_->close();
  }));
  options_.on_end(std::move(outcome));
}

}  // namespace troth::coordinator
