// The server as its clients see it: order, names of refusals, and that it goes on after all of them.
#include "thrift/runtime/server.h"

#include <atomic>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>
#include <unistd.h>

#include "tests/unit/thrift/raw_client.h"
#include "tests/unit/thrift/test_bank.h"
#include "thrift/runtime/blocking_channel.h"

namespace troth::rpc::test {
namespace {

using apache::thrift::TApplicationException;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Encoding kEncodings[] = {Encoding::kBinary, Encoding::kCompact};

template <typename Arguments, typename Argument>
ByteVector call_of(Encoding encoding, std::string_view method, std::int32_t seqid, const Argument& argument) {
  Arguments arguments;
  auto& [pointer] = arguments;
  pointer = &argument;
  return call_frame(encoding, method, seqid, [&](auto& out) { arguments.write(&out); });
}

ByteVector ping(std::int32_t seqid, Encoding encoding = Encoding::kBinary, std::string_view method = "ping") {
  return call_frame(encoding, method, seqid, [](auto& out) { out.writeFieldStop(); });
}

Ticket ticket_of(std::int64_t number) {
  Ticket ticket;
  ticket.number = number;
  return ticket;
}

ByteVector hold(std::int32_t seqid, std::int64_t ticket) {
  return call_of<Bank_hold_pargs>(Encoding::kBinary, "hold", seqid, ticket_of(ticket));
}

ByteVector release(std::int32_t seqid, std::int64_t ticket) {
  return call_of<Bank_release_pargs>(Encoding::kBinary, "release", seqid, ticket_of(ticket));
}

ByteVector produce(std::int32_t seqid, std::int64_t bytes) {
  return call_of<Bank_produce_pargs>(Encoding::kBinary, "produce", seqid, ticket_of(bytes));
}

Text text_of(std::string_view text) {
  Text result;
  result.text = text;
  return result;
}

Answer next_answer(const RawClient& client) {
  const auto content = client.receive();
  if (!content) {
    ADD_FAILURE() << "the server closed the connection";
    return {};
  }
  return read_answer(*content);
}

void expect_alive(BankServer& server) {
  BlockingChannel channel(server.address());
  const auto reply = channel.call<Bank_ping>(seconds(10));
  EXPECT_TRUE(reply) << reply.error().message;
}

TEST(Server, AnswersSeqidZeroInTheOrderOfTheCalls) {
  BankServer server;
  const RawClient client(server.address());
  // Three calls in one write: the first waits for the third.
  client.send(hold(0, 1));
  client.send(ping(0));
  client.send(release(0, 1));
  EXPECT_EQ(next_answer(client).method, "hold");
  EXPECT_EQ(next_answer(client).method, "ping");
  EXPECT_EQ(next_answer(client).method, "release");
}

TEST(Server, AnswersOtherSeqidsAsTheyAreDone) {
  BankServer server;
  const RawClient client(server.address());
  client.send(hold(1, 1));
  client.send(ping(2));
  client.send(release(3, 1));
  EXPECT_EQ(next_answer(client).seqid, 2);
  EXPECT_EQ(next_answer(client).seqid, 1);
  EXPECT_EQ(next_answer(client).seqid, 3);
}

TEST(Server, SeqidZeroWaitsForItsTurnWhileOthersPass) {
  BankServer server;
  const RawClient client(server.address());
  client.send(hold(0, 1));
  client.send(ping(0));
  client.send(ping(9));
  EXPECT_EQ(next_answer(client).seqid, 9);
  client.send(release(8, 1));
  EXPECT_EQ(next_answer(client).method, "hold");
  EXPECT_EQ(next_answer(client).method, "ping");
  EXPECT_EQ(next_answer(client).seqid, 8);
}

TEST(Server, RefusesASeqidThatIsInFlightAndTakesItAgainAfterwards) {
  BankServer server;
  const RawClient client(server.address());
  client.send(hold(7, 1));
  client.send(ping(7));
  const auto refused = next_answer(client);
  EXPECT_EQ(refused.seqid, 7);
  EXPECT_EQ(refused.exception_type, TApplicationException::BAD_SEQUENCE_ID);
  EXPECT_NE(refused.exception_message.find("seqid 7"), std::string::npos);
  client.send(release(8, 1));
  EXPECT_EQ(next_answer(client).method, "hold");
  EXPECT_EQ(next_answer(client).method, "release");
  client.send(ping(7));
  EXPECT_FALSE(next_answer(client).exception_type);
}

TEST(Server, AnswersEachMessageInItsOwnEncoding) {
  BankServer server;
  const RawClient client(server.address());
  for (const auto encoding : {Encoding::kCompact, Encoding::kBinary, Encoding::kCompact}) {
    client.send(ping(0, encoding));
    const auto content = client.receive();
    ASSERT_TRUE(content);
    EXPECT_EQ(read_message_header(*content)->encoding, encoding);
  }
}

TEST(Server, AnswersOldBinaryClients) {
  BankServer server;
  const RawClient client(server.address());
  client.send(framed(bytes_of(std::string("\0\0\0\4ping\1\0\0\0\7\0", 14))));
  EXPECT_EQ(next_answer(client).seqid, 7);
}

TEST(Server, ServesSeveralServicesOnOnePortAndKnowsItsCallers) {
  BankServer server;
  BlockingChannel channel(server.address());
  const auto who = channel.call<Clerk_who_calls>(seconds(10));
  ASSERT_TRUE(who) << who.error().message;
  EXPECT_EQ(who->substr(0, 10), "127.0.0.1:");
  EXPECT_NE(who->find(" who_calls"), std::string::npos);
}

TEST(Server, NamesAnUnknownMethod) {
  BankServer server;
  for (const auto encoding : kEncodings) {
    const RawClient client(server.address());
    client.send(ping(0, encoding, "transmogrify"));
    const auto refused = next_answer(client);
    EXPECT_EQ(refused.exception_type, TApplicationException::UNKNOWN_METHOD);
    EXPECT_NE(refused.exception_message.find("'transmogrify'"), std::string::npos);
    client.send(ping(0, encoding));
    EXPECT_EQ(next_answer(client).method, "ping");
  }
}

TEST(Server, ACallThatGetsNoAnswerIsNotAnswered) {
  BankServer server;
  const RawClient client(server.address());
  MessageWriter writer(Encoding::kBinary);
  writer.protocol()->writeMessageBegin("note", apache::thrift::protocol::T_ONEWAY, 0);
  Bank_note_args arguments;
  arguments.text.text = "x";
  arguments.write(writer.protocol().get());
  const Bytes frame = writer.frame();
  client.send({frame.begin(), frame.end()});
  client.send(ping(0, Encoding::kBinary, "notes_taken"));
  const auto content = client.receive();
  ASSERT_TRUE(content);
  EXPECT_EQ(outcome_of<Clerk_notes_taken>(*content), 1);
}

TEST(Server, WhatAServiceThrowsBecomesAnAnswer) {
  BankServer server;
  const RawClient client(server.address());
  const auto fail = [&](std::string_view how) {
    client.send(call_of<Bank_fail_pargs>(Encoding::kBinary, "fail", 0, text_of(how)));
    return next_answer(client);
  };
  EXPECT_FALSE(fail("declared").exception_type);
  const auto standard = fail("standard");
  EXPECT_EQ(standard.exception_type, TApplicationException::INTERNAL_ERROR);
  EXPECT_NE(standard.exception_message.find("the vault is on fire"), std::string::npos);
  EXPECT_EQ(fail("foreign").exception_type, TApplicationException::INTERNAL_ERROR);
  EXPECT_TRUE(fail("undeclared").exception_type);
  EXPECT_EQ(fail("drop").exception_type, TApplicationException::INTERNAL_ERROR);
  EXPECT_FALSE(fail("twice").exception_type);
  EXPECT_FALSE(fail("not at all").exception_type);
}

// ---- what cannot be read

TEST(Server, UnreadableArgumentsAreRefusedAndTheConnectionGoesOn) {
  BankServer server;
  for (const auto encoding : kEncodings) {
    const RawClient client(server.address());
    client.send(call_frame(encoding, "echo", 0, [](auto& out) {
      out.writeFieldBegin("item", apache::thrift::protocol::T_STRUCT, 1);
      out.writeStructBegin("");
      out.writeFieldBegin("children", apache::thrift::protocol::T_LIST, 3);
      out.writeListBegin(apache::thrift::protocol::T_STRUCT, 0x7fffffff);
    }));
    const auto refused = next_answer(client);
    EXPECT_EQ(refused.exception_type, TApplicationException::PROTOCOL_ERROR);
    EXPECT_NE(refused.exception_message.find("container claims more"), std::string::npos)
        << refused.exception_message;
    client.send(call_frame(encoding, "echo", 0, [](auto&) {}));  // no struct at all
    EXPECT_EQ(next_answer(client).exception_type, TApplicationException::PROTOCOL_ERROR);
    client.send(ping(0, encoding));
    EXPECT_EQ(next_answer(client).method, "ping");
  }
  EXPECT_EQ(server.counts().malformed, 4U);
  EXPECT_EQ(server.counts().calls, 0U);
}

TEST(Server, EndsAConnectionThatSpeaksNoThriftAndSaysWhy) {
  std::atomic<int> lines = 0;
  ServerOptions options;
  options.on_trouble = [&](const std::string& line) {
    lines += line.find("127.0.0.1:") != std::string::npos;
  };
  BankServer server(std::move(options));
  const std::vector<ByteVector> streams = {
      bytes_of("GET / HTTP/1.1\r\n\r\n"), framed({}),
      framed(bytes_of("nonsense")),       framed({0x82, 0x41, 1, 1, 'a', 0}),  // a reply
      bytes_of("\xff\xff\xff\xff"),
  };
  for (const auto& stream : streams) {
    const RawClient client(server.address());
    client.send(stream);
    EXPECT_TRUE(client.is_closed_by_server());
  }
  EXPECT_EQ(server.counts().malformed, streams.size());
  EXPECT_EQ(lines, static_cast<int>(streams.size()));
  expect_alive(server);
}

TEST(Server, RefusesAnOversizedFrameByItsMethodAndStaysInStep) {
  ServerOptions options;
  options.frame.max_frame_bytes = 1000;
  options.frame.max_skipped_bytes = 1U << 20;
  BankServer server(std::move(options));
  for (const auto encoding : kEncodings) {
    const RawClient client(server.address());
    Item item;
    item.name = std::string(100'000, 'x');
    client.send(call_of<Bank_echo_pargs>(encoding, "echo", 3, item));
    const auto content = client.receive();
    ASSERT_TRUE(content);
    const auto refused = outcome_of<Bank_echo>(*content);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find("max_frame_bytes"), std::string::npos) << refused.error().message;
    client.send(ping(0, encoding));
    EXPECT_EQ(next_answer(client).method, "ping");
  }
}

TEST(Server, AnAnswerOverTheFrameLimitBecomesARefusal) {
  ServerOptions options;
  options.frame.max_frame_bytes = 1000;
  BankServer server(std::move(options));
  BlockingChannel channel(server.address());
  const auto reply = channel.call<Bank_produce>(ticket_of(5000), seconds(10));
  ASSERT_FALSE(reply);
  EXPECT_NE(reply.error().message.find("max_frame_bytes"), std::string::npos) << reply.error().message;
}

TEST(Server, HalfAFrameAndThenTheEndHarmsNobody) {
  BankServer server;
  const auto frame = ping(0);
  for (std::size_t size = 1; size < frame.size(); ++size) {
    const RawClient client(server.address());
    client.send({frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)});
  }
  EXPECT_TRUE(server.wait_for([&](const ServerCounts& counts) {
    return counts.malformed == frame.size() - 1 && counts.connections == 0;
  }));
  expect_alive(server);
}

TEST(Server, AClientThatEndsItsSendingStillGetsItsAnswers) {
  BankServer server;
  const RawClient client(server.address());
  client.send(hold(0, 1));
  client.send(ping(0));
  client.end_sending();
  BlockingChannel other(server.address());
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.calls == 1; }));
  EXPECT_EQ(other.call<Bank_release>(ticket_of(1), seconds(10)), true);
  EXPECT_EQ(next_answer(client).method, "hold");
  EXPECT_EQ(next_answer(client).method, "ping");
  EXPECT_TRUE(client.is_closed_by_server());
}

