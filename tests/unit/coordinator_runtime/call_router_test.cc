// Where a client's call is served: here, at the leader, or nowhere, and what its client hears then.
#include "coordinator/runtime/call_router.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/runtime/unread_calls.h"
#include "tests/unit/coordinator_runtime/replica_group.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/message.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth::coordinator {
namespace {

using namespace std::chrono_literals;
using Here = CallRouter::Here;

constexpr const char* kRequestId = "01a20783-d4c3-7980-b781-b38cf8598130";

wire::ExecuteRequest work(bool named = true) {
  wire::ExecuteRequest request;
  wire::BranchWork branch;
  branch.resource = "till";
  branch.statements.resize(1);
  branch.statements[0].sql = "UPDATE account SET cents = 0";
  request.branches = {branch};
  request.client_name = "teller";
  if (named) request.__set_request_id(kRequestId);
  return request;
}

wire::StatusRequest question() {
  wire::StatusRequest request;
  request.__set_transaction_id("bank-x7k2p9.1.1");
  return request;
}

// A group of three, whose leader takes what the test says; clients call another one.
class CallRouterTest : public testing::Test {
 protected:
  CallRouterTest() {
    for (std::uint32_t number = 1; number <= 3; ++number) {
      group_.member(number).take_passed = [this, number](const rpc::CallContext& call, rpc::Bytes content,
                                                         rpc::Server::Passed done) {
        const auto header = rpc::read_message_header(content);
        ASSERT_TRUE(header);
        taken_.push_back({number,
                          std::string(call.method),
                          std::string(call.peer),
                          {content.begin(), content.end()},
                          header->seqid,
                          std::move(done)});
      };
    }
    group_.start_all();
    CHECK(group_.come_together());
    leader_ = *group_.leader();
    front_ = group_.follower();
  }
  ~CallRouterTest() override {
    channel_.reset();
    server_.reset();
    router_.reset();
    taken_.clear();
  }

  void serve(Duration patience = 20s) {
    router_ = std::make_unique<CallRouter>(
        group_.loop(), group_.replica(front_), [this] { return here_; }, patience, 60s);
    group_.member(front_).on_change = [this] { router_->look_again(); };
    rpc::ServerOptions options;
    options.divert.wanted = [this](const rpc::CallContext& call, rpc::Bytes content) {
      return router_->wants(call, content);
    };
    options.divert.take = [this](std::unique_ptr<rpc::DivertedCall> call) { router_->take(std::move(call)); };
    options.effect_of_refusal = effect_of_refused_call;
    options.write_error = [](rpc::ThriftProtocol& out, const Error& error) {
      wire::from_error(error).write(&out);
    };
    server_ = std::make_unique<rpc::Server>(group_.loop(), std::move(options));  // without any service
    const auto address = server_->listen({"127.0.0.1", 0});
    ASSERT_TRUE(address);
    channel_ = std::make_unique<rpc::Channel>(group_.loop(), *address, rpc::ChannelOptions{});
  }

  template <typename Method>
  using Slot = std::shared_ptr<std::optional<Result<rpc::Reply<Method>>>>;
  template <typename Method, typename Request>
  Slot<Method> ask(const Request& request) {
    auto slot = std::make_shared<std::optional<Result<rpc::Reply<Method>>>>();
    channel_->call<Method>(request, 60s, [slot](auto reply) {
      EXPECT_FALSE(slot->has_value()) << "a call is answered twice";
      slot->emplace(std::move(reply));
    });
    return slot;
  }
  auto execute(bool named = true) { return ask<wire::Transactions_execute>(work(named)); }
  auto status() { return ask<wire::Transactions_status>(question()); }
  template <typename Slot>
  [[nodiscard]] bool is_answered(const Slot& slot) {
    return group_.run_until([&] { return slot->has_value(); });
  }
  template <typename Slot>
  [[nodiscard]] Error error_of(const Slot& slot) {
    if (!is_answered(slot)) return fail(ErrorCode::kInternal, Effect::kUnknown, "no answer").error();
    if (**slot) {
      ADD_FAILURE() << "it was carried out";
      return {};
    }
    return (*slot)->error();
  }

