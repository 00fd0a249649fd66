// Calls that a server takes off their connections and does not serve: what becomes of them, and of those that were passed on
// to another server in their client's name.
#include "thrift/runtime/diverted_call.h"

#include <mutex>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <thrift/protocol/TProtocol.h>

#include "tests/unit/thrift/channel_thread.h"
#include "tests/unit/thrift/raw_client.h"
#include "tests/unit/thrift/test_bank.h"

namespace troth::rpc::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ByteVector ping(std::int32_t seqid, Encoding encoding = Encoding::kBinary) {
  return call_frame(encoding, "ping", seqid, [](auto& out) { out.writeFieldStop(); });
}

ByteVector with_ticket(std::string_view method, std::int32_t seqid, std::int64_t number) {
  return call_frame(Encoding::kBinary, method, seqid, [number](auto& out) {
    const auto ticket = ticket_of(number);
    Bank_hold_pargs arguments;  // of every method that takes a ticket
    arguments.ticket = &ticket;
    arguments.write(&out);
  });
}

// The message in a frame.
ByteVector content_of(const ByteVector& frame) {
  return {frame.begin() + kFrameLengthBytes, frame.end()};
}

Answer next_answer(const RawClient& client) {
  const auto content = client.receive();
  if (!content) {
    ADD_FAILURE() << "the server closed the connection";
    return {};
  }
  return read_answer(*content);
}

// What declares an error writes down which: the bank's own exception says nothing of its effect.
class Refusals {
 public:
  [[nodiscard]] WriteError writer() {
    return [this](ThriftProtocol& out, const Error& error) {
      const std::lock_guard lock(mutex_);
      last_ = error;
      write_bank_error(out, error);
    };
  }
  [[nodiscard]] Error last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  std::mutex mutex_;
  Error last_;
};

// A bank that keeps the calls of some methods instead of serving them, until the test says what is to become of them.
class DivertingBank {
 public:
  explicit DivertingBank(std::set<std::string, std::less<>> methods, ServerOptions options = {})
      : server_(diverting(std::move(methods), std::move(options))) {}
  ~DivertingBank() {
    server_.on_loop([this](Server&) { calls_.clear(); });
  }
  DivertingBank(const DivertingBank&) = delete;
  DivertingBank& operator=(const DivertingBank&) = delete;

  [[nodiscard]] BankServer& server() { return server_; }
  [[nodiscard]] const Address& address() const { return server_.address(); }
  [[nodiscard]] Error last_refusal() { return refusals_.last(); }
  // False: fewer have come after ten seconds.
  [[nodiscard]] bool wait_for(std::size_t calls) {
    return server_.wait_for([&](const ServerCounts&) { return calls_.size() == calls; });
  }
  // The oldest; on the server's thread, which ends it here or takes it away.
  void with_next(const std::function<void(std::unique_ptr<DivertedCall>)>& work) {
    ASSERT_TRUE(server_.wait_for([&](const ServerCounts&) { return !calls_.empty(); })) << "no call came";
    server_.on_loop([&](Server&) {
      auto call = std::move(calls_.front());
      calls_.erase(calls_.begin());
      work(std::move(call));
    });
  }

 private:
  ServerOptions diverting(std::set<std::string, std::less<>> methods, ServerOptions options) {
    options.write_error = refusals_.writer();
    options.divert.wanted = [methods = std::move(methods)](const CallContext& call, Bytes) {
      return methods.contains(call.method);
    };
    options.divert.take = [this](std::unique_ptr<DivertedCall> call) { calls_.push_back(std::move(call)); };
    return options;
  }

  Refusals refusals_;
  std::vector<std::unique_ptr<DivertedCall>> calls_;  // of the server's thread
  BankServer server_;
};

TEST(DivertedCall, KnowsItsMethodItsClientAndItsMessage) {
  DivertingBank bank({"hold"});
  const RawClient client(bank.address());
  const auto frame = with_ticket("hold", 7, 4711);
  client.send(frame);
  bank.with_next([&](std::unique_ptr<DivertedCall> call) {
    EXPECT_EQ(call->method(), "hold");
    EXPECT_EQ(call->peer().find("127.0.0.1:"), 0U) << call->peer();
    EXPECT_FALSE(call->caller());
    EXPECT_EQ(call->effect_of_refusal(), Effect::kNone);
    EXPECT_EQ(ByteVector(call->content().begin(), call->content().end()), content_of(frame));
  });
}

