// What operators ask of a group, of one coordinator as a part of it.
#include "coordinator/runtime/group_administration.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/coordinator_runtime/replica_group.h"

namespace troth::coordinator {
namespace {

using namespace std::chrono_literals;

class GroupAdministrationTest : public testing::Test {
 protected:
  // Returns when somebody leads, whom the others may not know yet.
  void start(std::uint32_t replicas) {
    group_ = std::make_unique<ReplicaGroup>(replicas);
    group_->start_all();
    ASSERT_TRUE(group_->run_until([this] { return group_->leader().has_value(); }));
    leader_ = *group_->leader();
    settings_ = group_->settings_of(leader_);
    GroupAdministration::Owner owner;
    owner.serves = [this] { return serves_; };
    owner.finish_reign = [this](std::function<void()> then) {
      finished_ = [this, then = std::move(then)] {
        serves_ = false;
        then();
      };
      if (finishes_at_once_) finished_();
    };
    owner.go_on = [this] {
      serves_ = true;
      ++went_on_;
    };
    administration_ = std::make_unique<GroupAdministration>(group_->loop(), group_->replica(leader_),
                                                            settings_, kGroupsCluster, std::move(owner));
  }
  ~GroupAdministrationTest() override { administration_.reset(); }

  using Outcome = std::shared_ptr<std::optional<Result<wire::GroupStatus>>>;
  Outcome transfer(std::uint32_t to) {
    auto outcome = std::make_shared<std::optional<Result<wire::GroupStatus>>>();
    administration_->transfer({to}, [outcome](const Result<wire::GroupStatus>& result) {
      EXPECT_FALSE(outcome->has_value()) << "answered twice";
      *outcome = result;
    });
    return outcome;
  }
  Outcome change(const wire::ChangeGroupRequest& request) {
    auto outcome = std::make_shared<std::optional<Result<wire::GroupStatus>>>();
    administration_->change(request, [outcome](const Result<wire::GroupStatus>& result) {
      EXPECT_FALSE(outcome->has_value()) << "answered twice";
      *outcome = result;
    });
    return outcome;
  }
  [[nodiscard]] bool is_answered(const Outcome& outcome) {
    return group_->run_until([&] { return outcome->has_value(); });
  }
  void expect_refused(const Outcome& outcome, ErrorCode code, Effect effect, const std::string& said) {
    ASSERT_TRUE(is_answered(outcome)) << said;
    ASSERT_FALSE(**outcome) << said;
    const auto& error = (*outcome)->error();
    EXPECT_EQ(name_of(error.code), name_of(code)) << error.message;
    EXPECT_EQ(name_of(error.effect), name_of(effect)) << error.message;
    EXPECT_NE(error.message.find(said), std::string::npos) << error.message;
  }
  [[nodiscard]] std::uint32_t other() const { return leader_ % 3 + 1; }

