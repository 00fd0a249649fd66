// The log on the operating system's files.
#include "txlog/runtime/log.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/txlog/faulty_files.h"
#include "tests/unit/txlog/log_run.h"
#include "txlog/crc32c.h"
#include "txlog/runtime/segment_directory.h"

namespace troth::txlog {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto name = (std::filesystem::temp_directory_path() / "troth-log-XXXXXX").string();
    ASSERT_TRUE(::mkdtemp(name.data()));
    root_ = name;
    config_.directory = name + "/log";
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // Every file's name and content, apart from LOCK.
  std::map<std::string, std::string> snapshot() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(config_.directory)) {
      if (entry.path().filename() == "LOCK") continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::ostringstream content;
      content << file.rdbuf();
      files[entry.path().filename()] = std::move(content).str();
    }
    return files;
  }

  void write_at(const std::string& name, std::uint64_t offset, std::string_view bytes) const {
    std::fstream file(config_.directory + "/" + name, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file) << name;
  }

  // A log with these records, closed.
  void make_log(const std::vector<std::string>& records) const {
    LogRun run(config_);
    ASSERT_FALSE(run.open_error) << run.open_error->message;
    for (const auto& record : records)
      ASSERT_TRUE(run.append_and_wait(record));
  }

  void expect_refused(ErrorCode code, const std::string& words) const {
    const auto before = snapshot();
    const LogRun run(config_);
    ASSERT_TRUE(run.open_error);
    EXPECT_EQ(run.open_error->code, code);
    EXPECT_EQ(run.open_error->effect, Effect::kNone);
    EXPECT_NE(run.open_error->message.find(words), std::string::npos) << run.open_error->message;
    EXPECT_NE(run.open_error->message.find(config_.directory), std::string::npos) << run.open_error->message;
    EXPECT_EQ(snapshot(), before) << "a refusal changes nothing";
  }

  std::string root_;
  LogRun::Config config_;
};

TEST_F(LogTest, ReplaysWhatWasAppended) {
  std::vector<std::string> expected;
  for (int life = 0; life < 4; ++life) {
    LogRun run(config_);
    ASSERT_FALSE(run.open_error) << run.open_error->message;
    EXPECT_EQ(run.created, life == 0);
    EXPECT_FALSE(run.cut_tail);
    EXPECT_EQ(run.replayed, expected);
    EXPECT_EQ(run.next_sequence.value, expected.size() + 1);
    for (std::size_t i = 0; i < run.positions.size(); ++i)
      ASSERT_EQ(run.positions[i].sequence.value, i + 1);
    for (int i = 0; i < 30; ++i) {
      expected.push_back(fmt::format("{} of life {}", i, life));
      ASSERT_TRUE(run.append(expected.back()));
    }
    run.log->close();
    EXPECT_EQ(run.acknowledged(), run.appended);
  }
}

TEST_F(LogTest, PositionsSayInWhichSegmentARecordIs) {
  LogRun run(config_);
  for (int i = 0; i < 20; ++i) {
    const auto position = run.append_and_wait(std::to_string(i));
    ASSERT_TRUE(position);
    const auto segments = run.log->segments();
    EXPECT_EQ(position->segment, segments.back().number);
    EXPECT_GE(position->sequence, segments.back().first_sequence);
  }
  const auto last = run.log->segments().back().number;
  run.log.reset();
  const LogRun again(config_);
  EXPECT_GT(again.positions.back().segment, last) << "the tail was written again";
  for (const auto& position : again.positions) {
    const auto segments = again.log->segments();
    EXPECT_TRUE(std::ranges::any_of(segments, [&](const auto& s) { return s.number == position.segment; }));
  }
}

TEST_F(LogTest, ARestartLoopLeavesNoTrailOfFiles) {
  make_log({"only"});
  for (int life = 0; life < 10; ++life) {
    const LogRun run(config_);
    ASSERT_EQ(run.replayed, std::vector<std::string>{"only"});
  }
  EXPECT_LE(snapshot().size(), 3U);
}

