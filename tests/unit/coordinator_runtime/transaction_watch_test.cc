#include "coordinator/runtime/transaction_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/runtime/clock.h"
#include "coordinator/runtime/metrics_table.h"

namespace troth::coordinator {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TransactionId id(std::uint64_t sequence) {
  return {{"bank-ahbd57"}, {1}, {sequence}, std::nullopt};
}

class TransactionWatchTest : public testing::Test {
 protected:
  TransactionWatchTest()
      : table_({"bank-ahbd57"}, store::EpochAcquired{.epoch = {{1}, {7}}}, TableLimits{}, 1) {
    start_log("troth-coordinator", {});
    request_->client_name = "tellers";
    request_->__set_request_id("01a20783-d4c3-7980-b781-b38cf8598130");
    request_->__set_label("payroll");
    request_->__set_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    request_->branches.resize(2);
  }

  // Up to the chosen commit of two branches.
  void choose(const TransactionId& transaction) {
    watch_.preparing({.to = {.branch = {transaction, {1}}}}, &call_);
    watch_.preparing({.to = {.branch = {transaction, {2}}}}, &call_);
    store::CommitRecord record;
    record.transaction = transaction;
    record.branches = {{{1}, {1}}, {{2}, {2}}};
    watch_.asking({{5}, store::Choose{{1}, record}});
    watch_.store_answered({{5}, store::Won{}});
  }
  std::string answering(const Answer& answer) {
    testing::internal::CaptureStderr();
    watch_.answering(answer, call_);
    return testing::internal::GetCapturedStderr();
  }
  double count(const std::string& step) {
    return static_cast<double>(metrics_.histogram("troth_coordinator_step_seconds", {{"step", step}})
                                   .Collect()
                                   .histogram.sample_count);
  }
  double answers(const std::string& outcome, const std::string& code) {
    return metrics_.counter("troth_coordinator_answers_total", {{"outcome", outcome}, {"code", code}})
        .Value();
  }
  double aborts(const std::string& code) {
    return metrics_.counter("troth_coordinator_aborts_total", {{"code", code}}).Value();
  }
  static Failed failed(std::optional<TransactionId> transaction, ErrorCode code, Effect effect) {
    Failed failure;
    failure.transaction = std::move(transaction);
    failure.error.code = code;
    failure.error.effect = effect;
    failure.error.message = "Duplicate entry 'secret' for key 'account.PRIMARY'";
    return failure;
  }