TEST(Server, AnAnswerToAClientThatIsGoneIsDropped) {
  BankServer server;
  {
    const RawClient client(server.address());
    client.send(hold(0, 1));
    ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.calls == 1; }));
  }
  BlockingChannel other(server.address());
  EXPECT_EQ(other.call<Bank_release>(ticket_of(1), seconds(10)), true);
  EXPECT_TRUE(server.wait_for(
      [](const ServerCounts& counts) { return counts.calls == 0 && counts.connections == 1; }));
}

// ---- limits

void expect_overloaded(const std::optional<ByteVector>& content, std::string_view limit) {
  ASSERT_TRUE(content);
  const auto refused = outcome_of<Bank_ping>(*content);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_EQ(refused.error().retry_after, milliseconds(250));
  EXPECT_NE(refused.error().message.find(limit), std::string::npos) << refused.error().message;
}

ServerOptions with_retry_after() {
  ServerOptions options;
  options.retry_after = milliseconds(250);
  return options;
}

TEST(Server, PastTheCallsOfAConnectionTheCallerHearsOverloaded) {
  auto options = with_retry_after();
  options.max_calls_per_connection = 2;
  BankServer server(std::move(options));
  const RawClient client(server.address());
  client.send(hold(1, 1));
  client.send(hold(2, 2));
  client.send(ping(3));
  expect_overloaded(client.receive(), "max_calls_per_connection");
  const RawClient other(server.address());
  other.send(release(0, 1));
  EXPECT_EQ(next_answer(other).method, "release");
  EXPECT_EQ(next_answer(client).seqid, 1);
  client.send(ping(4));
  EXPECT_EQ(next_answer(client).seqid, 4);
}

