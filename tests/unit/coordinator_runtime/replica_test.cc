// A replica as the others call it: whom it greets, whom it believes, and whose calls it takes.
#include "coordinator/runtime/replica.h"

#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/runtime/clock.h"
#include "tests/unit/coordinator_runtime/replica_group.h"
#include "tests/unit/coordinator_runtime/scripted_peer.h"
#include "thrift/runtime/channel.h"

namespace troth::coordinator {
namespace {

using namespace std::chrono_literals;

// Replica 1 of three. The test is replica 2, or pretends to be; replica 3 is away.
class ReplicaTest : public testing::Test {
 protected:
  ReplicaTest() {
    group_.start(1);
    channel_ = std::make_unique<rpc::Channel>(group_.loop(), group_.peer_address(1), rpc::ChannelOptions{});
    channel_->connect_now();
  }
  ~ReplicaTest() override {
    channel_.reset();
    server_.reset();
  }

  // What answers at replica 2's address, from here on.
  void answer_as_replica_2() {
    server_ = std::make_unique<PeersServer>(group_.loop(), group_.peer_address(2), peer_);
    ASSERT_TRUE(group_.run_until([this] { return link().is_up(); }));
  }
  [[nodiscard]] PeerLink& link() { return *group_.replica(1).links().at(consensus::ReplicaId{2}); }

  [[nodiscard]] wire::ReplicaHello hello() const {
    wire::ReplicaHello hello;
    hello.hello = rpc::hello_of("troth-coordinator", kGroupsCluster);
    hello.replica = 2;
    hello.to = 1;
    hello.start = 4711;
    hello.group = ScriptedPeer::kGroup;
    return hello;
  }
  template <typename Method, typename Request>
  [[nodiscard]] Result<rpc::Reply<Method>> call(const Request& request) {
    std::optional<Result<rpc::Reply<Method>>> answer;
    channel_->call<Method>(request, 10s, [&](auto reply) { answer.emplace(std::move(reply)); });
    if (!group_.run_until([&] { return answer.has_value(); }))
      return fail(ErrorCode::kInternal, Effect::kUnknown, "no answer");
    return *std::move(answer);
  }
  void tell(std::int32_t replica, std::int64_t start, std::string message) {
    ASSERT_TRUE(group_.run_until([this] { return channel_->is_open(); }));
    wire::ReplicaMessage said;
    said.replica = replica;
    said.start = start;
    said.message = std::move(message);
    ASSERT_TRUE(channel_->tell<wire::Replicas_deliver>(said));
  }

  ReplicaGroup group_{3};
  std::shared_ptr<ScriptedPeer> peer_ = std::make_shared<ScriptedPeer>();
  std::unique_ptr<PeersServer> server_;
  std::unique_ptr<rpc::Channel> channel_;
};

TEST_F(ReplicaTest, GreetsAReplicaOfItsGroupThatCannotBeReachedYet) {
  const auto reply = call<wire::Replicas_greet>(hello());
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->replica, 1);
  EXPECT_EQ(reply->to, 2);
  EXPECT_NE(reply->start, 0);
  EXPECT_EQ(reply->group, ScriptedPeer::kGroup);
  EXPECT_EQ(reply->hello.cluster, kGroupsCluster.value);
  EXPECT_FALSE(link().is_up()) << "who calls is not yet who can be called";
}

TEST_F(ReplicaTest, RefusesWhoeverIsNotOfItsGroupAndSaysWhatToDo) {
  struct Wrong {
    const char* what;
    std::function<void(wire::ReplicaHello&)> change;
    const char* said;
    const char* remedy;
  };
  const std::vector<Wrong> wrongs = {
      {"another cluster", [](auto& hello) { hello.hello.cluster = "shop-000000"; },
       "belongs to cluster shop-000000, this process to bank-x7k2p9", "check the configured addresses"},
      {"no cluster", [](auto& hello) { hello.hello.cluster.clear(); },
       "this is replica 1 of bank-x7k2p9, and replica 1 of  was called",
       "is [[replicas]] the same list at both?"},
      {"a version of the day after tomorrow",
       [](auto& hello) { hello.hello.version = rpc::kContractVersion + 2; }, "speaks version 3",
       "upgrade one step at a time"},
      {"another replica was meant", [](auto& hello) { hello.to = 3; },
       "this is replica 1 of bank-x7k2p9, and replica 3 of bank-x7k2p9 was called",
       "is [[replicas]] the same list at both?"},
      {"another beginning", [](auto& hello) { hello.group = "replicas 1, 2"; },
       "replica 2 says that the group began with replicas 1, 2, and replica 1 with replicas 1, 2, 3: write 2",
       "group.founders and its quorums must be the same at both"},
      {"a replica that is not listed", [](auto& hello) { hello.replica = 4; },
       "[[replicas]] of replica 1 does not name replica 4", "add it there, and start it again"},
      {"a replica below zero", [](auto& hello) { hello.replica = -1; }, "does not name replica -1",
       "add it there"},
      {"its own number", [](auto& hello) { hello.replica = 1; }, "this is replica 1 itself",
       "are there two with that number?"},
  };
  for (const auto& wrong : wrongs) {
    SCOPED_TRACE(wrong.what);
    auto said = hello();
    wrong.change(said);
    const auto reply = call<wire::Replicas_greet>(said);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().effect, Effect::kNone);
    EXPECT_NE(reply.error().message.find(wrong.said), std::string::npos) << reply.error().message;
    EXPECT_NE(reply.error().message.find(wrong.remedy), std::string::npos) << reply.error().message;
  }
  EXPECT_TRUE(call<wire::Replicas_greet>(hello())) << "it goes on";
}

