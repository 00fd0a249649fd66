// A group's logs cut below its replicas' snapshots: what a start makes of both, and disks that fail at every step.
#include <fstream>

#include <gtest/gtest.h>

#include "tests/unit/coordinator/group_teller.h"
#include "tests/unit/txlog/faulty_files.h"

namespace troth::coordinator::store {
namespace {

using namespace std::chrono_literals;
using consensus::ReplicaId;

// ---- taking and cutting

TEST(GroupSnapshots, TheLogIsCutAndAStartHasEverything) {
  GroupOnDisks group(1, always);
  Teller teller(group);
  for (int again = 0; again < 4; ++again) {
    teller.choose(60);
    // A log's oldest segment goes, so what is above it is not all.
    ASSERT_TRUE(
        group.run_until([&] { return group.store({1}).segments().front().number.value > 1U + again; }));
    EXPECT_GT(group.store({1}).snapshot_counters().taken, 0U);
    group.crash(0);
    EXPECT_GT(group.store({1}).newest_snapshot().value, 0U);
    teller.begin();
    teller.expect_all();
  }
  EXPECT_TRUE(group.warnings().empty()) << group.warnings().front();
}

// What an earlier start left unfinished goes, and not what this one begins; and what was logged before counts, also where the
// log does not know yet that it is chosen.
TEST(GroupSnapshots, OneThatIsDueAtTheStartIsTaken) {
  for (const bool knows_what_is_chosen : {false, true}) {
    bool takes = false;
    GroupOnDisks group(1, [&](GroupStoreOptions& options) {
      always(options);
      options.snapshot_after_bytes = takes ? 6 * txlog::kMinSegmentBytes : 1ULL << 40;
    });
    const auto rest = [&](Duration time) {
      const auto until = group.now() + time;
      ASSERT_TRUE(group.run_until([&] { return group.now() >= until; }));
    };
    Teller teller(group);
    teller.choose(30);
    if (knows_what_is_chosen) rest(3s);
    takes = true;
    group.crash(0);
    const auto& store = group.store({1});
    rest(1s);
    EXPECT_EQ(store.snapshot_counters().failed, 0U) << group.warnings().front();
    EXPECT_EQ(store.snapshot_counters().taken, 1U);
    teller.begin();
    teller.expect_all();
  }
}

TEST(GroupSnapshots, DiskUseStaysBoundedWhereOldDecisionsAreForgotten) {
  constexpr std::uint64_t kSegments = 8;
  txlog::FaultyFiles disk(1);
  GroupOnDisks group(1, [&](GroupStoreOptions& options) {
    with_segments(options, txlog::kMinSegmentBytes);
    options.snapshot_after_bytes = kSegments * txlog::kMinSegmentBytes;
    options.files = &disk;
  });
  Teller teller(group);
  const auto& store = group.store({1});
  std::uint64_t most = 0;
  for (int round = 0; round < 60; ++round) {
    teller.choose(20);
    teller.forget(20);
    most = std::max<std::uint64_t>(most, store.segments().size());
  }
  const auto& snapshots = store.snapshot_counters();
  const auto log = store.counters();
  EXPECT_GT(snapshots.taken, 3U);
  // 2 L, and what is logged while one is written: with segments that three decisions fill, some.
  EXPECT_LE(most, 6 * kSegments);
  EXPECT_GT(log.segments_begun, 40 * kSegments) << "of so many";
  EXPECT_LE(snapshots.bytes_written, 2 * log.written_bytes);
  teller.expect_all();
}

TEST(GroupSnapshots, AnIdleGroupsLogIsCutToo) {
  GroupOnDisks group(3, always);
  Teller teller(group);
  teller.choose(3);
  group.set_step(10ms);
  // No-ops, and what is known of the others' logs.
  const auto end = group.now() + 1min;
  ASSERT_TRUE(group.run_until([&] { return group.now() >= end; }));
  for (const auto id : {ReplicaId{1}, ReplicaId{2}, ReplicaId{3}})
    EXPECT_TRUE(group.run_until([&] { return group.store(id).segments().size() <= 6; }))
        << "of more than twenty";
  teller.expect_all();
}

// ---- starts that are refused

class Refused : public testing::Test {
 protected:
  void SetUp() override {
    Teller teller(group_);
    teller.choose(80);
    ASSERT_TRUE(group_.run_until([&] { return group_.store({1}).segments().front().number.value > 1; }));
    newest_ = snapshots() + "/" + snapshot_file_name(group_.store({1}).newest_snapshot());
    group_.stop_all();
  }
  [[nodiscard]] std::string snapshots() const { return group_.path_of({1}) + "-snapshots"; }
  // The newest, when nothing writes any more.
  [[nodiscard]] std::string newest() const {
    std::string name;
    for (const auto& entry : std::filesystem::directory_iterator(snapshots()))
      if (entry.path().extension() == ".snapshot") name = std::max(name, entry.path().string());
    return name;
  }
  void expect_refused(const std::string& what) {
    const auto status = group_.try_start({1});
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().effect, troth::Effect::kNone);
    EXPECT_NE(status.error().message.find(what), std::string::npos) << status.error().message;
  }

