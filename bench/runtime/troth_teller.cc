#include "bench/runtime/troth_teller.h"

#include <thread>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "base/runtime/request_ids.h"
#include "bench/runtime/stock_client.h"
#include "thrift/gen/Transactions.h"
#include "thrift/runtime/wire_error.h"

namespace troth::bench {
namespace {

wire::Value int64_value(std::int64_t number) {
  wire::Value value;
  value.__set_int64(number);
  return value;
}

// One row, or the transfer fails: half of it can never stand.
wire::BranchWork update(const std::string& resource, const std::string& sql) {
  wire::ExpectRows one_row;
  one_row.__set_exactly(1);
  wire::Statement statement;
  statement.sql = sql;
  statement.__set_expect_rows(one_row);
  wire::BranchWork branch;
  branch.resource = resource;
  branch.statements.push_back(std::move(statement));
  return branch;
}

wire::Acknowledgement::type to_wire(Acknowledgement acknowledgement) {
  switch (acknowledgement) {
    case Acknowledgement::kApplied: return wire::Acknowledgement::APPLIED;
    case Acknowledgement::kDecided: return wire::Acknowledgement::DECIDED;
  }
  CHECK(false, "acknowledgement {}", static_cast<int>(acknowledgement));
}

class TrothTeller final : public Teller {
 public:
  TrothTeller(const TrothAddress& address, Acknowledgement acknowledgement, int client)
      : name_(fmt::format("bench-{}", client)), transactions_(address) {
    request_.branches = {
        update(address.postgres_resource, "UPDATE account SET balance = balance + $1 WHERE id = $2"),
        update(address.mysql_resource, "UPDATE account SET balance = balance + ? WHERE id = ?")};
    request_.client_name = name_;
    wire::ExecuteOptions options;
    options.__set_acknowledgement(to_wire(acknowledgement));
    request_.__set_options(options);
  }

  Result<int> transfer(const Transfer& transfer) override {
    set_parameters(0, transfer.amount, transfer.postgres_account);
    set_parameters(1, -transfer.amount, transfer.mysql_account);
    // The same for every attempt at this transfer: at most one of them commits.
    request_.__set_request_id(new_request_id(wall_now()).text());
    for (int conflicts = 0; conflicts <= kMostConflicts; ++conflicts) {
      const Status done = attempt();
      if (done) return conflicts;
      if (!done.error().retryable) return std::unexpected(done.error());
      if (const auto pause = done.error().retry_after; pause) std::this_thread::sleep_for(*pause);
    }
    return fail(ErrorCode::kConflict, Effect::kNone,
                fmt::format("client {} of Troth: {} conflicts in a row", name_, kMostConflicts));
  }

 private:
  void set_parameters(std::size_t branch, std::int64_t amount, AccountNumber account) {
    request_.branches[branch].statements.front().parameters = {int64_value(amount), int64_value(account)};
  }

  Status attempt() {
    try {
      wire::ExecuteResult result;
      transactions_->execute(result, request_);
      const bool applied = request_.options.acknowledgement == wire::Acknowledgement::APPLIED;
      if (applied && !result.pending_resources.empty())
        return fail(ErrorCode::kTimeout, Effect::kApplied,
                    fmt::format("client {} of Troth: {} is decided, but not applied in {}", name_,
                                result.transaction_id, result.pending_resources.front()));
      return {};
    } catch (const wire::TrothError& error) {
      return std::unexpected(wire::to_error(error));
    } catch (const apache::thrift::TException& error) {
      return fail(ErrorCode::kUnavailable, Effect::kUnknown,
                  fmt::format("client {} of Troth: {}", name_, error.what()));
    }
  }

  const std::string name_;
  StockClient<wire::TransactionsClient> transactions_;
  wire::ExecuteRequest request_;
};

}  // namespace

Result<std::unique_ptr<Teller>> open_troth_teller(const Stage& stage, Acknowledgement acknowledgement,
                                                  int client) {
  CHECK(stage.troth.has_value(), "the stage has no Troth");
  try {
    return std::make_unique<TrothTeller>(*stage.troth, acknowledgement, client);
  } catch (const apache::thrift::TException& error) {
    return fail(ErrorCode::kUnavailable, Effect::kNone,
                fmt::format("client {} cannot connect to Troth at {}:{}: {}", client, stage.troth->host,
                            stage.troth->port, error.what()));
  }
}

}  // namespace troth::bench