TEST_F(ReplicaTest, ASecondProcessOfOneNumberIsRefused) {
  answer_as_replica_2();
  EXPECT_TRUE(call<wire::Replicas_greet>(hello()));
  auto second = hello();
  second.start = 5;
  const auto reply = call<wire::Replicas_greet>(second);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kNotOwner);
  EXPECT_TRUE(reply.error().retryable);
  EXPECT_NE(
      reply.error().message.find("another process answers as replica 2 at " + group_.peer_address(2).text() +
                                 ": are there two with that number, or is its peer_address another one?"),
      std::string::npos)
      << reply.error().message;
  EXPECT_TRUE(link().is_up()) << "the one that answers there is not disturbed";
  EXPECT_EQ(link().start(), Nonce{4711});
  EXPECT_TRUE(call<wire::Replicas_greet>(hello()));
}

// Its machine may have been switched off: the connection to its earlier start does not know.
TEST_F(ReplicaTest, AReplicaThatStartedAgainIsTakenOnceItAnswersAtItsAddress) {
  answer_as_replica_2();
  peer_->reply.start = 4712;
  auto again = hello();
  again.start = 4712;
  EXPECT_FALSE(call<wire::Replicas_greet>(again)) << "its old connection stands still";
  ASSERT_TRUE(group_.run_until([this] { return link().start() == Nonce{4712}; }));
  EXPECT_TRUE(call<wire::Replicas_greet>(again));
}

// ---- whom it believes

