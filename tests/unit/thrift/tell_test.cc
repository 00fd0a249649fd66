// What a channel does beside calls: it tells, connects before anything is called, and gives up a peer that is silent.
#include <functional>
#include <future>
#include <memory>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/unit/thrift/channel_thread.h"
#include "tests/unit/thrift/fake_server.h"
#include "tests/unit/thrift/test_bank.h"
#include "thrift/runtime/blocking_channel.h"
#include "thrift/runtime/channel.h"

namespace troth::rpc::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Text text_of(std::string text) {
  Text result;
  result.text = std::move(text);
  return result;
}

// A channel that says when it is open and when it is lost.
class Telling {
 public:
  explicit Telling(const Address& server, ChannelOptions options = {})
      : channel_(server, watched(std::move(options))) {}

  [[nodiscard]] ChannelThread& channel() { return channel_; }
  void connect_now() {
    channel_.on_loop([](Channel& channel) { channel.connect_now(); });
  }
  [[nodiscard]] bool tell(std::string text) {
    bool told = false;
    channel_.on_loop([&](Channel& channel) { told = channel.tell<Bank_note>(text_of(std::move(text))); });
    return told;
  }
  // False: it is not after twenty seconds.
  [[nodiscard]] bool opens() { return opened_.get_future().wait_for(kLong) == std::future_status::ready; }
  // Why; waits for it.
  [[nodiscard]] Error loss() {
    auto future = lost_.get_future();
    if (future.wait_for(kLong) == std::future_status::ready) return future.get();
    return fail(ErrorCode::kInternal, Effect::kUnknown, "it was not lost").error();
  }

 private:
  ChannelOptions watched(ChannelOptions options) {
    options.on_connected = [this] { opened_.set_value(); };  // a second time it would throw
    options.on_disconnected = [this](const Error& why) { lost_.set_value(why); };
    return options;
  }

  std::promise<void> opened_;
  std::promise<Error> lost_;
  ChannelThread channel_;
};

TEST(Telling, ReachesTheServiceAndIsNotAnswered) {
  BankServer server;
  Telling telling(server.address());
  telling.connect_now();
  ASSERT_TRUE(telling.opens());
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(telling.tell("note"));
  BlockingChannel clerk(server.address());
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.answered == 100; }));
  EXPECT_EQ(clerk.call<Clerk_notes_taken>(kLong), 100);
  telling.channel().on_loop([](Channel& channel) { EXPECT_EQ(channel.calls_in_flight(), 0U); });
}

TEST(Telling, SaysThatItIsNotSentWhileTheChannelIsDown) {
  BankServer server;
  Telling telling(server.address());
  EXPECT_FALSE(telling.tell("too early"));
  telling.connect_now();
  ASSERT_TRUE(telling.opens());
  EXPECT_TRUE(telling.tell("note"));
  telling.channel().on_loop([](Channel& channel) { channel.close(); });
  EXPECT_FALSE(telling.tell("too late"));
  BlockingChannel clerk(server.address());
  EXPECT_EQ(clerk.call<Clerk_notes_taken>(kLong), 1);
}

TEST(Telling, SaysThatItIsNotSentBeforeTheGreetingIsOver) {
  BankServer server;
  ChannelOptions options;
  std::promise<bool> told;
  options.greet = [&told](Channel& channel, const Greeted& greeted) {
    told.set_value(channel.tell<Bank_note>(text_of("too early")));
    greeted({});
  };
  Telling telling(server.address(), std::move(options));
  telling.connect_now();
  ASSERT_TRUE(telling.opens());
  EXPECT_FALSE(told.get_future().get());
  EXPECT_TRUE(telling.tell("note"));
}

TEST(Telling, GoesAheadOfCallsThatWait) {
  const FakeServer server;
  Telling telling(server.address());
  telling.connect_now();
  const auto connection = server.accept();
  ASSERT_TRUE(telling.opens());
  telling.channel().on_loop([](Channel& channel) {
    channel.call<Bank_hold>(ticket_of(1), kLong, [](const Result<std::int64_t>&) {});
    EXPECT_TRUE(channel.tell<Bank_note>(text_of("first")));
    EXPECT_TRUE(channel.tell<Bank_note>(text_of("second")));
  });
  const auto first = connection.receive();
  ASSERT_TRUE(first);
  const auto header = read_message_header(*first);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->kind, MessageKind::kOneway);
  EXPECT_EQ(header->method, "note");
  EXPECT_EQ(receive_call(connection)->method, "note");
  EXPECT_EQ(receive_call(connection)->method, "hold");
}

TEST(Telling, SaysThatItIsTooLargeAndGoesOn) {
  BankServer server;
  ChannelOptions options;
  options.frame.max_frame_bytes = 1000;
  Telling telling(server.address(), std::move(options));
  telling.connect_now();
  ASSERT_TRUE(telling.opens());
  EXPECT_FALSE(telling.tell(std::string(2000, 'x')));
  EXPECT_TRUE(telling.tell("note"));
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.answered == 1; }));
  EXPECT_EQ(telling.channel().call<Bank_release>(ticket_of(1)).get(), false) << "the stream is in step";
}

// Each is dropped rather than kept without end: the replicated log sends again what matters.
TEST(Telling, SaysThatThereIsNoRoomWhileItsPeerReadsNothing) {
  const FakeServer server;
  ChannelOptions options;
  options.max_unsent_bytes = 1U << 20;
  Telling telling(server.address(), std::move(options));
  telling.connect_now();
  const auto connection = server.accept();
  ASSERT_TRUE(telling.opens());
  const std::string large(1U << 18, 'x');
  int told = 0;
  while (told < 1000 && telling.tell(large))
    ++told;
  ASSERT_GE(told, 4);
  ASSERT_LT(told, 1000) << "what a peer does not read is kept without a limit";
  for (int i = 0; i < told; ++i)
    ASSERT_TRUE(connection.receive()) << "told and not sent: " << i << " of " << told;
  EXPECT_TRUE(telling.tell(large)) << "there is room again";
  EXPECT_TRUE(connection.receive());
}

