#include "tests/support/fake_cluster.h"

#include <functional>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/check.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/server.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

using apache::thrift::TDelayedException;
template <typename T>
using Give = std::function<void(const T&)>;
using Throw = std::function<void(TDelayedException*)>;

template <typename T>
void reply(const Result<T>& result, const Give<T>& give, const Throw& raise) {
  if (result) return give(*result);
  raise(TDelayedException::delayException(wire::from_error(result.error())));
}

wire::Hello hello_of(const FakeAnswers& answers, std::string program) {
  wire::Hello hello;
  hello.version = answers.contract_version;
  hello.program = std::move(program);
  return hello;
}

class FakeTransactions : public wire::TransactionsCobSvNull {
 public:
  explicit FakeTransactions(FakeAnswers& answers) : answers_(answers) {}
  void hello(Give<wire::Hello> give, Throw, const wire::Hello&) override {
    give(hello_of(answers_, "troth-coordinator 9.9.9"));
  }
  void execute(Give<wire::ExecuteResult> give, Throw raise, const wire::ExecuteRequest& request) override {
    answers_.executed.push_back(request);
    if (answers_.drop_executes > 0) {
      --answers_.drop_executes;
    } else if (answers_.execute_first.empty()) {
      reply(answers_.execute, give, raise);
    } else {
      reply(answers_.execute_first.front(), give, raise);
      answers_.execute_first.pop_front();
    }
  }
  void status(Give<wire::StatusReply> give, Throw raise, const wire::StatusRequest& request) override {
    answers_.asked_status = request;
    reply(answers_.status, give, raise);
  }

 private:
  FakeAnswers& answers_;
};

class FakeAdministration : public wire::AdministrationCobSvNull {
 public:
  explicit FakeAdministration(FakeAnswers& answers) : answers_(answers) {}
  void cluster_status(Give<wire::ClusterStatus> give, Throw raise) override {
    reply(answers_.cluster, give, raise);
  }
  void in_doubt(Give<wire::InDoubtReport> give, Throw raise) override {
    reply(answers_.in_doubt, give, raise);
  }
  void resolve(Give<wire::ResolveReply> give, Throw raise, const wire::ResolveRequest& request) override {
    answers_.resolved = request;
    reply(answers_.resolve, give, raise);
  }

 private:
  FakeAnswers& answers_;
};

class FakeAgent : public wire::AgentCobSvNull {
 public:
  explicit FakeAgent(FakeAnswers& answers) : answers_(answers) {}
  void agent_hello(Give<wire::Hello> give, Throw, const wire::Hello&) override {
    give(hello_of(answers_, "troth-agent 9.9.9"));
  }
  void agent_status(Give<wire::AgentStatus> give, Throw raise) override {
    reply(answers_.agent, give, raise);
  }
  void resolve_branch(Give<wire::FinishReply> give, Throw raise,
                      const wire::ResolveBranchRequest& request) override {
    answers_.resolved_branch = request;
    reply(answers_.resolve_branch, give, raise);
  }
  void take_over_resource(Give<wire::ResourceHealth> give, Throw raise,
                          const wire::TakeOverRequest& request) override {
    answers_.taken_over = request;
    reply(answers_.take_over, give, raise);
  }

 private:
  FakeAnswers& answers_;
};

}  // namespace

struct FakeCluster::Serving {
  asio::io_context loop{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
  std::unique_ptr<rpc::Server> server;
  rpc::Address address;
  std::thread thread;
};

FakeCluster::FakeCluster() : serving_(std::make_unique<Serving>()) {
  auto& serving = *serving_;
  serving.server = std::make_unique<rpc::Server>(serving.loop, rpc::ServerOptions{});
  serving.server->add_service<wire::TransactionsAsyncProcessor>(std::make_shared<FakeTransactions>(answers));
  serving.server->add_service<wire::AdministrationAsyncProcessor>(
      std::make_shared<FakeAdministration>(answers));
  serving.server->add_service<wire::AgentAsyncProcessor>(std::make_shared<FakeAgent>(answers));
  const auto address = serving.server->listen({.host = "127.0.0.1", .port = 0});
  CHECK(address.has_value(), "{}", address.error().message);
  serving.address = *address;
  serving.thread = std::thread([&serving] { serving.loop.run(); });
}

FakeCluster::~FakeCluster() {
  asio::post(serving_->loop, [this] {
    serving_->server.reset();
    serving_->loop.stop();
  });
  serving_->thread.join();
}

std::string FakeCluster::address() const {
  return serving_->address.text();
}

}  // namespace troth
