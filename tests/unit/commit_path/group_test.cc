// A whole group of three coordinators in this process: work through each of them, while the lead is handed over, and while
// the leader stops. Runs under ThreadSanitizer.
#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/holds_within.h"
#include "tests/unit/commit_path/group_of_coordinators.h"
#include "tests/unit/commit_path/ledger.h"
#include "tests/unit/commit_path/world.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/blocking_channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

using namespace std::chrono_literals;
using wire::TransactionState;

const std::vector<Part> kTransfer = {{"till", kWork}, {"ledger", kWork}};
const std::vector<Part> kWide = {{"till", kWork}, {"vault", kWork}, {"ledger", kWork}};

std::set<std::string> writes_of(const std::vector<Part>& parts) {
  std::set<std::string> writes;
  for (const auto& part : parts)
    writes.insert(part.resource);
  return writes;
}

class Group : public testing::Test {
 protected:
  void SetUp() override {
    group_.start();
    ASSERT_TRUE(serves());
  }
  [[nodiscard]] bool serves() {
    return holds_within(30s, [&] { return group_.serves(); });
  }
  // Until it is known how it ended: a service's loop. False: nobody could tell in time.
  bool carry_out(
      Teller& teller, const wire::ExecuteRequest& request, const std::set<std::string>& writes,
      const std::function<void(const Error&)>& refused = [](const Error&) {}) {
    ledger_.asked(request.request_id, writes);
    return holds_within(
        60s,
        [&] {
          const auto executed = teller.execute(request);
          if (!executed) {
            refused(executed.error());
            return false;
          }
          ledger_.told_committed(request.request_id, executed->transaction_id);
          return true;
        },
        20ms);
  }
  void expect_consistent() {
    EXPECT_TRUE(holds_within(30s, [&] { return group_.is_quiet(); })) << group_.what_is_left();
    EXPECT_TRUE(ledger_.untold().empty());
    ledger_.compare_with(group_.databases());
  }

  GroupOfCoordinators group_;
  Ledger ledger_;
};

TEST_F(Group, WorkGoesThroughEachCoordinator) {
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number) {
    Teller teller(group_.address(number), number == 1 ? rpc::Encoding::kCompact : rpc::Encoding::kBinary);
    for (const auto& parts : {kTransfer, kWide, std::vector<Part>{{"vault", kWork}}}) {
      const auto request = request_of(parts, fresh_request_id());
      ledger_.asked(request.request_id, writes_of(parts));
      const auto executed = teller.execute(request);
      ASSERT_TRUE(executed) << "through replica " << number << ": " << executed.error().message;
      ledger_.told_committed(request.request_id, executed->transaction_id);
      const auto status = teller.status_of(executed->transaction_id);
      ASSERT_TRUE(status) << status.error().message;
      EXPECT_EQ(status->state, TransactionState::COMMITTED);
    }
    const auto talk = request_of(kTransfer, fresh_request_id());
    ledger_.asked(talk.request_id, writes_of(kTransfer));
    const auto talked = teller.converse(talk);
    ASSERT_TRUE(talked) << talked.error().message;
    ledger_.told_committed(talk.request_id, talked->transaction_id);
    const auto refused =
        teller.execute(request_of({{"till", kWork}, {"ledger", kRefuse}}, fresh_request_id()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kStatementFailed);
    EXPECT_EQ(refused.error().effect, Effect::kNone);
  }
  expect_consistent();
}

// What one coordinator was told, another one knows.
TEST_F(Group, ARequestIsCarriedOutOnceWhicheverCoordinatorIsAsked) {
  const auto request = request_of(kTransfer, fresh_request_id());
  ledger_.asked(request.request_id, writes_of(kTransfer));
  std::string transaction;
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number) {
    const auto executed = Teller(group_.address(number)).execute(request);
    ASSERT_TRUE(executed) << executed.error().message;
    if (transaction.empty()) transaction = executed->transaction_id;
    EXPECT_EQ(executed->transaction_id, transaction);
    EXPECT_EQ(executed->already_committed, number > 1);
  }
  ledger_.told_committed(request.request_id, transaction);
  expect_consistent();
}