  std::unique_ptr<ReplicaGroup> group_;
  std::uint32_t leader_ = 0;
  CoordinatorSettings settings_;
  std::unique_ptr<GroupAdministration> administration_;
  bool serves_ = true;
  bool finishes_at_once_ = true;
  std::function<void()> finished_;
  int went_on_ = 0;
};

TEST_F(GroupAdministrationTest, SaysHowTheGroupStands) {
  start(3);
  ASSERT_TRUE(group_->come_together());
  const auto status = administration_->status();
  EXPECT_EQ(status.cluster, kGroupsCluster.value);
  EXPECT_EQ(status.replica, static_cast<std::int32_t>(leader_));
  EXPECT_EQ(status.state, "leads");
  EXPECT_EQ(status.standing, "votes");
  EXPECT_EQ(status.leader, static_cast<std::int32_t>(leader_));
  EXPECT_TRUE(status.serves);
  EXPECT_EQ(status.voters, (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_TRUE(status.learners.empty());
  EXPECT_EQ(status.write_quorum, 2);
  EXPECT_EQ(status.elect_quorum, 2);
  EXPECT_EQ(status.read_quorum, 2);
  EXPECT_EQ(status.lease_ms, 150);
  EXPECT_EQ(status.began, "replicas 1, 2, 3: write 2, elect 2, read 2, lease 150 ms");
  EXPECT_GT(status.log_bytes, 0);
  ASSERT_EQ(status.others.size(), 2U);
  for (const auto& peer : status.others) {
    EXPECT_TRUE(peer.reached);
    EXPECT_FALSE(peer.__isset.trouble);
    EXPECT_EQ(peer.peer_address, group_->peer_address(static_cast<std::uint32_t>(peer.replica)).text());
  }
  group_->stop(other());
  ASSERT_TRUE(group_->run_until([this] {
    const auto now = administration_->status();
    return std::ranges::any_of(now.others, [](const auto& peer) {
      return !peer.reached && peer.trouble.find("was lost") != std::string::npos;
    });
  }));
}

// Whoever has just begun to lead has heard of nobody yet, and its store does nothing when it is asked.
TEST_F(GroupAdministrationTest, TheLeadIsHandedOverHoweverEarlyItIsAskedFor) {
  start(3);
  ASSERT_TRUE(group_->run_until(
      [this] { return group_->replica(leader_).links().at(consensus::ReplicaId{other()})->is_up(); }));
  const auto outcome = transfer(other());
  ASSERT_TRUE(is_answered(outcome));
  ASSERT_TRUE(**outcome) << (*outcome)->error().message;
  EXPECT_EQ((**outcome)->leader, static_cast<std::int32_t>(other()));
  EXPECT_EQ(went_on_, 0);
}

TEST_F(GroupAdministrationTest, ATransferThatCannotBeIsRefusedAndFinishesNothing) {
  start(3);
  ASSERT_TRUE(group_->come_together());
  finishes_at_once_ = false;
  expect_refused(transfer(9), ErrorCode::kInvalidArgument, Effect::kNone,
                 "replica 9 does not vote, so it cannot lead");
  expect_refused(transfer(0), ErrorCode::kInvalidArgument, Effect::kNone, "replica 0 does not vote");
  group_->stop(other());
  ASSERT_TRUE(group_->run_until(
      [this] { return !group_->replica(leader_).links().at(consensus::ReplicaId{other()})->is_up(); }));
  expect_refused(transfer(other()), ErrorCode::kUnavailable, Effect::kNone,
                 "cannot be reached from the leader, replica " + std::to_string(leader_));
  const auto here = transfer(leader_);
  ASSERT_TRUE(is_answered(here));
  EXPECT_TRUE(**here) << "it leads already";
  EXPECT_FALSE(finished_) << "the reign goes on";
}

TEST_F(GroupAdministrationTest, OneTransferAtATime) {
  start(3);
  ASSERT_TRUE(group_->come_together());
  finishes_at_once_ = false;
  const auto first = transfer(other());
  EXPECT_FALSE(first->has_value()) << "what runs is finished first";
  expect_refused(transfer(other()), ErrorCode::kBusy, Effect::kNone, "the lead is being handed over already");
  ASSERT_TRUE(group_->run_until([this] { return finished_ != nullptr; })) << "its successor answers";
  finished_();
  ASSERT_TRUE(is_answered(first));
  EXPECT_TRUE(**first) << (*first)->error().message;
}

// Its reign may have ended by itself meanwhile: there is nobody to take over, and it may be asked again.
TEST_F(GroupAdministrationTest, ATransferThatNobodyTakesGoesOnHereAndMayBeAskedForAgain) {
  start(3);
  ASSERT_TRUE(group_->come_together());
  finishes_at_once_ = false;
  const auto lost = transfer(other());
  ASSERT_TRUE(group_->run_until([this] { return finished_ != nullptr; }));
  for (std::uint32_t number = 1; number <= 3; ++number)
    if (number != leader_) group_->stop(number);
  ASSERT_TRUE(group_->run_until([this] { return !group_->replica(leader_).leads(); }));
  finished_();
  expect_refused(lost, ErrorCode::kUnavailable, Effect::kUnknown,
                 "does not lead yet: look at the group, and ask again");
  EXPECT_EQ(went_on_, 1);
  for (std::uint32_t number = 1; number <= 3; ++number)
    if (number != leader_) group_->start(number);
  ASSERT_TRUE(group_->come_together());
  expect_refused(transfer(9), ErrorCode::kInvalidArgument, Effect::kNone, "replica 9 does not vote");
}

TEST_F(GroupAdministrationTest, MayGoWhileATransferIsWatched) {
  start(3);
  ASSERT_TRUE(group_->come_together());
  const auto outcome = transfer(other());
  administration_.reset();
  EXPECT_TRUE(group_->holds_for(50ms, [&] { return !outcome->has_value(); }));
}

// ---- changes

TEST_F(GroupAdministrationTest, AChangeIsRefusedWithTheSumThatDoesNotHold) {
  start(3);
  ASSERT_TRUE(group_->come_together());
  wire::ChangeGroupRequest request;
  request.voters = {1, 2, 3, 4};
  expect_refused(change(request), ErrorCode::kInvalidArgument, Effect::kNone,
                 "[[replicas]] of the leader, replica " + std::to_string(leader_) +
                     ", does not name replica 4: list it at every coordinator, and start each again");
  request.voters = {1, -2, 3};
  expect_refused(change(request), ErrorCode::kInvalidArgument, Effect::kNone, "does not name replica");
  request.voters = {};
  expect_refused(change(request), ErrorCode::kInvalidArgument, Effect::kNone,
                 "a group has 1 to 7 replicas that vote, not 0");
  request.voters = {1, 2, 3};
  request.learners = {3};
  expect_refused(change(request), ErrorCode::kInvalidArgument, Effect::kNone,
                 "replica 3 cannot vote and only learn at once");
  request.learners = {};
  request.write_quorum = 1;
  expect_refused(change(request), ErrorCode::kInvalidArgument, Effect::kNone, "elect + write: 2 + 1 = 3");
  request.write_quorum = -1;
  expect_refused(change(request), ErrorCode::kInvalidArgument, Effect::kNone, "the write quorum is ");
}

TEST_F(GroupAdministrationTest, AChangeIsAnsweredWhenItIsInEffectAndOneThatIsNoneAtOnce) {
  start(3);
  ASSERT_TRUE(group_->come_together());
  wire::ChangeGroupRequest request;
  request.voters = {1, 2, 3};
  const auto none = change(request);
  ASSERT_TRUE(is_answered(none));
  EXPECT_TRUE(**none) << (*none)->error().message;
  // Whoever does not lead learns from here on.
  request.voters = {static_cast<std::int32_t>(leader_), static_cast<std::int32_t>(other())};
  const auto learner = 6 - leader_ - other();
  request.learners = {static_cast<std::int32_t>(learner)};
  const auto changed = change(request);
  expect_refused(change(request), ErrorCode::kBusy, Effect::kNone,
                 "another change of the group is not in effect");
  ASSERT_TRUE(is_answered(changed));
  ASSERT_TRUE(**changed) << (*changed)->error().message;
  EXPECT_TRUE((**changed)->settled);
  EXPECT_EQ((**changed)->learners, request.learners);
  EXPECT_EQ((**changed)->voters.size(), 2U);
  EXPECT_EQ((**changed)->lease_ms, 150) << "the lease stays as it was";
  expect_refused(transfer(learner), ErrorCode::kInvalidArgument, Effect::kNone,
                 "does not vote, so it cannot lead");
}

}  // namespace
}  // namespace troth::coordinator