TEST_F(LogTest, RecordsOfAllSizesComeBack) {
  config_.segment_bytes = 1024 * kBlockBytes;
  std::vector<std::string> records{"", "x", std::string(kBlockBytes, 'b'), std::string(2'000'000, 'c'), ""};
  {
    LogRun run(config_);
    for (const auto& record : records)
      ASSERT_TRUE(run.append(record));
    records.emplace_back(run.log->max_payload_bytes(), 'm');
    ASSERT_TRUE(run.append(records.back()));
    EXPECT_FALSE(run.append(std::string(run.log->max_payload_bytes() + 1, 'm')));
    EXPECT_EQ(run.last_refusal->code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(run.last_refusal->effect, Effect::kNone);
    ASSERT_TRUE(run.append("after"));
    records.emplace_back("after");
  }
  const LogRun again(config_);
  EXPECT_EQ(again.replayed, records);
}

TEST_F(LogTest, TypesAndTheirOptionalBitComeBack) {
  const std::vector<RecordType> types{{1}, {kMaxRecordType}, {7, true}};
  {
    LogRun run(config_);
    for (const auto type : types)
      ASSERT_TRUE(run.log->append(type, {}, [](const auto&) {}));
  }
  std::vector<RecordType> found;
  const auto opened = Log::open({.directory = config_.directory,
                                 .identity = {{config_.cluster}, config_.owner},
                                 .replay = [&found](const RecordView& record) -> Status {
                                   found.push_back(record.type);
                                   return {};
                                 },
                                 .on_failure = {},
                                 .on_warning = {},
                                 .seed = {}});
  ASSERT_TRUE(opened);
  EXPECT_EQ(found, types);
}

TEST_F(LogTest, AnOwnerThatRefusesARecordLeavesTheDirectoryAsItWas) {
  make_log({"one", "two"});
  const auto before = snapshot();
  const auto opened = Log::open(
      {.directory = config_.directory,
       .identity = {{config_.cluster}, config_.owner},
       .replay =
           [](const RecordView&) {
             return Status(fail(ErrorCode::kInvalidArgument, Effect::kNone, "unknown record type 9"));
           },
       .on_failure = {},
       .on_warning = {},
       .seed = {}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, "unknown record type 9");
  EXPECT_EQ(snapshot(), before);
  EXPECT_EQ(LogRun(config_).replayed, (std::vector<std::string>{"one", "two"}));
}

// Group commit: what is appended while one sync runs goes into the next batch, and one sync makes it all
// durable.
TEST_F(LogTest, WhatIsAppendedDuringASyncSharesTheNextOne) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk});
  disk.hold_syncs(true);
  ASSERT_TRUE(run.append("lone"));
  ASSERT_TRUE(disk.wait_for_held_sync("/log/000000000001.txlog"));
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(run.append(std::to_string(i)));
  EXPECT_TRUE(run.acknowledged().empty()) << "nothing is acknowledged before its sync";
  disk.hold_syncs(false);
  run.log->close();
  EXPECT_EQ(run.acknowledged(), run.appended);
  const auto counters = run.log->counters();
  EXPECT_EQ(counters.records, 101U);
  EXPECT_EQ(counters.batches, 2U);
  EXPECT_EQ(counters.syncs, 2U);
  EXPECT_EQ(counters.payload_bytes, 4U + 10 + 2 * 90);
  EXPECT_EQ(counters.written_bytes, 2 * kBlockBytes);
}

// What nobody waits for costs no sync of its own where there is another.
TEST_F(LogTest, UnhurriedRecordsGoWithTheNextUrgentOne) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk});
  ASSERT_TRUE(run.append_and_wait("urgent"));
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(run.append(std::to_string(i), Urgency::kUnhurried));
  ASSERT_TRUE(run.append_and_wait("urgent too"));
  EXPECT_EQ(run.acknowledged(), run.appended);
  EXPECT_EQ(run.log->counters().records, 12U);
  // At most one more, where the machine stood still for longer than an unhurried record waits.
  EXPECT_LE(run.log->counters().syncs, 3U);
}

TEST_F(LogTest, UnhurriedRecordAloneIsDurableBeforeLong) {
  FaultyFiles disk(1);
  FaultyFiles other_disk(2);
  LogRun run({.files = &disk});
  LogRun other({.files = &other_disk});
  // Of a thread that has just begun, has just written, and rests: another log's unhurried records take the time.
  ASSERT_TRUE(run.append_and_wait("first", Urgency::kUnhurried));
  ASSERT_TRUE(run.append_and_wait("second", Urgency::kUnhurried));
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(other.append_and_wait("later", Urgency::kUnhurried));
  ASSERT_TRUE(run.append_and_wait("third", Urgency::kUnhurried));
}