  Metrics metrics_{coordinator_metrics()};
  TransactionWatch watch_{metrics_, std::chrono::seconds(1)};
  TransactionTable table_;
  std::shared_ptr<wire::ExecuteRequest> request_ = std::make_shared<wire::ExecuteRequest>();
  ExecuteCall call_{request_, nullptr, boot_now()};
};

TEST_F(TransactionWatchTest, MeasuresEachStepOfACommitOnce) {
  choose(id(1));
  watch_.commit_replied({{id(1), {1}}, BranchEnd::kCommitted, {}}, {"pg"}, table_);
  EXPECT_EQ(count("commit"), 0);
  watch_.commit_replied({{id(1), {2}}, BranchEnd::kUndecided, {}}, {"my"}, table_);
  EXPECT_EQ(count("commit"), 0);
  watch_.commit_replied({{id(1), {2}}, BranchEnd::kCommitted, {}}, {"my"}, table_);
  EXPECT_EQ(answering(Committed{.transaction = id(1)}), "");
  for (const auto* step : {"admission", "prepare", "choose", "commit", "whole"})
    EXPECT_EQ(count(step), 1) << step;
  EXPECT_EQ(answers("committed", "none"), 1);
}

TEST_F(TransactionWatchTest, MeasuresACommitThatGoesOnBehindItsAnswer) {
  choose(id(1));
  EXPECT_EQ(answering(Committed{.transaction = id(1)}), "");
  watch_.commit_replied({{id(1), {1}}, BranchEnd::kCommitted, {}}, {"pg"}, table_);
  watch_.commit_replied({{id(1), {2}}, BranchEnd::kCommitted, {}}, {"my"}, table_);
  EXPECT_EQ(count("commit"), 1);
}

TEST_F(TransactionWatchTest, ALateReplyBehindTheEndIsNothing) {
  choose(id(1));
  watch_.asking({{6}, store::End{{1}, {{id(1), {}, false}}}});
  watch_.commit_replied({{id(1), {1}}, BranchEnd::kCommitted, {}}, {"pg"}, table_);
  EXPECT_EQ(answering(Committed{.transaction = id(1)}), "");
  EXPECT_EQ(count("commit"), 0);
}

TEST_F(TransactionWatchTest, TellsAnAbortWithAllItsNamesAndItsReason) {
  watch_.preparing({.to = {.branch = {id(2), {1}}}}, &call_);
  const auto line = answering(failed(id(2), ErrorCode::kTimeout, Effect::kNone));
  EXPECT_THAT(line, HasSubstr("level=info program=troth-coordinator msg=\"transaction aborted\" "
                              "transaction=bank-ahbd57.1.2 client=tellers "
                              "request_id=01a20783-d4c3-7980-b781-b38cf8598130 label=payroll "
                              "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 "
                              "code=timeout effect=none"));
  EXPECT_EQ(answers("aborted", "timeout"), 1);
  EXPECT_EQ(aborts("timeout"), 1);
}

// Two calls wait for one transaction: two answers, one abort.
TEST_F(TransactionWatchTest, AnAbortCountsOnceHoweverManyWait) {
  watch_.preparing({.to = {.branch = {id(2), {1}}}}, &call_);
  answering(failed(id(2), ErrorCode::kConflict, Effect::kNone));
  answering(failed(id(2), ErrorCode::kConflict, Effect::kNone));
  EXPECT_EQ(answers("aborted", "conflict"), 2);
  EXPECT_EQ(aborts("conflict"), 1);
}

TEST_F(TransactionWatchTest, ADatabasesWordsAreNotWritten) {
  watch_.preparing({.to = {.branch = {id(2), {1}}}}, &call_);
  auto failure = failed(id(2), ErrorCode::kStatementFailed, Effect::kNone);
  failure.error.sqlstate = "23000";
  failure.error.vendor_code = 1062;
  failure.error.resource = "my";
  EXPECT_THAT(answering(failure),
              AllOf(HasSubstr("resource=my sqlstate=23000 vendor_code=1062"), Not(HasSubstr("secret"))));
}

TEST_F(TransactionWatchTest, TellsRefusedAndUnknownApart) {
  EXPECT_THAT(answering(failed(std::nullopt, ErrorCode::kOverloaded, Effect::kUnknown)),
              HasSubstr("msg=\"request refused\" client=tellers"));
  EXPECT_EQ(answers("refused", "overloaded"), 1);
  EXPECT_THAT(answering(failed(id(3), ErrorCode::kRequestIdReused, Effect::kNone)),
              HasSubstr("msg=\"request refused\""));
  EXPECT_EQ(answers("refused", "request_id_reused"), 1);
  EXPECT_THAT(answering(failed(id(4), ErrorCode::kTimeout, Effect::kUnknown)),
              HasSubstr("level=warning program=troth-coordinator msg=\"outcome unknown to the client\""));
  EXPECT_EQ(answers("unknown", "timeout"), 1);
  watch_.refused(*request_, failed(std::nullopt, ErrorCode::kInvalidArgument, Effect::kNone).error);
  EXPECT_EQ(answers("refused", "invalid_argument"), 1);
}

TEST_F(TransactionWatchTest, ASlowTransactionGetsALineWithItsSteps) {
  call_.called = boot_now() - std::chrono::milliseconds(1500);
  choose(id(1));
  EXPECT_THAT(answering(Committed{.transaction = id(1)}),
              testing::ContainsRegex("msg=\"slow transaction\" transaction=bank-ahbd57.1.1 .* whole_ms=15.. "
                                     "admission_ms=15.. prepare_ms=[0-9]+ choose_ms=[0-9]+ commit_ms=[0-9]+ "
                                     "branches=2"));
}

TEST_F(TransactionWatchTest, ABranchThatDidNotEndAsDecidedIsAnErrorThatNamesIt) {
  choose(id(1));
  testing::internal::CaptureStderr();
  watch_.commit_replied({{id(1), {2}}, BranchEnd::kLost, "its marker is not there"}, {"my"}, table_);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("level=error"), HasSubstr("transaction=bank-ahbd57.1.1"),
                    HasSubstr("resource=my branch=2 end=lost detail=\"its marker is not there\"")));
  EXPECT_EQ(metrics_.counter("troth_coordinator_unexpected_ends_total", {{"resource", "my"}, {"end", "lost"}})
                .Value(),
            1);
}

