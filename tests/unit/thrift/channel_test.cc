// The channel as its caller sees it: each call ends once, and says what is known of its effect.
#include "thrift/runtime/channel.h"

#include <atomic>
#include <future>
#include <memory>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/unit/thrift/channel_thread.h"
#include "tests/unit/thrift/fake_server.h"
#include "tests/unit/thrift/test_bank.h"
#include "thrift/runtime/blocking_channel.h"

namespace troth::rpc::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Channel, CarriesACallAndItsAnswerInBothEncodings) {
  BankServer server;
  for (const auto encoding : {Encoding::kBinary, Encoding::kCompact}) {
    ChannelOptions options;
    options.encoding = encoding;
    BlockingChannel channel(server.address(), options);
    Item item;
    item.id = -7;
    item.name = "name";
    item.amounts = {{"a", 1}, {"b", INT64_MIN}};
    item.numbers = {1, 2, -3};
    item.flag = true;
    item.ratio = 0.5;
    item.blob = std::string("\0\xff", 2);
    item.__set_bits({true, false, true});
    item.children.push_back(item);
    const auto reply = channel.call<Bank_echo>(item, kLong);
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(*reply, item);
  }
}

TEST(Channel, KeepsManyCallsInFlightAndTakesTheirAnswersInAnyOrder) {
  BankServer server;
  ChannelThread channel(server.address());
  std::vector<std::future<Result<std::int64_t>>> held;
  for (int i = 0; i < 100; ++i)
    held.push_back(channel.hold(i));
  for (int i = 99; i >= 0; --i) {
    EXPECT_EQ(channel.call<Bank_release>(ticket_of(i)).get(), true);
    EXPECT_EQ(held[static_cast<std::size_t>(i)].get(), i);
  }
}

TEST(Channel, ADeclaredExceptionComesOutTyped) {
  BankServer server;
  BlockingChannel channel(server.address());
  Text how;
  how.text = "declared";
  const auto reply = channel.call<Bank_fail>(how, kLong);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kStale);
  EXPECT_EQ(reply.error().message, "declared");
}

TEST(Channel, AServiceThatFailedLeavesTheEffectUnknown) {
  BankServer server;
  BlockingChannel channel(server.address());
  Text how;
  how.text = "standard";
  const auto reply = channel.call<Bank_fail>(how, kLong);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInternal);
  EXPECT_EQ(reply.error().effect, Effect::kUnknown);
  EXPECT_NE(reply.error().message.find("the vault is on fire"), std::string::npos);
}

struct NoSuchMethod : Bank_ping {
  static constexpr std::string_view kName = "no_such_method";
};

TEST(Channel, AMethodThatTheServerLacksHadNoEffect) {
  BankServer server;
  BlockingChannel channel(server.address());
  const auto reply = channel.call<NoSuchMethod>(kLong);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(reply.error().effect, Effect::kNone);
  EXPECT_NE(reply.error().message.find("no_such_method"), std::string::npos);
}

// ---- deadlines

TEST(Channel, ADeadlineAfterSendingLeavesTheEffectUnknownAndALateAnswerIsIgnored) {
  const FakeServer server;
  ChannelThread channel(server.address());
  auto first = channel.hold(1, milliseconds(100));
  const auto connection = server.accept();
  const auto late = receive_call(connection);
  ASSERT_TRUE(late);
  expect_error(std::move(first), ErrorCode::kTimeout, Effect::kUnknown, "'hold' to 127.0.0.1");
  auto second = channel.hold(2);
  const auto call = receive_call(connection);
  ASSERT_TRUE(call);
  EXPECT_NE(call->seqid, late->seqid);
  connection.send(answer_with("hold", late->seqid, 1));
  connection.send(answer_with("hold", call->seqid, 2));
  EXPECT_EQ(second.get(), 2);
}

TEST(Channel, ADeadlineBeforeSendingMeansThatNothingHappened) {
  const FakeServer nobody(Listening::kNo);
  ChannelOptions options;
  options.first_backoff = seconds(60);
  ChannelThread channel(nobody.address(), options);
  expect_error(channel.hold(1), ErrorCode::kUnavailable, Effect::kNone,
               "cannot connect to " + nobody.address().text());
  // The next attempt is a minute away.
  expect_error(channel.hold(2, milliseconds(20)), ErrorCode::kTimeout, Effect::kNone, "could not be sent");
}

// ---- losing the connection

TEST(Channel, ALostConnectionLeavesWhatWasSentUnknown) {
  const FakeServer server;
  ChannelThread channel(server.address());
  auto first = channel.hold(1);
  auto second = channel.hold(2);
  {
    const auto connection = server.accept();
    ASSERT_TRUE(receive_call(connection));
    ASSERT_TRUE(receive_call(connection));
  }
  expect_error(std::move(first), ErrorCode::kUnavailable, Effect::kUnknown, "was lost");
  expect_error(std::move(second), ErrorCode::kUnavailable, Effect::kUnknown, "was lost");
}

