// tests/unit/bench/fake_troth.h
//
// A coordinator that does nothing but remember what it was asked and answer as it was told to; on an event
// loop of its own, on a free loopback port.
#pragma once

#include <deque>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include "bench/runtime/stage.h"
#include "thrift/gen/Administration.h"
#include "thrift/gen/Transactions.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/server.h"

namespace troth::bench {

class FakeTroth {
 public:
  using Answer = std::variant<wire::ExecuteResult, wire::TrothError>;

  // `answers` in their order; behind the last one everything commits.
  explicit FakeTroth(std::deque<Answer> answers = {}, std::int64_t log_syncs = 0);
  ~FakeTroth();
  FakeTroth(const FakeTroth&) = delete;
  FakeTroth& operator=(const FakeTroth&) = delete;

  [[nodiscard]] TrothAddress address() const;

  // Ends the server. What it was asked, in order.
  [[nodiscard]] std::vector<wire::ExecuteRequest> stop();

 private:
  class Transactions;

  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  std::shared_ptr<Transactions> transactions_;
  std::unique_ptr<rpc::Server> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace troth::bench
