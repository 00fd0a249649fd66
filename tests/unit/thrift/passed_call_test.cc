// Calls that another process took from their clients: the server answers them as frames.
#include "thrift/runtime/passed_call.h"

#include <future>
#include <memory>

#include <gtest/gtest.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>

#include "tests/unit/thrift/channel_thread.h"
#include "tests/unit/thrift/raw_client.h"
#include "tests/unit/thrift/test_bank.h"

namespace troth::rpc::test {
namespace {

using apache::thrift::TApplicationException;
using std::chrono::seconds;

// A message as its client sent it, without the frame's length.
template <typename Write>
ByteVector message(std::string_view method, std::int32_t seqid, Write write,
                   Encoding encoding = Encoding::kBinary) {
  const auto frame = call_frame(encoding, method, seqid, write);
  return {frame.begin() + kFrameLengthBytes, frame.end()};
}

ByteVector ping(std::int32_t seqid, std::string_view method = "ping") {
  return message(method, seqid, [](auto& out) { out.writeFieldStop(); });
}

ByteVector hold(std::int32_t seqid, std::int64_t number) {
  return message("hold", seqid, [number](auto& out) {
    const auto ticket = ticket_of(number);
    Bank_hold_pargs arguments;
    arguments.ticket = &ticket;
    arguments.write(&out);
  });
}

// What a passed call came to: a frame, checked to be one, and its content kept; or why nothing was done.
struct Outcome {
  Result<ByteVector> content = fail(ErrorCode::kInternal, Effect::kUnknown, "not ended");
  int ends = 0;  // must become 1
};

class Passing {
 public:
  explicit Passing(ServerOptions options = {}) : bank_(std::move(options)) {}

  [[nodiscard]] BankServer& bank() { return bank_; }

  // Its outcome is read on the server's thread.
  std::shared_ptr<Outcome> pass(const ByteVector& content, std::string_view method = "ping",
                                const Caller* caller = nullptr) {
    auto outcome = std::make_shared<Outcome>();
    bank_.on_loop([&](Server& server) {
      server.take_passed({method, "10.0.0.9:1234 by replica 2", 0, caller}, content,
                         [outcome](Result<Bytes> frame) {
                           ++outcome->ends;
                           if (!frame) {
                             outcome->content = std::unexpected(frame.error());
                             return;
                           }
                           const ByteVector whole(frame->begin(), frame->end());
                           ByteVector inside(whole.begin() + kFrameLengthBytes, whole.end());
                           EXPECT_EQ(whole, framed(inside));
                           outcome->content = std::move(inside);
                         });
    });
    return outcome;
  }
  [[nodiscard]] int ends(const Outcome& outcome) {
    int ends = 0;
    bank_.on_loop([&](Server&) { ends = outcome.ends; });
    return ends;
  }
  [[nodiscard]] Answer answer(const Outcome& outcome) {
    EXPECT_EQ(ends(outcome), 1);
    if (!outcome.content) {
      ADD_FAILURE() << outcome.content.error().message;
      return {};
    }
    return read_answer(*outcome.content);
  }
  [[nodiscard]] Error error(const Outcome& outcome) {
    EXPECT_EQ(ends(outcome), 1);
    if (!outcome.content) return outcome.content.error();
    ADD_FAILURE() << "it was answered";
    return {};
  }

 private:
  BankServer bank_;
};

TEST(PassedCall, IsServedInItsClientsName) {
  Passing passing;
  const auto who =
      passing.pass(message("who_calls", 7, [](auto& out) { out.writeFieldStop(); }), "who_calls");
  const auto answer = passing.answer(*who);
  EXPECT_EQ(answer.method, "who_calls");
  EXPECT_EQ(answer.seqid, 7);
  EXPECT_EQ(outcome_of<Clerk_who_calls>(*who->content), "10.0.0.9:1234 by replica 2 who_calls");
  EXPECT_EQ(passing.bank().counts().answered, 1U);
  EXPECT_EQ(passing.bank().counts().calls, 0U);
}

TEST(PassedCall, IsAnsweredInItsOwnEncoding) {
  Passing passing;
  for (const auto encoding : {Encoding::kBinary, Encoding::kCompact}) {
    const auto pinged = passing.pass(message("ping", 1, [](auto& out) { out.writeFieldStop(); }, encoding));
    EXPECT_EQ(passing.answer(*pinged).method, "ping");
    EXPECT_EQ(read_message_header(*pinged->content)->encoding, encoding);
  }
}

// Calls of several clients, who know nothing of each other's numbers.
TEST(PassedCall, AreAnsweredInAnyOrder) {
  Passing passing;
  const auto first = passing.pass(hold(1, 1), "hold");
  const auto second = passing.pass(hold(1, 2), "hold");
  const auto third = passing.pass(hold(0, 3), "hold");
  EXPECT_EQ(passing.bank().counts().calls, 3U);
  passing.bank().release_held(3);
  passing.bank().release_held(2);
  EXPECT_EQ(passing.ends(*first), 0);
  EXPECT_EQ(passing.ends(*second), 1);
  EXPECT_EQ(passing.ends(*third), 1);
  passing.bank().release_held(1);
  EXPECT_EQ(outcome_of<Bank_hold>(*first->content), 1);
  EXPECT_EQ(passing.answer(*first).seqid, 1);
  EXPECT_EQ(outcome_of<Bank_hold>(*second->content), 2);
  EXPECT_EQ(passing.answer(*third).seqid, 0);
}

// The answer is its client's, and says what that client would have heard here.
TEST(PassedCall, ItsOwnFailureIsItsAnswer) {
  ServerOptions options;
  options.authorize = [](const CallContext& call) -> Status {
    if (call.method != "hold") return {};
    return fail(ErrorCode::kPermissionDenied, Effect::kNone,
                call.caller == nullptr ? "who are you?" : "not you, " + call.caller->text());
  };
  Passing passing(std::move(options));
  const auto unknown = passing.answer(*passing.pass(ping(3, "no_such_method"), "no_such_method"));
  EXPECT_EQ(unknown.seqid, 3);
  EXPECT_EQ(unknown.exception_type, TApplicationException::UNKNOWN_METHOD);

  const Caller caller{Role::kService, "payments"};
  const auto denied = passing.pass(hold(5, 1), "hold", &caller);
  const auto refused = outcome_of<Bank_hold>(*denied->content);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused.error().message, "not you, service/payments");

