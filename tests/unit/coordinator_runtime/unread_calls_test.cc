// What is said of the effect of a call that was refused unseen.
#include "coordinator/runtime/unread_calls.h"

#include <gtest/gtest.h>
#include <thrift/protocol/TProtocol.h>

#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/codec.h"

namespace troth::coordinator {
namespace {

wire::ExecuteRequest request(bool named) {
  wire::ExecuteRequest request;
  wire::BranchWork work;
  work.resource = "till";
  work.statements.resize(3);
  work.statements[0].sql = std::string(5000, 'x');
  request.branches = {work, work};
  request.client_name = "teller";
  if (named) request.__set_request_id("01a20783-d4c3-7980-b781-b38cf8598130");
  request.__set_label("a transfer");
  return request;
}

std::vector<std::uint8_t> message(rpc::Encoding encoding, const wire::ExecuteRequest& request) {
  rpc::MessageWriter writer(encoding);
  wire::Transactions_execute_pargs arguments;
  arguments.request = &request;
  writer.protocol()->writeMessageBegin("execute", apache::thrift::protocol::T_CALL, 7);
  arguments.write(writer.protocol().get());
  writer.protocol()->writeMessageEnd();
  const auto frame = writer.frame().subspan(rpc::kFrameLengthBytes);
  return {frame.begin(), frame.end()};
}

TEST(RepeatedRequests, OnlyARequestThatMayHaveBeenSentBeforeIsUnknown) {
  for (const auto encoding : {rpc::Encoding::kBinary, rpc::Encoding::kCompact}) {
    EXPECT_EQ(effect_of_refused_call("execute", message(encoding, request(true))), Effect::kUnknown);
    EXPECT_EQ(effect_of_refused_call("execute", message(encoding, request(false))), Effect::kNone);
    EXPECT_EQ(effect_of_refused_call("status", message(encoding, request(true))), Effect::kNone);
  }
  EXPECT_EQ(effect_of_refused_call("execute", {}), Effect::kUnknown) << "nobody looked into it";
}

// A service whose commit was not answered rolls back to be sure: a refusal says nothing of the transaction.
TEST(RepeatedRequests, OfARefusedEndNothingIsKnown) {
  EXPECT_EQ(effect_of_refused_call("commit", {}), Effect::kUnknown);
  EXPECT_EQ(effect_of_refused_call("rollback", {}), Effect::kUnknown);
}

TEST(RepeatedRequests, WhatCannotBeReadIsNeverCarriedOut) {
  for (const auto encoding : {rpc::Encoding::kBinary, rpc::Encoding::kCompact}) {
    const auto whole = message(encoding, request(true));
    for (std::size_t length = 1; length < whole.size(); length += 97) {
      const auto effect = effect_of_refused_call("execute", rpc::Bytes(whole).first(length));
      // Cut behind the request_id's own header it is still known to be there.
      EXPECT_TRUE(effect == Effect::kNone || length > whole.size() - 60) << length;
    }
  }
}

}  // namespace
}  // namespace troth::coordinator