  GroupOnDisks group_{1, always};
  std::string newest_;
};

TEST_F(Refused, WithoutTheSnapshotThatItsLogWasCutFor) {
  std::filesystem::remove_all(snapshots());
  expect_refused("has nothing of it");
}

TEST_F(Refused, WithAnOlderSnapshotThanItsLogWasCutFor) {
  // As it was, a while ago.
  std::filesystem::copy(newest(), group_.path_of({1}) + "-old");
  const auto name = newest();
  group_.start({1});
  Teller teller(group_);
  const auto cut = group_.store({1}).segments().front().first_sequence;
  teller.choose(100);
  ASSERT_TRUE(group_.run_until(
      [&] { return group_.store({1}).segments().front().first_sequence.value > cut.value + 60; }));
  group_.stop_all();
  std::filesystem::remove_all(snapshots());
  std::filesystem::create_directory(snapshots());
  std::filesystem::copy(group_.path_of({1}) + "-old", name);
  expect_refused("has nothing of it");
}

TEST_F(Refused, WithADamagedSnapshot) {
  {
    std::fstream file(newest(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('\x55');
  }
  expect_refused("cannot be used");
  expect_refused(newest());
}

TEST_F(Refused, WithASnapshotOfAnotherName) {
  std::filesystem::rename(newest(), snapshots() + "/000000099999.snapshot");
  expect_refused("another name");
}

TEST_F(Refused, WithASnapshotAndNoLog) {
  std::filesystem::remove_all(group_.path_of({1}));
  expect_refused("no log");
}

// Killed when the snapshot that came from elsewhere had its name, and the log said nothing of it yet.
TEST(RefusedLater, WithoutASnapshotThatTheLogWasBehindOf) {
  bool takes = true;
  GroupOnDisks group(1, [&](GroupStoreOptions& options) {
    with_segments(options, txlog::kMinSegmentBytes);
    options.snapshot_after_bytes = takes ? 1 : 1ULL << 40;
  });
  {
    Teller teller(group);
    teller.choose(30);
    ASSERT_TRUE(group.run_until([&] { return group.store({1}).newest_snapshot().value > 0; }));
  }
  group.stop_all();
  takes = false;
  std::filesystem::remove_all(group.path_of({1}));
  {
    txlog::LogOptions empty;
    empty.directory = group.path_of({1});
    empty.identity = {{"bank-x7k2p9"}, kGroupLogOwner};
    ASSERT_TRUE(txlog::Log::open(std::move(empty)).has_value());
  }
  ASSERT_TRUE(group.try_start({1}).has_value());
  Teller teller(group);
  teller.choose(1);
  group.stop_all();
  std::filesystem::remove_all(group.path_of({1}) + "-snapshots");
  const auto status = group.try_start({1});
  ASSERT_FALSE(status.has_value()) << "as if there had never been anything";
  EXPECT_NE(status.error().message.find("has nothing of it"), std::string::npos) << status.error().message;
}

TEST_F(Refused, WhatIsUnfinishedIsIgnoredAndGoes) {
  constexpr auto kOver = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy(newest(), snapshots() + "/taken.new", kOver);
  std::filesystem::copy(newest(), snapshots() + "/received.new", kOver);
  group_.start({1});
  EXPECT_TRUE(group_.run_until([&] { return !std::filesystem::exists(snapshots() + "/received.new"); }));
}

// ---- disks that fail

// One replica; the disk's Nth call fails, for every N, and then the power goes. What was answered is there.
TEST(GroupSnapshots, NothingAnsweredIsLostWhateverCallOfTheDiskFails) {
  std::uint64_t calls = 0;
  std::uint64_t reached = 0;
  std::uint64_t warned = 0;
  std::uint64_t snapshots = 0;
  for (std::uint64_t nth = 1;; nth += 1 + nth / 150) {
    txlog::FaultyFiles disk(nth);
    const auto group = GroupOnDisks::asleep(1, [&](GroupStoreOptions& options) {
      always(options);
      options.files = &disk;
    });
    group->expect_failures();
    disk.fail_call(nth, nth % 2 == 0);
    std::optional<Teller> teller;
    if (group->try_start({1})) {
      teller.emplace(*group);
      teller->choose(25);
      teller->forget(10);
      teller->choose(15);
      snapshots += group->store({1}).snapshot_counters().taken;
    }
    const bool failed = disk.has_failed();
    reached += failed ? 1 : 0;
    warned += group->warnings().empty() ? 0 : 1;
    disk.stop();
    group->stop_all();
    if (nth % 3 == 0)
      disk.resume_after_kill();
    else
      disk.resume_after_power_cut();
    calls = disk.calls();
    const auto started = group->try_start({1});
    ASSERT_TRUE(started.has_value()) << "call " << nth << ": " << started.error().message;
    if (teller) {
      teller->begin();
      teller->expect_all();
      if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "call " << nth;
    }
    if (!failed) break;
  }
  EXPECT_GT(reached, 100U) << calls;
  EXPECT_GT(warned, 5U) << "no snapshot's disk failed";
  EXPECT_GT(snapshots, 100U);
}

// Killed at any call of the disk, so between a snapshot's name and its directory's sync, too; the next start cuts the log for
// the snapshot that it finds, and then the power goes, and with it every name that nobody made durable.
TEST(GroupSnapshots, NoLogIsCutForASnapshotWhoseNameIsNotDurable) {
  std::uint64_t cut = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    txlog::FaultyFiles disk(nth);
    bool takes = true;
    const auto group = GroupOnDisks::asleep(1, [&](GroupStoreOptions& options) {
      always(options);
      options.snapshot_after_bytes = takes ? 4 * txlog::kMinSegmentBytes : 1ULL << 40;
      options.files = &disk;
    });
    group->expect_failures();
    disk.fail_call(nth, true);
    std::optional<Teller> teller;
    if (group->try_start({1})) {
      teller.emplace(*group);
      teller->choose(25);
    }
    const bool failed = disk.has_failed();
    disk.stop();
    group->stop_all();
    disk.resume_after_kill();
    disk.fail_call(1ULL << 40, false);
    takes = false;
    const auto killed = group->try_start({1});
    ASSERT_TRUE(killed.has_value()) << "call " << nth << ": " << killed.error().message;
    group->wait_for_leader();
    const auto until = group->now() + 100ms;
    ASSERT_TRUE(group->run_until([&] { return group->now() >= until; }));
    cut += group->store({1}).segments().front().first_sequence.value > 1 ? 1 : 0;
    disk.stop();
    group->stop_all();
    disk.resume_without_what_was_not_synced();
    const auto started = group->try_start({1});
    ASSERT_TRUE(started.has_value()) << "call " << nth << ": " << started.error().message;
    if (teller) {
      teller->begin();
      teller->expect_all();
      if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "call " << nth;
    }
    if (!failed) break;
  }
  EXPECT_GT(cut, 5U);
}

// The power goes at any moment, again and again, with one and the same disk.
TEST(GroupSnapshots, NothingAnsweredIsLostOverManyPowerCuts) {
  txlog::FaultyFiles disk(4711);
  const auto group = GroupOnDisks::asleep(1, [&](GroupStoreOptions& options) {
    always(options);
    options.files = &disk;
  });
  group->expect_failures();
  Random random(9);
  ASSERT_TRUE(group->try_start({1}).has_value());
  Teller teller(*group);
  for (int cut = 0; cut < 60; ++cut) {
    teller.choose(random.below(20));
    if (random.one_in(4)) teller.forget(8);
    disk.fail_call(1 + random.below(60), true);
    teller.choose(random.below(20));
    disk.stop();
    group->stop_all();
    disk.resume_after_power_cut();
    disk.fail_call(1ULL << 40, false);
    const auto started = group->try_start({1});
    ASSERT_TRUE(started.has_value()) << "cut " << cut << ": " << started.error().message;
    teller.begin();
    teller.expect_all();
    ASSERT_FALSE(HasFailure()) << "cut " << cut;
  }
  EXPECT_GT(teller.won_ever(), 300U);
}

}  // namespace
}  // namespace troth::coordinator::store
