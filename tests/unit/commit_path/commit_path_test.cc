// Each kind of call once, over the real servers, channel, log, journal and sessions: what the client is told
// and what stands in the databases. Runs under ThreadSanitizer.
#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/holds_within.h"
#include "tests/unit/commit_path/ledger.h"
#include "tests/unit/commit_path/world.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/blocking_channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

using namespace std::chrono_literals;
using wire::TransactionState;

const std::vector<Part> kTransfer = {{"till", kWork}, {"ledger", kWork}};
constexpr auto kDecided = wire::Acknowledgement::DECIDED;
constexpr auto kApplied = wire::Acknowledgement::APPLIED;

class CommitPath : public testing::Test {
 protected:
  void SetUp() override {
    world_.start();
    ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  }

  testing::AssertionResult becomes_quiet() {
    if (holds_within(20s, [&] { return world_.is_quiet(); })) return testing::AssertionSuccess();
    return testing::AssertionFailure() << world_.what_is_left();
  }
  bool is_blocked(const std::string& resource) {
    return holds_within(20s, [&] { return world_.database(resource).blocked() > 0; });
  }
  std::size_t committed(const std::string& resource) {
    const auto markers = world_.database(resource).markers();
    return static_cast<std::size_t>(std::ranges::count_if(
        markers, [](const auto& m) { return m.second.state == agent::MarkerState::kCommitted; }));
  }

  World world_;
};

testing::AssertionResult is_committed(const Teller::Executed& executed) {
  if (executed) return testing::AssertionSuccess();
  return testing::AssertionFailure() << executed.error().message;
}

TEST_F(CommitPath, AnAppliedTransferStandsInBothDatabasesWhenItIsTold) {
  for (const auto encoding : {rpc::Encoding::kBinary, rpc::Encoding::kCompact}) {
    Teller teller(world_.address(), encoding);
    const auto before = committed("till");
    const auto executed = teller.execute(request_of(kTransfer, fresh_request_id()));
    ASSERT_TRUE(is_committed(executed));
    EXPECT_EQ(executed->acknowledged, kApplied);
    EXPECT_TRUE(executed->pending_resources.empty());
    EXPECT_FALSE(executed->already_committed);
    EXPECT_EQ(executed->branches.size(), 2U);
    EXPECT_EQ(committed("till"), before + 1);
    EXPECT_EQ(committed("ledger"), before + 1);
    EXPECT_EQ(teller.status_of(executed->transaction_id)->state, TransactionState::COMMITTED);
  }
}

