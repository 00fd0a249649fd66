// Replicas that lag further behind than entries reach: they get another one's snapshot, whatever happens on the way.
#include <gtest/gtest.h>

#include "coordinator/decision_store/runtime/snapshot_file.h"
#include "tests/unit/coordinator/group_teller.h"
#include "tests/unit/txlog/faulty_files.h"

namespace troth::coordinator::store {
namespace {

using namespace std::chrono_literals;
using consensus::ReplicaId;

constexpr ReplicaId kThird{3};

// A group whose third replica knows nothing of what was decided lately, and will not hear it entry by entry.
class CatchingUp : public testing::Test {
 protected:
  void SetUp() override {
    teller_.choose(5);
    group_.transfer_lead_from(kThird);
    group_.stop(kThird);
    teller_.begin();
    teller_.choose(100);
  }
  void expect_caught_up() {
    ASSERT_TRUE(group_.run_until([&] { return has_applied_all(group_, kThird); }));
    teller_.expect_all();
  }
  // Chunks that came to the third so far.
  void count_chunks() {
    group_.watch([this](GroupOnDisks::Sent& sent) {
      if (is_chunk(sent)) ++chunks_;
      return 1;
    });
  }
  static bool is_chunk(const GroupOnDisks::Sent& sent) {
    if (!is_snapshot_message(sent.bytes)) return false;
    const auto message = decode_snapshot_message(sent.bytes);
    return message && std::holds_alternative<ChunkSent>(*message);
  }
  const SnapshotCounters& counters() { return group_.store(kThird).snapshot_counters(); }