TEST_F(LogTest, HurryMakesAllThatIsPendingUrgentAtOnce) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk});
  disk.hold_syncs(true);
  ASSERT_TRUE(run.append("one", Urgency::kUnhurried));
  ASSERT_TRUE(run.append("two", Urgency::kUnhurried));
  run.log->hurry();
  ASSERT_TRUE(disk.wait_for_held_sync("/log/000000000001.txlog"));
  disk.hold_syncs(false);
  run.log->close();
  EXPECT_EQ(run.acknowledged(), run.appended);
  EXPECT_EQ(run.log->counters().syncs, 1U);
  run.log->hurry();
}

TEST_F(LogTest, CloseWaitsForUnhurriedRecordsToo) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk});
  ASSERT_TRUE(run.append("last", Urgency::kUnhurried));
  run.log->close();
  EXPECT_EQ(run.acknowledged(), run.appended);
}

// A full batch is written without waiting for anything urgent.
TEST_F(LogTest, ManyUnhurriedRecordsDoNotPileUp) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk, .segment_bytes = std::uint64_t{4} << 20});
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(run.append(std::string(16'384, 'x'), Urgency::kUnhurried));
  run.log->close();
  EXPECT_EQ(run.acknowledged().size(), 200U);
}

TEST_F(LogTest, MoreThanMayWaitIsRefusedByName) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk, .segment_bytes = 64 * kBlockBytes, .max_pending_bytes = 1000});
  disk.hold_syncs(true);
  ASSERT_TRUE(run.append(std::string(900, 'x')));
  EXPECT_FALSE(run.append(std::string(100, 'y')));
  EXPECT_EQ(run.last_refusal->code, ErrorCode::kOverloaded);
  EXPECT_EQ(run.last_refusal->effect, Effect::kNone);
  EXPECT_TRUE(run.last_refusal->retryable);
  disk.hold_syncs(false);
  run.log->close();
  EXPECT_EQ(run.acknowledged().size(), 1U);
}

TEST_F(LogTest, OneRecordIsTakenWhateverTheLimit) {
  FaultyFiles disk(1);
  LogRun run({.files = &disk, .segment_bytes = 64 * kBlockBytes, .max_pending_bytes = 10});
  EXPECT_TRUE(run.append_and_wait(std::string(900, 'x')));
  EXPECT_TRUE(run.append_and_wait(std::string(900, 'y')));
}

TEST_F(LogTest, AClosedLogRefuses) {
  LogRun run(config_);
  run.log->close();
  EXPECT_FALSE(run.append("late"));
  EXPECT_EQ(run.last_refusal->code, ErrorCode::kUnavailable);
  EXPECT_FALSE(run.cut_and_wait({1}));
  run.log->close();
}

TEST_F(LogTest, CutSegmentsAreDeletedAndStayCut) {
  std::vector<std::string> kept;
  {
    LogRun run(config_);
    for (int i = 0; i < 30; ++i)
      ASSERT_TRUE(run.append_and_wait(std::to_string(i)));
    const auto segments = run.log->segments();
    ASSERT_GE(segments.size(), 4U);
    // A position inside a segment keeps that segment.
    const auto oldest = run.cut_and_wait({segments[3].first_sequence.value - 1});
    ASSERT_TRUE(oldest);
    EXPECT_EQ(*oldest, segments[2].number);
    EXPECT_EQ(run.log->segments().front().number, segments[2].number);
    EXPECT_EQ(run.log->counters().segments_deleted, 2U);
    for (auto i = segments[2].first_sequence.value; i <= 30; ++i)
      kept.push_back(std::to_string(i - 1));
    EXPECT_FALSE(snapshot().contains(segment_file_name(segments[1].number)));
    // Not even everything: the segment that is written to stays.
    ASSERT_TRUE(run.cut_and_wait({1'000'000}));
    EXPECT_EQ(run.log->segments().size(), 1U);
    const auto newest = run.log->segments().front().first_sequence.value;
    kept.clear();
    for (auto i = newest; i <= 30; ++i)
      kept.push_back(std::to_string(i - 1));
  }
  LogRun again(config_);
  EXPECT_EQ(again.replayed, kept);
  EXPECT_EQ(again.next_sequence.value, 31U);
}

