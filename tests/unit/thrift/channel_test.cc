#include "thrift/runtime/channel.h"

#include <gtest/gtest.h>

#include "tests/unit/thrift/test_bank.h"
#include "thrift/runtime/blocking_channel.h"

namespace troth::rpc::test {
namespace {

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
    const auto reply = channel.call<Bank_echo>(item, seconds(10));
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(*reply, item);
  }
}

}  // namespace
}  // namespace troth::rpc::test