  GroupOnDisks group_{3, always_and_forgetful};
  Teller teller_{group_};
  int chunks_ = 0;
};

TEST_F(CatchingUp, GetsASnapshotThenEntries) {
  count_chunks();
  group_.start(kThird);
  expect_caught_up();
  EXPECT_GT(counters().received, 0U);
  EXPECT_EQ(counters().failed, 0U);
  EXPECT_GE(chunks_, 5);
  EXPECT_TRUE(group_.warnings().empty()) << group_.warnings().front();

  // It votes, leads, and starts again with what it got.
  const auto other = group_.leader();
  group_.stop(kThird);
  group_.start(kThird);
  expect_caught_up();
  group_.stop(other);
  teller_.begin();
  teller_.choose(20);
  teller_.expect_all();
  ASSERT_TRUE(group_.run_until([&] {
    const auto leader = group_.leader();
    if (leader.value != 0 && leader != kThird) group_.store(leader).transfer_to(kThird);
    return leader == kThird;
  }));
  teller_.begin();
  teller_.choose(5);
  teller_.expect_all();
}

// What cannot be read is offered to nobody again: another one is taken, also where nothing was decided since.
TEST(CatchingUpFromABadDisk, GetsANewSnapshot) {
  bool takes = true;
  GroupOnDisks group(3, [&](GroupStoreOptions& options) {
    always_and_forgetful(options);
    if (!takes) options.snapshot_after_bytes = 1ULL << 40;
  });
  Teller teller(group);
  teller.choose(5);
  group.transfer_lead_from(kThird);
  group.stop(kThird);
  teller.begin();
  teller.choose(100);
  takes = false;
  group.crash_all_but(kThird);
  teller.begin();
  for (const ReplicaId source : {ReplicaId{1}, ReplicaId{2}})
    for (const auto& entry : std::filesystem::directory_iterator(group.path_of(source) + "-snapshots"))
      if (entry.path().extension() == ".snapshot") std::filesystem::resize_file(entry.path(), 4096);
  group.start(kThird);
  EXPECT_TRUE(group.run_until([&] { return has_applied_all(group, kThird); }));
  EXPECT_GT(group.store(kThird).snapshot_counters().received, 0U);
  ASSERT_FALSE(group.warnings().empty());
  EXPECT_NE(group.warnings().front().find("cannot be read back"), std::string::npos)
      << group.warnings().front();
  teller.expect_all();
}

// Another disk under the old name: it learns, and has no vote.
TEST_F(CatchingUp, AWipedReplicaLearnsEverythingAndDoesNotVote) {
  group_.wipe(kThird);
  group_.start(kThird);
  expect_caught_up();
  EXPECT_GT(counters().received, 0U);
  EXPECT_NE(group_.store(kThird).log().standing(), consensus::Standing::State::kVoting);
}

TEST_F(CatchingUp, MessagesThatAreLostDoubledLateOrDamagedChangeNothing) {  // [T10]
  Random random(17);
  std::vector<GroupOnDisks::Sent> late;
  int damaged = 0;
  group_.watch([&](GroupOnDisks::Sent& sent) {
    if (!is_snapshot_message(sent.bytes)) return 1;
    switch (random.below(6)) {
      case 0: return 0;
      case 1: return 2;
      case 2: late.push_back(sent); return 0;
      case 3:
        ++damaged;
        sent.bytes[random.below(sent.bytes.size())] ^= static_cast<char>(1 << random.below(8));
        return 1;
      default: return 1;
    }
  });
  group_.start(kThird);
  ASSERT_TRUE(group_.run_until([&] {
    if (!late.empty() && random.one_in(20)) {
      const auto at = late.begin() + static_cast<std::ptrdiff_t>(random.below(late.size()));
      if (group_.is_up(at->to)) std::ignore = group_.store(at->to).receive(at->from, at->bytes);
      late.erase(at);
    }
    return has_applied_all(group_, kThird);
  }));
  EXPECT_GT(damaged, 0);
  EXPECT_GT(counters().received, 0U);
  teller_.expect_all();
  // And what comes later still.
  for (const auto& sent : late)
    if (group_.is_up(sent.to)) std::ignore = group_.store(sent.to).receive(sent.from, sent.bytes);
  teller_.choose(5);
  expect_caught_up();
}

TEST_F(CatchingUp, TheLeaderGoesInTheMiddleAndAnotherGivesTheRest) {
  count_chunks();
  const auto source = group_.leader();
  group_.start(kThird);
  ASSERT_TRUE(group_.run_until([&] { return chunks_ >= 3; }));
  ASSERT_EQ(counters().received, 0U);
  group_.stop(source);
  // Two of three, and one of them knows next to nothing: it leads only when it has caught up [C4].
  teller_.begin();
  group_.start(source);
  expect_caught_up();
}

TEST_F(CatchingUp, ARestartInTheMiddleBeginsAnew) {
  count_chunks();
  group_.start(kThird);
  for (int again = 1; again <= 3; ++again) {
    ASSERT_TRUE(group_.run_until([&] { return chunks_ >= 3 * again; }));
    group_.stop(kThird);
    group_.start(kThird);
  }
  expect_caught_up();
  EXPECT_GT(counters().received, 0U);
}

TEST_F(CatchingUp, TheSourceStartsAgainAndGivesTheRest) {
  count_chunks();
  group_.start(kThird);
  ASSERT_TRUE(group_.run_until([&] { return chunks_ >= 3; }));
  const auto source = group_.leader();
  group_.stop(source);
  group_.start(source);
  teller_.begin();
  expect_caught_up();
}

// Whatever call of the laggard's disk fails, and then the power goes: another start catches up.
TEST(CatchingUpOnABadDisk, NothingIsBelievedThatIsNotWhole) {
  std::uint64_t refused = 0;
  std::uint64_t received = 0;
  txlog::FaultyFiles disk(99);
  GroupOnDisks group(3, [&](GroupStoreOptions& options) {
    always_and_forgetful(options);
    options.limits.kept_behind_snapshot_bytes = options.limits.kept_bytes;
    if (options.self == kThird) options.files = &disk;
  });
  group.expect_failures();
  Teller teller(group);
  for (std::uint64_t nth = 1; nth < 260; nth += 7) {
    group.transfer_lead_from(kThird);
    group.stop(kThird);
    teller.begin();
    teller.choose(12);
    // Which call is the Nth of all depends on the threads; of the snapshots' own, one fails for certain.
    const bool at_snapshots = nth % 3 == 0;
    if (at_snapshots)
      disk.fail_call_at("-snapshots/", nth / 7 % 20 + 1, nth % 2 == 0);
    else
      disk.fail_call(nth, nth % 2 == 0);
    const auto started = group.try_start(kThird);
    const auto bound = group.now() + 3s;
    if (started) {
      ASSERT_TRUE(group.run_until(
          [&] { return disk.has_failed() || has_applied_all(group, kThird) || group.now() >= bound; }));
      received += group.store(kThird).snapshot_counters().received;
    }
    disk.stop();
    group.stop(kThird);
    disk.resume_after_power_cut();
    disk.fail_call(1ULL << 40, false);
    const auto again = group.try_start(kThird);
    ASSERT_TRUE(again.has_value()) << "call " << nth << ": " << again.error().message;
    teller.begin();
    ASSERT_TRUE(group.run_until([&] { return has_applied_all(group, kThird); })) << "call " << nth;
    received += group.store(kThird).snapshot_counters().received;
    refused += group.warnings().size();
  }
  teller.expect_all();
  EXPECT_GT(received, 10U);
  EXPECT_GT(refused, 0U) << "no snapshot's disk failed";
}

// One that joined when the others had cut their logs long ago.
TEST(CatchingUpAsALearner, HasEverything) {
  constexpr ReplicaId kLearner{4};
  GroupOnDisks group(3, [&](GroupStoreOptions& options) {
    always_and_forgetful(options);
    options.first.learners = {kLearner};
  });
  Teller teller(group);
  teller.choose(120);
  group.start(kLearner);
  ASSERT_TRUE(group.run_until([&] { return has_applied_all(group, kLearner); }));
  EXPECT_GT(group.store(kLearner).snapshot_counters().received, 0U);
  group.stop(kLearner);
  teller.choose(40);
  group.start(kLearner);
  ASSERT_TRUE(group.run_until([&] { return has_applied_all(group, kLearner); }));
  EXPECT_EQ(group.store(kLearner).log().membership().newest().learners, consensus::Replicas{kLearner});
}

// What is decided while a snapshot is taken and fetched is more than is kept for whoever lags; but for one that fetches it.
TEST(CatchingUpUnderLoad, TakesFewSnapshots) {
  GroupOnDisks group(3, [](GroupStoreOptions& options) {
    always_and_forgetful(options);
    options.chunk_bytes = 150;
  });
  Teller teller(group);
  group.transfer_lead_from(kThird);
  group.stop(kThird);
  teller.begin();
  teller.choose(60);
  group.start(kThird);
  // It hears with the next entry that the last one is chosen.
  const auto is_close = [&] {
    return group.store(kThird).log().chosen().value + 2 >= group.store(group.leader()).log().chosen().value;
  };
  while (!is_close() && teller.won_ever() < 1500) {
    teller.choose(10);
    const auto next = group.now() + 2ms;
    ASSERT_TRUE(group.run_until([&] { return group.now() >= next; }));
  }
  EXPECT_LT(teller.won_ever(), 1500U) << "it never does";
  const auto& counters = group.store(kThird).snapshot_counters();
  EXPECT_GT(counters.received, 0U);
  EXPECT_LE(counters.received, 3U) << "one after the other";
  ASSERT_TRUE(group.run_until([&] { return has_applied_all(group, kThird); }));
  teller.expect_all();
}

// ---- what is none of ours

class Stranger : public testing::Test {
 protected:
  static constexpr ReplicaId kFrom{2};