TEST_F(TransactionWatchTest, KnowsHowLongTheStoreHasBeenSilent) {
  EXPECT_EQ(watch_.longest_store_wait(), Duration{});
  watch_.asking({{9}, store::Lookup{id(1)}});
  EXPECT_EQ(watch_.store_waits(), 1U);
  watch_.store_answered({{9}, store::Found{}});
  EXPECT_EQ(watch_.store_waits(), 0U);
  EXPECT_EQ(metrics_.histogram("troth_coordinator_store_seconds", {{"request", "lookup"}})
                .Collect()
                .histogram.sample_count,
            1U);
}

TEST_F(TransactionWatchTest, AnInteractiveTransactionKeepsItsNamesFromBeginToEnd) {
  EXPECT_EQ(answering(Begun{id(1)}), "");
  EXPECT_EQ(answers("begun", "none"), 1);
  EXPECT_EQ(count("whole"), 0);
  testing::internal::CaptureStderr();
  const Answer busy = failed(id(1), ErrorCode::kBusy, Effect::kNone);
  watch_.answering(busy, EndingCall{id(1), true, nullptr, boot_now()});
  const Answer over = failed(id(1), ErrorCode::kTimeout, Effect::kNone);
  watch_.answering(over, EndingCall{id(1), true, nullptr, boot_now()});
  const auto lines = testing::internal::GetCapturedStderr();
  EXPECT_THAT(lines, testing::ContainsRegex("request refused\" .*label=payroll .*code=busy"));
  EXPECT_THAT(lines, testing::ContainsRegex("transaction aborted\" .*client=tellers .*label=payroll "
                                            "traceparent=00-4b.* code=timeout"));
  EXPECT_EQ(answers("refused", "busy"), 1);
  EXPECT_EQ(answers("aborted", "timeout"), 1);
}

TEST_F(TransactionWatchTest, AFailedStatementThatEndsItsTransactionIsAnAbort) {
  answering(Begun{id(1)});
  const AnswerStatement over{
      {2}, std::unexpected(failed({}, ErrorCode::kConflict, Effect::kNone).error), id(1)};
  testing::internal::CaptureStderr();
  watch_.answering(over, StatementCall{nullptr, nullptr, boot_now()});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::ContainsRegex("transaction aborted\" transaction=bank-ahbd57.1.1 .*label=payroll"));
  EXPECT_EQ(aborts("conflict"), 1);
  EXPECT_EQ(count("statement"), 1);
  const AnswerStatement refused{
      {3}, std::unexpected(failed({}, ErrorCode::kInvalidArgument, Effect::kNone).error), std::nullopt};
  watch_.answering(refused, StatementCall{nullptr, nullptr, boot_now()});
  EXPECT_EQ(aborts("invalid_argument"), 0);
}

}  // namespace
}  // namespace troth::coordinator
