#include "tests/unit/thrift/test_bank.h"

#include <stdexcept>
#include <utility>

#include <asio/steady_timer.hpp>

#include "base/check.h"

namespace troth::rpc::test {

using apache::thrift::TDelayedException;

Error to_error(const BankError& error) {
  Error result;
  result.code = static_cast<ErrorCode>(error.code);
  result.effect = Effect::kNone;
  result.message = error.message;
  if (error.__isset.retry_after_ms) result.retry_after = std::chrono::milliseconds(error.retry_after_ms);
  return result;
}

void write_bank_error(ThriftProtocol& out, const Error& error) {
  BankError wire;
  wire.code = static_cast<std::int32_t>(error.code);
  wire.code_name = name_of(error.code);
  wire.message = error.message;
  if (error.retry_after) wire.__set_retry_after_ms(error.retry_after->count());
  wire.write(&out);
}

void TestBank::echo(Answer<const Item&> answer, Throw, const Item& item) {
  answer(item);
}

void TestBank::hold(Answer<const std::int64_t&> answer, Throw, const Ticket& ticket) {
  held_.emplace(ticket.number, std::move(answer));
}

void TestBank::release(Answer<const bool&> answer, Throw, const Ticket& ticket) {
  answer(release_held(ticket.number));
}

bool TestBank::release_held(std::int64_t ticket) {
  const auto held = held_.extract(ticket);
  if (!held.empty()) held.mapped()(ticket);
  return !held.empty();
}

void TestBank::fail(Answer<> answer, Throw fail, const Text& how) {
  BankError declared;
  declared.code = static_cast<std::int32_t>(ErrorCode::kStale);
  declared.message = "declared";
  if (how.text == "declared") return fail(TDelayedException::delayException(declared));
  if (how.text == "undeclared")
    return fail(TDelayedException::delayException(std::runtime_error("undeclared")));
  if (how.text == "standard") throw std::runtime_error("the vault is on fire");
  if (how.text == "foreign") throw 42;  // what a service must never do
  if (how.text == "drop") return;
  answer();
  if (how.text == "twice") fail(TDelayedException::delayException(declared));
}

void TestBank::produce(Answer<const std::string&> answer, Throw, const Ticket& bytes) {
  answer(std::string(static_cast<std::size_t>(bytes.number), 'x'));
}

void TestBank::ping(Answer<> answer, Throw) {
  answer();
}

void TestBank::note(Answer<> answer, const Text&) {
  ++notes_;
  answer();
}

void TestClerk::who_calls(TestBank::Answer<const std::string&> answer, TestBank::Throw) {
  const auto* call = current_call();
  answer(std::string(call->peer) + " " + std::string(call->method));
}

void TestClerk::notes_taken(TestBank::Answer<const std::int64_t&> answer, TestBank::Throw) {
  answer(bank_->notes());
}

BankServer::BankServer(ServerOptions options) {
  if (!options.write_error) options.write_error = write_bank_error;
  server_ = std::make_unique<Server>(loop_, std::move(options));
  server_->add_service<BankAsyncProcessor>(bank_);
  server_->add_service<ClerkAsyncProcessor>(std::make_shared<TestClerk>(bank_));
  const auto address = server_->listen({"127.0.0.1", 0});
  CHECK(address, "{}", address.error().message);
  address_ = *address;
  thread_ = std::thread([this] { loop_.run(); });
}

BankServer::~BankServer() {
  on_loop([this](Server& server) {
    server.close();
    bank_->drop_held();
  });
  work_.reset();
  thread_.join();
}

void BankServer::on_loop(const std::function<void(Server&)>& work) {
  std::promise<void> done;
  asio::post(loop_, [&] {
    work(*server_);
    done.set_value();
  });
  done.get_future().wait();
}

ServerCounts BankServer::counts() {
  ServerCounts counts;
  on_loop([&counts](Server& server) { counts = server.counts(); });
  return counts;
}

void BankServer::release_held(std::int64_t ticket) {
  on_loop([&](Server&) { CHECK(bank_->release_held(ticket)); });
}

void BankServer::drop_held() {
  on_loop([this](Server&) { bank_->drop_held(); });
}

bool BankServer::wait_for(const std::function<bool(const ServerCounts&)>& condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  asio::steady_timer timer(loop_);
  std::promise<bool> held;
  const std::function<void(const asio::error_code&)> look = [&](const asio::error_code&) {
    const bool holds = condition(server_->counts());
    if (holds || std::chrono::steady_clock::now() > limit) return held.set_value(holds);
    timer.expires_after(std::chrono::milliseconds(1));
    timer.async_wait(look);
  };
  asio::post(loop_, [&look] { look({}); });
  return held.get_future().get();
}

}  // namespace troth::rpc::test
