#include "tests/support/in_process_servers.h"

#include <atomic>
#include <utility>

#include <asio/ip/tcp.hpp>
#include <unistd.h>

#include "base/check.h"

namespace troth {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 30s;
constexpr std::uint16_t kFirstPort = 12'000;  // below every range of ports for connections that Linux ships
constexpr std::uint16_t kPorts = 18'000;

}  // namespace

void ServerLife::is_ready() {
  const std::lock_guard lock(mutex_);
  ready_ = true;
  changed_.notify_all();
}

void ServerLife::has_ended(Status outcome) {
  const std::lock_guard lock(mutex_);
  CHECK(!outcome_.has_value(), "a server ends twice");
  outcome_ = std::move(outcome);
  changed_.notify_all();
}

void ServerLife::wait_until_ready() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] { return ready_ || outcome_.has_value(); });
  CHECK(ready_, "the server does not serve: {}",
        outcome_ && !*outcome_ ? outcome_->error().message : "it says nothing");
}

bool ServerLife::ends_within(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return outcome_.has_value(); });
}

std::optional<Status> ServerLife::outcome() {
  const std::lock_guard lock(mutex_);
  return outcome_;
}

template <typename Server>
void InProcess<Server>::begin() {
  CHECK(server_ == nullptr, "it runs already");
  life_ = std::make_unique<ServerLife>();
  thread_ = std::make_unique<LoopThread>();
  auto options = options_;
  options.on_ready = [life = life_.get()](const rpc::Address&, const auto&) { life->is_ready(); };
  options.on_end = [life = life_.get()](Status outcome) { life->has_ended(std::move(outcome)); };
  thread_->run([&] {
    server_ = std::make_unique<Server>(thread_->loop(), std::move(options));
    const auto started = server_->start();
    CHECK(started.has_value(), "the server does not start: {}", started.error().message);
  });
}

template <typename Server>
Status InProcess<Server>::stop() {
  thread_->run([&] { server_->stop(); });
  CHECK(life_->ends_within(kPatience), "the server does not end");
  const auto outcome = *life_->outcome();
  drop();
  return outcome;
}

template <typename Server>
void InProcess<Server>::drop() {
  if (server_ == nullptr) return;
  thread_->stop();
  server_.reset();
  thread_.reset();
}

template class InProcess<coordinator::CoordinatorServer>;
template class InProcess<agent::AgentServer>;

std::string free_loopback_address() {
  // Tests that run beside this one begin somewhere else.
  static std::atomic<unsigned> tried{static_cast<unsigned>(::getpid()) * 7919U};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + tried.fetch_add(1) % kPorts);
    asio::io_context loop;
    asio::ip::tcp::acceptor acceptor(loop);
    asio::error_code taken;
    acceptor.open(asio::ip::tcp::v4(), taken);
    acceptor.bind({asio::ip::address_v4::loopback(), port}, taken);
    if (!taken) return "127.0.0.1:" + std::to_string(port);
  }
  CHECK(false, "no port is free on loopback");
}

coordinator::CoordinatorServer::Options coordinator_options(const std::string& directory) {
  coordinator::CoordinatorServer::Options options;
  options.cluster = {"test-abc123"};
  options.log_directory = directory + "/decisions";
  auto& settings = options.settings;
  settings.listen = free_loopback_address();
  settings.segment_bytes = std::uint64_t{256} << 10;
  settings.log_bytes = std::uint64_t{1} << 20;
  settings.heartbeat_interval = 50ms;
  settings.agent_call_timeout = 5s;
  settings.shutdown_grace = 2s;
  settings.table.redrive = {100ms, 1s};
  settings.table.ask_again = {50ms, 500ms};
  settings.table.longest_end_delay = 20ms;
  return options;
}

agent::AgentServer::Options agent_options(
    const std::string& name, const std::string& directory, const std::string& coordinator,
    std::map<std::string, std::shared_ptr<DoNothingDatabase>> resources) {
  agent::AgentServer::Options options;
  options.agent = {name};
  options.journal_directory = directory + "/journal-" + name;
  options.cluster = {"test-abc123"};
  auto& settings = options.settings;
  settings.listen = free_loopback_address();
  settings.coordinators = {coordinator};
  settings.segment_bytes = std::uint64_t{256} << 10;
  settings.journal_bytes = std::uint64_t{1} << 20;
  settings.first_inquiry = 100ms;
  settings.longest_inquiry = 1s;
  settings.list_interval = 200ms;
  settings.counter_interval = 100ms;
  settings.floor_interval = 200ms;
  settings.cancel_grace = 500ms;
  settings.shutdown_grace = 1s;
  for (const auto& [resource, database] : resources) {
    agent::ResourceSettings each;
    each.name = resource;
    each.kind = database->kind();
    each.sessions = 4;
    each.tied_sessions = 64;
    settings.resources.push_back(std::move(each));
  }
  options.openers = [resources = std::move(resources)](const agent::ResourceSettings& resource) {
    const auto& database = resources.at(resource.name);
    const auto open = [database] { return database->connect(); };
    return agent::AgentServer::Openers{open, open};
  };
  options.record_cluster = [](const ClusterId&) { return Status{}; };
  return options;
}

}  // namespace troth