TEST(DivertedCall, OnlyWhatIsWantedIsTaken) {
  DivertingBank bank({"hold"});
  const RawClient client(bank.address());
  client.send(with_ticket("hold", 1, 1));
  client.send(ping(2));
  EXPECT_EQ(next_answer(client).seqid, 2);
  EXPECT_TRUE(bank.wait_for(1));
}

TEST(DivertedCall, ItsMessageIsSeenBeforeItIsTaken) {
  ByteVector seen;
  ServerOptions options;
  options.divert.wanted = [&seen](const CallContext&, Bytes content) {
    seen.assign(content.begin(), content.end());
    return false;
  };
  BankServer bank(std::move(options));
  const RawClient client(bank.address());
  client.send(ping(3));
  EXPECT_EQ(next_answer(client).seqid, 3);
  bank.on_loop([&](Server&) { EXPECT_EQ(seen, content_of(ping(3))); });
}

TEST(DivertedCall, AnAnswerFromElsewhereIsItsClients) {
  DivertingBank bank({"ping"});
  const RawClient client(bank.address());
  for (const auto encoding : {Encoding::kBinary, Encoding::kCompact}) {
    client.send(ping(5, encoding));
    bank.with_next([&](std::unique_ptr<DivertedCall> call) {
      MessageWriter writer(encoding);
      auto& out = *writer.protocol();
      out.writeMessageBegin("ping", apache::thrift::protocol::T_REPLY, 5);
      out.writeFieldStop();
      call->answer(writer.frame());
    });
    const auto answer = next_answer(client);
    EXPECT_EQ(answer.method, "ping");
    EXPECT_EQ(answer.seqid, 5);
    EXPECT_FALSE(answer.exception_type) << answer.exception_message;
  }
  EXPECT_EQ(bank.server().counts().answered, 2U);
  EXPECT_EQ(bank.server().counts().calls, 0U);
}

TEST(DivertedCall, KeepsItsTurnAmongCallsOfSeqidZero) {
  DivertingBank bank({"hold"});
  const RawClient client(bank.address());
  client.send(with_ticket("hold", 0, 1));
  client.send(ping(0));
  client.send(ping(9));
  EXPECT_EQ(next_answer(client).seqid, 9) << "the ping of seqid 0 must wait for the call before it";
  bank.with_next([](std::unique_ptr<DivertedCall> call) { call->serve_here(); });
  bank.server().release_held(1);
  EXPECT_EQ(next_answer(client).method, "hold");
  EXPECT_EQ(next_answer(client).method, "ping");
}

TEST(DivertedCall, ARefusalIsItsDeclaredException) {
  DivertingBank bank({"hold"});
  ChannelThread channel(bank.address());
  auto held = channel.hold(1);
  bank.with_next([](std::unique_ptr<DivertedCall> call) {
    call->refuse(fail(ErrorCode::kUnavailable, Effect::kUnknown, "nobody leads").error());
  });
  const auto reply = held.get();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(reply.error().message, "nobody leads");
  EXPECT_EQ(bank.last_refusal().effect, Effect::kUnknown);
}

TEST(DivertedCall, MayBeServedHereAfterAll) {
  DivertingBank bank({"who_calls"});
  const RawClient client(bank.address());
  client.send(call_frame(Encoding::kBinary, "who_calls", 1, [](auto& out) { out.writeFieldStop(); }));
  std::string peer;
  bank.with_next([&peer](std::unique_ptr<DivertedCall> call) {
    peer = call->peer();
    call->serve_here();
  });
  const auto content = client.receive();
  ASSERT_TRUE(content);
  const auto who = outcome_of<Clerk_who_calls>(*content);
  ASSERT_TRUE(who) << who.error().message;
  EXPECT_EQ(*who, peer + " who_calls");
}