TEST(Server, PastTheCallsOfAllConnectionsTheCallerHearsOverloaded) {
  auto options = with_retry_after();
  options.max_calls = 1;
  BankServer server(std::move(options));
  const RawClient first(server.address());
  first.send(hold(1, 1));
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.calls == 1; }));
  const RawClient second(server.address());
  second.send(ping(0));
  expect_overloaded(second.receive(), "max_calls");
}

// The owner knows which calls may be second attempts of something that had an effect.
TEST(Server, ARefusalSaysOfItsEffectWhatTheOwnerKnows) {
  auto options = with_retry_after();
  options.max_calls = 1;
  std::vector<std::pair<std::string, std::size_t>> asked;
  options.effect_of_refusal = [&asked](std::string_view method, Bytes content) {
    asked.emplace_back(method, content.size());
    return method == "ping" ? Effect::kUnknown : Effect::kNone;
  };
  std::vector<Effect> said;
  options.write_error = [&said](ThriftProtocol& out, const Error& error) {
    said.push_back(error.effect);
    write_bank_error(out, error);
  };
  BankServer server(std::move(options));
  const RawClient first(server.address());
  first.send(hold(1, 1));
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.calls == 1; }));
  const RawClient second(server.address());
  const auto call = ping(0);
  second.send(call);
  expect_overloaded(second.receive(), "max_calls");
  server.on_loop([](Server& s) { s.drain(seconds(20), [](bool) {}); });
  second.send(hold(2, 2));
  const auto closing = second.receive();
  ASSERT_TRUE(closing);
  EXPECT_EQ(outcome_of<Bank_hold>(*closing).error().code, ErrorCode::kUnavailable);
  server.on_loop([&](Server&) {
    EXPECT_EQ(said, (std::vector{Effect::kUnknown, Effect::kNone}));
    ASSERT_EQ(asked.size(), 2U);
    EXPECT_EQ(asked[0], std::pair(std::string("ping"), call.size() - kFrameLengthBytes));
    EXPECT_EQ(asked[1].first, "hold");
  });
}