TEST_F(ReplicaTest, BelievesOnlyTheStartThatAnswersAtTheAddress) {
  answer_as_replica_2();
  std::vector<std::string> asked;
  // A real message: what replica 1 sent to replica 2, who now "answers" with the same kind.
  ASSERT_TRUE(group_.run_until([this] { return !peer_->delivered.empty(); }));
  for (const auto& [replica, start] :
       std::vector<std::pair<std::int32_t, std::int64_t>>{{2, 5}, {3, 4711}, {1, 4711}, {9, 4711}, {-1, 0}})
    tell(replica, start, peer_->delivered.front().message);
  tell(2, 4711, "what is no message");
  tell(2, 4711, "");
  tell(2, 4711, std::string(100'000, '\xff'));
  EXPECT_TRUE(call<wire::Replicas_greet>(hello())) << "it goes on";
  EXPECT_FALSE(group_.member(1).failure);
  EXPECT_TRUE(link().is_up());
}

TEST_F(ReplicaTest, DamagedMessagesOfTheOneThatItBelievesAreSurvived) {
  answer_as_replica_2();
  ASSERT_TRUE(group_.run_until([this] { return peer_->delivered.size() >= 3; }));
  const auto whole = peer_->delivered;
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    auto message = whole[random.below(whole.size())].message;
    if (random.one_in(4)) message.resize(random.below(message.size()));
    for (auto flips = 1 + random.below(3); flips > 0 && !message.empty(); --flips) {
      auto& byte = message[random.below(message.size())];
      byte = static_cast<char>(byte ^ (1 << random.below(8)));
    }
    tell(2, 4711, std::move(message));
  }
  EXPECT_TRUE(call<wire::Replicas_greet>(hello())) << "it goes on";
  EXPECT_FALSE(group_.member(1).failure);
}

// ---- calls that others pass on

TEST_F(ReplicaTest, TakesACallFromWhoeverAnswersThereOnly) {
  answer_as_replica_2();
  int taken = 0;
  group_.member(1).take_passed = [&](const rpc::CallContext& call, rpc::Bytes content,
                                     const rpc::Server::Passed& done) {
    ++taken;
    EXPECT_EQ(call.method, "");
    EXPECT_EQ(call.peer, "10.0.0.1:99 by replica 2");
    EXPECT_EQ(call.caller, nullptr) << "without TLS nobody has proved a name";
    done(content);
  };
  wire::PassedCall passed;
  passed.replica = 2;
  passed.start = 4711;
  passed.__set_role("operator");
  passed.__set_name("alice");
  passed.peer = "10.0.0.1:99";
  passed.message = "what is no message";
  const auto answer = call<wire::Replicas_pass_on>(passed);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->frame, "what is no message");
  EXPECT_EQ(taken, 1);

  passed.start = 5;
  const auto stranger = call<wire::Replicas_pass_on>(passed);
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().effect, Effect::kNone);
  EXPECT_NE(stranger.error().message.find("who passed it on is not the process that answers as replica 2"),
            std::string::npos);
  passed.replica = 7;
  const auto unknown = call<wire::Replicas_pass_on>(passed);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().effect, Effect::kNone);
  EXPECT_NE(unknown.error().message.find("does not name replica 7"), std::string::npos);
  EXPECT_EQ(taken, 1);
}

// ---- a whole group

TEST(ReplicaGroupTest, HandsTheLeadToAReplicaThatItReaches) {
  ReplicaGroup group(3);
  group.start_all();
  ASSERT_TRUE(group.come_together());
  EXPECT_FALSE(group.replica(group.follower()).hand_over()) << "it does not lead";
  // Who has just begun to lead has heard of nobody yet, and does nothing then: it is asked again, as a server that stops does.
  for (int i = 0; i < 4; ++i) {
    const auto before = *group.leader();
    Instant ask_at = boot_now();
    const auto moves = [&] {
      const auto leads = group.leader();
      if (leads == before && boot_now() >= ask_at) {
        EXPECT_TRUE(group.replica(before).hand_over());
        ask_at = boot_now() + 100ms;
      }
      return leads && leads != before && group.is_together();
    };
    ASSERT_TRUE(group.run_until(moves));
  }
}

TEST(ReplicaGroupTest, KnowsWhereItsLeaderIsCalled) {
  ReplicaGroup group(3);
  group.start_all();
  ASSERT_TRUE(group.come_together());
  const auto leader = *group.leader();
  const auto follower = group.follower();
  EXPECT_EQ(group.replica(follower).leader_address(), group.settings().group.find(leader)->address);
  ASSERT_NE(group.replica(follower).link_to_leader(), nullptr);
  EXPECT_EQ(group.replica(follower).link_to_leader()->peer(), consensus::ReplicaId{leader});
  EXPECT_EQ(group.replica(leader).link_to_leader(), nullptr) << "it leads itself";
  group.stop(leader);
  EXPECT_TRUE(group.run_until([&] { return group.replica(follower).link_to_leader() == nullptr; }));
  EXPECT_TRUE(group.run_until([&] { return group.is_together() && *group.leader() != leader; }));
}

TEST(ReplicaGroupTest, AloneItHandsTheLeadToNobody) {
  ReplicaGroup group(1);
  group.start_all();
  ASSERT_TRUE(group.come_together());
  EXPECT_FALSE(group.replica(1).hand_over());
  EXPECT_TRUE(group.replica(1).leads());
}

}  // namespace
}  // namespace troth::coordinator