  struct Taken {
    std::uint32_t by = 0;
    std::string method;
    std::string peer;
    std::vector<std::uint8_t> content;
    std::int32_t seqid = 0;
    rpc::Server::Passed done;
  };
  [[nodiscard]] bool takes(std::size_t calls) {
    return group_.run_until([&] { return taken_.size() >= calls; });
  }
  void answer_status(Taken& call, const std::string& detail) {
    rpc::MessageWriter writer(rpc::Encoding::kBinary);
    auto& out = *writer.protocol();
    wire::StatusReply reply;
    reply.__set_detail(detail);
    out.writeMessageBegin("status", apache::thrift::protocol::T_REPLY, call.seqid);
    out.writeFieldBegin("success", apache::thrift::protocol::T_STRUCT, 0);
    reply.write(&out);
    out.writeFieldStop();
    call.done(writer.frame());
  }
  // As by a server that has no service: the call was served there.
  static void expect_served_here(const Error& error) {
    EXPECT_NE(error.message.find("no service here has a method"), std::string::npos) << error.message;
  }
  void stop_the_others() {
    for (std::uint32_t number = 1; number <= 3; ++number)
      if (number != front_) group_.stop(number);
  }

  ReplicaGroup group_{3};
  std::uint32_t leader_ = 0;
  std::uint32_t front_ = 0;
  Here here_ = Here::kNothing;
  std::vector<Taken> taken_;
  std::unique_ptr<CallRouter> router_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<rpc::Channel> channel_;
};

// ---- where

TEST_F(CallRouterTest, WhatEachAnswersForItselfStaysHere) {
  serve();
  const auto wants = [this](std::string_view method) { return router_->wants({method, "a peer"}, {}); };
  for (const auto* own : {"hello", "current_epoch", "group_status"})
    EXPECT_FALSE(wants(own)) << own;
  for (const auto* other : {"execute", "begin_transaction", "query", "commit", "rollback", "register_agent",
                            "inquire", "change_group", "transfer_lead", "no_such_method"})
    EXPECT_TRUE(wants(other)) << other;
  here_ = Here::kRunning;
  EXPECT_TRUE(wants("execute"));
  EXPECT_TRUE(wants("begin_transaction"));
  EXPECT_FALSE(wants("commit")) << "what runs comes to its end here";
  here_ = Here::kEverything;
  EXPECT_FALSE(wants("execute"));
}

TEST_F(CallRouterTest, TheLeaderGetsItInItsClientsNameAndAnswers) {
  serve();
  const auto asked = status();
  ASSERT_TRUE(takes(1));
  EXPECT_EQ(taken_[0].by, leader_);
  EXPECT_EQ(taken_[0].method, "status");
  EXPECT_EQ(taken_[0].peer.find("127.0.0.1:"), 0U) << taken_[0].peer;
  EXPECT_NE(taken_[0].peer.find(" by replica " + std::to_string(front_)), std::string::npos);
  EXPECT_EQ(router_->passed_on(), 1U);
  answer_status(taken_[0], "it is well");
  ASSERT_TRUE(is_answered(asked));
  ASSERT_TRUE(**asked) << (*asked)->error().message;
  EXPECT_EQ((**asked)->detail, "it is well");
  EXPECT_EQ(router_->passed_on(), 0U);
  EXPECT_EQ(router_->waiting(), 0U);
}

TEST_F(CallRouterTest, ServedHereOnceThisOneLeads) {
  serve();
  stop_the_others();
  ASSERT_TRUE(group_.run_until([this] { return group_.replica(front_).link_to_leader() == nullptr; }));
  const auto executed = execute();
  const auto asked = status();
  ASSERT_TRUE(group_.run_until([this] { return router_->waiting() == 2; }));
  here_ = Here::kRunning;
  router_->look_again();
  expect_served_here(error_of(asked));
  EXPECT_EQ(router_->waiting(), 1U) << "what begins waits for the next reign";
  here_ = Here::kEverything;
  router_->look_again();
  expect_served_here(error_of(executed));
}

// ---- nobody took it

TEST_F(CallRouterTest, WhatTheLeaderDoesNotTakeYetIsPassedOnAgain) {
  serve();
  const auto asked = status();
  ASSERT_TRUE(takes(1));
  taken_[0].done(fail(ErrorCode::kUnavailable, Effect::kNone, "not yet"));
  ASSERT_TRUE(takes(2));
  EXPECT_EQ(taken_[1].content, taken_[0].content);
  answer_status(taken_[1], "now");
  ASSERT_TRUE(is_answered(asked));
  EXPECT_TRUE(**asked);
}

TEST_F(CallRouterTest, ItsPatienceEndsAndItsClientHearsWhyAndWhatIsKnown) {
  group_.member(leader_).take_passed = [](const rpc::CallContext&, rpc::Bytes,
                                          const rpc::Server::Passed& done) {
    done(fail(ErrorCode::kUnavailable, Effect::kNone, "replica 2 hands the lead over"));
  };
  serve(200ms);
  for (const bool named : {false, true}) {
    const auto error = error_of(execute(named));
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_EQ(error.message, "'execute' was not taken: replica 2 hands the lead over");
    EXPECT_EQ(error.effect, named ? Effect::kUnknown : Effect::kNone) << "an earlier attempt may have run";
    EXPECT_TRUE(error.retryable);
    EXPECT_TRUE(error.retry_after);
  }
}

TEST_F(CallRouterTest, WithoutALeaderItWaitsForOneAndNoLonger) {
  stop_the_others();
  serve(200ms);
  ASSERT_TRUE(group_.run_until([this] { return group_.replica(front_).link_to_leader() == nullptr; }));
  const auto began = boot_now();
  const auto error = error_of(status());
  EXPECT_GE(boot_now() - began, 200ms);
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(error.message,
            "'status' was not taken: the group has no leader that can be reached from here; `troth cluster "
            "status` shows its coordinators");
}

TEST_F(CallRouterTest, WhatWaitsWhenThisOneStopsHearsSo) {
  stop_the_others();
  serve();
  ASSERT_TRUE(group_.run_until([this] { return group_.replica(front_).link_to_leader() == nullptr; }));
  const auto executed = execute();
  const auto asked = status();
  ASSERT_TRUE(group_.run_until([this] { return router_->waiting() == 2; }));
  router_->refuse_waiting("this coordinator shuts down");
  EXPECT_EQ(error_of(executed).effect, Effect::kUnknown);
  const auto error = error_of(asked);
  EXPECT_EQ(error.message, "'status' was not taken: this coordinator shuts down");
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(router_->waiting(), 0U);
}

// ---- the leader was lost with it

TEST_F(CallRouterTest, WhatMayBeAskedTwiceIsPassedOnToTheNextLeader) {
  serve();
  const auto asked = status();
  const auto executed = execute(true);
  ASSERT_TRUE(takes(2));
  EXPECT_EQ(taken_[1].by, leader_);
  group_.stop(leader_);
  ASSERT_TRUE(group_.run_until([this] { return group_.leader().has_value(); }));
  if (group_.leader() == front_) {
    here_ = Here::kEverything;
    router_->look_again();
    expect_served_here(error_of(asked));
    expect_served_here(error_of(executed));
    return;
  }
  ASSERT_TRUE(takes(4));
  for (std::size_t i = 2; i < 4; ++i) {
    EXPECT_EQ(taken_[i].by, group_.leader());
    EXPECT_EQ(taken_[i].content, taken_[taken_[i].method == taken_[0].method ? 0 : 1].content);
    taken_[i].done(fail(ErrorCode::kInternal, Effect::kUnknown, "the next leader's word"));
  }
  EXPECT_EQ(error_of(asked).message, "the next leader's word");
  EXPECT_EQ(error_of(executed).message, "the next leader's word");
}

TEST_F(CallRouterTest, OfWhatMayRunTwiceItsClientHearsThatItsFateIsUnknown) {
  serve();
  const auto nameless = execute(false);
  wire::CommitRequest end;
  end.transaction_id = "bank-x7k2p9.1.1";
  const auto committed = ask<wire::Transactions_commit>(end);
  ASSERT_TRUE(takes(2));
  group_.stop(leader_);
  for (const auto& error : {error_of(nameless), error_of(committed)}) {
    EXPECT_EQ(error.effect, Effect::kUnknown);
    EXPECT_NE(error.message.find("was passed on to the leader, replica " + std::to_string(leader_) +
                                 ", which was lost before it answered"),
              std::string::npos)
        << error.message;
    EXPECT_NE(error.message.find("ask `status` how it ended"), std::string::npos) << error.message;
  }
}

// Its connection stands, and nobody there may answer any more.
TEST_F(CallRouterTest, ALeaderThatLeadsNoLongerGetsAMomentForItsLastWord) {
  serve();
  const auto late = execute(false);
  const auto in_time = status();
  ASSERT_TRUE(takes(2));
  Instant ask_at = boot_now();
  ASSERT_TRUE(group_.run_until([&] {
    if (group_.leader() == leader_ && boot_now() >= ask_at) {
      group_.replica(leader_).store().transfer_to({front_});
      ask_at = boot_now() + 100ms;
    }
    return group_.replica(front_).leads();
  }));
  answer_status(taken_[0].method == "status" ? taken_[0] : taken_[1], "the last word");
  ASSERT_TRUE(is_answered(in_time));
  ASSERT_TRUE(**in_time) << (*in_time)->error().message;
  EXPECT_EQ((**in_time)->detail, "the last word");
  const auto error = error_of(late);
  EXPECT_EQ(error.effect, Effect::kUnknown);
  EXPECT_NE(error.message.find("it leads no longer"), std::string::npos) << error.message;
  // What it says now is too late.
  for (auto& call : taken_)
    if (call.method == "execute") call.done(fail(ErrorCode::kUnavailable, Effect::kNone, "never mind"));
  EXPECT_TRUE(group_.holds_for(50ms, [this] { return router_->passed_on() == 0; }));
}

TEST_F(CallRouterTest, WhatTheLeaderSaysOfAnUnknownFateIsPassedBack) {
  serve();
  const auto asked = status();
  ASSERT_TRUE(takes(1));
  taken_[0].done(fail(ErrorCode::kInternal, Effect::kUnknown, "its memory is gone"));
  const auto error = error_of(asked);
  EXPECT_EQ(error.code, ErrorCode::kInternal);
  EXPECT_EQ(error.effect, Effect::kUnknown);
  EXPECT_EQ(error.message, "its memory is gone");
  EXPECT_EQ(taken_.size(), 1U) << "the leader is there: it is not asked twice";
}

// A frame that is none would put its client's stream out of step.
TEST_F(CallRouterTest, AnAnswerThatIsNoAnswerToItIsNotPassedBack) {
  serve();
  rpc::MessageWriter writer(rpc::Encoding::kBinary);
  auto& out = *writer.protocol();
  out.writeMessageBegin("status", apache::thrift::protocol::T_REPLY, 4711);
  out.writeFieldStop();
  const auto other = writer.frame();
  const std::vector<std::uint8_t> others(other.begin(), other.end());
  for (const auto& frame : {std::vector<std::uint8_t>{}, std::vector<std::uint8_t>{0, 0},
                            std::vector<std::uint8_t>{0, 0, 0, 9, 1},
                            std::vector<std::uint8_t>{0, 0, 0, 3, 'a', 'b', 'c'}, others}) {
    taken_.clear();
    const auto asked = status();
    ASSERT_TRUE(takes(1));
    taken_[0].done(rpc::Bytes(frame));
    const auto error = error_of(asked);
    EXPECT_EQ(error.effect, Effect::kUnknown);
    EXPECT_NE(error.message.find("what is no answer to it"), std::string::npos) << error.message;
  }
  EXPECT_TRUE(channel_->is_open());
}

TEST_F(CallRouterTest, MayGoWhileCallsWaitAndAreUnderWay) {
  serve();
  const auto passed = status();
  ASSERT_TRUE(takes(1));
  taken_[0].done(fail(ErrorCode::kUnavailable, Effect::kNone, "not yet"));
  ASSERT_TRUE(group_.run_until([this] { return router_->waiting() == 1; }));
  const auto waits = execute(false);
  ASSERT_TRUE(takes(2));
  group_.member(front_).on_change = [] {};
  router_.reset();
  EXPECT_EQ(error_of(waits).effect, Effect::kUnknown);
  EXPECT_EQ(error_of(passed).effect, Effect::kUnknown);
  taken_[1].done(fail(ErrorCode::kUnavailable, Effect::kNone, "too late"));
  EXPECT_TRUE(group_.holds_for(100ms, [this] { return server_->counts().calls == 0; }));
}

}  // namespace
}  // namespace troth::coordinator