TEST(Server, OneConnectionTooManyHearsOverloadedAndIsClosed) {
  auto options = with_retry_after();
  options.max_connections = 2;
  BankServer server(std::move(options));
  const RawClient first(server.address());
  first.send(ping(0));
  EXPECT_EQ(next_answer(first).method, "ping");
  {
    const RawClient second(server.address());
    second.send(ping(0));
    EXPECT_EQ(next_answer(second).method, "ping");
    const RawClient third(server.address());
    third.send(ping(0));
    expect_overloaded(third.receive(), "max_connections");
    EXPECT_TRUE(third.is_closed_by_server());
  }
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.connections == 1; }));
  const RawClient fourth(server.address());
  fourth.send(ping(0));
  EXPECT_EQ(next_answer(fourth).method, "ping");
}

TEST(Server, AClientThatReadsNothingIsNotReadFromAndThenClosed) {
  ServerOptions options;
  options.pause_reading_bytes = 64U << 10;
  options.write_timeout = milliseconds(300);
  BankServer server(std::move(options));
  const RawClient client(server.address());
  // The answers fill the kernel's buffers, then the server's, then it stops taking calls.
  const auto call = produce(0, 60'000);
  while (server.counts().closed_slow == 0)
    (void)client.send_some(call);
  EXPECT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.connections == 0; }));
  expect_alive(server);
}

