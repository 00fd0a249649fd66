// Disks that fail under the log: no acknowledged record is lost, whatever call fails and whatever comes
// after.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/txlog/faulty_files.h"
#include "tests/unit/txlog/log_run.h"
#include "txlog/runtime/segment_directory.h"

namespace troth::txlog {
namespace {

std::string name_of_record(std::size_t number) {
  // Some fill several blocks, so that a batch can be torn in the middle.
  return fmt::format("record {:06} {}", number, std::string(number % 7 == 0 ? 9000 : number % 5, '.'));
}

std::size_t number_of(const std::string& record) {
  return std::stoul(record.substr(7, 6));
}

// What a log's owner may believe across all runs.
class Book {
 public:
  // Appends, waiting after some, and cleans now and then; as far as the disk lets it.
  void run(FaultyFiles& disk, Random& random, std::size_t records) {
    LogRun run({.files = &disk});
    if (run.open_error) return;
    check(run);
    if (run.cut_tail) {
      ASSERT_LE(run.cut_tail->first_lost.value, next_);
      if (random.one_in(2)) {
        // A settlement whose write failed may stand all the same.
        (void)run.settle_and_wait();
        unsettled_ = false;
      }
    }
    for (std::size_t i = 0; i < records && run.log; ++i) {
      if (random.one_in(3)) {
        if (!run.append_and_wait(name_of_record(next_ + run.appended.size()))) break;
      } else if (!run.append(name_of_record(next_ + run.appended.size()))) {
        break;
      }
      if (random.one_in(12)) clean(run);
    }
    if (!random.one_in(3)) run.log->close();
    disk.stop();
    run.log.reset();
    for (const auto& record : run.acknowledged())
      acknowledged_ = std::max(acknowledged_, number_of(record));
    appended_ = next_ + run.appended.size() - 1;
  }

  // A run without faults must open and hold every acknowledged record, and no record without all before it.
  void check(LogRun& run) {
    ASSERT_FALSE(run.open_error) << run.open_error->message;
    std::size_t last =
        run.replayed.empty() ? run.next_sequence.value - 1 : number_of(run.replayed.front()) - 1;
    for (const auto& record : run.replayed) {
      ASSERT_EQ(number_of(record), last + 1);
      ASSERT_EQ(record, name_of_record(last + 1));
      last = number_of(record);
    }
    ASSERT_EQ(run.next_sequence.value, last + 1);
    ASSERT_GE(last, acknowledged_) << "an acknowledged record is gone";
    ASSERT_LE(last, appended_);
    if (!run.replayed.empty()) {
      ASSERT_LE(number_of(run.replayed.front()), kept_from_);
    }
    if (unsettled_) {
      ASSERT_TRUE(run.cut_tail) << "a cut that nobody settled is forgotten";
    }
    unsettled_ = run.cut_tail.has_value();
    // From here on they are durable.
    acknowledged_ = last;
    appended_ = last;
    next_ = last + 1;
  }

 private:
  void clean(LogRun& run) {
    const auto segments = run.log->segments();
    if (segments.size() < 2) return;
    // The owner needs nothing of the oldest segment any more.
    kept_from_ = segments[1].first_sequence.value;
    if (const auto oldest = run.cut_and_wait(segments[1].first_sequence)) {
      ASSERT_GE(*oldest, segments[1].number);
    }
  }