TEST_F(LogTest, RecordsCopiedForwardOutliveTheirSegment) {
  {
    LogRun run(config_);
    ASSERT_TRUE(run.append_and_wait("live"));
    for (int i = 0; i < 20; ++i)
      ASSERT_TRUE(run.append_and_wait("dead"));
    ASSERT_TRUE(run.append("live"));
    const auto oldest = run.cut_and_wait(run.log->segments()[1].first_sequence);
    ASSERT_TRUE(oldest);
  }
  const LogRun again(config_);
  EXPECT_EQ(std::ranges::count(again.replayed, "live"), 1);
}

TEST_F(LogTest, ASegmentThatIsGoneWithoutACutIsMissed) {
  {
    LogRun run(config_);
    for (int i = 0; i < 30; ++i)
      ASSERT_TRUE(run.append_and_wait(std::to_string(i)));
  }
  for (const std::uint64_t number : {1U, 3U}) {
    const auto path = config_.directory + "/" + segment_file_name({number});
    std::filesystem::rename(path, root_ + "/away");
    expect_refused(ErrorCode::kCorrupt, segment_file_name({number}));
    std::filesystem::rename(root_ + "/away", path);
  }
  EXPECT_EQ(LogRun(config_).replayed.size(), 30U);
}

TEST_F(LogTest, ADirectoryInUseIsRefusedNamingTheProcess) {
  LogRun run(config_);
  const LogRun second(config_);
  ASSERT_TRUE(second.open_error);
  EXPECT_EQ(second.open_error->code, ErrorCode::kNotOwner);
  EXPECT_NE(second.open_error->message.find(fmt::format("in use by process {}", ::getpid())),
            std::string::npos)
      << second.open_error->message;
  EXPECT_TRUE(run.append_and_wait("the first is not disturbed"));
  run.log.reset();
  EXPECT_FALSE(LogRun(config_).open_error);
}

TEST_F(LogTest, TheLockOfAKilledProcessIsFree) {
  std::filesystem::create_directory(config_.directory);
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = posix_files().lock(config_.directory + "/LOCK");
    const char answer = lock ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
    while (true)
      ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  expect_refused(ErrorCode::kNotOwner, fmt::format("in use by process {}", child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  EXPECT_FALSE(LogRun(config_).open_error);
}

TEST_F(LogTest, TheLogOfAnotherClusterOrOwnerIsRefused) {
  make_log({"ours"});
  config_.cluster = "shop-abc123";
  expect_refused(ErrorCode::kNotOwner, "belongs to cluster 'bank-x7k2p9', not to 'shop-abc123'");
  config_.cluster = "bank-x7k2p9";
  config_.owner = "agent/accounts";
  expect_refused(ErrorCode::kNotOwner, "belongs to owner 'decision-store', not to 'agent/accounts'");
}

TEST_F(LogTest, ANewerFormatIsRefusedByItsVersion) {
  make_log({"one"});
  std::vector<std::byte> block(kBlockBytes);
  std::ifstream file(config_.directory + "/000000000001.txlog", std::ios::binary);
  file.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(block.size()));
  block[12] = block[14] = std::byte{9};
  const auto crc = crc32c(Bytes(block).subspan(12));
  std::memcpy(block.data() + 8, &crc, sizeof(crc));
  write_at("000000000001.txlog", 0, text_of(block));
  expect_refused(ErrorCode::kInvalidArgument, "format version 9");
}

TEST_F(LogTest, DamageIsRefusedWithItsPlace) {
  make_log({"one", "two", "three"});
  const auto intact = snapshot().at("000000000001.txlog");
  write_at("000000000001.txlog", 3 * kBlockBytes - 1, "x");
  expect_refused(ErrorCode::kCorrupt, "000000000001.txlog at offset 8192");
  write_at("000000000001.txlog", 0, intact);
  write_at("000000000001.txlog", 20, "x");
  expect_refused(ErrorCode::kCorrupt, "000000000001.txlog at offset 0");
  write_at("000000000001.txlog", 0, intact);
  EXPECT_EQ(LogRun(config_).replayed.size(), 3U);
}

TEST_F(LogTest, ASegmentThatCannotBeReadIsNamed) {
  make_log({"one"});
  std::filesystem::create_directory(config_.directory + "/000000000009.txlog");
  const LogRun run(config_);
  ASSERT_TRUE(run.open_error);
  EXPECT_EQ(run.open_error->code, ErrorCode::kIo);
  EXPECT_NE(run.open_error->message.find("cannot read " + config_.directory + "/000000000009.txlog"),
            std::string::npos)
      << run.open_error->message;
}

TEST_F(LogTest, ADirectoryThatCannotBeMadeIsNamed) {
  config_.directory = root_ + "/missing/log";
  const LogRun run(config_);
  ASSERT_TRUE(run.open_error);
  EXPECT_EQ(run.open_error->code, ErrorCode::kIo);
  EXPECT_NE(run.open_error->message.find("check the configured directory"), std::string::npos)
      << run.open_error->message;
}

TEST_F(LogTest, OptionsThatCannotBeAreRefused) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, kMinSegmentBytes - kBlockBytes, kMinSegmentBytes + 1,
                                    kMaxSegmentBytes + kBlockBytes}) {
    auto config = config_;
    config.segment_bytes = bytes;
    EXPECT_EQ(LogRun(config).open_error->code, ErrorCode::kInvalidArgument) << bytes;
  }
  for (const auto& owner :
       {std::string(), std::string("two words"), std::string(64, 'o'), std::string("tab\t")}) {
    auto config = config_;
    config.owner = owner;
    EXPECT_EQ(LogRun(config).open_error->code, ErrorCode::kInvalidArgument) << owner;
  }
  auto config = config_;
  config.cluster = "Not.A.Cluster";
  EXPECT_EQ(LogRun(config).open_error->code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(config_.directory));
}

