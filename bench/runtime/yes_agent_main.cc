// bench-yes-agent: answers as an agent whose every branch is prepared and committed, and does and keeps nothing. While it
// holds, it says of every commit that it is undecided, so that transactions stay open; SIGUSR1 ends that for ever.
//
// SIGTERM ends it; it then prints how many different branches it prepared and committed: a leader that forgot one, or
// committed what was never prepared, is found so. For bench/runtime/recover.py.
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "thrift/gen/Agent.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/server.h"
#include "thrift/runtime/wire_error.h"

namespace troth::bench {
namespace {

struct Arguments {
  std::vector<std::string> coordinators;
  std::vector<std::string> resources;
  bool hold = false;
};

constexpr std::string_view kAgentId = "bench-yes";
constexpr std::int64_t kIncarnation = 1;

class YesAgent : public wire::AgentCobSvNull {
 public:
  template <typename Reply>
  using Give = std::function<void(const Reply&)>;
  using Throw = std::function<void(apache::thrift::TDelayedException*)>;

  YesAgent(std::vector<std::string> resources, bool holds)
      : resources_(std::move(resources)), holds_(holds) {}

  void release() { holds_ = false; }
  void join(std::string cluster) { cluster_.value = std::move(cluster); }
  [[nodiscard]] std::string json() const {
    return fmt::format(R"({{"prepared": {}, "committed": {}, "never_prepared": {}}})", prepared_.size(),
                       committed_.size(), never_prepared_);
  }

  void agent_hello(Give<wire::Hello> give, Throw, const wire::Hello&) override {
    give(rpc::hello_of("bench-yes-agent", cluster_));
  }
  void prepare(Give<wire::PrepareReply> give, Throw, const wire::PrepareRequest& request) override {
    prepared_.insert(key_of(request));
    wire::PrepareReply reply;
    reply.vote = wire::Vote::YES;
    reply.result.resource = request.work.resource;
    wire::StatementResult touched;
    touched.affected_rows = 1;
    reply.result.statements.assign(request.work.statements.size(), touched);
    give(reply);
  }
  void commit_branch(Give<wire::FinishReply> give, Throw, const wire::FinishRequest& request) override {
    if (!holds_) {
      const auto key = key_of(request);
      committed_.insert(key);
      if (!prepared_.contains(key)) ++never_prepared_;
    }
    give(ended(holds_ ? wire::BranchEnd::UNDECIDED : wire::BranchEnd::COMMITTED));
  }
  void rollback_branch(Give<wire::FinishReply> give, Throw, const wire::FinishRequest&) override {
    give(ended(wire::BranchEnd::ROLLED_BACK));
  }
  void settle_branch(Give<wire::SettleReply> give, Throw, const wire::SettleRequest&) override {
    wire::SettleReply reply;
    reply.outcome = wire::BranchEnd::ROLLED_BACK;
    give(reply);
  }
  void heartbeat(Give<wire::HeartbeatReply> give, Throw, const wire::HeartbeatRequest& request) override {
    wire::HeartbeatReply reply;
    reply.incarnation = kIncarnation;
    reply.agent_id = kAgentId;
    reply.ended_taken = request.ended;
    for (const auto& resource : resources_) {
      wire::ResourceHealth health;
      health.resource = resource;
      health.state = "serving";
      reply.resources.push_back(std::move(health));
    }
    give(reply);
  }

 private:
  static wire::FinishReply ended(wire::BranchEnd::type how) {
    wire::FinishReply reply;
    reply.outcome = how;
    return reply;
  }
  template <typename Request>
  static std::string key_of(const Request& request) {
    return fmt::format("{}/{}", request.transaction_id, request.branch);
  }

  std::vector<std::string> resources_;
  ClusterId cluster_;
  bool holds_;
  std::unordered_set<std::string> prepared_;
  std::unordered_set<std::string> committed_;
  std::uint64_t never_prepared_ = 0;
};

// At one coordinator after the other, until one takes it.
class Registration {
 public:
  Registration(asio::io_context& loop, const std::vector<rpc::Address>& coordinators,
               wire::RegisterRequest request, std::function<void(const wire::RegisterReply&)> done)
      : request_(std::move(request)), done_(std::move(done)), timer_(loop) {
    for (const auto& address : coordinators)
      channels_.push_back(std::make_unique<rpc::Channel>(loop, address, rpc::ChannelOptions{}));
  }

  void send() {
    auto& channel = *channels_[turn_++ % channels_.size()];
    channel.call<wire::Directory_register_agent>(request_, std::chrono::seconds(5),
                                                 [this](Result<wire::RegisterReply> reply) {
                                                   if (reply) return done_(*reply);
                                                   timer_.expires_after(std::chrono::milliseconds(100));
                                                   timer_.async_wait([this](const asio::error_code& stopped) {
                                                     if (!stopped) send();
                                                   });
                                                 });
  }

 private:
  wire::RegisterRequest request_;
  std::function<void(const wire::RegisterReply&)> done_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
  std::size_t turn_ = 0;
  asio::steady_timer timer_;
};

int complain(const std::string& message) {
  std::fputs(fmt::format("bench-yes-agent: {}\n", message).c_str(), stderr);
  return 1;
}

int run(const Arguments& arguments) {
  std::vector<rpc::Address> coordinators;
  for (const auto& text : arguments.coordinators) {
    auto address = rpc::Address::parse(text);
    if (!address) return complain(address.error().message);
    coordinators.push_back(*std::move(address));
  }
  asio::io_context loop{1};
  const auto agent = std::make_shared<YesAgent>(arguments.resources, arguments.hold);
  rpc::ServerOptions options;
  options.max_calls = options.max_calls_per_connection = 20'000;
  rpc::Server server(loop, options);
  server.add_service<wire::AgentAsyncProcessor>(agent);
  const auto bound = server.listen({"127.0.0.1", 0});
  if (!bound) return complain(bound.error().message);

  wire::RegisterRequest request;
  request.agent_id = kAgentId;
  request.incarnation = kIncarnation;
  request.address = bound->text();
  for (const auto& name : arguments.resources) {
    wire::ResourceRegistration resource;
    resource.name = name;
    resource.kind = "mysql";
    resource.identity = "does nothing: " + name;
    request.resources.push_back(std::move(resource));
  }
  Registration registration(loop, coordinators, std::move(request), [&](const wire::RegisterReply& reply) {
    agent->join(reply.cluster);
    fmt::print("ready address={}\n", bound->text());
    std::fflush(stdout);
  });
  registration.send();

  asio::signal_set told(loop, SIGUSR1);
  told.async_wait([&](const asio::error_code& cancelled, int) {
    if (!cancelled) agent->release();
  });
  asio::signal_set ending(loop, SIGTERM, SIGINT);
  ending.async_wait([&](const asio::error_code&, int) { loop.stop(); });
  loop.run();
  fmt::print("{}\n", agent->json());
  return 0;
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  troth::bench::Arguments arguments;
  CLI::App app{"An agent that says yes to everything and keeps nothing. bench/run.sh recover starts it."};
  app.add_option("--coordinators", arguments.coordinators, "host:port of each")->delimiter(',')->required();
  app.add_option("--resources", arguments.resources, "their names")->delimiter(',')->required();
  app.add_flag("--hold", arguments.hold, "say of each commit that it is undecided, until SIGUSR1");
  CLI11_PARSE(app, argc, argv);
  return troth::bench::run(arguments);
}
