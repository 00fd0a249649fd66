#include "participant_agent/ended_positions.h"

#include <set>

#include <gtest/gtest.h>

#include "base/random.h"

namespace troth::agent {
namespace {

Position at(std::uint32_t epoch, std::uint64_t sequence) {
  return {EpochNumber{epoch}, Sequence{sequence}};
}

TEST(EndedPositionsTest, SaysWhatASetSays) {
  Random random(7);
  EndedPositions ended(1000);
  std::set<Position> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto position = at(1 + static_cast<std::uint32_t>(random.below(2)), random.below(200));
    switch (random.below(4)) {
      case 0:
      case 1:
        ended.add(position);
        model.insert(position);
        break;
      case 2: EXPECT_EQ(ended.contains(position), model.contains(position)); break;
      default:
        if (random.below(50) != 0) break;
        ended.drop_below(position);
        std::erase_if(model, [&](const Position& each) { return each < position; });
        // A run that the watermark lies in is kept whole: what is below is refused by the watermark itself.
        for (std::uint64_t sequence = 0; sequence < 200; ++sequence)
          if (ended.contains(at(position.epoch.value, sequence)) && sequence < position.sequence.value)
            model.insert(at(position.epoch.value, sequence));
    }
  }
}

TEST(EndedPositionsTest, WhatEndsInAboutItsOrderIsOneRun) {
  EndedPositions ended(10);
  for (std::uint64_t sequence = 0; sequence < 100'000; ++sequence)
    ended.add(at(3, sequence ^ 1));
  EXPECT_EQ(ended.runs(), 1U);
}

TEST(EndedPositionsTest, IsBounded) {
  EndedPositions ended(100);
  for (std::uint64_t sequence = 0; sequence < 1000; ++sequence)
    ended.add(at(1, 2 * sequence));
  EXPECT_EQ(ended.runs(), 100U);
  EXPECT_TRUE(ended.contains(at(1, 1998)));
  EXPECT_FALSE(ended.contains(at(1, 0)));
}

}  // namespace
}  // namespace troth::agent