TEST_F(LogTest, AFullFileSystemFailsTheLogAndLosesNothing) {
  const auto mount_point = root_ + "/small";
  std::filesystem::create_directory(mount_point);
  if (::mount("troth-test", mount_point.c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP()
        << "only root can mount a small file system; LogFaults.AFullDisk... shows the same in memory";
  config_.directory = mount_point + "/log";
  config_.segment_bytes = 64 * kBlockBytes;
  std::vector<std::string> acknowledged;
  {
    LogRun run(config_);
    ASSERT_FALSE(run.open_error) << run.open_error->message;
    Result<LogPosition> result;
    while (result) {
      const auto record = fmt::format("record {}", acknowledged.size());
      result = run.append_and_wait(record);
      if (result) acknowledged.push_back(record);
    }
    EXPECT_NE(result.error().message.find("disk or the quota is full"), std::string::npos)
        << result.error().message;
    EXPECT_EQ(result.error().effect, Effect::kNone);
    run.log->close();
    EXPECT_FALSE(run.warnings().empty());
    EXPECT_EQ(run.failures().size(), 1U);
  }
  EXPECT_GT(acknowledged.size(), 100U);
  {
    const LogRun full(config_);
    ASSERT_TRUE(full.open_error);
    EXPECT_NE(full.open_error->message.find("disk or the quota is full"), std::string::npos);
  }
  EXPECT_EQ(::mount("troth-test", mount_point.c_str(), "tmpfs", MS_REMOUNT, "size=8m"), 0);
  {
    const LogRun freed(config_);
    EXPECT_EQ(freed.replayed, acknowledged);
  }
  EXPECT_EQ(::umount(mount_point.c_str()), 0);
}

TEST_F(LogTest, ManyThreadsAppendAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kRecords = 500;
  config_.segment_bytes = 64 * kBlockBytes;
  std::vector<std::string> acknowledged;
  {
    LogRun run(config_);
    std::mutex mutex;
    std::vector<std::pair<std::uint64_t, std::string>> done;
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRecords; ++i) {
          const auto record = fmt::format("{} of {}", i, t);
          const auto taken =
              run.log->append({1}, bytes_of(record), [&, record](const Result<LogPosition>& result) {
                const std::lock_guard lock(mutex);
                if (result) done.emplace_back(result->sequence.value, record);
              });
          if (!taken) std::abort();
          if (i % 100 == 0) run.log->cut_below({{1}, {}});
          if (i % 50 == 0) (void)run.log->counters();
        }
      });
    }
    threads.clear();
    run.log->close();
    ASSERT_EQ(done.size(), std::size_t{kThreads} * kRecords);
    for (std::size_t i = 0; i < done.size(); ++i) {
      ASSERT_EQ(done[i].first, i + 1) << "completions come in order of sequence";
      acknowledged.push_back(done[i].second);
    }
    EXPECT_LT(run.log->counters().syncs, run.log->counters().records);
  }
  EXPECT_EQ(LogRun(config_).replayed, acknowledged);
}

}  // namespace
}  // namespace troth::txlog