TEST(Channel, ALostConnectionHadNoEffectOnWhatNeverLeft) {
  const FakeServer server;
  ChannelThread channel(server.address());
  // More than the kernel takes while nobody reads.
  Item item;
  item.blob = std::string(8U << 20, 'x');
  auto stuck = channel.call<Bank_echo>(item);
  auto connection = std::make_unique<RawClient>(server.accept());
  ASSERT_TRUE(connection->receive_bytes(100));
  auto queued = channel.hold(1);
  connection.reset();
  const auto lost = stuck.get();
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().effect, Effect::kUnknown);
  expect_error(std::move(queued), ErrorCode::kUnavailable, Effect::kNone, "was lost");
}

TEST(Channel, ConnectsAgainToAServerThatCameBack) {
  const FakeServer server(Listening::kNo);
  std::atomic<int> connected = 0;
  std::atomic<int> disconnected = 0;
  ChannelOptions options;
  options.first_backoff = milliseconds(1);
  options.on_connected = [&] { ++connected; };
  options.on_disconnected = [&](const Error&) { ++disconnected; };
  ChannelThread channel(server.address(), options);
  expect_error(channel.hold(1), ErrorCode::kUnavailable, Effect::kNone, "cannot connect to");
  server.listen();
  for (int round = 1; round <= 3; ++round) {
    auto answered = channel.hold(2);
    auto lost = channel.hold(3);
    {
      const auto connection = server.accept();
      const auto call = receive_call(connection);
      ASSERT_TRUE(call && receive_call(connection));
      connection.send(answer_with("hold", call->seqid, 2));
      EXPECT_EQ(answered.get(), 2);
      EXPECT_EQ(connected, round);
    }
    expect_error(std::move(lost), ErrorCode::kUnavailable, Effect::kUnknown, "was lost");
    channel.on_loop([](Channel& c) { EXPECT_FALSE(c.is_open()); });
    EXPECT_EQ(disconnected, round);
  }
}

// ---- strange servers

TEST(Channel, ADoubledAnswerIsTakenOnce) {
  const FakeServer server;
  ChannelThread channel(server.address());
  auto first = channel.hold(1);
  const auto connection = server.accept();
  const auto call = receive_call(connection);
  ASSERT_TRUE(call);
  connection.send(answer_with("hold", call->seqid, 1));
  connection.send(answer_with("hold", call->seqid, 2));
  connection.send(answer_with("hold", 4711, 3));
  EXPECT_EQ(first.get(), 1);
  auto second = channel.hold(2);
  const auto next = receive_call(connection);
  ASSERT_TRUE(next);
  connection.send(answer_with("hold", next->seqid, 4));
  EXPECT_EQ(second.get(), 4);
}

TEST(Channel, AnswersThatMakeNoSenseLeaveTheEffectUnknown) {
  const FakeServer server;
  ChannelThread channel(server.address());
  auto other = channel.hold(1);
  const auto connection = server.accept();
  auto call = receive_call(connection);
  ASSERT_TRUE(call);
  connection.send(answer_with("release", call->seqid, 1));
  expect_error(std::move(other), ErrorCode::kInternal, Effect::kUnknown, "'release'");

  auto empty = channel.hold(2);
  call = receive_call(connection);
  connection.send(answer_with_nothing("hold", call->seqid));
  expect_error(std::move(empty), ErrorCode::kInternal, Effect::kUnknown, "neither a result nor an error");

  auto cut = channel.hold(3);
  call = receive_call(connection);
  const auto whole = answer_with("hold", call->seqid, 3);
  connection.send(framed({whole.begin() + kFrameLengthBytes, whole.end() - 4}));
  expect_error(std::move(cut), ErrorCode::kInternal, Effect::kUnknown, "cannot be read");

  auto garbage = channel.hold(4);
  ASSERT_TRUE(receive_call(connection));
  connection.send(framed(bytes_of("garbage")));
  expect_error(std::move(garbage), ErrorCode::kUnavailable, Effect::kUnknown, "no reply");
  EXPECT_TRUE(connection.is_closed_by_server());
}

// What else is in flight on the connection has nothing to do with one answer that is too large.
TEST(Channel, AnAnswerOverTheFrameLimitEndsItsCallAlone) {
  BankServer server;
  ChannelOptions options;
  options.frame.max_frame_bytes = 1000;
  ChannelThread channel(server.address(), options);
  auto held = channel.hold(1);
  const auto reply = channel.call<Bank_produce>(ticket_of(2000)).get();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(reply.error().effect, Effect::kUnknown);
  EXPECT_NE(reply.error().message.find("1000"), std::string::npos) << reply.error().message;
  EXPECT_EQ(channel.call<Bank_release>(ticket_of(1)).get(), true);
  EXPECT_EQ(held.get(), 1);
  EXPECT_EQ(server.counts().accepted, 1U);
}

TEST(Channel, AnAnswerThatIsNoFrameEndsTheConnection) {
  FakeServer server;
  ChannelThread channel(server.address());
  auto call = channel.hold(1);
  const auto connection = server.accept();
  ASSERT_TRUE(receive_call(connection));
  connection.send(bytes_of("HTTP/1.1 400 Bad Request"));
  expect_error(std::move(call), ErrorCode::kUnavailable, Effect::kUnknown, "framed transport");
  EXPECT_TRUE(connection.is_closed_by_server());
}