  Text how;
  how.text = "drop";
  const auto dropped = passing.pass(message("fail", 6,
                                            [&how](auto& out) {
                                              Bank_fail_pargs arguments;
                                              arguments.how = &how;
                                              arguments.write(&out);
                                            }),
                                    "fail");
  EXPECT_EQ(passing.answer(*dropped).exception_type, TApplicationException::INTERNAL_ERROR);
  EXPECT_NE(passing.answer(*dropped).exception_message.find("effect is unknown"), std::string::npos);
  EXPECT_EQ(passing.bank().counts().calls, 0U);
}

TEST(PassedCall, ArgumentsThatCannotBeReadAreItsAnswer) {
  Passing passing;
  auto cut = hold(4, 1);
  cut.resize(cut.size() - 4);
  const auto answer = passing.answer(*passing.pass(cut, "hold"));
  EXPECT_EQ(answer.seqid, 4);
  EXPECT_EQ(answer.exception_type, TApplicationException::PROTOCOL_ERROR);
  EXPECT_EQ(passing.bank().counts().malformed, 1U);
}

TEST(PassedCall, WhatIsNoCallIsRefusedAndNothingWasDone) {
  Passing passing;
  ByteVector reply = ping(1);
  reply[3] = 2;  // T_REPLY, in the strict binary encoding's version
  ByteVector oneway = ping(1, "note");
  oneway[3] = 4;
  for (const auto& content : {ByteVector(), bytes_of("garbage"), ByteVector{0x80}, reply, oneway}) {
    const auto error = passing.error(*passing.pass(content, ""));
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(error.effect, Effect::kNone);
    EXPECT_NE(error.message.find("no call"), std::string::npos) << error.message;
  }
  EXPECT_EQ(passing.bank().counts().malformed, 5U);
  EXPECT_EQ(passing.bank().counts().calls, 0U);
}

TEST(PassedCall, LimitsHoldForItToo) {
  ServerOptions options;
  options.max_calls = 1;
  Passing passing(std::move(options));
  const auto held = passing.pass(hold(1, 1), "hold");
  const auto refused = passing.pass(ping(2));
  EXPECT_EQ(passing.answer(*refused).seqid, 2);
  const auto outcome = outcome_of<Bank_ping>(*refused->content);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kOverloaded);
  EXPECT_NE(outcome.error().message.find("max_calls"), std::string::npos);
  EXPECT_EQ(passing.bank().counts().overloaded, 1U);
  passing.bank().release_held(1);
  EXPECT_EQ(passing.ends(*held), 1);
  EXPECT_FALSE(passing.answer(*passing.pass(ping(3))).exception_type);
}

// Whoever passed it on looks for another server then, so it is no answer.
TEST(PassedCall, AServerThatDrainsDoesNothingWithIt) {
  Passing passing;
  const auto held = passing.pass(hold(1, 1), "hold");
  std::promise<bool> drained;
  passing.bank().on_loop(
      [&](Server& server) { server.drain(seconds(20), [&](bool all) { drained.set_value(all); }); });
  const auto error = passing.error(*passing.pass(ping(2)));
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_TRUE(error.retryable);
  passing.bank().release_held(1);
  EXPECT_TRUE(drained.get_future().get()) << "it drains behind what was passed on before";
  EXPECT_EQ(passing.ends(*held), 1);
}

// It has no services any more: that it knows no such method would be a lie, and final.
TEST(PassedCall, AServerThatIsClosedDoesNothingWithIt) {
  Passing passing;
  passing.bank().on_loop([](Server& server) { server.close(); });
  const auto error = passing.error(*passing.pass(ping(2)));
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(error.effect, Effect::kNone);
}

TEST(PassedCall, NothingComesOfItWhenItsServerIsClosedBefore) {
  Passing passing;
  const auto answered = passing.pass(hold(1, 1), "hold");
  const auto dropped = passing.pass(hold(1, 2), "hold");
  passing.bank().on_loop([](Server& server) { server.close(); });
  passing.bank().release_held(1);
  EXPECT_EQ(passing.ends(*answered), 0);
  EXPECT_EQ(passing.bank().counts().calls, 1U);
  passing.bank().drop_held();
  EXPECT_EQ(passing.ends(*dropped), 0);
  EXPECT_EQ(passing.bank().counts().calls, 0U);
}

}  // namespace
}  // namespace troth::rpc::test