TEST(DivertedCall, IsJudgedWhereItIsServed) {
  ServerOptions options;
  int judged = 0;
  options.authorize = [&judged](const CallContext&) -> Status {
    ++judged;
    return fail(ErrorCode::kPermissionDenied, Effect::kNone, "not you");
  };
  DivertingBank bank({"hold"}, std::move(options));
  ChannelThread channel(bank.address());
  auto held = channel.hold(1);
  bank.with_next([&judged](std::unique_ptr<DivertedCall> call) {
    EXPECT_EQ(judged, 0);
    call->serve_here();
  });
  const auto reply = held.get();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(bank.server().counts().denied, 1U);
}

// Whoever dropped it may have passed it on before.
TEST(DivertedCall, DroppedItsEffectIsUnknown) {
  DivertingBank bank({"hold"});
  ChannelThread channel(bank.address());
  auto held = channel.hold(1);
  bank.with_next([](std::unique_ptr<DivertedCall> call) { call.reset(); });
  const auto reply = held.get();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(reply.error().message.find("'hold' was dropped"), std::string::npos) << reply.error().message;
  EXPECT_EQ(bank.last_refusal().effect, Effect::kUnknown);
  EXPECT_EQ(bank.server().counts().calls, 0U);
}

TEST(DivertedCall, IsInFlightUntilItEnds) {
  ServerOptions options;
  options.max_calls = 1;
  DivertingBank bank({"hold"}, std::move(options));
  const RawClient client(bank.address());
  client.send(with_ticket("hold", 1, 1));
  ASSERT_TRUE(bank.wait_for(1));
  EXPECT_EQ(bank.server().counts().calls, 1U);
  client.send(ping(2));
  EXPECT_EQ(next_answer(client).seqid, 2);
  EXPECT_EQ(bank.last_refusal().code, ErrorCode::kOverloaded);
  bank.with_next([](std::unique_ptr<DivertedCall> call) { call->serve_here(); });
  EXPECT_EQ(bank.server().counts().calls, 1U) << "served, it is one call still";
  bank.server().release_held(1);
  EXPECT_EQ(next_answer(client).seqid, 1);
  EXPECT_EQ(bank.server().counts().calls, 0U);
}

TEST(DivertedCall, ItsMessageTakesUpTheServersMemory) {
  ServerOptions options;
  options.max_buffered_bytes = 5000;
  DivertingBank bank({"echo"}, std::move(options));
  const RawClient client(bank.address());
  const auto echo = [](std::int32_t seqid) {
    Item item;
    item.blob = std::string(3000, 'x');
    return call_frame(Encoding::kBinary, "echo", seqid, [&item](auto& out) {
      Bank_echo_pargs arguments;
      arguments.item = &item;
      arguments.write(&out);
    });
  };
  client.send(echo(1));
  ASSERT_TRUE(bank.wait_for(1));
  client.send(echo(2));
  EXPECT_EQ(next_answer(client).seqid, 2);
  EXPECT_EQ(bank.last_refusal().code, ErrorCode::kOverloaded);
  EXPECT_NE(bank.last_refusal().message.find("max_buffered_bytes"), std::string::npos);
  bank.with_next([](std::unique_ptr<DivertedCall> call) { call->serve_here(); });
  EXPECT_EQ(next_answer(client).seqid, 1);
  client.send(echo(3));
  EXPECT_TRUE(bank.wait_for(1)) << "the memory of the first was not given back";
}

TEST(DivertedCall, AServerDrainsBehindIt) {
  DivertingBank bank({"hold"});
  ChannelThread channel(bank.address());
  auto held = channel.hold(1);
  ASSERT_TRUE(bank.wait_for(1));
  std::promise<bool> drained;
  auto all_answered = drained.get_future();
  bank.server().on_loop(
      [&](Server& server) { server.drain(seconds(20), [&](bool all) { drained.set_value(all); }); });
  EXPECT_EQ(all_answered.wait_for(milliseconds(0)), std::future_status::timeout);
  bank.with_next([](std::unique_ptr<DivertedCall> call) {
    call->refuse(fail(ErrorCode::kUnavailable, Effect::kNone, "it stops").error());
  });
  EXPECT_TRUE(all_answered.get());
  EXPECT_FALSE(held.get());
}

