// A local store becomes a group's first snapshot: nothing is lost, and nobody decides beside it.
#include "coordinator/decision_store/runtime/local_import.h"

#include <gtest/gtest.h>

#include "coordinator/decision_store/runtime/local_store.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "tests/unit/coordinator/group_teller.h"
#include "tests/unit/txlog/faulty_files.h"

namespace troth::coordinator::store {
namespace {

using consensus::ReplicaId;

const ClusterId kCluster{"bank-x7k2p9"};
constexpr const char* kLocal = "/data/decisions";

class LocalImportTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(disk_.make_directory("/data").has_value());
    fill();
  }

  [[nodiscard]] Result<std::unique_ptr<LocalStore>> open_local() {
    LocalStoreOptions options;
    options.directory = kLocal;
    options.cluster = kCluster;
    options.segment_bytes = std::uint64_t{1} << 20;
    options.files = &disk_;
    options.post = [this](std::function<void()> work) {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(work));
      arrived_.notify_one();
    };
    options.on_answers = [this](std::vector<Answered> answers) {
      for (auto& each : answers)
        answers_.emplace(each.ticket, std::move(each.answer));
    };
    return LocalStore::open(std::move(options));
  }
  StoreAnswer ask_local(LocalStore& store, Request request) {
    const Ticket ticket{++last_};
    store.submit({{ticket, std::move(request)}});
    while (!answers_.contains(ticket)) {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] { return !posted_.empty(); });
      const auto work = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      work();
    }
    return answers_.at(ticket);
  }
  static TransactionId id(Epoch epoch, std::uint64_t sequence) {
    return {kCluster, epoch.number, {sequence}, std::nullopt};
  }
  static RequestKey key(std::uint8_t number) {
    RequestKey key{"teller", {}};
    key.id.bytes[5] = number;
    key.id.bytes[6] = 0x70;
    key.id.bytes[8] = 0x80;
    return key;
  }

  // Something of everything.
  void fill() {
    auto opened = open_local();
    ASSERT_TRUE(opened.has_value());
    auto& store = **opened;
    first_ = std::get<EpochAcquired>(ask_local(store, AcquireEpoch{{111}, {}, {500}})).epoch;
    epoch_ = std::get<EpochAcquired>(ask_local(store, AcquireEpoch{{222}, {}, {}})).epoch;
    for (std::uint64_t sequence = 1; sequence <= 40; ++sequence)
      ask_local(store, Choose{epoch_.number, CommitRecord{id(epoch_, sequence),
                                                          {{{1}, {1}}},
                                                          key(static_cast<std::uint8_t>(sequence)),
                                                          {},
                                                          {},
                                                          "t"}});
    ask_local(store, Choose{epoch_.number, PreCommitRecord{id(epoch_, 41), {{{1}, {1}}}, {}}});
    ask_local(store, Choose{epoch_.number, AbortRecord{id(epoch_, 42), {}, "no"}});
    ask_local(store, Choose{epoch_.number, BarredRecord{key(99), {}}});
    ask_local(store,
              RegisterResource{epoch_.number, {{"pg"}, {}, "postgres", "1", {"a"}, {3}, "127.0.0.1:1"}});
    ask_local(store, Resolve{epoch_.number, {id(epoch_, 7), {1}, {"pg"}, true, "lost", "ann", {}}});
    ask_local(store, End{epoch_.number, {{id(epoch_, 1), {}, false}, {id(epoch_, 30), {}, true}}});
    ask_local(store, RaiseFloors{epoch_.number, {{epoch_.number, {20}}, 10}});
    counts_ = store.record_counts();
  }

  [[nodiscard]] LocalImport import_to(const std::string& directory) {
    return {.local_directory = kLocal,
            .cluster = kCluster,
            .directory = directory,
            .first = consensus::with_majorities({{1}}),
            .segment_bytes = std::uint64_t{1} << 16,
            .files = &disk_};
  }

  void lose(const std::string& directory) {
    const auto names = disk_.list(directory).value();
    for (const auto& name : names)
      ASSERT_TRUE(disk_.remove(directory + "/" + name).has_value());
  }
  // The last byte that is not zero, in the last segment that holds more than its header.
  void damage_last_batch(const std::string& directory) {
    const auto names = disk_.list(directory).value();
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
      const auto path = directory + "/" + *name;
      auto file = disk_.open(path, txlog::OpenMode::kRead);
      std::vector<std::byte> bytes((*file)->size().value());
      ASSERT_TRUE((*file)->read_at(0, bytes).has_value());
      auto at = bytes.size();
      while (at > txlog::kBlockBytes && bytes[at - 1] == std::byte{0})
        --at;
      if (at <= txlog::kBlockBytes) continue;
      return disk_.damage(path, at - 1);
    }
    FAIL() << "no batch in " << directory;
  }

  // As a group of one, it holds what the local store held.
  void expect_group_at(const std::string& directory) {
    const auto group = GroupOnDisks::asleep(1, [&](GroupStoreOptions& options) {
      options.directory = directory;
      with_segments(options, std::uint64_t{1} << 16);
      options.files = &disk_;
    });
    const auto started = group->try_start({1});
    ASSERT_TRUE(started.has_value()) << started.error().message;
    group->wait_for_leader();
    const auto get = [&](Request request) {
      const auto ticket = group->ask(std::move(request));
      group->settle();
      return *group->answer(ticket);
    };
    EXPECT_EQ(group->store({1}).record_counts(), counts_);
    const auto acquired = std::get<EpochAcquired>(get(AcquireEpoch{{333}, {}, {}}));
    EXPECT_GT(acquired.epoch.number, epoch_.number);
    EXPECT_EQ(acquired.new_reign, first_.number);
    ASSERT_FALSE(acquired.history.empty());
    EXPECT_EQ(acquired.history.front().epoch, epoch_) << "with its nonce";
    EXPECT_EQ(acquired.floors, (Floors{{epoch_.number, {20}}, 10}));
    ASSERT_EQ(acquired.resources.size(), 1U);
    EXPECT_EQ(acquired.resources.front().number.value, 1U);
    const auto found = std::get<Found>(get(Lookup{key(7)}));
    ASSERT_TRUE(found.decision);
    EXPECT_EQ(found.decision->transaction(), id(epoch_, 7));
    EXPECT_EQ(found.decision->resolutions.size(), 1U);
    EXPECT_GT(found.prefix.position.value, 45U) << "prefixes never go back [S7]";
    EXPECT_TRUE(std::get<Found>(get(Lookup{key(99)})).barred);
    EXPECT_TRUE(std::get<Found>(get(Lookup{id(epoch_, 30)})).decision->ended->heuristic);
    EXPECT_TRUE(std::get<Found>(get(Lookup{id(epoch_, 41)})).pre_commit);
    EXPECT_FALSE(std::get<Found>(get(Lookup{id(epoch_, 1)})).decision) << "forgotten on purpose";
    EXPECT_TRUE(std::holds_alternative<Fenced>(get(Choose{epoch_.number, commit(epoch_, 50)})));
  }

  txlog::FaultyFiles disk_{3};
  Epoch first_;
  Epoch epoch_;
  Counts counts_;
  std::uint64_t last_ = 0;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
  std::map<Ticket, StoreAnswer> answers_;
};

