// Another replica as this one calls it: who is taken for it, and what is heard of its loss.
#include "coordinator/runtime/peer_link.h"

#include <functional>
#include <memory>
#include <vector>

#include <asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "tests/support/holds_within.h"
#include "tests/unit/coordinator_runtime/replica_group.h"
#include "tests/unit/coordinator_runtime/scripted_peer.h"

namespace troth::coordinator {
namespace {

using namespace std::chrono_literals;

constexpr const char* kGroup = ScriptedPeer::kGroup;
constexpr Nonce kOwnStart{71};

class PeerLinkTest : public testing::Test, protected OwnLoop {
 protected:
  ~PeerLinkTest() override {
    link_.reset();
    close();
  }

  void serve() { server_ = std::make_unique<PeersServer>(loop(), address_, peer_); }
  void close() { server_.reset(); }
  void link() {
    PeerLink::Owner owner;
    owner.self = {1};
    owner.start = kOwnStart;
    owner.cluster = kGroupsCluster;
    owner.group = kGroup;
    owner.max_call_bytes = 1000;
    owner.max_calls = 10;
    owner.max_unsent_bytes = 1U << 20;
    owner.on_up = [this] { ++ups_; };
    owner.on_lost = [this] { ++losses_; };
    link_ = std::make_unique<PeerLink>(loop(), consensus::ReplicaId{2}, address_, std::move(owner));
  }
  [[nodiscard]] bool comes_up() {
    return run_until([this] { return link_->is_up() && ups_ > losses_; });
  }