  static std::string snapshot(const ClusterId& cluster, consensus::Slot slot, std::uint64_t salt) {
    txlog::FaultyFiles disk(1);
    EXPECT_TRUE(disk.make_directory("/data").has_value());
    auto writer = SnapshotWriter::begin(disk, "/data/s", cluster, salt);
    EXPECT_TRUE((*writer)->end(slot, {{{1}, consensus::with_majorities({{1}})}}).has_value());
    std::string bytes((*writer)->bytes(), '\0');
    auto file = disk.open("/data/s", txlog::OpenMode::kRead);
    EXPECT_TRUE((*file)->read_at(0, std::as_writable_bytes(std::span(bytes))).has_value());
    return bytes;
  }
  // Offered as this, in one chunk.
  void give(const SnapshotName& name, const ClusterId& cluster, const std::string& bytes) {
    auto& store = group_.store({1});
    ASSERT_TRUE(store.receive(kFrom, encode_snapshot_message(SnapshotOffered{name, bytes.size(), cluster}))
                    .has_value());
    ASSERT_TRUE(store.receive(kFrom, encode_snapshot_message(ChunkSent{name, 0, bytes})).has_value());
  }
  void expect_refused(const std::string& what) {
    const auto before = group_.warnings().size();
    ASSERT_TRUE(group_.run_until([&] { return group_.warnings().size() > before; }));
    EXPECT_NE(group_.warnings().back().find(what), std::string::npos) << group_.warnings().back();
    const auto left = group_.path_of({1}) + "-snapshots/received.new";
    EXPECT_TRUE(group_.run_until([&] { return !std::filesystem::exists(left); }))
        << "its space is free again";
    teller_.choose(3);
    teller_.expect_all();
    EXPECT_EQ(group_.store({1}).snapshot_counters().received, 0U);
    group_.crash(0);
    teller_.begin();
    teller_.expect_all();
  }

  GroupOnDisks group_{1, always};
  Teller teller_{group_};
};

TEST_F(Stranger, AnotherGroupsSnapshotIsNotTaken) {
  give({{100'000}, 5}, {"bank-zzzzzz"}, snapshot({"bank-zzzzzz"}, {100'000}, 5));
  // Not even under the own name.
  give({{100'000}, 5}, {"bank-x7k2p9"}, snapshot({"bank-zzzzzz"}, {100'000}, 5));
  expect_refused("bank-zzzzzz");
}

TEST_F(Stranger, ADamagedOneIsNotTaken) {
  auto bytes = snapshot({"bank-x7k2p9"}, {100'000}, 5);
  bytes[5000] ^= 1;
  give({{100'000}, 5}, {"bank-x7k2p9"}, bytes);
  expect_refused("cannot be used");
}

TEST_F(Stranger, OneOfAnotherSlotThanOfferedIsNotTaken) {
  give({{100'000}, 5}, {"bank-x7k2p9"}, snapshot({"bank-x7k2p9"}, {99'999}, 5));
  expect_refused("was offered");
}

}  // namespace
}  // namespace troth::coordinator::store
