#include "coordinator/consensus/quorum.h"

#include <gtest/gtest.h>

namespace troth::coordinator::consensus {
namespace {

TEST(Quorum, WhatDoesNotMeetIsRefusedWithTheSum) {
  const auto refused = check({{{1}, {2}, {3}, {4}}, {2, 2, 3}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("elect + write: 2 + 2 = 4"), std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace troth::coordinator::consensus
