#include "examples/cpp/bank.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <thread>

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

namespace example {
namespace {

namespace wire = troth::wire;
using apache::thrift::TApplicationException;
using apache::thrift::TException;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kConnectTimeoutMs = 2'000;
constexpr std::int64_t kTransactionTimeoutMs = 10'000;
// Longer than the transaction's own timeout: the coordinator's answer comes first.
constexpr int kAnswerTimeoutMs = kTransactionTimeoutMs + 5'000;
constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{2'000};

wire::Value number(std::int64_t value) {
  wire::Value parameter;
  parameter.__set_int64(value);
  return parameter;
}

// Adds `amount` to one account. Placeholders are the database's own; here the resource's name tells which.
wire::BranchWork move(const Account& account, std::int64_t amount) {
  const bool postgres = account.resource.ends_with("pg");
  wire::ExpectRows exactly_one;
  exactly_one.__set_exactly(1);  // no such account: the whole transfer is refused
  wire::Statement statement;
  statement.sql = postgres ? "UPDATE account SET balance = balance + $1 WHERE id = $2"
                           : "UPDATE account SET balance = balance + ? WHERE id = ?";
  statement.parameters = {number(amount), number(account.id)};
  statement.__set_expect_rows(exactly_one);
  wire::BranchWork work;
  work.resource = account.resource;
  work.statements = {statement};
  return work;
}

wire::ExecuteRequest request_of(const Transfer& transfer, const std::string& client_name) {
  wire::ExecuteOptions options;
  options.__set_timeout_ms(kTransactionTimeoutMs);
  wire::ExecuteRequest request;
  request.branches = {move(transfer.from, -transfer.amount), move(transfer.to, transfer.amount)};
  request.__set_options(options);
  request.client_name = client_name;
  request.__set_request_id(transfer.request_id);
  request.__set_label("bank transfer");
  return request;
}

}  // namespace

std::string new_request_id() {
  std::random_device random;
  std::array<std::uint32_t, 3> bits{random(), random(), random()};
  const auto ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-7%03x-%04x-%04x%08x", static_cast<unsigned>(ms >> 16),
                static_cast<unsigned>(ms & 0xffff), bits[0] & 0xfff, 0x8000U | (bits[0] >> 12 & 0x3fff),
                bits[1] & 0xffff, bits[2]);
  return text.data();
}

Bank::Bank(std::string host, std::uint16_t port, std::string client_name)
    : host_(std::move(host)), port_(port), client_name_(std::move(client_name)) {}

wire::TransactionsClient& Bank::connected() {
  if (client_) return *client_;
  const auto socket = std::make_shared<apache::thrift::transport::TSocket>(host_, port_);
  socket->setConnTimeout(kConnectTimeoutMs);
  socket->setRecvTimeout(kAnswerTimeoutMs);
  socket->setSendTimeout(kAnswerTimeoutMs);
  const auto framed = std::make_shared<apache::thrift::transport::TFramedTransport>(socket);
  framed->open();
  client_ = std::make_unique<wire::TransactionsClient>(
      std::make_shared<apache::thrift::protocol::TBinaryProtocol>(framed));
  return *client_;
}

// One attempt: a certain answer, or the pause before the next attempt.
struct Bank::Attempt {
  bool certain = false;
  Answer answer;
  milliseconds pause{0};  // at least; 0: the caller's own back-off
};

Bank::Attempt Bank::attempt(const wire::ExecuteRequest& request) {
  try {
    wire::ExecuteResult result;
    connected().execute(result, request);
    // `already_committed`: an earlier attempt did it, and its answer was lost. The same success.
    return {true, {Outcome::kTransferred, result.transaction_id}, {}};
  } catch (const wire::TrothError& error) {
    if (error.effect == wire::Effect::APPLIED) return {true, {Outcome::kTransferred, error.message}, {}};
    if (error.effect == wire::Effect::NONE && !error.retryable)
      return {true, {Outcome::kRefused, error.message}, {}};
    // Nothing happened but may later (a deadlock, overload), or nobody knows: the same request_id again.
    return {false, {Outcome::kUnknown, error.message}, milliseconds(error.retry_after_ms)};
  } catch (const TException& broken) {
    // The connection broke, or the answer did not come in time. Whether the request was carried out is not
    // known, and this connection cannot be used again: a late answer would be taken for the next request's.
    client_.reset();
    return {false, {Outcome::kUnknown, broken.what()}, {}};
  }
}

Answer Bank::transfer(const Transfer& transfer, milliseconds patience) {
  const auto request = request_of(transfer, client_name_);
  const auto deadline = Clock::now() + patience;
  auto back_off = kFirstPause;
  while (true) {
    const auto attempted = attempt(request);
    if (attempted.certain) return attempted.answer;
    const auto pause = std::max(back_off, attempted.pause);
    if (Clock::now() + pause >= deadline) return attempted.answer;
    std::this_thread::sleep_for(pause);
    back_off = std::min(back_off * 2, kLongestPause);
  }
}

}  // namespace example
