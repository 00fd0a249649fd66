#include "txlog/chain.h"

#include <gtest/gtest.h>

#include "tests/unit/txlog/log_image.h"

namespace troth::txlog {
namespace {

SegmentHeader segment(std::uint64_t number, std::uint64_t predecessor) {
  return {.number = {number},
          .salt = {1000 + number},
          .predecessor = {predecessor},
          .predecessor_salt = {predecessor == 0 ? 0 : 1000 + predecessor},
          .file_bytes = kMinSegmentBytes,
          .restates = {},
          .identity = LogImage::identity()};
}

std::vector<std::uint64_t> numbers(const std::vector<SegmentHeader>& headers) {
  std::vector<std::uint64_t> result;
  for (const auto& header : headers)
    result.push_back(header.number.value);
  return result;
}

TEST(Chain, TheNewestSegmentTellsAllTheOthers) {
  const auto chain = link_segments({segment(3, 2), segment(2, 1), segment(4, 3)}, LogImage::identity());
  ASSERT_TRUE(chain);
  EXPECT_EQ(numbers(chain->live), (std::vector<std::uint64_t>{2, 3, 4}));
  EXPECT_TRUE(chain->superseded.empty());
  EXPECT_TRUE(chain->left_behind.empty());
}

TEST(Chain, WhatANewerSegmentSteppedOverIsSuperseded) {
  const auto chain =
      link_segments({segment(3, 2), segment(4, 3), segment(5, 4), segment(6, 3)}, std::nullopt);
  ASSERT_TRUE(chain);
  EXPECT_EQ(numbers(chain->live), (std::vector<std::uint64_t>{3, 6}));
  EXPECT_EQ(chain->superseded, (std::vector<SegmentNumber>{{4}, {5}}));
}

TEST(Chain, WhatLiesBelowAHoleIsLeftBehind) {
  const auto chain =
      link_segments({segment(2, 1), segment(3, 2), segment(5, 4), segment(6, 5)}, std::nullopt);
  ASSERT_TRUE(chain);
  EXPECT_EQ(numbers(chain->live), (std::vector<std::uint64_t>{5, 6}));
  EXPECT_EQ(chain->left_behind, (std::vector<SegmentNumber>{{2}, {3}}));
}

TEST(Chain, ASegmentOfAnotherCopyIsRefused) {
  auto stranger = segment(2, 1);
  stranger.salt = {7};
  const auto chain = link_segments({segment(1, 0), stranger, segment(3, 2)}, std::nullopt);
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().reason, RefusalReason::kDamage);
  EXPECT_EQ(chain.error().segment, SegmentNumber{2});
}

TEST(Chain, AnotherClusterAndAnotherOwnerAreRefusedByName) {
  auto other_cluster = segment(2, 1);
  other_cluster.identity.cluster = {"shop-abc123"};
  auto chain = link_segments({segment(1, 0), other_cluster}, LogImage::identity());
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().reason, RefusalReason::kOtherCluster);
  EXPECT_NE(chain.error().what.find("shop-abc123"), std::string::npos);

  auto other_owner = segment(1, 0);
  other_owner.identity.owner = "agent/accounts";
  chain = link_segments({other_owner}, LogImage::identity());
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().reason, RefusalReason::kOtherOwner);
  EXPECT_NE(chain.error().what.find("agent/accounts"), std::string::npos);
}

TEST(Chain, WithoutAnExpectationAllSegmentsMustAgree) {
  auto other = segment(2, 1);
  other.identity.owner = "agent/accounts";
  EXPECT_FALSE(link_segments({segment(1, 0), other}, std::nullopt));
  EXPECT_TRUE(link_segments({segment(1, 0), segment(2, 1)}, std::nullopt));
}

}  // namespace
}  // namespace troth::txlog