TEST(Server, AnswersBeyondTheUnsentLimitEndTheConnection) {
  ServerOptions options;
  options.max_unsent_bytes = 8U << 20;
  options.pause_reading_bytes = 1U << 30;
  BankServer server(std::move(options));
  const RawClient client(server.address());
  for (int i = 0; i < 40; ++i)
    client.send(produce(0, 1'000'000));
  EXPECT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.closed_slow == 1; }));
  expect_alive(server);
}

TEST(Server, ASlowFrameEndsTheConnection) {
  ServerOptions options;
  options.frame_timeout = milliseconds(50);
  BankServer server(std::move(options));
  const RawClient client(server.address());
  client.send({0, 0});
  EXPECT_TRUE(client.is_closed_by_server());
  EXPECT_EQ(server.counts().closed_slow, 1U);
}

TEST(Server, AnIdleConnectionIsClosedWhenTheOwnerWantsIt) {
  ServerOptions options;
  options.idle_timeout = milliseconds(50);
  BankServer server(std::move(options));
  const RawClient idle(server.address());
  const RawClient busy(server.address());
  busy.send(hold(0, 1));
  EXPECT_TRUE(idle.is_closed_by_server());
  EXPECT_EQ(server.counts().closed_idle, 1U);
  EXPECT_EQ(server.counts().calls, 1U) << "a connection with a call in flight is not idle";
}

