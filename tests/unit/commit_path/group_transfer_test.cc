// A hand-over of the lead that an operator asks for, and what comes between: the leader stops meanwhile, or leads no longer.
#include <fstream>
#include <future>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/holds_within.h"
#include "tests/unit/commit_path/group_of_coordinators.h"
#include "tests/unit/commit_path/world.h"

namespace troth {
namespace {

using namespace std::chrono_literals;

class GroupTransfer : public testing::Test {
 protected:
  void SetUp() override {
    group_.start();
    ASSERT_TRUE(holds_within(30s, [&] { return group_.serves(); }));
    leader_ = *group_.leader();
    to_ = group_.follower();
  }

  // A transaction that the leader has to finish before it hands over, and that does not end by itself.
  void keep_it_busy() {
    busy_ = std::async(std::launch::async, [this] {
      const auto request = request_of({{"till", kBlock}, {"ledger", kWork}}, fresh_request_id(),
                                      wire::Acknowledgement::APPLIED, 60s);
      return Teller(group_.address(leader_)).execute(request, 60s);
    });
    ASSERT_TRUE(holds_within(20s, [this] { return group_.databases().at("till")->blocked() > 0; }));
  }
  std::future<Result<wire::GroupStatus>> transfer(std::uint32_t to) {
    return std::async(std::launch::async, [this, to] { return group_.transfer(leader_, to); });
  }
  // It has come to the leader, which waits for what runs: so its audit trail says.
  [[nodiscard]] bool is_begun() {
    return holds_within(20s, [this] {
      std::ifstream trail(group_.coordinator(leader_).options().audit_path);
      for (std::string line; std::getline(trail, line);)
        if (line.find("action=transfer-lead ") != std::string::npos) return true;
      return false;
    });
  }
  void expect_served() {
    EXPECT_TRUE(holds_within(30s, [this] { return group_.serves(); }));
    const auto executed = Teller(group_.address(to_))
                              .execute(request_of({{"till", kWork}, {"ledger", kWork}}, fresh_request_id()));
    EXPECT_TRUE(executed) << executed.error().message;
  }

  GroupOfCoordinators group_;
  std::uint32_t leader_ = 0;
  std::uint32_t to_ = 0;
  std::future<Teller::Executed> busy_;
};

TEST_F(GroupTransfer, IsRefusedWhereItCannotBe) {
  const auto unknown = group_.transfer(leader_, 9);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(unknown.error().effect, Effect::kNone);
  EXPECT_EQ(unknown.error().message, "replica 9 does not vote, so it cannot lead");
  const auto here = group_.transfer(to_, leader_);
  ASSERT_TRUE(here) << here.error().message;
  EXPECT_EQ(here->leader, static_cast<std::int32_t>(leader_)) << "it leads already";
  group_.coordinator(to_).drop();
  Result<wire::GroupStatus> gone;
  EXPECT_TRUE(holds_within(20s, [&] {
    gone = group_.transfer(leader_, to_);
    return !gone && gone.error().effect == Effect::kNone;
  }));
  EXPECT_NE(gone.error().message.find("cannot be reached from the leader"), std::string::npos)
      << gone.error().message;
  group_.coordinator(to_).start();
  expect_served();
}

TEST_F(GroupTransfer, WaitsForWhatRunsAndIsAnsweredWhenTheOtherOneLeads) {
  keep_it_busy();
  auto transferred = transfer(to_);
  ASSERT_TRUE(is_begun());
  EXPECT_EQ(group_.leader(), leader_) << "it leads as long as something runs";
  const auto busy = group_.transfer(leader_, to_);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::kBusy);
  EXPECT_EQ(busy.error().effect, Effect::kNone);
  EXPECT_EQ(busy.error().message, "the lead is being handed over already");
  const auto outcome = transferred.get();
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->leader, static_cast<std::int32_t>(to_));
  EXPECT_FALSE(busy_.get());
  EXPECT_TRUE(holds_within(20s, [this] { return group_.leader() == to_; }));
  expect_served();
}

// Whoever asked for it is answered, and the stop does not wait for one who cannot be.
TEST_F(GroupTransfer, ALeaderThatIsStoppedMeanwhileHandsOverToTheOneThatWasAskedFor) {
  keep_it_busy();
  auto transferred = transfer(to_);
  ASSERT_TRUE(is_begun());
  const auto stopped = group_.coordinator(leader_).stop();
  EXPECT_TRUE(stopped) << stopped.error().message;
  const auto outcome = transferred.get();
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->leader, static_cast<std::int32_t>(to_));
  EXPECT_FALSE(busy_.get());
  group_.coordinator(leader_).start();
  expect_served();
}

// Its reign ends by itself then.
TEST_F(GroupTransfer, ALeaderThatLosesTheLeadMeanwhileSaysSoAndMayBeAskedAgain) {
  keep_it_busy();
  auto transferred = transfer(to_);
  ASSERT_TRUE(is_begun());
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number)
    if (number != leader_) group_.coordinator(number).drop();
  const auto outcome = transferred.get();
  ASSERT_FALSE(outcome) << "nobody can have taken over";
  EXPECT_EQ(outcome.error().effect, Effect::kUnknown);
  EXPECT_NE(outcome.error().message.find("does not lead yet: look at the group, and ask again"),
            std::string::npos)
      << outcome.error().message;
  EXPECT_FALSE(busy_.get());
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number)
    if (number != leader_) group_.coordinator(number).start();
  ASSERT_TRUE(holds_within(30s, [this] { return group_.serves(); }));
  // The one that was asked before is asked for the lead, and gives it.
  Result<wire::GroupStatus> handed = fail(ErrorCode::kInternal, Effect::kNone, "not asked");
  for (const auto next : {leader_, to_})
    EXPECT_TRUE(holds_within(30s, [&] { return (handed = group_.transfer(leader_, next)).has_value(); }))
        << handed.error().message;
  EXPECT_TRUE(holds_within(20s, [this] { return group_.leader() == to_; }));
  expect_served();
}

}  // namespace
}  // namespace troth