TEST_F(LocalImportTest, EverythingComesAlongAndTheLocalStoreIsClosed) {
  const auto imported = import_local(import_to("/data/group"));
  ASSERT_TRUE(imported.has_value()) << imported.error().message;
  EXPECT_EQ(imported->counts, counts_);
  EXPECT_EQ(imported->epoch, epoch_);
  EXPECT_FALSE(imported->cut_tail);
  const auto local = open_local();
  ASSERT_FALSE(local.has_value());
  EXPECT_EQ(local.error().code, ErrorCode::kNotOwner);
  EXPECT_NE(local.error().message.find("/data/group"), std::string::npos);
  const auto again = import_local(import_to("/data/group"));
  ASSERT_FALSE(again.has_value());
  EXPECT_NE(again.error().message.find("already"), std::string::npos);
  EXPECT_EQ(import_local(import_to("/data/other")).error().code, ErrorCode::kNotOwner);
  expect_group_at("/data/group");
}

TEST_F(LocalImportTest, WhatIsInUseOrNotThereIsRefused) {
  {
    const auto local = open_local();
    ASSERT_TRUE(local.has_value());
    EXPECT_EQ(import_local(import_to("/data/group")).error().code, ErrorCode::kNotOwner);
  }
  auto nowhere = import_to("/data/group");
  nowhere.local_directory = "/data/nowhere";
  EXPECT_EQ(import_local(nowhere).error().code, ErrorCode::kInvalidArgument);
  auto foreign = import_to("/data/group");
  foreign.cluster = {"bank-zzzzzz"};
  EXPECT_FALSE(import_local(foreign).has_value());
  EXPECT_TRUE(open_local().has_value()) << "and is as good as before";
}