TEST(Server, WhenMemoryForRequestsIsFullLargeFramesAreRefusedAndSmallOnesPass) {
  auto options = with_retry_after();
  options.max_buffered_bytes = 1U << 20;
  BankServer server(std::move(options));
  Item item;
  item.name = std::string(900'000, 'x');
  const auto large = call_of<Bank_echo_pargs>(Encoding::kBinary, "echo", 0, item);
  const RawClient first(server.address());
  const RawClient second(server.address());
  // Both halves together are too much; the one that grows past the limit is given up.
  first.send({large.begin(), large.begin() + 700'000});
  second.send({large.begin(), large.begin() + 700'000});
  first.send({large.begin() + 700'000, large.end()});
  second.send({large.begin() + 700'000, large.end()});
  int refused = 0;
  for (const auto* client : {&first, &second}) {
    const auto content = client->receive();
    ASSERT_TRUE(content);
    const auto reply = outcome_of<Bank_echo>(*content);
    if (reply) continue;
    ++refused;
    EXPECT_EQ(reply.error().code, ErrorCode::kOverloaded);
    EXPECT_EQ(reply.error().retry_after, milliseconds(250));
  }
  EXPECT_GE(refused, 1);
  expect_alive(server);
}

TEST(Server, ThousandsOfIdleConnectionsLeaveRoomForCalls) {
  constexpr std::size_t kIdle = 4000;
  ServerOptions options;
  options.max_connections = kIdle + 10;
  BankServer server(std::move(options));
  std::vector<RawClient> idle;
  idle.reserve(kIdle);
  for (std::size_t i = 0; i < kIdle; ++i)
    idle.emplace_back(server.address());
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.connections == kIdle; }));
  expect_alive(server);
  idle.back().send(ping(0));
  EXPECT_EQ(next_answer(idle.back()).method, "ping");
  idle.clear();
  EXPECT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.connections == 0; }));
}

TEST(Server, WithoutFileDescriptorsItWaitsAndThenAccepts) {
  std::atomic<bool> refused = false;
  ServerOptions options;
  options.on_trouble = [&](const std::string& line) { refused = refused || line.find("cannot accept") == 0; };
  BankServer server(std::move(options));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = ::dup(STDERR_FILENO);
  ::close(lowest_free);
  // The client gets the last one.
  const rlimit tight{static_cast<rlim_t>(lowest_free) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const RawClient client(server.address());
  client.send(ping(0));
  EXPECT_TRUE(server.wait_for([&](const ServerCounts&) { return refused.load(); }));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(next_answer(client).method, "ping");
}

// ---- the end

TEST(Server, AServiceMayHoldACallForLongerThanEverythingLives) {
  std::shared_ptr<TestBank> bank = std::make_shared<TestBank>();
  {
    asio::io_context loop(1);
    Server server(loop, {});
    server.add_service<BankAsyncProcessor>(bank);
    const auto address = server.listen({"127.0.0.1", 0});
    ASSERT_TRUE(address);
    const RawClient client(*address);
    client.send(hold(1, 1));
    client.send(hold(2, 2));
    while (server.counts().calls < 2)
      loop.run_one();
  }
  EXPECT_TRUE(bank->release_held(1));
  bank->drop_held();
}

TEST(Server, DrainingAnswersWhatIsInFlightAndRefusesWhatIsNew) {
  BankServer server;
  const RawClient client(server.address());
  client.send(hold(1, 1));
  client.send(hold(2, 2));
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.calls == 2; }));
  std::promise<bool> drained;
  server.on_loop([&](Server& s) { s.drain(seconds(20), [&](bool all) { drained.set_value(all); }); });
  client.send(ping(3));
  const auto content = client.receive();
  ASSERT_TRUE(content);
  const auto refused = outcome_of<Bank_ping>(*content);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  auto future = drained.get_future();
  EXPECT_EQ(future.wait_for(milliseconds(0)), std::future_status::timeout);
  server.release_held(1);
  server.release_held(2);
  EXPECT_EQ(next_answer(client).seqid, 1);
  EXPECT_EQ(next_answer(client).seqid, 2);
  EXPECT_TRUE(future.get());
}

TEST(Server, DrainingEndsAtItsLimitWithCallsStillOpen) {
  BankServer server;
  const RawClient client(server.address());
  client.send(hold(1, 1));
  ASSERT_TRUE(server.wait_for([](const ServerCounts& counts) { return counts.calls == 1; }));
  std::promise<bool> drained;
  server.on_loop([&](Server& s) { s.drain(milliseconds(20), [&](bool all) { drained.set_value(all); }); });
  EXPECT_FALSE(drained.get_future().get());
}

TEST(Server, AnAddressInUseIsNamed) {
  BankServer server;
  server.on_loop([&](Server& s) {
    const auto second = s.listen(server.address());
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find(server.address().text()), std::string::npos);
  });
}

}  // namespace
}  // namespace troth::rpc::test