TEST(Channel, GreetsOnEachNewConnectionBeforeAnythingElse) {
  const FakeServer server;
  ChannelOptions options;
  options.first_backoff = milliseconds(1);
  options.greet = [](Channel& channel, Greeted greeted) {
    channel.call_in_greeting<Bank_hold>(ticket_of(0), kLong, [greeted](Result<std::int64_t> reply) {
      greeted(reply ? Status() : Status(std::unexpected(reply.error())));
    });
  };
  ChannelThread channel(server.address(), options);
  for (int round = 0; round < 2; ++round) {
    auto held = channel.call<Bank_release>(ticket_of(1));
    {
      const auto connection = server.accept();
      const auto greeting = receive_call(connection);
      ASSERT_TRUE(greeting);
      EXPECT_EQ(greeting->method, "hold");
      connection.send(answer_with("hold", greeting->seqid, 0));
      const auto call = receive_call(connection);
      ASSERT_TRUE(call);
      EXPECT_EQ(call->method, "release");
    }
    EXPECT_FALSE(held.get());
  }
}

TEST(Channel, AServerThatIsNotTheRightOneGetsNoCall) {
  BankServer server;
  ChannelOptions options;
  options.greet = [](Channel&, const Greeted& greeted) {
    greeted(fail(ErrorCode::kNotOwner, Effect::kNone, "this is another cluster"));
  };
  ChannelThread channel(server.address(), options);
  expect_error(channel.hold(1), ErrorCode::kNotOwner, Effect::kNone, "another cluster");
  EXPECT_EQ(server.counts().calls, 0U);
}

TEST(Channel, AGreetingCallOutsideOfAGreetingIsRefused) {
  BankServer server;
  ChannelThread channel(server.address());
  std::promise<Result<std::int64_t>> promise;
  channel.on_loop([&](Channel& c) {
    c.call_in_greeting<Bank_hold>(ticket_of(1), kLong,
                                  [&](auto reply) { promise.set_value(std::move(reply)); });
  });
  expect_error(promise.get_future(), ErrorCode::kUnavailable, Effect::kNone, "not greeting");
}

// ---- limits and the end

TEST(Channel, PastItsLimitsACallNeverLeaves) {
  const FakeServer server;
  ChannelOptions options;
  options.max_calls = 2;
  options.frame.max_frame_bytes = 1000;
  ChannelThread channel(server.address(), options);
  Item item;
  item.name = std::string(2000, 'x');
  const auto large = channel.call<Bank_echo>(item).get();
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().effect, Effect::kNone);
  EXPECT_NE(large.error().message.find("max_frame_bytes"), std::string::npos);
  auto first = channel.hold(1);
  auto second = channel.hold(2);
  expect_error(channel.hold(3), ErrorCode::kOverloaded, Effect::kNone, "max_calls 2");
}

TEST(Channel, ClosingEndsEveryCall) {
  const FakeServer server;
  ChannelThread channel(server.address());
  auto sent = channel.hold(1);
  const auto connection = server.accept();
  ASSERT_TRUE(receive_call(connection));
  channel.on_loop([](Channel& c) { c.close(); });
  expect_error(std::move(sent), ErrorCode::kUnavailable, Effect::kUnknown, "was closed");
  expect_error(channel.hold(2), ErrorCode::kUnavailable, Effect::kNone, "is closed");
  EXPECT_TRUE(connection.is_closed_by_server());
}

TEST(Channel, AnAnswerMayDestroyTheChannel) {
  BankServer server;
  asio::io_context loop(1);
  auto channel = std::make_unique<Channel>(loop, server.address(), ChannelOptions{});
  int answers = 0;
  for (int i = 0; i < 3; ++i) {
    channel->call<Bank_ping>(kLong, [&](const Status&) {
      ++answers;
      channel.reset();
    });
  }
  loop.run();
  EXPECT_EQ(answers, 1) << "the other calls were dropped with the channel";
}

TEST(Channel, ALossMayDestroyTheChannel) {
  const FakeServer nobody(Listening::kNo);
  asio::io_context loop(1);
  auto channel = std::make_unique<Channel>(loop, nobody.address(), ChannelOptions{});
  int answers = 0;
  for (int i = 0; i < 3; ++i) {
    channel->call<Bank_ping>(kLong, [&](const Status& status) {
      EXPECT_FALSE(status);
      ++answers;
      channel.reset();
    });
  }
  loop.run();
  EXPECT_EQ(answers, 1);
}

TEST(Channel, FindsItsServerByName) {
  BankServer server;
  BlockingChannel channel({"localhost", server.address().port});
  EXPECT_TRUE(channel.call<Bank_ping>(kLong));
}

TEST(BlockingChannel, NeverWaitsLongerThanTheTimeout) {
  const FakeServer server;
  BlockingChannel channel(server.address());
  const auto reply = channel.call<Bank_ping>(milliseconds(50));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kTimeout);
}

}  // namespace
}  // namespace troth::rpc::test