  const rpc::Address address_ = address_of(free_loopback_address());
  std::shared_ptr<ScriptedPeer> peer_ = std::make_shared<ScriptedPeer>();
  std::unique_ptr<PeersServer> server_;
  std::unique_ptr<PeerLink> link_;
  int ups_ = 0;
  int losses_ = 0;
};

TEST_F(PeerLinkTest, IsUpOnceBothHaveGreeted) {
  serve();
  link();
  EXPECT_FALSE(link_->is_up());
  EXPECT_FALSE(link_->send("too early"));
  ASSERT_TRUE(comes_up());
  EXPECT_EQ(ups_, 1);
  EXPECT_EQ(link_->start(), Nonce{4711});
  EXPECT_EQ(link_->trouble(), "");
  const auto& hello = peer_->greetings.front();
  EXPECT_EQ(hello.hello.cluster, kGroupsCluster.value);
  EXPECT_EQ(hello.hello.version, rpc::kContractVersion);
  EXPECT_EQ(hello.replica, 1);
  EXPECT_EQ(hello.to, 2);
  EXPECT_EQ(hello.start, static_cast<std::int64_t>(kOwnStart.value));
  EXPECT_EQ(hello.group, kGroup);
}

TEST_F(PeerLinkTest, WhoeverIsNotTheOneThatWasMeantIsRefusedAndAskedAgain) {
  struct Wrong {
    const char* what;
    std::function<void(wire::ReplicaHello&)> change;
    const char* said;
    const char* remedy;
  };
  const std::vector<Wrong> wrongs = {
      {"another cluster", [](auto& reply) { reply.hello.cluster = "shop-000000"; },
       "belongs to cluster shop-000000, this process to bank-x7k2p9", "check the configured addresses"},
      {"no cluster", [](auto& reply) { reply.hello.cluster.clear(); },
       "answers replica 2 of , and replica 2 of bank-x7k2p9 was expected",
       "is [[replicas]] the same list at both?"},
      {"a version of the day after tomorrow",
       [](auto& reply) { reply.hello.version = rpc::kContractVersion + 2; }, "speaks version 3",
       "upgrade one step at a time"},
      {"a version that is forgotten", [](auto& reply) { reply.hello.version = 0; }, "speaks version 0",
       "upgrade one step at a time"},
      {"another replica", [](auto& reply) { reply.replica = 3; },
       "answers replica 3 of bank-x7k2p9, and replica 2 of bank-x7k2p9 was expected",
       "is [[replicas]] the same list at both?"},
      {"a replica below zero", [](auto& reply) { reply.replica = -2; }, "answers replica -2",
       "is [[replicas]] the same list at both?"},
      {"another beginning of the group",
       [](auto& reply) { reply.group = "replicas 2: write 1, elect 1, read 1, lease 150 ms"; },
       "says that the group began with replicas 2: write 1, elect 1, read 1, lease 150 ms, and this one with "
       "replicas 1, 2, 3: write 2",
       "group.founders and its quorums must be the same at both"},
      {"a start that is none", [](auto& reply) { reply.start = 0; }, "answers replica 2",
       "is [[replicas]] the same list at both?"},
  };
  serve();
  const auto right = peer_->reply;
  for (const auto& wrong : wrongs) {
    SCOPED_TRACE(wrong.what);
    peer_->reply = right;
    wrong.change(peer_->reply);
    peer_->greetings.clear();
    link();
    ASSERT_TRUE(run_until([this] { return peer_->greetings.size() >= 2; })) << "it is not asked again";
    EXPECT_FALSE(link_->is_up());
    EXPECT_FALSE(link_->send("to nobody"));
    EXPECT_NE(link_->trouble().find(wrong.said), std::string::npos) << link_->trouble();
    EXPECT_NE(link_->trouble().find(wrong.remedy), std::string::npos) << link_->trouble();
    // Mended there, it is taken without a restart here.
    peer_->reply = right;
    EXPECT_TRUE(run_until([this] { return link_->is_up(); }));
    EXPECT_EQ(link_->trouble(), "");
    link_.reset();
  }
  EXPECT_TRUE(peer_->delivered.empty());
}

TEST_F(PeerLinkTest, WhatItsPeerRefusesItWithIsItsTrouble) {
  peer_->refusal = fail(ErrorCode::kNotOwner, Effect::kNone, "add it there, and start it again").error();
  serve();
  link();
  ASSERT_TRUE(run_until([this] { return peer_->greetings.size() >= 2; }));
  EXPECT_FALSE(link_->is_up());
  EXPECT_EQ(link_->trouble(),
            "the process at " + address_.text() + " refuses this one: add it there, and start it again");
  EXPECT_EQ(ups_, 0);
  EXPECT_EQ(losses_, 0) << "it was never up";
}

TEST_F(PeerLinkTest, SaysWhoSpeaksInEachMessage) {
  serve();
  link();
  ASSERT_TRUE(comes_up());
  EXPECT_TRUE(link_->send("one"));
  EXPECT_TRUE(link_->send("two"));
  ASSERT_TRUE(run_until([this] { return peer_->delivered.size() == 2; }));
  EXPECT_EQ(peer_->delivered[0].message, "one");
  EXPECT_EQ(peer_->delivered[1].message, "two");
  EXPECT_EQ(peer_->delivered[1].replica, 1);
  EXPECT_EQ(peer_->delivered[1].start, static_cast<std::int64_t>(kOwnStart.value));
}

TEST_F(PeerLinkTest, ItsOwnerHearsOfItsLossAndItComesBack) {
  serve();
  link();
  ASSERT_TRUE(comes_up());
  close();
  ASSERT_TRUE(run_until([this] { return losses_ == 1; }));
  EXPECT_FALSE(link_->is_up());
  EXPECT_FALSE(link_->send("to nobody"));
  EXPECT_NE(link_->trouble(), "");
  peer_->reply.start = 4712;
  serve();
  ASSERT_TRUE(comes_up());
  EXPECT_EQ(ups_, 2);
  EXPECT_EQ(link_->start(), Nonce{4712});
}

TEST_F(PeerLinkTest, PassesACallOnInItsOwnName) {
  serve();
  link();
  ASSERT_TRUE(comes_up());
  wire::PassedCall call;
  call.peer = "10.0.0.1:99";
  call.message = "a message";
  std::vector<Result<wire::PassedAnswer>> answers;
  link_->pass_on(call, 10s, [&](auto answer) { answers.push_back(std::move(answer)); });
  ASSERT_TRUE(run_until([this] { return peer_->passed.size() == 1; }));
  EXPECT_EQ(peer_->passed[0].replica, 1);
  EXPECT_EQ(peer_->passed[0].start, static_cast<std::int64_t>(kOwnStart.value));
  EXPECT_EQ(peer_->passed[0].peer, "10.0.0.1:99");
  EXPECT_EQ(peer_->passed[0].message, "a message");
  EXPECT_FALSE(peer_->passed[0].__isset.role);
  wire::PassedAnswer answer;
  answer.frame = "a frame";
  peer_->answers[0](answer);
  ASSERT_TRUE(run_until([&] { return answers.size() == 1; }));
  ASSERT_TRUE(answers[0]) << answers[0].error().message;
  EXPECT_EQ(answers[0]->frame, "a frame");
}

TEST_F(PeerLinkTest, SaysWhatIsKnownOfACallThatWasNotAnswered) {
  serve();
  link();
  ASSERT_TRUE(comes_up());
  wire::PassedCall call;
  call.message = "a message";
  std::vector<Error> errors;
  const auto note = [&](const Result<wire::PassedAnswer>& answer) {
    ASSERT_FALSE(answer);
    errors.push_back(answer.error());
  };
  link_->pass_on(call, 10s, note);
  ASSERT_TRUE(run_until([this] { return peer_->passed.size() == 1; }));
  rpc::refuse_with(peer_->refusals[0],
                   fail(ErrorCode::kUnavailable, Effect::kNone, "replica 2 does not lead").error());
  ASSERT_TRUE(run_until([&] { return errors.size() == 1; }));
  EXPECT_EQ(errors[0].effect, Effect::kNone);
  EXPECT_EQ(errors[0].message, "replica 2 does not lead");

  link_->pass_on(call, 10s, note);
  ASSERT_TRUE(run_until([this] { return peer_->passed.size() == 2; }));
  close();
  ASSERT_TRUE(run_until([&] { return errors.size() == 2; }));
  EXPECT_EQ(errors[1].effect, Effect::kUnknown);
  EXPECT_EQ(errors[1].code, ErrorCode::kUnavailable);

  link_->pass_on(call, 10s, note);
  ASSERT_TRUE(run_until([&] { return errors.size() == 3; }));
  EXPECT_EQ(errors[2].effect, Effect::kNone) << "nobody is there: it never left";

  call.message = std::string(10'000, 'x');
  serve();
  link_->pass_on(call, 10s, note);
  ASSERT_TRUE(run_until([&] { return errors.size() == 4; }));
  EXPECT_EQ(errors[3].effect, Effect::kNone);
  EXPECT_NE(errors[3].message.find("max_frame_bytes"), std::string::npos) << errors[3].message;
}

// The process there may be another one by now, while the connection to its predecessor is not broken yet.
TEST_F(PeerLinkTest, AskedAgainAnotherStartTakesThePlaceOfTheOldOne) {
  serve();
  link();
  ASSERT_TRUE(comes_up());
  link_->ask_again();
  ASSERT_TRUE(run_until([this] { return peer_->greetings.size() == 2; }));
  EXPECT_TRUE(holds_for(50ms, [this] { return link_->is_up() && losses_ == 0; })) << "the same start answers";

  peer_->reply.start = 4712;
  link_->ask_again();
  ASSERT_TRUE(run_until([this] { return losses_ == 1; }));
  ASSERT_TRUE(comes_up());
  EXPECT_EQ(link_->start(), Nonce{4712});
  EXPECT_TRUE(link_->send("to the new one"));
  EXPECT_TRUE(run_until([this] { return peer_->delivered.size() == 1; }));
}

TEST_F(PeerLinkTest, AskedAgainWhileDownItConnects) {
  link();
  ASSERT_TRUE(run_until([this] { return !loop().stopped() && !link_->is_up(); }));
  serve();
  link_->ask_again();
  ASSERT_TRUE(comes_up());
  link_->knock();
  EXPECT_TRUE(holds_for(50ms, [this] { return peer_->greetings.size() == 1; })) << "it is up already";
}

// Its timer may have rung, and wait for its turn on the loop, when it is destroyed.
TEST_F(PeerLinkTest, NothingOfItRunsOnceItIsGone) {
  asio::steady_timer first(loop(), 1ms);
  first.async_wait([this](const asio::error_code&) { link_.reset(); });
  const auto began = std::chrono::steady_clock::now();
  link();  // nobody answers: it tries again after 50 ms
  ASSERT_TRUE(holds_within(10s, [&] { return std::chrono::steady_clock::now() - began > 200ms; }));
  EXPECT_TRUE(run_until([this] { return link_ == nullptr; }));
  EXPECT_TRUE(holds_for(100ms, [this] { return ups_ == 0 && losses_ == 0; }));
}

}  // namespace
}  // namespace troth::coordinator