TEST_F(LocalImportTest, KilledAnywhereItIsTheLocalStoreOrCanBeFinished) {
  std::uint64_t still_local = 0;
  std::uint64_t finished = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    const std::string place = "/data/group" + std::to_string(nth);
    disk_.fail_call(nth, true);
    const auto imported = import_local(import_to(place));
    disk_.stop();
    if (nth % 3 == 0)
      disk_.resume_after_kill();
    else
      disk_.resume_after_power_cut();
    disk_.fail_call(1ULL << 40, false);
    if (!imported && open_local().has_value()) {
      ++still_local;
      continue;
    }
    // It is the group's, and nobody else's: the same call does what is left.
    if (!imported) {
      const auto rest = import_local(import_to(nth % 2 == 0 ? place : "/data/./" + place.substr(6) + "/"));
      EXPECT_TRUE(rest.has_value() || rest.error().message.find("already") != std::string::npos)
          << nth << ": " << rest.error().message;
    }
    ++finished;
    expect_group_at(place);
    if (imported || HasFailure()) break;
    // Another local store, for the next call.
    const auto names = disk_.list(kLocal).value();
    for (const auto& name : names)
      ASSERT_TRUE(disk_.remove(std::string(kLocal) + "/" + name).has_value());
    fill();
  }
  EXPECT_GT(still_local, 10U);
  EXPECT_GT(finished, 10U);
}

// A batch that rots behind everything else looks as if it had never been synced.
TEST_F(LocalImportTest, ARottedLastBatchDoesNotMakeItALocalStoreAgain) {
  ASSERT_TRUE(import_local(import_to("/data/group")).has_value());
  damage_last_batch(kLocal);
  const auto local = open_local();
  ASSERT_FALSE(local.has_value()) << "it decides beside the group";
  EXPECT_EQ(local.error().code, ErrorCode::kNotOwner);
  lose("/data/group");
  lose("/data/group-snapshots");
  EXPECT_EQ(import_local(import_to("/data/group")).error().code, ErrorCode::kNotOwner);
}

TEST_F(LocalImportTest, OnePlaceIsTheSameHoweverItIsSpelled) {
  ASSERT_TRUE(import_local(import_to("/data/other/../group/")).has_value());
  const auto again = import_local(import_to("/data//group"));
  ASSERT_FALSE(again.has_value());
  EXPECT_NE(again.error().message.find("already: start"), std::string::npos) << again.error().message;
  expect_group_at("/data/group");
}

// Weeks later: what the group decided since is in no local log.
TEST_F(LocalImportTest, IsNotDoneAgainWhenTheGroupHasGoneOn) {
  ASSERT_TRUE(import_local(import_to("/data/group")).has_value());
  expect_group_at("/data/group");
  lose("/data/group-snapshots");
  EXPECT_EQ(import_local(import_to("/data/group")).error().code, ErrorCode::kNotOwner) << "over its log";
  lose("/data/group");
  const auto again = import_local(import_to("/data/group"));
  ASSERT_FALSE(again.has_value()) << "the group is set back";
  EXPECT_EQ(again.error().code, ErrorCode::kNotOwner);
  EXPECT_NE(again.error().message.find("/data/group"), std::string::npos);
}

TEST(SupersededRecord, GoldenBytes) {
  const auto bytes = encode_superseded({"/g", false});
  EXPECT_EQ(bytes, std::string("\x18\x02/g\x00", 5));
  EXPECT_EQ(*decode_superseded(txlog::bytes_of(bytes)), (Superseded{"/g", false}));
  const auto made = encode_superseded({"/g", true});
  EXPECT_EQ(made, std::string("\x18\x02/g\x11\x00", 6));
  EXPECT_EQ(*decode_superseded(txlog::bytes_of(made)), (Superseded{"/g", true}));
  EXPECT_EQ(decode_superseded(txlog::bytes_of(bytes.substr(0, 3))).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(decode_superseded({}).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace troth::coordinator::store
