// When a snapshot is due, which part of the log it makes superfluous, and how another replica's is got: the parts that
// know no disk.
#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.h"
#include "coordinator/decision_store/log_marks.h"
#include "coordinator/decision_store/snapshot_pull.h"
#include "coordinator/decision_store/snapshot_schedule.h"

namespace troth::coordinator::store {
namespace {

using namespace std::chrono_literals;
using consensus::LogWrite;
using consensus::Slot;

// ---- which part of the log may go

TEST(LogMarks, NothingOfAHigherSlotIsBeforeTheCut) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    LogMarks marks(random.between(0, 200));
    std::vector<Slot> slots;
    Slot newest;
    for (std::uint64_t write = 1; write <= 300; ++write) {
      // Slots come about in order, some again, some late, and some records are of none.
      newest.value += random.below(2);
      const Slot slot{random.one_in(4) ? 0 : newest.value - std::min(newest.value, random.below(5))};
      slots.push_back(slot);
      marks.add({write}, slot, random.below(100));
      if (!random.one_in(20)) continue;
      const Slot snapshot{random.below(newest.value + 1)};
      const auto kept = marks.first_kept(snapshot);
      ASSERT_LE(kept.value, write + 1);
      for (std::uint64_t each = 1; each < kept.value; ++each)
        ASSERT_LE(slots[each - 1], snapshot) << "seed " << seed << ", write " << each;
      marks.cut(kept);
    }
  }
}

TEST(LogMarks, EverythingUpToTheSnapshotGoesButForALittle) {
  LogMarks marks(1000);
  for (std::uint64_t write = 1; write <= 1000; ++write)
    marks.add({write}, {write}, 100);
  EXPECT_EQ(marks.first_kept({1000}).value, 1001U);
  EXPECT_GE(marks.first_kept({500}).value, 500U - 20);
  EXPECT_LE(marks.first_kept({500}).value, 501U);
  EXPECT_EQ(marks.first_kept({0}).value, 0U);
}

TEST(LogMarks, WhatIsChosenStaysWithWhatWasAccepted) {
  EXPECT_EQ(slot_of(consensus::ChosenThrough{{7}}).value, 7U);
  EXPECT_EQ(slot_of(consensus::Learned{{8}, {}}).value, 8U);
  EXPECT_EQ(slot_of(consensus::Accepted{{9}, {}, {}}).value, 9U);
  EXPECT_EQ(slot_of(consensus::Started{3}).value, 0U);
}

// ---- when it is due

struct DiskUse {
  std::uint64_t logged = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t longest_log = 0;
  std::uint64_t largest_snapshot = 0;
};

// A table of which `live` of 100 logged bytes stay, up to `most` bytes; a snapshot takes as long as `pace` says of the log.
DiskUse use_of(std::uint64_t least, std::uint64_t live, std::uint64_t most, std::uint64_t pace) {
  SnapshotSchedule schedule(least);
  DiskUse use;
  std::uint64_t table = 0;
  std::uint64_t log = 0;
  std::uint64_t writing = 0;  // of a snapshot, how much is still to be logged until it is durable
  std::uint64_t log_at_begin = 0;
  std::uint64_t size = 0;
  for (int step = 0; step < 100'000; ++step) {
    constexpr std::uint64_t kBytes = 100;
    use.logged += kBytes;
    log += kBytes;
    schedule.logged(kBytes);
    table = std::min(most, table + kBytes * live / 100);
    if (writing > 0) {
      writing -= std::min(writing, kBytes);
      if (writing == 0) {
        schedule.taken(size);
        use.snapshots += size;
        log -= log_at_begin;
      }
    } else if (schedule.is_due()) {
      schedule.begun();
      size = table;
      log_at_begin = log;
      writing = std::max(kBytes, table * pace / 100);
      use.largest_snapshot = std::max(use.largest_snapshot, size);
    }
    use.longest_log = std::max(use.longest_log, log);
  }
  return use;
}