  std::size_t next_ = 1;
  std::size_t acknowledged_ = 0;
  std::size_t appended_ = 0;
  std::size_t kept_from_ = 1;
  bool unsettled_ = false;
};

void resume(FaultyFiles& disk, bool power_cut) {
  if (power_cut) {
    disk.resume_after_power_cut();
  } else {
    disk.resume_after_kill();
  }
}

// The disk's Nth call fails, for every N, once or for ever; then the process is killed or the power goes.
// After that the log opens again with all that was acknowledged, and a further power cut takes nothing of
// what it then showed.
TEST(LogFaults, TheNthCallFailingLosesNothingForEveryN) {
  for (const bool for_ever : {false, true}) {
    for (const bool power_cut : {false, true}) {
      bool failed = true;
      for (std::uint64_t nth = 1; failed; ++nth) {
        SCOPED_TRACE(fmt::format("call {} fails {}, then {}", nth, for_ever ? "for ever" : "once",
                                 power_cut ? "a power cut" : "a kill"));
        Random random(nth);
        FaultyFiles disk(nth);
        Book book;
        book.run(disk, random, 12);
        disk.resume_after_kill();
        disk.fail_call(nth, for_ever);
        book.run(disk, random, 25);
        failed = disk.has_failed();
        resume(disk, power_cut);
        {
          LogRun again({.files = &disk});
          book.check(again);
          disk.stop();
        }
        disk.resume_after_power_cut();
        LogRun last({.files = &disk});
        book.check(last);
        if (HasFatalFailure()) return;
      }
    }
  }
}

void add_empty_segment(const SegmentDirectory& directory, SegmentNumber last) {
  const auto block = directory.read_first_block(last);
  ASSERT_TRUE(block.has_value());
  const auto before = decode_segment_header(*block);
  ASSERT_TRUE(before.has_value());
  SegmentHeader header = *before;
  header.number = {last.value + 1};
  header.predecessor = last;
  header.predecessor_salt = before->salt;
  header.salt = Salt{before->salt.value + 1};
  header.restates.reset();
  ASSERT_TRUE(directory.make({.header = header, .first_batch = {}, .stop = {}}).has_value());
}

// A power cut may leave two empty segments behind the log's end: the batch that began the first of them was lost, and the
// second had been prepared. The next start takes them away, and may be cut off, too, with any of the names kept.
TEST(LogFaults, TwoEmptySegmentsAreTakenAwayInAnOrderThatLeavesNoGap) {
  bool failed = true;
  for (std::uint64_t nth = 1; failed; ++nth) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      SCOPED_TRACE(fmt::format("call {} fails, seed {}", nth, seed));
      FaultyFiles disk(seed);
      {
        LogRun run({.files = &disk});
        ASSERT_TRUE(run.append_and_wait("kept"));
      }
      const SegmentDirectory directory(disk, "/log");
      // The log itself may have prepared the first of them by now.
      for (std::size_t segments = 1; segments < 3;) {
        const auto listing = directory.list();
        ASSERT_TRUE(listing.has_value());
        segments = listing->segments.size();
        if (segments < 3) add_empty_segment(directory, listing->segments.back());
        if (HasFatalFailure()) return;
      }

      disk.fail_call(nth, true);
      {
        LogRun cut_off({.files = &disk});
      }
      failed = disk.has_failed();
      disk.stop();
      disk.resume_after_power_cut();
      LogRun again({.files = &disk});
      ASSERT_FALSE(again.open_error) << again.open_error->message;
      EXPECT_EQ(again.replayed, (std::vector<std::string>{"kept"}));
    }
  }
}

// The same over many lives of one log: kills, power cuts, failed calls and cleaning in any order.
TEST(LogFaults, ManyLivesOfOneLogLoseNothing) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    FaultyFiles disk(seed);
    Book book;
    for (int life = 0; life < 12; ++life) {
      if (random.one_in(2)) disk.fail_call(1 + random.below(120), random.one_in(2));
      book.run(disk, random, random.below(40));
      resume(disk, random.one_in(2));
      if (HasFatalFailure()) return;
    }
    LogRun last({.files = &disk});
    book.check(last);
    if (HasFatalFailure()) return;
  }
}

// Attack 27: after a failed sync and a restart the page cache shows what the disk never got. It must not
// count until it was written again.
TEST(LogFaults, ARecordSeenAfterAFailedSyncIsOnTheDiskOnceTheLogIsOpen) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    FaultyFiles disk(seed);
    {
      LogRun run({.files = &disk});
      ASSERT_TRUE(run.append_and_wait("promised"));
      disk.fail_syncs(true);
      const auto result = run.append_and_wait("sync failed");
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().effect, Effect::kUnknown);
      disk.stop();
    }
    disk.resume_after_kill();
    {
      LogRun run({.files = &disk});
      ASSERT_EQ(run.replayed, (std::vector<std::string>{"promised", "sync failed"}));
      EXPECT_FALSE(run.cut_tail);
      disk.stop();
    }
    disk.resume_after_power_cut();
    LogRun run({.files = &disk});
    EXPECT_EQ(run.replayed, (std::vector<std::string>{"promised", "sync failed"}));
    EXPECT_FALSE(run.cut_tail);
  }
}

// A failed sync is final: it is not tried again, not even when the disk would now say "done".
TEST(LogFaults, AFailedSyncEndsTheLogAndTheOwnerIsToldOnce) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk});
  ASSERT_TRUE(run.append_and_wait("first"));
  disk.hold_syncs(true);
  ASSERT_TRUE(run.append("in flight"));
  ASSERT_TRUE(disk.wait_for_held_sync("/log/000000000001.txlog"));
  ASSERT_TRUE(run.append("queued"));
  disk.fail_syncs(true);
  disk.hold_syncs(false);
  run.log->close();
  const auto calls = disk.calls();
  const auto refused = run.refused();
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_EQ(refused[0].first, "in flight");
  EXPECT_EQ(refused[0].second.effect, Effect::kUnknown);
  EXPECT_EQ(refused[0].second.code, ErrorCode::kIo);
  EXPECT_NE(refused[0].second.message.find("/log/000000000001.txlog:"), std::string::npos)
      << refused[0].second.message;
  EXPECT_EQ(refused[1].first, "queued");
  EXPECT_EQ(refused[1].second.effect, Effect::kNone) << "it was never written";
  ASSERT_EQ(run.failures().size(), 1U);
  EXPECT_EQ(run.failures()[0].message, run.log->failure()->message);

  EXPECT_FALSE(run.append("too late"));
  EXPECT_EQ(run.last_refusal->effect, Effect::kNone);
  EXPECT_EQ(run.last_refusal->code, ErrorCode::kIo);
  EXPECT_FALSE(run.cut_and_wait({1}));
  EXPECT_FALSE(run.settle_and_wait());
  EXPECT_EQ(disk.calls(), calls);
}