TEST_F(CommitPath, AnInteractiveTransferStandsInBothDatabasesWhenItIsTold) {
  Teller teller(world_.address());
  const auto request = request_of({{"till", kWork}, {"vault", kWork}, {"ledger", kWork}}, fresh_request_id());
  const auto talked = teller.converse(request);
  ASSERT_TRUE(is_committed(talked));
  EXPECT_EQ(talked->acknowledged, kApplied);
  for (const auto* resource : {"till", "vault", "ledger"})
    EXPECT_EQ(committed(resource), 1U) << resource;
  const auto again = teller.converse(request);
  ASSERT_TRUE(is_committed(again));
  EXPECT_TRUE(again->already_committed);
  EXPECT_EQ(again->transaction_id, talked->transaction_id);

  const auto refused = teller.converse(request_of({{"till", kWork}, {"vault", kRefuse}}, fresh_request_id()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().effect, Effect::kNone);
  EXPECT_TRUE(becomes_quiet());
  EXPECT_EQ(committed("till"), 1U);
}

TEST_F(CommitPath, ASingleWriterGoesInOnePhaseAndReadersLeaveNothing) {
  Teller teller(world_.address());
  const auto single = teller.execute(request_of({{"vault", kWork}}, fresh_request_id()));
  ASSERT_TRUE(is_committed(single));
  EXPECT_NE(single->transaction_id.find(".s"), std::string::npos) << single->transaction_id;
  EXPECT_EQ(committed("vault"), 1U);
  EXPECT_EQ(teller.status_of(single->transaction_id)->state, TransactionState::COMMITTED);

  const auto readers =
      teller.execute(request_of({{"till", kRead, true}, {"vault", kRead, true}}, fresh_request_id()));
  ASSERT_TRUE(is_committed(readers));
  const auto mixed = teller.execute(
      request_of({{"till", kWork}, {"vault", kRead, true}, {"ledger", kWork}}, fresh_request_id()));
  ASSERT_TRUE(is_committed(mixed));
  EXPECT_EQ(mixed->branches.size(), 3U);
  EXPECT_EQ(committed("till"), 1U);
  EXPECT_EQ(committed("vault"), 1U);
  EXPECT_EQ(committed("ledger"), 1U);
  EXPECT_TRUE(becomes_quiet());
}

TEST_F(CommitPath, ARefusalLeavesNothingAnywhere) {
  Teller teller(world_.address());
  const auto refused = teller.execute(
      request_of({{"till", kWork}, {"vault", kWork}, {"ledger", kRefuse}}, fresh_request_id()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kStatementFailed);
  EXPECT_EQ(refused.error().effect, Effect::kNone);
  EXPECT_EQ(refused.error().branch, 3U);
  const auto single = teller.execute(request_of({{"vault", kRefuse}}, fresh_request_id()));
  ASSERT_FALSE(single);
  EXPECT_EQ(single.error().effect, Effect::kNone);
  EXPECT_TRUE(becomes_quiet());
  for (const auto* resource : {"till", "vault", "ledger"})
    EXPECT_EQ(committed(resource), 0U) << resource;
}

TEST_F(CommitPath, ADoubledRequestJoinsTheRunningOne) {
  const auto request = request_of({{"till", kWork}, {"ledger", kBlock}}, fresh_request_id());
  Teller first(world_.address());
  Teller second(world_.address());
  first.begin(request);
  first.send();
  ASSERT_TRUE(is_blocked("ledger"));
  second.begin(request);
  second.begin(request_of({{"till", kWork}, {"vault", kWork}}, request.request_id));
  second.send();
  world_.database("ledger").release();
  const auto joined = second.finish();
  const auto original = first.finish();
  ASSERT_TRUE(is_committed(original[0]));
  ASSERT_TRUE(is_committed(joined[0]));
  EXPECT_EQ(joined[0]->transaction_id, original[0]->transaction_id);
  ASSERT_FALSE(joined[1]);
  EXPECT_EQ(joined[1].error().code, ErrorCode::kRequestIdReused);
  EXPECT_EQ(committed("till"), 1U);
  EXPECT_EQ(committed("vault"), 0U);
}

TEST_F(CommitPath, ADeadlineAbortsBeforeTheProposalAndTellsNothingAfterIt) {
  Teller teller(world_.address());
  const auto late =
      teller.execute(request_of({{"till", kWork}, {"ledger", kBlock}}, fresh_request_id(), kApplied, 300ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
  EXPECT_EQ(late.error().effect, Effect::kNone);
  // [T4] In one phase sending is proposing: its resource alone can tell.
  const auto id = fresh_request_id();
  const auto single = teller.execute(request_of({{"vault", kBlock}}, id, kApplied, 300ms));
  ASSERT_FALSE(single);
  EXPECT_EQ(single.error().effect, Effect::kUnknown);
  EXPECT_TRUE(becomes_quiet());
  EXPECT_EQ(teller.bar(id, {"vault"})->state, TransactionState::NOT_COMMITTED);
  for (const auto* resource : {"till", "vault", "ledger"})
    EXPECT_EQ(committed(resource), 0U) << resource;
}

TEST_F(CommitPath, DecidedIsToldWhileABranchStillWaitsAndSurvivesItsAgent) {
  world_.database("ledger").hold_finishing(true);
  Teller teller(world_.address());
  const auto decided = teller.execute(request_of(kTransfer, fresh_request_id(), kDecided));
  ASSERT_TRUE(is_committed(decided));
  EXPECT_EQ(decided->acknowledged, kDecided);
  const auto applied = teller.execute(request_of(kTransfer, fresh_request_id(), kApplied, 500ms));
  ASSERT_TRUE(is_committed(applied));
  EXPECT_EQ(applied->acknowledged, kDecided) << "it is not applied everywhere";
  EXPECT_EQ(applied->pending_resources, std::vector<std::string>{"ledger"});
  EXPECT_EQ(teller.status_of(applied->transaction_id)->state, TransactionState::COMMITTED);
  EXPECT_EQ(committed("ledger"), 0U);

  world_.right().drop();
  world_.database("ledger").hold_finishing(false);
  world_.right().start();
  EXPECT_TRUE(becomes_quiet());
  EXPECT_EQ(committed("till"), 2U);
  EXPECT_EQ(committed("ledger"), 2U);
}

TEST_F(CommitPath, ABarredRequestNeverCommitsAndACommittedOneIsNotBarred) {
  Teller teller(world_.address());
  const auto id = fresh_request_id();
  EXPECT_EQ(teller.bar(id, {"till", "ledger", "till"})->state, TransactionState::NOT_COMMITTED);
  const auto late = teller.execute(request_of(kTransfer, id));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kBarred);
  EXPECT_EQ(late.error().effect, Effect::kNone);
  // In one phase the barrier in the resource says so, whoever asks.
  const auto single = fresh_request_id();
  EXPECT_EQ(teller.bar(single, {"vault"})->state, TransactionState::NOT_COMMITTED);
  EXPECT_FALSE(teller.execute(request_of({{"vault", kWork}}, single)));

  // While it runs: chosen first, the bar stands and the commit does not.
  const auto running = fresh_request_id();
  Teller other(world_.address());
  other.begin(request_of({{"till", kWork}, {"ledger", kBlock}}, running));
  other.send();
  ASSERT_TRUE(is_blocked("ledger"));
  EXPECT_EQ(teller.bar(running, {})->state, TransactionState::NOT_COMMITTED);
  world_.database("ledger").release();
  const auto barred = other.finish().front();
  ASSERT_FALSE(barred);
  EXPECT_EQ(barred.error().code, ErrorCode::kBarred);
  EXPECT_TRUE(becomes_quiet());
  EXPECT_EQ(committed("till") + committed("vault") + committed("ledger"), 0U);

  const auto done = fresh_request_id();
  const auto executed = teller.execute(request_of(kTransfer, done));
  ASSERT_TRUE(is_committed(executed));
  const auto status = teller.bar(done, {"till"});
  EXPECT_EQ(status->state, TransactionState::COMMITTED);
  EXPECT_EQ(status->transaction_id, executed->transaction_id);
}

// What was committed in one phase left no record: only its resource can tell a later reign, and the bar's own
// barrier meets the marker there.
TEST_F(CommitPath, ABarFindsWhatAnEarlierReignCommittedInOnePhase) {
  const auto id = fresh_request_id();
  const auto barred = fresh_request_id();
  std::string transaction;
  {
    Teller teller(world_.address());
    const auto executed = teller.execute(request_of({{"vault", kWork}}, id));
    ASSERT_TRUE(is_committed(executed));
    transaction = executed->transaction_id;
  }
  world_.coordinator().drop();
  world_.coordinator().start();
  ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  Teller teller(world_.address());
  const auto found = teller.bar(id, {"vault"});
  EXPECT_EQ(found->state, TransactionState::COMMITTED) << found->detail;
  EXPECT_EQ(found->transaction_id, transaction);
  // A bar that did not come to its end in one resource is asked for again: its own barrier stands there.
  wire::StatusRequest in_vain;
  in_vain.client_name = "teller";
  in_vain.__set_request_id(barred);
  in_vain.bar = true;
  in_vain.bar_resources = {"vault", "ledger"};
  in_vain.__set_timeout_ms(300);
  world_.right().drop();
  EXPECT_EQ(teller.status(in_vain)->state, TransactionState::UNKNOWN);
  world_.right().start();
  ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  EXPECT_EQ(teller.bar(barred, {"vault", "ledger"})->state, TransactionState::NOT_COMMITTED);
}

// Attack 69: its row in the resource is all that knows of it, and other work of the same request meets it as a branch of
// any number, in one call or statement by statement, in this reign or the next.
TEST_F(CommitPath, WhatWasCommittedInOnePhaseIsMetByOtherWorkWhateverItsBranch) {
  const auto id = fresh_request_id();
  // The branch beside the refused one is still being rolled back for a moment, and busy with the same request.
  const auto refuses = [&](const std::function<Teller::Executed()>& attempt) {
    Teller::Executed executed = attempt();
    ASSERT_TRUE(holds_within(20s, [&] {
      if (executed || executed.error().code != ErrorCode::kBusy) return true;
      executed = attempt();
      return false;
    }));
    ASSERT_FALSE(executed);
    EXPECT_EQ(executed.error().code, ErrorCode::kRequestIdReused) << executed.error().message;
    EXPECT_EQ(executed.error().effect, Effect::kNone);
    EXPECT_EQ(executed.error().branch, 2U);
  };
  {
    Teller teller(world_.address());
    ASSERT_TRUE(is_committed(teller.execute(request_of({{"vault", kWork}}, id))));
    refuses([&] { return teller.execute(request_of({{"till", kWork}, {"vault", kWork}}, id)); });
    refuses([&] { return teller.converse(request_of({{"till", kWork}, {"vault", kWork}}, id)); });
  }
  world_.coordinator().drop();
  world_.coordinator().start();
  ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  Teller teller(world_.address());
  refuses([&] { return teller.execute(request_of({{"till", kWork}, {"vault", kWork}}, id)); });
  refuses([&] { return teller.converse(request_of({{"ledger", kWork}, {"vault", kWork}}, id)); });
  EXPECT_TRUE(becomes_quiet());
  EXPECT_EQ(committed("till") + committed("ledger"), 0U);
  EXPECT_EQ(committed("vault"), 1U);
}

TEST_F(CommitPath, ARequestIsRememberedAcrossCleanStopsAndDroppedProcesses) {
  const auto transfer = request_of(kTransfer, fresh_request_id());
  const auto single = request_of({{"vault", kWork}}, fresh_request_id());
  std::string transfer_id, single_id;
  {
    Teller teller(world_.address());
    transfer_id = teller.execute(transfer)->transaction_id;
    single_id = teller.execute(single)->transaction_id;
  }
  for (const bool clean : {true, false}) {
    if (clean) {
      EXPECT_TRUE(world_.coordinator().stop().has_value());
      EXPECT_TRUE(world_.left().stop().has_value());
    } else {
      world_.coordinator().drop();
      world_.left().drop();
    }
    world_.coordinator().start();
    world_.left().start();
    ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
    Teller teller(world_.address());
    for (const auto& [request, id] : {std::pair{transfer, transfer_id}, std::pair{single, single_id}}) {
      const auto again = teller.execute(request);
      ASSERT_TRUE(is_committed(again));
      EXPECT_EQ(again->transaction_id, id);
      EXPECT_TRUE(again->already_committed);
      EXPECT_EQ(teller.status_of(id)->state, TransactionState::COMMITTED);
    }
    auto other = transfer;
    other.branches[0].statements[0].sql = "UPDATE account SET cents = cents - 5";
    EXPECT_EQ(teller.execute(other).error().code, ErrorCode::kRequestIdReused);
  }
  EXPECT_TRUE(becomes_quiet());
  EXPECT_EQ(committed("till"), 1U);
  EXPECT_EQ(committed("vault"), 1U);
}

// What the server refuses before the coordinator sees it may be the retry of something that commits.
TEST_F(CommitPath, ARefusedRetryIsNotToldThatNothingStands) {
  EXPECT_TRUE(world_.coordinator().stop().has_value());
  world_.coordinator().options().settings.max_calls = 1;
  world_.coordinator().start();
  // With room for one call at a time even a look at the cluster is refused now and then.
  ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  const auto request = request_of({{"till", kWork}, {"ledger", kBlock}}, fresh_request_id());
  Teller first(world_.address());
  Teller retries(world_.address(), rpc::Encoding::kCompact);
  first.begin(request);
  first.send();
  ASSERT_TRUE(is_blocked("ledger"));

  auto refused = retries.execute(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_TRUE(refused.error().retry_after.has_value());
  EXPECT_EQ(refused.error().effect, Effect::kUnknown) << "the first attempt may commit";
  const auto anonymous = retries.execute(request_of(kTransfer, ""));
  ASSERT_FALSE(anonymous);
  EXPECT_EQ(anonymous.error().code, ErrorCode::kOverloaded);
  EXPECT_EQ(anonymous.error().effect, Effect::kNone) << "nobody can have sent it before";

  world_.database("ledger").release();
  ASSERT_TRUE(is_committed(first.finish().front()));
  EXPECT_EQ(retries.execute(request)->already_committed, true);
}

// Nobody on the network makes the coordinator call more and more addresses.
TEST_F(CommitPath, OneAgentTooManyIsNotRegistered) {
  EXPECT_TRUE(world_.coordinator().stop().has_value());
  world_.coordinator().options().settings.max_agents = 3;  // and two of them are there
  world_.coordinator().start();
  ASSERT_TRUE(holds_within(20s, [&] { return world_.serves(); }));
  rpc::BlockingChannel stranger(world_.address());
  wire::RegisterRequest request;
  request.incarnation = 1;
  request.address = "127.0.0.1:1";
  request.agent_id = "third";
  EXPECT_TRUE(stranger.call<wire::Directory_register_agent>(request, 5s));
  request.agent_id = "fourth";
  const auto refused = stranger.call<wire::Directory_register_agent>(request, 5s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  request.agent_id = "third";
  EXPECT_TRUE(stranger.call<wire::Directory_register_agent>(request, 5s)) << "it is known";
}

TEST_F(CommitPath, AStopUnderLoadAnswersEverybodyWithTheTruthAndEndsInTime) {
  Ledger ledger;
  std::atomic<bool> enough = false;
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      Teller teller(world_.address());
      while (!enough) {
        std::vector<wire::ExecuteRequest> requests;
        for (int i = 0; i < 8; ++i) {
          requests.push_back(request_of(kTransfer, fresh_request_id()));
          ledger.asked(requests.back().request_id, {"till", "ledger"});
        }
        const auto answers = teller.execute_all(requests);
        for (std::size_t i = 0; i < answers.size(); ++i) {
          if (answers[i])
            ledger.told_committed(requests[i].request_id, answers[i]->transaction_id);
          else if (answers[i].error().effect == Effect::kNone)
            ledger.told_never(requests[i].request_id, answers[i].error().message);
        }
      }
    });
  }
  EXPECT_TRUE(holds_within(20s, [&] { return ledger.committed() > 50; }));
  const auto began = std::chrono::steady_clock::now();
  const auto outcome = world_.coordinator().stop();
  EXPECT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
  enough = true;
  for (auto& client : clients)
    client.join();
  world_.coordinator().start();
  EXPECT_TRUE(becomes_quiet());
  // Nobody was told of these: a look tells.
  Teller teller(world_.address());
  for (const auto& request : ledger.untold()) {
    const auto status = teller.bar(request, {"till", "ledger"});
    if (status && status->state == TransactionState::COMMITTED)
      ledger.told_committed(request, status->transaction_id);
    else if (status && status->state == TransactionState::NOT_COMMITTED)
      ledger.told_never(request, "barred");
  }
  EXPECT_TRUE(ledger.untold().empty());
  ledger.compare_with(world_.databases());
  EXPECT_TRUE(world_.left().stop().has_value());
  EXPECT_TRUE(world_.right().stop().has_value());
}

}  // namespace
}  // namespace troth
