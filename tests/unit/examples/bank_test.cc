#include "examples/cpp/bank.h"

#include <gtest/gtest.h>

#include "base/ids.h"
#include "tests/support/fake_cluster.h"
#include "thrift/address.h"

namespace example {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using troth::Effect;
using troth::Error;
using troth::ErrorCode;

class BankTest : public testing::Test {
 protected:
  Answer transfer(milliseconds patience = seconds(10)) {
    const auto address = troth::rpc::Address::parse(cluster_.address());
    Bank bank(address->host, address->port, "shop");
    return bank.transfer({{"accounts_pg", 1}, {"accounts_my", 2}, 25, request_id_}, patience);
  }
  // Every attempt was the same request.
  void expect_attempts(std::size_t count) const {
    ASSERT_EQ(answers_.executed.size(), count);
    for (const auto& request : answers_.executed)
      EXPECT_EQ(request, answers_.executed[0]);
    EXPECT_EQ(answers_.executed[0].request_id, request_id_);
  }

  troth::FakeCluster cluster_;
  troth::FakeAnswers& answers_ = cluster_.answers;
  std::string request_id_ = new_request_id();
};

troth::wire::ExecuteResult committed() {
  troth::wire::ExecuteResult result;
  result.transaction_id = "bank-x7k2p9.1.1";
  return result;
}

TEST_F(BankTest, ATransferIsTwoBranchesThatMustEachTouchOneAccount) {
  answers_.execute = committed();
  EXPECT_EQ(transfer().outcome, Outcome::kTransferred);
  expect_attempts(1);
  const auto& branches = answers_.executed[0].branches;
  ASSERT_EQ(branches.size(), 2u);
  EXPECT_EQ(branches[0].statements[0].sql, "UPDATE account SET balance = balance + $1 WHERE id = $2");
  EXPECT_EQ(branches[0].statements[0].parameters[0].int64, -25);
  EXPECT_EQ(branches[1].statements[0].sql, "UPDATE account SET balance = balance + ? WHERE id = ?");
  EXPECT_EQ(branches[1].statements[0].parameters[0].int64, 25);
  EXPECT_EQ(branches[0].statements[0].expect_rows.exactly, 1);
}

TEST_F(BankTest, AnUnknownAnswerIsAskedForAgainWithTheSameRequestId) {
  answers_.drop_executes = 2;
  answers_.execute_first.push_back(
      troth::fail(ErrorCode::kTimeout, Effect::kUnknown, "no answer from the agent"));
  answers_.execute = committed();
  EXPECT_EQ(transfer().outcome, Outcome::kTransferred);
  expect_attempts(4);
}

TEST_F(BankTest, ARefusalIsFinal) {
  answers_.execute = troth::fail(ErrorCode::kStatementFailed, Effect::kNone, "no_overdraft");
  const auto answer = transfer();
  EXPECT_EQ(answer.outcome, Outcome::kRefused);
  EXPECT_EQ(answer.detail, "no_overdraft");
  expect_attempts(1);
}

TEST_F(BankTest, AnOverloadedCoordinatorIsLeftAloneForAsLongAsItAsks) {
  Error overloaded{
      .code = ErrorCode::kOverloaded, .effect = Effect::kNone, .message = "full", .retryable = true};
  overloaded.retry_after = milliseconds(200);
  answers_.execute_first.push_back(std::unexpected(overloaded));
  answers_.execute = committed();
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(transfer().outcome, Outcome::kTransferred);
  EXPECT_GE(std::chrono::steady_clock::now() - before, milliseconds(200));
  expect_attempts(2);
}

TEST_F(BankTest, PatienceEndsInUnknownNeverInRefused) {
  answers_.execute = troth::fail(ErrorCode::kTimeout, Effect::kUnknown, "no answer from the agent");
  EXPECT_EQ(transfer(milliseconds(300)).outcome, Outcome::kUnknown);
}

TEST(BankExample, ItsRequestIdsAreUuidsOfVersionSeven) {
  EXPECT_TRUE(troth::RequestId::parse(new_request_id()));
  EXPECT_NE(new_request_id(), new_request_id());
}

}  // namespace
}  // namespace example