// Attacks 27 and 44: a batch torn by a power cut is cut and told, and told again at every start until the
// owner has settled it: a crash between the cut and its consequences forgets nothing. With one member alone
// the owner settles at once and the log serves on.
TEST(LogFaults, ACutTailIsToldUntilItIsSettled) {
  bool seen = false;
  for (std::uint64_t seed = 1; seed <= 40 && !seen; ++seed) {
    FaultyFiles disk(seed);
    {
      LogRun run({.files = &disk});
      ASSERT_TRUE(run.append_and_wait("promised"));
      disk.hold_syncs(true);
      ASSERT_TRUE(run.append(std::string(2000, 'x')));
      ASSERT_TRUE(disk.wait_for_held_sync("/log/000000000001.txlog"));
      disk.stop();
      disk.hold_syncs(false);
    }
    disk.resume_after_power_cut();
    {
      LogRun run({.files = &disk});
      if (!run.cut_tail) continue;
      seen = true;
      EXPECT_EQ(run.cut_tail->first_lost, RecordSequence{2});
      EXPECT_EQ(run.cut_tail->segment, SegmentNumber{1});
      EXPECT_EQ(run.replayed, std::vector<std::string>{"promised"});
    }
    {
      LogRun run({.files = &disk});
      ASSERT_TRUE(run.cut_tail);
      EXPECT_EQ(run.cut_tail->first_lost, RecordSequence{2});
      ASSERT_TRUE(run.append_and_wait("after the cut"));
    }
    {
      LogRun run({.files = &disk});
      ASSERT_TRUE(run.cut_tail) << "records appended since do not settle it";
      ASSERT_TRUE(run.settle_and_wait());
    }
    LogRun run({.files = &disk});
    EXPECT_FALSE(run.cut_tail);
    EXPECT_EQ(run.replayed, (std::vector<std::string>{"promised", "after the cut"}));
  }
  EXPECT_TRUE(seen);
}

TEST(LogFaults, AFullDiskIsToldASegmentAheadAndThenNamed) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk});
  ASSERT_TRUE(run.append_and_wait("first"));
  // Room for this segment and the next, which may be there already; not for a third.
  disk.set_capacity(2 * 8 * kBlockBytes);
  std::vector<std::string> acknowledged{"first"};
  Result<LogPosition> result;
  for (int i = 0; i < 40 && result; ++i) {
    result = run.append_and_wait(fmt::format("record {}", i));
    if (result) acknowledged.push_back(fmt::format("record {}", i));
  }
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().effect, Effect::kNone) << "there was no place to write it to";
  EXPECT_NE(result.error().message.find("No space left"), std::string::npos) << result.error().message;
  run.log->close();
  ASSERT_FALSE(run.warnings().empty());
  EXPECT_NE(run.warnings()[0].message.find("could not be prepared"), std::string::npos);
  EXPECT_EQ(run.failures().size(), 1U);
  run.log.reset();

  LogRun still_full({.files = &disk});
  ASSERT_TRUE(still_full.open_error);
  EXPECT_EQ(still_full.open_error->effect, Effect::kNone);
  EXPECT_NE(still_full.open_error->message.find("No space left"), std::string::npos);

  disk.set_capacity(UINT64_MAX);
  LogRun freed({.files = &disk});
  EXPECT_EQ(freed.replayed, acknowledged);
}

// A log on a disk of its own, now full: cleaning is the only way to free space, and cleaning needs an open
// log.
TEST(LogFaults, AFullDiskLeavesRoomToCleanItsOwnLog) {
  constexpr std::uint64_t kSegment = 256 * kBlockBytes;
  FaultyFiles disk(1);
  const LogRun::Config config{.files = &disk, .segment_bytes = kSegment};
  disk.set_capacity(3 * kSegment + 100 * kBlockBytes);
  {
    LogRun run(config);
    while (run.append_and_wait(std::string(100'000, 'x'))) {
    }
    EXPECT_EQ(run.log->segments().size(), 3U);
  }
  LogRun run(config);
  ASSERT_FALSE(run.open_error) << run.open_error->message;
  const auto segments = run.log->segments();
  ASSERT_GE(segments.size(), 3U);
  ASSERT_TRUE(run.cut_and_wait(segments[2].first_sequence));
  for (int i = 0; i < 12; ++i)
    ASSERT_TRUE(run.append_and_wait(std::string(100'000, 'y'))) << i;
}

// A preparation that failed is tried once more when its segment is due; the warning may have been heeded.
TEST(LogFaults, SpaceFreedAfterTheWarningIsUsed) {
  FaultyFiles disk(1);
  disk.set_capacity(8 * kBlockBytes);
  LogRun run({.files = &disk});
  ASSERT_TRUE(run.wait_for_warning());
  disk.set_capacity(UINT64_MAX);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(run.append_and_wait(fmt::format("record {}", i)));
  EXPECT_TRUE(run.failures().empty());
  EXPECT_GE(run.log->segments().size(), 3U);
}

}  // namespace
}  // namespace troth::txlog
