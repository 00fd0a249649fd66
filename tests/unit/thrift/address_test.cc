#include "thrift/address.h"

#include <gtest/gtest.h>

namespace troth::rpc {
namespace {

TEST(Address, ReadsHostAndPort) {
  EXPECT_EQ(Address::parse("127.0.0.1:7420"), (Address{"127.0.0.1", 7420}));
  EXPECT_EQ(Address::parse("coordinator.example:0"), (Address{"coordinator.example", 0}));
  EXPECT_EQ(Address::parse("[::1]:65535"), (Address{"::1", 65535}));
}

TEST(Address, WritesWhatItReads) {
  for (const auto* text : {"127.0.0.1:1", "[fe80::1]:7420", "localhost:65535"}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
  }
}

TEST(Address, RefusesEverythingElseByName) {
  for (const auto* text : {"", ":", "host", "host:", ":7420", "host:65536", "host:-1", "host:+1", "host:7 ",
                           "host:0x1", "::1:7420", "[::1]", "[::1]7420", "[]:1", "a:b:1"}) {
    const auto address = Address::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(address.error().effect, Effect::kNone);
    EXPECT_NE(address.error().message.find("host:port"), std::string::npos);
  }
}

TEST(Address, AnAddressWithoutHostIsOnLoopbackWhereThatIsMeant) {
  EXPECT_EQ(Address::parse_local(":9464"), (Address{"127.0.0.1", 9464}));
  EXPECT_EQ(Address::parse_local("0.0.0.0:9464"), (Address{"0.0.0.0", 9464}));
  EXPECT_FALSE(Address::parse(":9464").has_value());
  EXPECT_FALSE(Address::parse_local("9464").has_value());
}

}  // namespace
}  // namespace troth::rpc
