#include "txlog/runtime/inspect.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/txlog/faulty_files.h"
#include "tests/unit/txlog/log_run.h"

namespace troth::txlog {
namespace {

const std::string kDirectory = "/log";

std::string segment_path(int number) {
  return fmt::format("/log/{:012}.txlog", number);
}

// A dump as text, one line each: easy to compare.
std::vector<std::string> dump_text(FaultyFiles& disk) {
  struct Print {
    std::string operator()(const SegmentLine& line) const {
      return fmt::format("segment {} {} {}", line.number.value, name_of(line.state), line.what);
    }
    std::string operator()(const BatchLine& line) const {
      return fmt::format("batch {} at {}/{} first {} records {}{}", line.frame.number.value,
                         line.segment.value, line.offset, line.frame.first_sequence.value, line.frame.records,
                         line.superseded ? " superseded" : "");
    }
    std::string operator()(const RecordLine& line) const {
      return fmt::format("record {} at {}/{} type {} {} '{}' {}", line.sequence.value, line.segment.value,
                         line.offset, line.type.number, line.type.optional ? "optional" : "mandatory",
                         text_of(line.payload), line.checksum_holds ? "ok" : "damaged");
    }
    std::string operator()(const DamageLine& line) const {
      return fmt::format("damage at {}/{}: {}", line.segment.value, line.offset, line.what);
    }
  };
  std::vector<std::string> lines;
  const auto report =
      dump(kDirectory, [&lines](const DumpLine& line) { lines.push_back(std::visit(Print{}, line)); }, &disk);
  EXPECT_TRUE(report) << report.error().message;
  return lines;
}

void make_log(FaultyFiles& disk) {
  LogRun run({.files = &disk});
  ASSERT_TRUE(run.append_and_wait("one"));
  ASSERT_TRUE(run.append_and_wait("two"));
  ASSERT_TRUE(disk.wait_for_name(segment_path(2)));
}

TEST(Inspect, VerifyCountsWhatThereIs) {
  FaultyFiles disk(1);
  make_log(disk);
  const auto report = verify(kDirectory, &disk);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->verdict, Verdict{CleanEnd{}});
  EXPECT_EQ(report->identity, (LogIdentity{{"bank-x7k2p9"}, "decision-store"}));
  EXPECT_FALSE(report->live);
  EXPECT_EQ(report->batches, 3U);
  EXPECT_EQ(report->records, 2U);
  EXPECT_EQ(report->payload_bytes, 6U);
  EXPECT_EQ(report->next_sequence, RecordSequence{3});
  EXPECT_EQ(report->oldest_segment, SegmentNumber{1});
}

TEST(Inspect, DumpGivesALineForEverything) {
  FaultyFiles disk(1);
  make_log(disk);
  {
    const LogRun reopened({.files = &disk});
  }
  auto lines = dump_text(disk);
  // The segment that is prepared ahead may be there or not.
  std::erase_if(lines, [](const auto& line) { return line.starts_with("segment 4"); });
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "segment 1 live ",
                       "batch 0 at 1/4096 first 1 records 0",
                       "batch 1 at 1/8192 first 1 records 1",
                       "record 1 at 1/8256 type 1 mandatory 'one' ok",
                       "batch 2 at 1/12288 first 2 records 1 superseded",
                       "record 2 at 1/12352 type 1 mandatory 'two' ok",
                       "segment 3 live ",
                       "batch 2 at 3/4096 first 2 records 1",
                       "record 2 at 3/4160 type 1 mandatory 'two' ok",
                   }));
}

TEST(Inspect, DamageIsShownWithWhatCanStillBeRead) {
  FaultyFiles disk(1);
  make_log(disk);
  disk.damage(segment_path(1), 2 * kBlockBytes + kFrameBytes + kRecordHeaderBytes);
  const auto report = verify(kDirectory, &disk);
  ASSERT_TRUE(report);
  const auto* refusal = std::get_if<Refusal>(&report->verdict);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->segment, SegmentNumber{1});
  EXPECT_EQ(refusal->offset, 2 * kBlockBytes);
  const auto lines = dump_text(disk);
  const auto has = [&lines](const std::string& line) {
    return std::ranges::find(lines, line) != lines.end();
  };
  EXPECT_TRUE(has("damage at 1/8192: the batch's checksum differs"));
  EXPECT_TRUE(has("record 1 at 1/8256 type 1 mandatory '/ne' damaged"));
  EXPECT_TRUE(has("record 2 at 1/12352 type 1 mandatory 'two' ok"))
      << "the batch behind the damage is found again";
}

TEST(Inspect, ASegmentWithoutAValidHeaderIsNamedAndTheOthersAreShown) {
  FaultyFiles disk(1);
  {
    LogRun run({.files = &disk});
    for (int i = 0; i < 20; ++i)
      ASSERT_TRUE(run.append_and_wait(std::to_string(i)));
  }
  disk.damage(segment_path(2), 17);
  const auto report = verify(kDirectory, &disk);
  ASSERT_TRUE(report);
  EXPECT_EQ(std::get<Refusal>(report->verdict).segment, SegmentNumber{2});
  const auto lines = dump_text(disk);
  EXPECT_EQ(std::ranges::count(lines, "segment 2 unreadable the header's checksum differs"), 1);
  EXPECT_EQ(std::ranges::count_if(lines, [](const auto& line) { return line.starts_with("record 20 "); }), 1);
}

TEST(Inspect, ADirectoryWithoutALogIsRefused) {
  FaultyFiles disk(1);
  const auto report = verify("/nothing", &disk);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message.find("/nothing holds no log"), std::string::npos);
}

TEST(Inspect, LookingChangesNothing) {
  FaultyFiles disk(1);
  make_log(disk);
  const auto before = disk.changes();
  ASSERT_TRUE(verify(kDirectory, &disk));
  dump_text(disk);
  EXPECT_EQ(disk.changes(), before);
}

// A live directory: batches half written, segments that come and go. None of it is ever reported as damage.
TEST(Inspect, ALiveLogIsReadWhileItIsWritten) {
  auto root = (std::filesystem::temp_directory_path() / "troth-inspect-XXXXXX").string();
  ASSERT_TRUE(::mkdtemp(root.data()));
  const auto directory = root + "/log";
  {
    LogRun run({.directory = directory, .segment_bytes = 16 * kBlockBytes});
    ASSERT_FALSE(run.open_error);
    std::atomic<bool> stop = false;
    std::jthread writing([&] {
      for (int i = 0; !stop; ++i) {
        if (!run.append_and_wait(std::string(static_cast<std::size_t>(i % 9) * 1000, 'x'))) std::abort();
        const auto segments = run.log->segments();
        if (segments.size() > 4) run.log->cut_below({segments[1].first_sequence, {}});
      }
    });
    for (int i = 0; i < 60; ++i) {
      const auto report = verify(directory);
      ASSERT_TRUE(report) << report.error().message;
      ASSERT_TRUE(report->live);
      const auto* refusal = std::get_if<Refusal>(&report->verdict);
      ASSERT_FALSE(refusal) << refusal->what;
      ASSERT_TRUE(dump(directory, [](const DumpLine&) {}));
    }
    stop = true;
  }
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace troth::txlog