TEST(SnapshotSchedule, SnapshotsWriteAtMostTwiceWhatTheLogWrites) {
  for (const std::uint64_t least : {1'000, 100'000}) {
    for (const std::uint64_t live : {0, 1, 50, 100}) {
      for (const std::uint64_t most : {10'000ULL, 1'000'000ULL, 1ULL << 40}) {
        const auto use = use_of(least, live, most, 10);
        EXPECT_LE(use.snapshots, 2 * use.logged + use.largest_snapshot)
            << least << " " << live << " " << most;
        // 2 L, and what is logged while one is written.
        const auto l = std::max(least, use.largest_snapshot);
        EXPECT_LE(use.longest_log, 2 * l + l / 10 + 200) << least << " " << live << " " << most;
      }
    }
  }
}

TEST(SnapshotSchedule, WhatLivesKeepsItsSizeAndIsWrittenOncePerByteLogged) {
  const auto use = use_of(1'000, 100, 500'000, 1);
  EXPECT_LE(use.snapshots, use.logged * 11 / 10);
}

TEST(SnapshotSchedule, AFailedOneIsTriedAgainSoonerAndNotAtOnce) {
  SnapshotSchedule schedule(1000);
  schedule.logged(1000);
  ASSERT_TRUE(schedule.is_due());
  schedule.begun();
  schedule.failed();
  schedule.logged(200);
  EXPECT_FALSE(schedule.is_due());
  schedule.logged(50);
  EXPECT_TRUE(schedule.is_due());
  // However often it fails.
  for (int again = 0; again < 50; ++again) {
    schedule.begun();
    schedule.failed();
  }
  EXPECT_FALSE(schedule.is_due());
}

// ---- another replica's

class Pulling : public testing::Test {
 protected:
  static constexpr std::uint64_t kBytes = 25;
  const SnapshotName name_{{100}, 77};
  const SnapshotOffered offer_{name_, kBytes, {"bank-x7k2p9"}};
  const consensus::ReplicaId source_{2};
  SnapshotPull pull_{{"bank-x7k2p9"}, {}};
  Instant now_{1h};

  // The offset that is asked for, if one is.
  static std::optional<std::uint64_t> asked(const SnapshotPull::Effects& effects) {
    for (const auto& effect : effects)
      if (const auto* ask = std::get_if<SnapshotPull::Ask>(&effect)) return ask->what.offset;
    return std::nullopt;
  }
  static std::vector<std::uint64_t> all_asked(const SnapshotPull::Effects& effects) {
    std::vector<std::uint64_t> all;
    for (const auto& effect : effects)
      if (const auto* ask = std::get_if<SnapshotPull::Ask>(&effect)) all.push_back(ask->what.offset);
    return all;
  }
  template <typename E>
  static bool has(const SnapshotPull::Effects& effects) {
    return std::ranges::any_of(effects, [](const auto& each) { return std::holds_alternative<E>(each); });
  }
  SnapshotPull::Effects chunk(std::uint64_t offset, std::size_t bytes = 10) {
    return pull_.chunk_received(source_, {name_, offset, std::string(bytes, 'x')}, now_);
  }
  SnapshotPull::Effects begin() { return pull_.offered(source_, offer_, {7}, now_); }
};

TEST_F(Pulling, AsksForChunkAfterChunkAndInstallsTheWhole) {
  const auto begun = begin();
  EXPECT_TRUE(has<SnapshotPull::Begin>(begun));
  EXPECT_EQ(asked(begun), 0U);
  const auto first = chunk(0);
  EXPECT_TRUE(has<SnapshotPull::Store>(first));
  EXPECT_EQ(all_asked(first), (std::vector<std::uint64_t>{10, 20})) << "how large they are is known now";
  EXPECT_TRUE(has<SnapshotPull::Store>(chunk(10)));
  EXPECT_TRUE(has<SnapshotPull::Store>(chunk(20, 5)));
  EXPECT_TRUE(pull_.stored(name_, 10, now_).empty());
  EXPECT_TRUE(pull_.stored(name_, 10, now_).empty());
  EXPECT_TRUE(has<SnapshotPull::Install>(pull_.stored(name_, 5, now_)));
  EXPECT_EQ(pull_.coming(), name_);
  pull_.installed();
  EXPECT_FALSE(pull_.coming());
}

// A slow link has a few under way; a slow disk has no more than that in memory.
TEST_F(Pulling, AFewAreUnderWayAheadOfTheOwnDisk) {
  const SnapshotOffered large{name_, 1000, offer_.cluster};
  std::ignore = pull_.offered(source_, large, {7}, now_);
  EXPECT_EQ(all_asked(chunk(0)), (std::vector<std::uint64_t>{10, 20, 30}));
  for (const std::uint64_t offset : {10, 20, 30})
    EXPECT_FALSE(asked(chunk(offset)));
  EXPECT_EQ(all_asked(pull_.stored(name_, 10, now_)), (std::vector<std::uint64_t>{40}));
  EXPECT_EQ(all_asked(pull_.stored(name_, 20, now_)), (std::vector<std::uint64_t>{50, 60}));
}

TEST_F(Pulling, WhatOvertakesWaitsForWhatIsBeforeIt) {
  const SnapshotOffered large{name_, 1000, offer_.cluster};
  std::ignore = pull_.offered(source_, large, {7}, now_);
  std::ignore = chunk(0);
  EXPECT_TRUE(chunk(20).empty());
  EXPECT_TRUE(chunk(30).empty());
  std::ignore = pull_.stored(name_, 10, now_);
  // Only what is missing is asked for again.
  now_ = pull_.wakes_at();
  EXPECT_EQ(all_asked(pull_.time_passed(now_)), (std::vector<std::uint64_t>{10, 40}));
  std::vector<std::uint64_t> stored;
  for (const auto& effect : chunk(10))
    if (const auto* store = std::get_if<SnapshotPull::Store>(&effect)) stored.push_back(store->offset);
  EXPECT_EQ(stored, (std::vector<std::uint64_t>{10, 20, 30}));
}

TEST_F(Pulling, AChunkThatComesTwiceLateOrFromElsewhereChangesNothing) {  // [T10]
  begin();
  EXPECT_TRUE(has<SnapshotPull::Store>(chunk(0)));
  EXPECT_TRUE(chunk(0).empty()) << "while it is stored";
  std::ignore = pull_.stored(name_, 10, now_);
  EXPECT_TRUE(chunk(0).empty()) << "once more";
  EXPECT_TRUE(chunk(15, 10).empty()) << "no place of any";
  EXPECT_TRUE(chunk(20, 4).empty()) << "cut short";
  EXPECT_TRUE(chunk(10, 16).empty()) << "beyond the end";
  EXPECT_TRUE(chunk(10, 0).empty()) << "nothing";
  EXPECT_TRUE(pull_.chunk_received({3}, {name_, 10, "0123456789"}, now_).empty()) << "of another replica";
  EXPECT_TRUE(pull_.chunk_received(source_, {{{100}, 78}, 10, "0123456789"}, now_).empty())
      << "of another file";
  EXPECT_TRUE(pull_.stored({{100}, 78}, 10, now_).empty());
  EXPECT_TRUE(pull_.stored(name_, 10, now_).empty()) << "nothing was being stored";
  EXPECT_TRUE(has<SnapshotPull::Store>(chunk(10)));
}

TEST_F(Pulling, IsOfferedWhatIsNoNewsOrNotItsOwn) {
  EXPECT_TRUE(pull_.offered(source_, offer_, {100}, now_).empty()) << "it has come that far";
  auto foreign = offer_;
  foreign.cluster = {"bank-zzzzzz"};
  EXPECT_TRUE(pull_.offered(source_, foreign, {7}, now_).empty());
  auto empty = offer_;
  empty.bytes = 0;
  EXPECT_TRUE(pull_.offered(source_, empty, {7}, now_).empty());
}

TEST_F(Pulling, WhatIsLostIsAskedForAgain) {
  begin();
  EXPECT_TRUE(pull_.time_passed(now_ + 299ms).empty());
  now_ = pull_.wakes_at();
  EXPECT_EQ(asked(pull_.time_passed(now_)), 0U);
  // A link on which one takes longer is not filled with the same one.
  EXPECT_EQ(pull_.wakes_at(), now_ + 600ms);
  EXPECT_TRUE(has<SnapshotPull::Store>(chunk(0)));
  // A slow own disk is not the network's fault.
  now_ += 1min;
  EXPECT_TRUE(pull_.time_passed(now_).empty());
  std::ignore = pull_.stored(name_, 10, now_);
  now_ = pull_.wakes_at();
  EXPECT_EQ(asked(pull_.time_passed(now_)), 10U);
}

TEST_F(Pulling, ASilentSourceIsLeftForAnother) {
  begin();
  const SnapshotOffered other{{{90}, 5}, 10, offer_.cluster};
  EXPECT_TRUE(pull_.offered({3}, other, {7}, now_ + 1s).empty());
  EXPECT_TRUE(has<SnapshotPull::Begin>(pull_.offered({3}, other, {7}, now_ + 2s)));
  EXPECT_EQ(pull_.coming(), other.name);
}

// However long its source was silent: what is here stays.
TEST_F(Pulling, TheSameFileGoesOnWhereItIs) {
  begin();
  std::ignore = chunk(0);
  std::ignore = pull_.stored(name_, 10, now_);
  now_ += 3s;
  const auto again = begin();
  EXPECT_FALSE(has<SnapshotPull::Begin>(again)) << "it begins from zero";
  EXPECT_EQ(all_asked(again), (std::vector<std::uint64_t>{10, 20}));
  // Its source has started again, with larger ones.
  EXPECT_TRUE(has<SnapshotPull::Store>(chunk(10, 15)));
  EXPECT_TRUE(has<SnapshotPull::Install>(pull_.stored(name_, 15, now_)));
}

TEST_F(Pulling, IsGivenUpWhereNobodyIsLeft) {
  begin();
  EXPECT_TRUE(has<SnapshotPull::Drop>(pull_.time_passed(now_ + 10s)));
  EXPECT_FALSE(pull_.coming());
  EXPECT_EQ(pull_.wakes_at(), Instant::max());
  EXPECT_FALSE(begin().empty()) << "and can begin anew";
  EXPECT_TRUE(pull_.withdrawn({3}, {name_}).empty()) << "not its source";
  EXPECT_TRUE(has<SnapshotPull::Drop>(pull_.withdrawn(source_, {name_})));
  EXPECT_TRUE(pull_.withdrawn(source_, {name_}).empty());
}

TEST_F(Pulling, OneThatCouldNotBeTakenIsNotTakenAgainAtOnce) {
  begin();
  pull_.failed(now_);
  EXPECT_TRUE(begin().empty());
  const SnapshotOffered other{{{101}, 78}, kBytes, offer_.cluster};
  EXPECT_FALSE(pull_.offered(source_, other, {7}, now_).empty()) << "another one is";
  pull_.failed(now_);
  now_ += 30s;
  EXPECT_FALSE(begin().empty());
}

TEST_F(Pulling, NothingIsBegunWhileOneIsInstalled) {
  begin();
  EXPECT_FALSE(chunk(0, kBytes).empty());
  EXPECT_TRUE(has<SnapshotPull::Install>(pull_.stored(name_, kBytes, now_)));
  EXPECT_TRUE(pull_.offered({3}, {{{200}, 5}, 10, offer_.cluster}, {7}, now_ + 1h).empty());
  EXPECT_TRUE(pull_.given_up().empty());
}

}  // namespace
}  // namespace troth::coordinator::store