TEST(Telling, WhatIsLostWithItsConnectionIsNotSentOnTheNextOne) {
  const FakeServer server;
  ChannelOptions options;
  options.first_backoff = milliseconds(1);
  ChannelThread channel(server.address(), std::move(options));
  Item large;
  large.blob = std::string(8U << 20, 'x');
  auto stuck = channel.call<Bank_echo>(large);
  {
    const auto connection = server.accept();
    ASSERT_TRUE(connection.receive_bytes(100));
    channel.on_loop([](Channel& c) { EXPECT_TRUE(c.tell<Bank_note>(text_of("behind it"))); });
  }
  EXPECT_FALSE(stuck.get());
  auto held = channel.hold(1);
  const auto connection = server.accept();
  const auto call = receive_call(connection);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->method, "hold");
  connection.send(answer_with("hold", call->seqid, 1));
  EXPECT_EQ(held.get(), 1);
}

// ---- connecting before anything is called

TEST(ConnectNow, ConnectsThoughNothingIsCalled) {
  BankServer server;
  Telling telling(server.address());
  EXPECT_EQ(server.counts().accepted, 0U);
  telling.connect_now();
  ASSERT_TRUE(telling.opens());
  telling.channel().on_loop([](Channel& channel) { EXPECT_TRUE(channel.is_open()); });
}

TEST(ConnectNow, DoesNotWaitForTheBackOffAndTakesTheCallsThatDo) {
  const FakeServer server(Listening::kNo);
  ChannelOptions options;
  options.first_backoff = seconds(60);
  options.longest_backoff = seconds(60);
  Telling telling(server.address(), std::move(options));
  expect_error(telling.channel().hold(1), ErrorCode::kUnavailable, Effect::kNone, "cannot connect to");
  auto waiting = telling.channel().hold(2);
  server.listen();
  telling.connect_now();
  const auto connection = server.accept();
  const auto call = receive_call(connection);
  ASSERT_TRUE(call);
  connection.send(answer_with("hold", call->seqid, 2));
  EXPECT_EQ(waiting.get(), 2);
  EXPECT_TRUE(telling.opens());
}

TEST(ConnectNow, AFailedAttemptIsTheCallsThatWait) {
  const FakeServer nobody(Listening::kNo);
  ChannelOptions options;
  options.first_backoff = seconds(60);
  options.longest_backoff = seconds(60);
  ChannelThread channel(nobody.address(), std::move(options));
  expect_error(channel.hold(1), ErrorCode::kUnavailable, Effect::kNone, "cannot connect to");
  auto waiting = channel.hold(2);
  channel.on_loop([](Channel& c) { c.connect_now(); });
  expect_error(std::move(waiting), ErrorCode::kUnavailable, Effect::kNone, "cannot connect to");
}

TEST(ConnectNow, DoesNothingWhileItConnectsIsOpenOrIsClosed) {
  BankServer server;
  Telling telling(server.address());
  telling.channel().on_loop([](Channel& channel) {
    channel.connect_now();
    channel.connect_now();
  });
  ASSERT_TRUE(telling.opens());
  telling.connect_now();
  EXPECT_EQ(telling.channel().call<Bank_release>(ticket_of(1)).get(), false);
  EXPECT_EQ(server.counts().accepted, 1U);
  telling.channel().on_loop([](Channel& channel) {
    channel.close();
    channel.connect_now();
    EXPECT_FALSE(channel.is_open());
  });
  expect_error(telling.channel().hold(1), ErrorCode::kUnavailable, Effect::kNone, "is closed");
}

TEST(ConnectNow, ACallMayAskForItWhenItHearsOfTheLoss) {
  const FakeServer nobody(Listening::kNo);
  asio::io_context loop(1);
  ChannelOptions options;
  options.first_backoff = seconds(60);
  options.longest_backoff = seconds(60);
  Channel channel(loop, nobody.address(), std::move(options));
  int attempts = 0;
  const std::function<void(Result<std::int64_t>)> again = [&](const Result<std::int64_t>& reply) {
    ASSERT_FALSE(reply);
    if (++attempts == 5) return channel.close();
    channel.call<Bank_hold>(ticket_of(1), kLong, again);
    channel.connect_now();
  };
  channel.call<Bank_hold>(ticket_of(1), kLong, again);
  loop.run_for(kLong);
  EXPECT_EQ(attempts, 5);
}

// ---- a peer that is silent

// Its machine takes nothing more, as where it is gone: what was sent is not acknowledged.
TEST(Silence, OfAPeerThatTakesNothingEndsTheConnection) {
  const FakeServer server;
  ChannelOptions options;
  options.silence_timeout = milliseconds(300);
  Telling telling(server.address(), std::move(options));
  telling.connect_now();
  const auto connection = server.accept();
  ASSERT_TRUE(telling.opens());
  auto held = telling.channel().hold(1);
  for (int i = 0; i < 8; ++i)
    EXPECT_TRUE(telling.tell(std::string(1U << 20, 'x')));
  const auto why = telling.loss();
  EXPECT_EQ(why.code, ErrorCode::kUnavailable);
  EXPECT_NE(why.message.find("was lost"), std::string::npos) << why.message;
  expect_error(std::move(held), ErrorCode::kUnavailable, Effect::kUnknown, "was lost");
}

}  // namespace
}  // namespace troth::rpc::test
