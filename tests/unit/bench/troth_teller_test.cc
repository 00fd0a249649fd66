#include "bench/runtime/troth_teller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ids.h"
#include "bench/runtime/coordinator_calls.h"
#include "tests/unit/bench/fake_troth.h"

namespace troth::bench {
namespace {

using testing::HasSubstr;

constexpr Transfer kTransfer{.postgres_account = 3, .mysql_account = 4, .amount = -7};

Stage stage_of(const FakeTroth& troth) {
  Stage stage;
  stage.troth = troth.address();
  return stage;
}

wire::TrothError error_of(wire::ErrorCode::type code, bool retryable) {
  wire::TrothError error;
  error.code = code;
  error.effect = wire::Effect::NONE;
  error.message = "account 3 of accounts_pg is locked";
  error.retryable = retryable;
  return error;
}

std::unique_ptr<Teller> open(const FakeTroth& troth,
                             Acknowledgement acknowledgement = Acknowledgement::kApplied) {
  auto teller = open_troth_teller(stage_of(troth), acknowledgement, 2);
  CHECK(teller, "{}", teller.error().message);
  return std::move(*teller);
}

TEST(TrothTeller, AsksForBothBranchesInOneCallAndForOneRowInEach) {
  FakeTroth troth;
  const auto conflicts = open(troth)->transfer(kTransfer);
  ASSERT_TRUE(conflicts) << conflicts.error().message;
  EXPECT_EQ(*conflicts, 0);

  const auto requests = troth.stop();
  ASSERT_EQ(requests.size(), 1U);
  const wire::ExecuteRequest& request = requests.front();
  EXPECT_EQ(request.client_name, "bench-2");
  EXPECT_TRUE(RequestId::parse(request.request_id));
  EXPECT_EQ(request.options.acknowledgement, wire::Acknowledgement::APPLIED);
  ASSERT_EQ(request.branches.size(), 2U);
  EXPECT_EQ(request.branches[0].resource, "accounts_pg");
  EXPECT_EQ(request.branches[1].resource, "accounts_my");
  const std::int64_t amounts[] = {-7, 7};
  const std::int64_t accounts[] = {3, 4};
  for (std::size_t branch = 0; branch < 2; ++branch) {
    ASSERT_EQ(request.branches[branch].statements.size(), 1U);
    const wire::Statement& statement = request.branches[branch].statements.front();
    EXPECT_THAT(statement.sql, HasSubstr(branch == 0 ? "$1" : "?"));
    EXPECT_EQ(statement.expect_rows.exactly, 1);
    ASSERT_EQ(statement.parameters.size(), 2U);
    EXPECT_EQ(statement.parameters[0].int64, amounts[branch]);
    EXPECT_EQ(statement.parameters[1].int64, accounts[branch]);
  }
}

TEST(TrothTeller, MakesAConflictAgainUnderTheSameRequestIdAndCountsIt) {
  FakeTroth troth({error_of(wire::ErrorCode::CONFLICT, true), error_of(wire::ErrorCode::CONFLICT, true)});
  const auto teller = open(troth);
  const auto conflicts = teller->transfer(kTransfer);
  ASSERT_TRUE(conflicts) << conflicts.error().message;
  EXPECT_EQ(*conflicts, 2);
  ASSERT_TRUE(teller->transfer(kTransfer));

  const auto requests = troth.stop();
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[0].request_id, requests[1].request_id);
  EXPECT_EQ(requests[0].request_id, requests[2].request_id);
  EXPECT_NE(requests[0].request_id, requests[3].request_id) << "another transfer is another request";
}

TEST(TrothTeller, ReportsAnErrorThatNoRetryMends) {
  const FakeTroth troth({error_of(wire::ErrorCode::UNKNOWN_RESOURCE, false)});
  const auto conflicts = open(troth)->transfer(kTransfer);
  ASSERT_FALSE(conflicts);
  EXPECT_EQ(conflicts.error().code, ErrorCode::kUnknownResource);
  EXPECT_EQ(conflicts.error().message, "account 3 of accounts_pg is locked");
}

TEST(TrothTeller, TakesAPendingBranchForAFailureOnlyWhereAppliedWasAsked) {
  wire::ExecuteResult pending;
  pending.transaction_id = "bank-a1b2c3.1.7";
  pending.pending_resources = {"accounts_my"};
  const FakeTroth troth({pending, pending});
  EXPECT_TRUE(open(troth, Acknowledgement::kDecided)->transfer(kTransfer));
  const auto applied = open(troth, Acknowledgement::kApplied)->transfer(kTransfer);
  ASSERT_FALSE(applied);
  EXPECT_THAT(applied.error().message,
              HasSubstr("bank-a1b2c3.1.7 is decided, but not applied in accounts_my"));
}

TEST(TrothTeller, SaysWhereNobodyListens) {
  Stage stage;
  {
    const FakeTroth gone;
    stage = stage_of(gone);
  }
  const auto teller = open_troth_teller(stage, Acknowledgement::kApplied, 1);
  ASSERT_FALSE(teller);
  EXPECT_THAT(teller.error().message, HasSubstr("127.0.0.1:" + std::to_string(stage.troth->port)));
}

TEST(CoordinatorCalls, ReadsTheSyncsOfItsLog) {
  const FakeTroth troth({}, 4711);
  const auto syncs = coordinator_log_syncs(troth.address());
  ASSERT_TRUE(syncs) << syncs.error().message;
  EXPECT_EQ(*syncs, 4711U);
}

}  // namespace
}  // namespace troth::bench