TEST_F(Group, AnyCoordinatorAnswersFromItsOwnCopyWithTheConsistencyThatIsAsked) {
  const auto leader = group_.leader();
  ASSERT_TRUE(leader);
  const auto executed = Teller(group_.address(*leader)).execute(request_of(kTransfer, fresh_request_id()));
  ASSERT_TRUE(executed) << executed.error().message;
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number) {
    Teller teller(group_.address(number));
    wire::StatusRequest question;
    question.__set_transaction_id(executed->transaction_id);
    question.__set_consistency(wire::Consistency::QUORUM);
    const auto told = teller.status(question);
    ASSERT_TRUE(told) << told.error().message;
    EXPECT_EQ(told->state, TransactionState::COMMITTED) << "at replica " << number;
    ASSERT_TRUE(told->__isset.session_token);
    question.__set_consistency(wire::Consistency::SESSION);
    question.__set_session_token(told->session_token);
    for (std::uint32_t other = 1; other <= GroupOfCoordinators::kReplicas; ++other) {
      const auto seen = Teller(group_.address(other)).status(question);
      ASSERT_TRUE(seen) << seen.error().message;
      EXPECT_EQ(seen->state, TransactionState::COMMITTED) << "at replica " << other;
    }
    question.__set_session_token("what is none");
    const auto refused = teller.status(question);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    question.__isset.session_token = false;
    question.__set_consistency(wire::Consistency::EVENTUAL);
    EXPECT_TRUE(holds_within(10s,
                             [&] {
                               const auto seen = teller.status(question);
                               return seen && seen->state == TransactionState::COMMITTED;
                             }))
        << "replica " << number << " never hears of it";
  }
}

TEST_F(Group, TheLeadIsHandedOverWhileWorkGoesOnAndNothingIsUnknown) {
  std::atomic<bool> enough = false;
  std::atomic<int> committed = 0;
  std::vector<std::thread> clients;
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number) {
    clients.emplace_back([&, number] {
      Teller teller(group_.address(number));
      while (!enough) {
        const auto& parts = number == 1 ? kWide : kTransfer;
        const auto request = request_of(parts, fresh_request_id());
        EXPECT_TRUE(carry_out(teller, request, writes_of(parts), [](const Error& error) {
          // A reign that has just begun has not called its agents yet.
          EXPECT_EQ(error.effect, Effect::kNone) << error.message;
        }));
        ++committed;
      }
    });
  }
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(holds_within(30s, [&] { return group_.leader().has_value(); }));
    const auto to = group_.follower();
    const auto asked = round % GroupOfCoordinators::kReplicas + 1;  // it is passed on like any other call
    Result<wire::GroupStatus> handed = fail(ErrorCode::kInternal, Effect::kNone, "not asked");
    EXPECT_TRUE(holds_within(30s, [&] { return (handed = group_.transfer(asked, to)).has_value(); }))
        << handed.error().message;
    EXPECT_TRUE(holds_within(30s, [&] { return group_.leader() == to; }));
    const int before = committed;
    EXPECT_TRUE(holds_within(30s, [&] { return committed > before + 10; }));
  }
  enough = true;
  for (auto& client : clients)
    client.join();
  expect_consistent();
}

TEST_F(Group, ALeaderThatStopsOrFallsIsFollowedByAnotherOneAndComesBack) {
  std::atomic<bool> enough = false;
  std::atomic<int> committed = 0;
  std::vector<std::thread> clients;
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number) {
    clients.emplace_back([&, number] {
      Teller teller(group_.address(number));
      while (!enough) {
        const auto& parts = number == 1 ? kWide : kTransfer;
        const auto request = request_of(parts, fresh_request_id());
        EXPECT_TRUE(carry_out(teller, request, writes_of(parts)));
        ++committed;
      }
    });
  }
  const auto goes_on = [&] {
    const int before = committed;
    return holds_within(60s, [&] { return committed > before + 10; });
  };
  for (const bool clean : {true, false}) {
    ASSERT_TRUE(holds_within(30s, [&] { return group_.leader().has_value(); }));
    const auto leader = *group_.leader();
    auto& coordinator = group_.coordinator(leader);
    if (clean) {
      const auto stopped = coordinator.stop();
      EXPECT_TRUE(stopped) << stopped.error().message;
    } else {
      coordinator.drop();
    }
    EXPECT_TRUE(holds_within(30s, [&] { return group_.leader().has_value(); })) << "nobody follows it";
    coordinator.start();
    EXPECT_TRUE(goes_on());
    EXPECT_TRUE(serves());
  }
  enough = true;
  for (auto& client : clients)
    client.join();
  expect_consistent();
}

}  // namespace
}  // namespace troth
