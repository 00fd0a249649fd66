#include "tests/unit/bench/fake_troth.h"

#include <asio/post.hpp>

#include "base/check.h"

namespace troth::bench {
namespace {

using apache::thrift::TDelayedException;
using Throw = std::function<void(TDelayedException*)>;

class Administration : public wire::AdministrationCobSvNull {
 public:
  explicit Administration(std::int64_t log_syncs) : log_syncs_(log_syncs) {}

  void cluster_status(std::function<void(const wire::ClusterStatus&)> answer, Throw /*fail*/) override {
    wire::ClusterStatus status;
    status.log_syncs = log_syncs_;
    answer(status);
  }

 private:
  const std::int64_t log_syncs_;
};

}  // namespace

class FakeTroth::Transactions : public wire::TransactionsCobSvNull {
 public:
  explicit Transactions(std::deque<Answer> answers) : answers_(std::move(answers)) {}

  void execute(std::function<void(const wire::ExecuteResult&)> answer, Throw fail,
               const wire::ExecuteRequest& request) override {
    requests.push_back(request);
    if (answers_.empty()) return answer(wire::ExecuteResult());
    const Answer next = answers_.front();
    answers_.pop_front();
    if (const auto* result = std::get_if<wire::ExecuteResult>(&next)) return answer(*result);
    fail(TDelayedException::delayException(std::get<wire::TrothError>(next)));
  }

  std::vector<wire::ExecuteRequest> requests;

 private:
  std::deque<Answer> answers_;
};

FakeTroth::FakeTroth(std::deque<Answer> answers, std::int64_t log_syncs)
    : transactions_(std::make_shared<Transactions>(std::move(answers))) {
  server_ = std::make_unique<rpc::Server>(loop_, rpc::ServerOptions{});
  server_->add_service<wire::TransactionsAsyncProcessor>(transactions_);
  server_->add_service<wire::AdministrationAsyncProcessor>(std::make_shared<Administration>(log_syncs));
  const auto address = server_->listen({"127.0.0.1", 0});
  CHECK(address, "{}", address.error().message);
  port_ = address->port;
  thread_ = std::thread([this] { loop_.run(); });
}

FakeTroth::~FakeTroth() {
  if (thread_.joinable()) (void)stop();
}

TrothAddress FakeTroth::address() const {
  return {.host = "127.0.0.1",
          .port = port_,
          .postgres_resource = "accounts_pg",
          .mysql_resource = "accounts_my"};
}

std::vector<wire::ExecuteRequest> FakeTroth::stop() {
  asio::post(loop_, [this] { server_->close(); });
  work_.reset();
  thread_.join();
  return transactions_->requests;
}

}  // namespace troth::bench
