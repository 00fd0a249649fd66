// The coordinator's disk waits, fails, or loses its power, under the whole commit path.
// [T2] Nobody hears "commit" before the store has chosen it durably: not the caller, nor one that joins, nor
// `status`, nor an agent that inquires.
#include <set>

#include <gtest/gtest.h>

#include "tests/support/holds_within.h"
#include "tests/unit/commit_path/ledger.h"
#include "tests/unit/commit_path/world.h"
#include "tests/unit/txlog/faulty_files.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/blocking_channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

using namespace std::chrono_literals;
using wire::TransactionState;

const std::vector<Part> kTransfer = {{"till", kWork}, {"ledger", kWork}};

class CoordinatorsDisk : public testing::Test {
 protected:
  void SetUp() override {
    world_.start();
    ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  }
  testing::AssertionResult becomes_quiet() {
    if (holds_within(20s, [&] { return world_.is_quiet(); })) return testing::AssertionSuccess();
    return testing::AssertionFailure() << world_.what_is_left();
  }
  bool is_prepared(const std::string& resource, std::size_t branches) {
    return holds_within(20s, [&] { return world_.database(resource).unfinished() == branches; });
  }
  // Asks for what nobody was told, and compares everything. While a branch of an earlier attempt is in doubt,
  // its agent answers "busy".
  void settle_and_compare(Ledger& ledger) {
    Teller teller(world_.address());
    for (const auto& request : ledger.untold()) {
      EXPECT_TRUE(holds_within(20s, [&] {
        const auto answer = teller.execute(request_of(kTransfer, request));
        if (answer) ledger.told_committed(request, answer->transaction_id);
        return answer.has_value();
      })) << request;
    }
    EXPECT_TRUE(becomes_quiet());
    ledger.compare_with(world_.databases());
  }

  std::set<std::string> told_;  // transactions
  txlog::FaultyFiles files_{7};
  World world_{{.coordinator_files = &files_}};
};

TEST_F(CoordinatorsDisk, NobodyHearsOfACommitBeforeItIsDurable) {
  const auto request = request_of(kTransfer, fresh_request_id(), wire::Acknowledgement::DECIDED);
  Teller first(world_.address());
  Teller joined(world_.address());
  Teller asks(world_.address());
  files_.hold_syncs(true);
  first.begin(request);
  first.send();
  ASSERT_TRUE(is_prepared("till", 1));
  ASSERT_TRUE(is_prepared("ledger", 1));
  std::string transaction;
  ASSERT_TRUE(holds_within(20s, [&] {
    const auto report = asks.in_doubt();
    if (!report || report->transactions.empty()) return false;
    transaction = report->transactions.front().transaction_id;
    return report->transactions.front().state == TransactionState::PENDING;
  })) << "the record is not on its way";
  joined.begin(request);
  joined.send();

  EXPECT_EQ(asks.status_of(transaction)->state, TransactionState::PENDING);
  wire::StatusRequest by_request;
  by_request.client_name = request.client_name;
  by_request.__set_request_id(request.request_id);
  EXPECT_EQ(asks.status(by_request)->state, TransactionState::PENDING);
  rpc::BlockingChannel agent(world_.address());
  wire::InquireRequest inquiry;
  inquiry.cluster = "test-abc123";
  inquiry.agent_id = "left";
  inquiry.transaction_id = transaction;
  inquiry.branch = 1;
  inquiry.resource = "till";
  const auto decision = agent.call<wire::Directory_inquire>(inquiry, 5s);
  ASSERT_TRUE(decision) << decision.error().message;
  EXPECT_EQ(decision->decision, wire::Decision::UNDECIDED);
  EXPECT_EQ(world_.database("till").unfinished(), 1U) << "its agent heard something";
  EXPECT_EQ(world_.database("ledger").unfinished(), 1U) << "its agent heard something";

  files_.hold_syncs(false);
  const auto told = first.finish().front();
  const auto told_too = joined.finish().front();
  ASSERT_TRUE(told) << told.error().message;
  ASSERT_TRUE(told_too) << told_too.error().message;
  EXPECT_EQ(told->transaction_id, transaction);
  EXPECT_EQ(told_too->transaction_id, transaction);
  EXPECT_EQ(agent.call<wire::Directory_inquire>(inquiry, 5s)->decision, wire::Decision::COMMIT);
  EXPECT_TRUE(becomes_quiet());
}

TEST_F(CoordinatorsDisk, AFailedSyncEndsTheServerAndNobodyIsToldAnOutcome) {
  Ledger ledger;
  Teller teller(world_.address());
  std::vector<wire::ExecuteRequest> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(request_of(kTransfer, fresh_request_id()));
    ledger.asked(requests.back().request_id, {"till", "ledger"});
  }
  files_.fail_syncs(true);
  const auto answers = teller.execute_all(requests);
  for (const auto& answer : answers) {
    ASSERT_FALSE(answer) << "told to be committed by a disk that failed";
    EXPECT_EQ(answer.error().effect, Effect::kUnknown) << answer.error().message;
  }
  ASSERT_TRUE(world_.coordinator().life().ends_within(20s)) << "it goes on without a disk";
  const auto outcome = *world_.coordinator().life().outcome();
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::kIo) << outcome.error().message;
  // [4 of txlog] A failed sync is never tried again: what it says then is no longer true.
  files_.fail_syncs(false);
  const auto changes = files_.changes();
  EXPECT_FALSE(Teller(world_.address()).execute(request_of(kTransfer, fresh_request_id()), 500ms))
      << "it still serves";
  EXPECT_EQ(files_.changes(), changes) << "it still writes";

  world_.coordinator().drop();
  world_.coordinator().start();
  ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  settle_and_compare(ledger);
}

TEST_F(CoordinatorsDisk, WhatWasToldSurvivesPowerCuts) {
  Ledger ledger;
  for (int round = 0; round < 3; ++round) {
    Teller teller(world_.address());
    for (int i = 0; i < 40; ++i) {
      const auto request =
          request_of(kTransfer, fresh_request_id(),
                     i % 2 == 0 ? wire::Acknowledgement::DECIDED : wire::Acknowledgement::APPLIED);
      ledger.asked(request.request_id, {"till", "ledger"});
      teller.begin(request);
    }
    teller.send();
    files_.stop();
    world_.coordinator().drop();
    for (const auto& answer : teller.finish()) {
      // Which request it was is told by its transaction alone.
      if (answer) told_.insert(answer->transaction_id);
    }
    files_.resume_after_power_cut();
    world_.coordinator().start();
    ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
    Teller asks(world_.address());
    for (const auto& transaction : told_)
      EXPECT_EQ(asks.status_of(transaction)->state, TransactionState::COMMITTED) << transaction;
  }
  settle_and_compare(ledger);
}

}  // namespace
}  // namespace troth