TEST(DivertedCall, ItsClientMayBeGone) {
  DivertingBank bank({"hold"});
  {
    const RawClient client(bank.address());
    for (std::int32_t seqid = 1; seqid <= 4; ++seqid)
      client.send(with_ticket("hold", seqid, seqid));
    ASSERT_TRUE(bank.wait_for(4));
    // A reset, not a half-closed stream.
    const linger at_once{1, 0};
    ASSERT_EQ(::setsockopt(client.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  }
  ASSERT_TRUE(bank.server().wait_for([](const ServerCounts& counts) { return counts.connections == 0; }));
  EXPECT_EQ(bank.server().counts().calls, 4U);
  bank.with_next([](std::unique_ptr<DivertedCall> call) {
    MessageWriter writer(Encoding::kBinary);
    call->answer(writer.frame());
  });
  bank.with_next([](std::unique_ptr<DivertedCall> call) { call->serve_here(); });
  bank.with_next([](std::unique_ptr<DivertedCall> call) {
    call->refuse(fail(ErrorCode::kUnavailable, Effect::kNone, "not now").error());
  });
  bank.with_next([](std::unique_ptr<DivertedCall> call) { call.reset(); });
  bank.server().release_held(2);
  EXPECT_EQ(bank.server().counts().calls, 0U);
}

// Whoever passed it on may still wait for its answer then.
TEST(DivertedCall, OutlivesItsServer) {
  std::vector<std::unique_ptr<DivertedCall>> kept;
  {
    DivertingBank bank({"hold"});
    const RawClient client(bank.address());
    for (std::int32_t seqid = 1; seqid <= 3; ++seqid)
      client.send(with_ticket("hold", seqid, seqid));
    for (int i = 0; i < 3; ++i)
      bank.with_next([&kept](std::unique_ptr<DivertedCall> call) { kept.push_back(std::move(call)); });
    bank.server().on_loop([](Server& server) { server.close(); });
    EXPECT_TRUE(client.is_closed_by_server());
  }
  ASSERT_EQ(kept.size(), 3U);
  MessageWriter writer(Encoding::kBinary);
  kept[0]->answer(writer.frame());
  kept[1]->serve_here();
}

TEST(DivertedCall, AnAnswerOverTheFrameLimitBecomesARefusal) {
  ServerOptions options;
  options.frame.max_frame_bytes = 1000;
  DivertingBank bank({"produce"}, std::move(options));
  const RawClient client(bank.address());
  client.send(with_ticket("produce", 1, 2000));
  bank.with_next([](std::unique_ptr<DivertedCall> call) {
    MessageWriter writer(Encoding::kBinary);
    auto& out = *writer.protocol();
    out.writeMessageBegin("produce", apache::thrift::protocol::T_REPLY, 1);
    out.writeString(std::string(2000, 'x'));
    call->answer(writer.frame());
  });
  EXPECT_EQ(next_answer(client).seqid, 1);
  EXPECT_EQ(bank.last_refusal().effect, Effect::kUnknown);
  EXPECT_NE(bank.last_refusal().message.find("ask for less"), std::string::npos);
}

// Nobody waits for its answer, but its place is given back.
TEST(DivertedCall, MayBeOneway) {
  DivertingBank bank({"note"});
  const RawClient client(bank.address());
  const auto note = [] {
    MessageWriter writer(Encoding::kBinary);
    auto& out = *writer.protocol();
    out.writeMessageBegin("note", apache::thrift::protocol::T_ONEWAY, 0);
    Text text;
    Bank_note_pargs arguments;
    arguments.text = &text;
    arguments.write(&out);
    const Bytes frame = writer.frame();
    return ByteVector(frame.begin(), frame.end());
  }();
  client.send(note);
  client.send(note);
  bank.with_next([](std::unique_ptr<DivertedCall> call) { call->serve_here(); });
  bank.with_next([](std::unique_ptr<DivertedCall> call) {
    call->refuse(fail(ErrorCode::kUnavailable, Effect::kNone, "not now").error());
  });
  client.send(call_frame(Encoding::kBinary, "notes_taken", 1, [](auto& out) { out.writeFieldStop(); }));
  const auto content = client.receive();
  ASSERT_TRUE(content);
  EXPECT_EQ(outcome_of<Clerk_notes_taken>(*content), 1);
  EXPECT_EQ(bank.server().counts().calls, 0U);
}

}  // namespace
}  // namespace troth::rpc::test
