// The services of bank.thrift, and a server with them on an event loop of its own.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "tests/unit/thrift/gen/Bank.h"
#include "tests/unit/thrift/gen/Clerk.h"
#include "tests/unit/thrift/gen/bank_methods.h"
#include "thrift/runtime/server.h"

namespace troth::rpc::test {

// What the declared exception becomes on the caller's side, and back.
[[nodiscard]] Error to_error(const BankError& error);
void write_bank_error(ThriftProtocol& out, const Error& error);

class TestBank : public BankCobSvIf {
 public:
  template <typename... T>
  using Answer = std::function<void(T...)>;
  using Throw = std::function<void(apache::thrift::TDelayedException*)>;

  void echo(Answer<const Item&> answer, Throw fail, const Item& item) override;
  void hold(Answer<const std::int64_t&> answer, Throw fail, const Ticket& ticket) override;
  void release(Answer<const bool&> answer, Throw fail, const Ticket& ticket) override;
  void fail(Answer<> answer, Throw fail, const Text& how) override;
  void produce(Answer<const std::string&> answer, Throw fail, const Ticket& bytes) override;
  void ping(Answer<> answer, Throw fail) override;
  void note(Answer<> answer, const Text& text) override;

  void drop_held() { held_.clear(); }
  [[nodiscard]] bool release_held(std::int64_t ticket);
  [[nodiscard]] std::int64_t notes() const { return notes_; }

 private:
  std::multimap<std::int64_t, Answer<const std::int64_t&>> held_;
  std::int64_t notes_ = 0;
};

class TestClerk : public ClerkCobSvIf {
 public:
  explicit TestClerk(std::shared_ptr<TestBank> bank) : bank_(std::move(bank)) {}
  void who_calls(TestBank::Answer<const std::string&> answer, TestBank::Throw fail) override;
  void notes_taken(TestBank::Answer<const std::int64_t&> answer, TestBank::Throw fail) override;

 private:
  std::shared_ptr<TestBank> bank_;
};

// Serves both on a free loopback port, from construction to destruction, on a thread of its own.
class BankServer {
 public:
  explicit BankServer(ServerOptions options = {});
  ~BankServer();
  BankServer(const BankServer&) = delete;
  BankServer& operator=(const BankServer&) = delete;

  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] ServerCounts counts();
  void release_held(std::int64_t ticket);
  void drop_held();
  // Runs on the server's thread and waits for it.
  void on_loop(const std::function<void(Server&)>& work);
  // Until the condition holds; false after ten seconds.
  [[nodiscard]] bool wait_for(const std::function<bool(const ServerCounts&)>& condition);

 private:
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  std::shared_ptr<TestBank> bank_ = std::make_shared<TestBank>();
  std::unique_ptr<Server> server_;
  Address address_;
  std::thread thread_;
};

}  // namespace troth::rpc::test
