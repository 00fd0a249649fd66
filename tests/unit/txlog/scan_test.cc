#include "txlog/scan.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/unit/txlog/log_image.h"

namespace troth::txlog {
namespace {

constexpr std::size_t kSector = 512;

std::vector<std::string> first_of(const std::vector<std::string>& all, std::size_t count) {
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)};
}

template <typename T>
const T& as(const Verdict& verdict) {
  static const T kNone{};
  const auto* held = std::get_if<T>(&verdict);
  EXPECT_TRUE(held);
  return held ? *held : kNone;
}

TEST(Scan, GivesBackWhatWasWritten) {
  LogImage image;
  image.add({"a", "", std::string(10'000, 'x')});
  image.add({});
  image.add({"b"});
  const auto result = scan(image.segments);
  EXPECT_EQ(result.verdict, Verdict{CleanEnd{}});
  EXPECT_EQ(result.payloads, image.expected());
  EXPECT_EQ(result.positions.back(), (LogPosition{{4}, {1}}));
  EXPECT_EQ(result.tail->frame, image.last());
}

TEST(Scan, GoesOnThroughSegments) {
  LogImage image(4 * kBlockBytes);
  for (int i = 0; i < 10; ++i)
    image.add({std::to_string(i)});
  image.continue_in_new_segment();
  image.continue_in_new_segment();
  ASSERT_GE(image.segments.size(), 5U);
  const auto result = scan(image.segments);
  EXPECT_EQ(result.verdict, Verdict{CleanEnd{}});
  EXPECT_EQ(result.payloads, image.expected());
}

// Attack 27: the sectors of one unsynced batch land in any order. A power cut during the last batch must
// leave a log that opens, with everything before that batch, and with the batch itself only if it is whole.
TEST(Scan, APowerCutAtEveryByteOfTheLastBatchCutsItAndNothingElse) {
  LogImage before;
  before.add({"promised", std::string(3000, 'p')});
  LogImage after = before;
  after.add({std::string(700, 'q'), std::string(5000, 'r')});
  const auto begin = before.segments[0].used;
  const auto end = after.segments[0].used;
  const auto promised = before.expected();
  Random random(27);
  for (auto written = begin; written <= end; ++written) {
    for (int round = 0; round < 3; ++round) {
      auto torn = before.segments;
      auto& bytes = torn[0].bytes;
      std::copy(after.segments[0].bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                after.segments[0].bytes.begin() + static_cast<std::ptrdiff_t>(written),
                bytes.begin() + static_cast<std::ptrdiff_t>(begin));
      // Each sector that the write touched: kept, still old, or garbage. The first round keeps them all.
      for (auto sector = begin; round > 0 && sector < written; sector += kSector) {
        const auto fate = random.below(3);
        const auto place = std::span(bytes).subspan(sector, kSector);
        if (fate == 1) std::ranges::fill(place, std::byte{0});
        if (fate == 2) {
          for (auto& byte : place)
            byte = static_cast<std::byte>(random.next());
        }
      }
      const auto result = scan(torn);
      if (bytes == after.segments[0].bytes) {
        ASSERT_EQ(result.verdict, Verdict{CleanEnd{}});
        ASSERT_EQ(result.payloads, after.expected());
      } else if (bytes == before.segments[0].bytes) {
        ASSERT_EQ(result.verdict, Verdict{CleanEnd{}});
        ASSERT_EQ(result.payloads, promised);
      } else {
        const auto* cut = std::get_if<CutTail>(&result.verdict);
        ASSERT_TRUE(cut) << "written up to " << written;
        ASSERT_EQ(cut->segment, SegmentNumber{1});
        ASSERT_EQ(cut->offset, begin);
        ASSERT_EQ(cut->batch, BatchNumber{2});
        ASSERT_EQ(cut->first_lost, RecordSequence{3});
        ASSERT_EQ(result.payloads, promised);
      }
    }
  }
}

// Attack 27, conversely: damage before the last batch was once durable, and may have been promised.
TEST(Scan, DamageBeforeTheLastBatchIsRefusedAtItsPlace) {
  LogImage image;
  image.add({"promised"});
  image.add({"later"});
  const std::size_t begin = 2 * kBlockBytes;
  for (auto at = begin; at < begin + kBlockBytes; ++at) {
    auto damaged = image.segments;
    damaged[0].bytes[at] ^= std::byte{0x10};
    const auto result = scan(damaged);
    const auto& refusal = as<Refusal>(result.verdict);
    ASSERT_EQ(refusal.reason, RefusalReason::kDamage) << at;
    ASSERT_EQ(refusal.segment, SegmentNumber{1});
    ASSERT_EQ(refusal.offset, begin);
    ASSERT_NE(refusal.what.find("proves that it had been synced"), std::string::npos) << refusal.what;
  }
}

TEST(Scan, ABatchIsProvedSyncedByAnyTraceBehindIt) {
  LogImage image(6 * kBlockBytes);
  image.add({"promised"});
  image.add({"later"});
  auto torn_later = image.segments;
  // The later batch lost its first sector, so it has no frame; the bytes behind it still prove the one
  // before.
  torn_later[0].bytes[2 * kBlockBytes + kFrameBytes + 3] ^= std::byte{1};
  std::ranges::fill(std::span(torn_later[0].bytes).subspan(3 * kBlockBytes, kSector), std::byte{0});
  torn_later[0].bytes[3 * kBlockBytes + kSector] = std::byte{9};
  EXPECT_EQ(as<Refusal>(scan(torn_later).verdict).offset, 2 * kBlockBytes);

  auto next_segment_begun = image;
  next_segment_begun.continue_in_new_segment();
  auto& segments = next_segment_begun.segments;
  segments[0].bytes[3 * kBlockBytes] ^= std::byte{1};
  EXPECT_EQ(as<CutTail>(scan(segments).verdict).offset, 3 * kBlockBytes)
      << "an empty next segment proves nothing";
  segments[1].bytes[kBlockBytes + 100] = std::byte{1};
  EXPECT_EQ(as<Refusal>(scan(segments).verdict).offset, 3 * kBlockBytes);
}

TEST(Scan, ATornFirstBatchOfANewSegmentIsCut) {
  LogImage image(4 * kBlockBytes);
  image.add({"1"});
  image.add({"2"});
  image.add({"3"});
  ASSERT_EQ(image.segments.size(), 2U);
  image.segments[1].bytes[kBlockBytes + 70] ^= std::byte{1};
  const auto result = scan(image.segments);
  EXPECT_EQ(as<CutTail>(result.verdict).segment, SegmentNumber{2});
  EXPECT_EQ(result.payloads, first_of(image.expected(), 2));
}

TEST(Scan, AnOpeningSegmentsFirstBatchIsNeverAmbiguous) {
  LogImage image;
  image.add({"1"});
  image.add({"2"});
  image.reopen({"2"});
  EXPECT_EQ(scan(image.segments).payloads, image.expected());
  image.segments[1].bytes[kBlockBytes + 70] ^= std::byte{1};
  EXPECT_EQ(as<Refusal>(scan(image.segments).verdict).segment, SegmentNumber{2});
}

// Attack 27: after a failed sync and a restart the page cache shows what the disk never got. The opening
// wrote the tail again elsewhere; whatever becomes of the old copy, and of what was cut behind it, no longer
// counts.
TEST(Scan, WhatAnOpeningWroteAgainIsVoidInTheOldSegment) {
  LogImage image;
  image.add({"1"});
  image.add({"2"});
  const auto old_copy = image.segments[0].used - kBlockBytes;
  image.reopen({"2"});
  image.add({"3"});
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    auto segments = image.segments;
    for (auto& byte : std::span(segments[0].bytes).subspan(old_copy)) {
      if (random.one_in(1 + static_cast<std::uint64_t>(round))) byte = static_cast<std::byte>(random.next());
    }
    if (round % 2 == 0) segments[0].bytes.resize(old_copy + random.below(3 * kBlockBytes));
    const auto result = scan(segments);
    ASSERT_EQ(result.verdict, Verdict{CleanEnd{}});
    ASSERT_EQ(result.payloads, image.expected());
  }
}

TEST(Scan, AnOpeningDoesNotExcuseWhatCameBeforeTheTail) {
  LogImage image;
  image.add({"1"});
  image.add({"2"});
  image.reopen({"2"});
  auto damaged = image.segments;
  damaged[0].bytes[2 * kBlockBytes + 70] ^= std::byte{1};
  EXPECT_EQ(as<Refusal>(scan(damaged).verdict).offset, 2 * kBlockBytes);
  auto wiped = image.segments;
  std::ranges::fill(std::span(wiped[0].bytes).subspan(2 * kBlockBytes), std::byte{0});
  EXPECT_EQ(as<Refusal>(scan(wiped).verdict).offset, 2 * kBlockBytes);
}

// Found by fuzzing: the oldest segment, superseded and cut short to its header, was taken for one that held
// nothing.
TEST(Scan, ASupersededSegmentThatLostItsBatchesIsRefused) {
  LogImage image;
  image.add({"1"});
  image.add({"2"});
  image.reopen({"2"});
  for (std::size_t length = kBlockBytes; length < 3 * kBlockBytes; length += kSector) {
    auto shorter = image.segments;
    shorter[0].bytes.resize(length);
    ASSERT_EQ(as<Refusal>(scan(shorter).verdict).segment, SegmentNumber{1}) << length;
  }
}

TEST(Scan, AWipedOldestSegmentIsRefused) {
  LogImage image(4 * kBlockBytes);
  for (int i = 0; i < 8; ++i)
    image.add({std::to_string(i)});
  auto segments = image.segments;
  segments.erase(segments.begin());
  std::ranges::fill(std::span(segments[0].bytes).subspan(kBlockBytes), std::byte{0});
  EXPECT_EQ(as<Refusal>(scan(segments).verdict).segment, SegmentNumber{2});
}

// Every bit of a small log, header and free space included: no flip passes, and no flip loses more than the
// last batch without a refusal.
TEST(Scan, NoFlippedByteEverGoesUnnoticed) {
  LogImage image(5 * kBlockBytes);
  image.add({"one", "two"});
  image.add({"three"});
  for (std::size_t at = kBlockBytes; at < image.segments[0].bytes.size(); ++at) {
    auto damaged = image.segments;
    damaged[0].bytes[at] ^= static_cast<std::byte>(1U << (at % 8));
    const auto result = scan(damaged);
    ASSERT_FALSE(std::holds_alternative<CleanEnd>(result.verdict)) << at;
    if (std::holds_alternative<CutTail>(result.verdict)) {
      ASSERT_GE(result.payloads.size(), 2U) << at;
    }
    ASSERT_EQ(result.payloads, first_of(image.expected(), result.payloads.size())) << at;
  }
}

TEST(Scan, EveryTruncationOfTheNewestSegmentIsRefused) {
  LogImage image(4 * kBlockBytes);
  image.add({"one"});
  for (std::size_t length = kBlockBytes; length < image.segments[0].bytes.size(); ++length) {
    auto cut = image.segments;
    cut[0].bytes.resize(length);
    ASSERT_EQ(as<Refusal>(scan(cut).verdict).reason, RefusalReason::kDamage) << length;
  }
}

TEST(Scan, ABatchOfAnotherPlaceIsRefused) {
  LogImage image;
  image.add({"1"});
  image.add({"2"});
  image.add({"3"});
  auto moved = image.segments;
  auto& bytes = moved[0].bytes;
  // Batch 3 also where batch 2 was: valid in itself, but not due there.
  std::copy_n(bytes.begin() + 4 * kBlockBytes, kBlockBytes, bytes.begin() + 3 * kBlockBytes);
  EXPECT_NE(as<Refusal>(scan(moved).verdict).what.find("batch 3 stands where batch 2 is due"),
            std::string::npos);
}

// Stale bytes: what an older file held where this one lies now is valid there, and never here.
TEST(Scan, BatchesOfAnotherSegmentNeverParse) {
  LogImage image(8 * kBlockBytes);
  image.add({"1"});
  image.continue_in_new_segment();
  auto& segments = image.segments;
  std::copy_n(segments[0].bytes.begin() + 2 * kBlockBytes, kBlockBytes,
              segments[1].bytes.begin() + kBlockBytes);
  const auto result = scan(segments);
  EXPECT_EQ(as<CutTail>(result.verdict).segment, SegmentNumber{2});
  EXPECT_EQ(result.payloads, image.expected());
}

TEST(Scan, SegmentsThatTheLogStillNeedsAreMissed) {
  LogImage image(4 * kBlockBytes);
  for (int i = 0; i < 6; ++i)
    image.add({std::to_string(i)});
  ASSERT_GE(image.segments.size(), 3U);
  auto segments = image.segments;
  segments.erase(segments.begin());
  EXPECT_EQ(as<Refusal>(scan(segments).verdict).reason, RefusalReason::kMissingSegment);
  // Once a frame says that they were cut on purpose, they are not.
  image.oldest_segment = {2};
  image.add({"after the cut"});
  segments = image.segments;
  segments.erase(segments.begin());
  EXPECT_EQ(scan(segments).verdict, Verdict{CleanEnd{}});
}

TEST(Scan, AnErrorOfTheSinkEndsIt) {
  LogImage image;
  image.add({"1"});
  LogScan scan;
  const auto fed =
      scan.feed(image.segments[0].header, nullptr, image.segments[0].bytes, [](const BatchView&) {
        return Status(fail(ErrorCode::kInvalidArgument, Effect::kNone, "unknown record type 9"));
      });
  ASSERT_FALSE(fed);
  EXPECT_EQ(fed.error().message, "unknown record type 9");
}

}  // namespace
}  // namespace troth::txlog
