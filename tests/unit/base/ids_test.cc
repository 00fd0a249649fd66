#include "base/ids.h"

#include <gtest/gtest.h>

namespace troth {
namespace {

TEST(TransactionId, TextAndBack) {
  for (const auto* text :
       {"bank-x7k2p9.1.1", "b.4294967295.999999999999", "bank-x7k2p9.3.1042.s7", "a.1.1.s999"}) {
    const auto id = TransactionId::parse(text);
    ASSERT_TRUE(id.has_value()) << text;
    EXPECT_EQ(id->text(), text);
  }
}

TEST(TransactionId, TheLongestFitsInto48Bytes) {
  const TransactionId id{
      {std::string(kMaxClusterLength, 'z')}, {UINT32_MAX}, {kMaxSequence}, ResourceNumber{999}};
  EXPECT_EQ(id.text().size(), kMaxTransactionIdLength);
  EXPECT_EQ(TransactionId::parse(id.text()), id);
}

TEST(TransactionId, WhatTextCouldNotHaveMadeIsRefused) {
  for (const auto* text : {"",
                           ".",
                           "bank",
                           "bank.1",
                           "bank.1.",
                           "bank.0.1",
                           "bank.1.0",
                           "bank.01.1",
                           "bank.1.1.",
                           "bank.1.1.7",
                           "bank.1.1.s",
                           "bank.1.1.s0",
                           "bank.1.1.s1000",
                           "bank.1.1.s1.s2",
                           "Bank.1.1",
                           "bank.+1.1",
                           "bank.1.1 ",
                           "bank.4294967296.1",
                           "bank.1.1000000000000",
                           "-bank.1.1",
                           "b.ank.1.1",
                           "bank.1.1.s1x"}) {
    const auto id = TransactionId::parse(text);
    ASSERT_FALSE(id.has_value()) << text;
    EXPECT_EQ(id.error().effect, Effect::kNone);
  }
}

TEST(TransactionId, PositionsCompareByEpochFirst) {
  EXPECT_LT((Position{{1}, {900}}), (Position{{2}, {1}}));
  EXPECT_LT((Position{{2}, {1}}), (Position{{2}, {2}}));
}

TEST(RequestId, TextAndBackWithItsTime) {
  const auto id = RequestId::parse("0192F0C1-2b3c-7d4e-8f50-0123456789ab");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->text(), "0192f0c1-2b3c-7d4e-8f50-0123456789ab");
  EXPECT_EQ(id->unix_ms(), 0x0192f0c12b3cULL);
}

TEST(RequestId, OtherVersionsAndFormsAreRefused) {
  for (const auto* text : {"", "0192f0c1-2b3c-4d4e-8f50-0123456789ab", "0192f0c1-2b3c-7d4e-0f50-0123456789ab",
                           "0192f0c12b3c7d4e8f500123456789ab", "0192f0c1-2b3c-7d4e-8f50-0123456789ag",
                           "0192f0c1-2b3c-7d4e-8f50_0123456789ab", "0192f0c1-2b3c-7d4e-8f50-0123456789abc"}) {
    EXPECT_FALSE(RequestId::parse(text).has_value()) << text;
  }
}

TEST(ResourceName, OnlyPlainNamesAreTaken) {
  EXPECT_TRUE(parse_resource_name("accounts_PG-1").has_value());
  for (const auto* text : {"", "a b", "a.b", "a'b", "123456789012345678901234567890123"}) {
    EXPECT_FALSE(parse_resource_name(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace troth
