#include "coordinator/decision_store/runtime/local_store.h"

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <utility>

#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/unit/coordinator/store_conformance.h"
#include "tests/unit/txlog/faulty_files.h"

namespace troth::coordinator::store {
namespace {

constexpr auto kBound = std::chrono::seconds{30};

// The owner's event loop: runs what is posted, on the test's thread.
class Loop {
 public:
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    arrived_.notify_one();
  }
  // Runs what has been posted by now.
  void poll() {
    std::unique_lock lock(mutex_);
    auto posted = std::exchange(posted_, {});
    lock.unlock();
    for (auto& work : posted)
      work();
  }
  // Runs until `done`; false after the bound.
  bool run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + kBound;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::unique_lock lock(mutex_);
      if (!arrived_.wait_until(lock, deadline, [&] { return !posted_.empty(); })) return false;
      auto work = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      work();
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/troth-store-XXXXXX";
    CHECK(mkdtemp(pattern.data()) != nullptr, "no temporary directory");
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string path() const { return path_ + "/decisions"; }

 private:
  std::string path_;
};

// On the system's disk, or on another one.
class StoreOnDisk : public StoreUnderTest {
 public:
  explicit StoreOnDisk(std::uint64_t segment_bytes = std::uint64_t{1} << 20, txlog::Files* files = nullptr) {
    options_.directory = directory_.path();
    options_.cluster = {"bank-x7k2p9"};
    options_.segment_bytes = segment_bytes;
    options_.files = files;
    options_.post = [this](std::function<void()> work) { loop_.post(std::move(work)); };
    options_.on_answers = [this](std::vector<Answered> answers) {
      for (auto& answered : answers)
        ASSERT_TRUE(answers_.emplace(answered.ticket, std::move(answered.answer)).second) << "answered twice";
    };
    options_.on_failure = [this](const Error& reason) { failure_ = reason; };
    start();
  }

  Ticket ask(Request request) override {
    const Ticket ticket{++last_ticket_};
    std::vector<Asked> requests;
    requests.push_back({ticket, std::move(request)});
    store_->submit(std::move(requests));
    return ticket;
  }
  void settle() override {
    ASSERT_TRUE(loop_.run_until([&] { return answers_.size() + lost_ == last_ticket_; }))
        << "answers are missing";
  }
  std::optional<StoreAnswer> answer(Ticket ticket) override {
    const auto at = answers_.find(ticket);
    return at == answers_.end() ? std::nullopt : std::optional{at->second};
  }
  // Asked since the last start, and not answered.
  [[nodiscard]] bool is_waiting(Ticket ticket) const {
    return !answers_.contains(ticket) && ticket.value > asked_before_start_;
  }
  // The log writes everything before it lets go, so an end without power loss keeps what was under way.
  void crash(std::size_t) override {
    store_.reset();
    lost_ = last_ticket_ - answers_.size();
    asked_before_start_ = last_ticket_;
    start();
  }

  LocalStore& store() { return *store_; }
  Loop& loop() { return loop_; }
  const std::optional<Error>& failure() const { return failure_; }
  [[nodiscard]] std::string directory() const { return directory_.path(); }
  [[nodiscard]] std::size_t segment_files() const {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory()))
      files += entry.path().extension() == ".txlog" ? 1 : 0;
    return files;
  }
  void close() { store_.reset(); }
  LocalStoreOptions& options() { return options_; }
  [[nodiscard]] Result<std::unique_ptr<LocalStore>> open_again(ClusterId cluster) {
    auto options = options_;
    options.cluster = std::move(cluster);
    return LocalStore::open(std::move(options));
  }
  void start() {
    auto opened = LocalStore::open(options_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }

 private:
  TemporaryDirectory directory_;
  Loop loop_;
  LocalStoreOptions options_;
  std::unique_ptr<LocalStore> store_;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t asked_before_start_ = 0;
  std::map<Ticket, StoreAnswer> answers_;
  std::optional<Error> failure_;
};

Epoch acquire(StoreOnDisk& store) {
  const auto ticket = store.ask(AcquireEpoch{{1}, {}, {}});
  store.settle();
  return std::get<EpochAcquired>(*store.answer(ticket)).epoch;
}

CommitRecord numbered_commit(Epoch epoch, std::uint64_t sequence) {
  return {{{"bank-x7k2p9"}, epoch.number, {sequence}, std::nullopt}, {}, std::nullopt, {}, {}, ""};
}

// On a disk whose syncs wait until the test settles the store, and that can lose what they wait for.
class StoreOnAHeldDisk : public StoreOnDisk {
 public:
  explicit StoreOnAHeldDisk(std::unique_ptr<txlog::FaultyFiles> disk)
      : StoreOnDisk(std::uint64_t{1} << 20, disk.get()), disk_(std::move(disk)) {
    disk_->hold_syncs(true);
  }
  ~StoreOnAHeldDisk() override {
    disk_->hold_syncs(false);
    close();
  }

  void settle() override {
    disk_->hold_syncs(false);
    StoreOnDisk::settle();
    disk_->hold_syncs(true);
  }
  // Looks when the log can do no more by itself: an answer that came too early is there by then.
  std::optional<StoreAnswer> answer(Ticket ticket) override {
    loop().poll();
    if (is_waiting(ticket)) {
      EXPECT_TRUE(disk_->wait_for_held_sync(directory() + "/000000000001.txlog")) << "nothing is written";
      loop().poll();
    }
    return StoreOnDisk::answer(ticket);
  }
  void crash(std::size_t surviving) override {
    if (surviving == 0) disk_->stop();
    disk_->hold_syncs(false);
    close();
    if (surviving == 0) disk_->resume_without_what_was_not_synced();
    StoreOnDisk::crash(surviving);
    disk_->hold_syncs(true);
  }

 private:
  std::unique_ptr<txlog::FaultyFiles> disk_;
};

const StoreKind kOnDisk{"OnTheSystemsDisk", [] { return std::make_unique<StoreOnDisk>(); }};
const StoreKind kOnAHeldDisk{
    "OnAHeldDisk",
    [] { return std::make_unique<StoreOnAHeldDisk>(std::make_unique<txlog::FaultyFiles>(7)); }};
const StoreKind kInSmallSegments{"InSmallSegments",
                                 [] { return std::make_unique<StoreOnDisk>(std::uint64_t{64} << 10); }};

INSTANTIATE_TEST_SUITE_P(LocalStore, StoreConformance, testing::Values(kOnDisk, kOnAHeldDisk), name_of_kind);
INSTANTIATE_TEST_SUITE_P(LocalStore, StoreThatLosesWrites, testing::Values(kOnAHeldDisk), name_of_kind);

class LocalStoreOnly : public StoreConformance {
 protected:
  StoreOnDisk& local() { return static_cast<StoreOnDisk&>(*store_); }
};
INSTANTIATE_TEST_SUITE_P(LocalStore, LocalStoreOnly, testing::Values(kInSmallSegments), name_of_kind);

TEST_P(LocalStoreOnly, TheLogStaysBoundedWhileTransactionsComeAndGo) {
  const auto epoch = reign();
  const auto open_for_ever = id(epoch, 1);
  get<Won>(Choose{epoch.number, commit(open_for_ever, key(5))});
  std::uint64_t next = 2;
  for (int round = 0; round < 60; ++round) {
    std::vector<EndedRecord> ended;
    for (int i = 0; i < 100; ++i, ++next) {
      store_->ask(Choose{epoch.number, commit(id(epoch, next), key(next))});
      ended.push_back({id(epoch, next), wall(1), false});
    }
    store_->settle();
    get<EndRecorded>(End{epoch.number, ended});
    get<FloorsRaised>(RaiseFloors{epoch.number, {{epoch.number, {next - 50}}, next - 50}});
  }
  EXPECT_GT(local().store().counters().segments_begun, 10U) << "or there was nothing to clean";
  EXPECT_TRUE(local().loop().run_until([&] { return local().segment_files() <= 8; }))
      << local().segment_files() << " segments are left";
  store_->crash(0);
  EXPECT_TRUE(get<Found>(Lookup{open_for_ever}).decision) << "open records outlive every cleaning";
  EXPECT_EQ(get<Listed>(List{}).decisions.size(), 1U);
  EXPECT_EQ(local().store().record_counts(), (Counts{1, 50, 0}));
}

TEST_P(LocalStoreOnly, ADirectoryInUseOrOfAnotherClusterIsRefusedByName) {
  const auto in_use = local().open_again({"bank-x7k2p9"});
  ASSERT_FALSE(in_use);
  EXPECT_EQ(in_use.error().code, ErrorCode::kNotOwner);
  local().close();
  const auto other = local().open_again({"shop-aaaaaa"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().effect, Effect::kNone);
  EXPECT_NE(other.error().message.find("shop-aaaaaa"), std::string::npos) << other.error().message;
}

// Cleaning is housekeeping: while the disk is slow, it has no more waiting for it than one step, and the store
// does not come to its end by it.
TEST(LocalStoreOnAFaultyDisk, CleaningWaitsForASlowDisk) {
  txlog::FaultyFiles files(7);
  StoreOnDisk store(std::uint64_t{1} << 20, &files);
  store.close();
  store.options().segments_kept = 1000;
  store.start();
  const auto epoch = acquire(store);
  // A first segment full of what lives, and many behind it of what does not.
  std::uint64_t next = 0;
  const auto fill_segments = [&](std::uint64_t segments, bool ended) {
    const auto enough = store.store().counters().segments_begun + segments;
    while (store.store().counters().segments_begun < enough) {
      std::vector<EndedRecord> ends;
      files.hold_syncs(true);  // few batches, so that the records fill the segments and not padding
      for (int i = 0; i < 1000; ++i) {
        auto commit = numbered_commit(epoch, ++next);
        commit.label = "a label of some size";
        if (ended) ends.push_back({commit.transaction, {}, false});
        store.ask(Choose{epoch.number, std::move(commit)});
      }
      if (ended) store.ask(End{epoch.number, std::move(ends)});
      files.hold_syncs(false);
      store.settle();
    }
  };
  fill_segments(1, false);
  const auto alive = next;
  fill_segments(10, true);
  store.ask(RaiseFloors{epoch.number, {{epoch.number, {next + 1}}, 0}});
  store.settle();
  ASSERT_GT(alive, 4096U) << "one step copies them all";

  store.close();
  store.options().segments_kept = 2;
  store.options().max_pending_bytes = std::uint64_t{900} << 10;  // less than what lives in the first segment
  store.start();
  files.hold_syncs(true);
  for (int i = 0; i < 1000; ++i)
    store.ask(Choose{epoch.number, numbered_commit(epoch, ++next)});
  ASSERT_TRUE(store.loop().run_until([&, turns = 0]() mutable {
    store.loop().post([] {});
    return ++turns > 1000;
  }));
  EXPECT_FALSE(store.failure()) << store.failure()->message;
  files.hold_syncs(false);
  store.settle();
  const auto segments = [&] { return store.store().counters().segments_deleted; };
  EXPECT_TRUE(store.loop().run_until([&] {
    store.loop().post([] {});
    return segments() >= 5;
  })) << "it does not go on";
  EXPECT_FALSE(store.failure());
  EXPECT_EQ(store.store().record_counts().open, alive + 1000);
}

TEST(LocalStoreOnAFaultyDisk, WhatIsChosenWhileOneSyncRunsSharesTheNext) {
  txlog::FaultyFiles files(7);
  StoreOnDisk store(std::uint64_t{1} << 20, &files);
  const auto epoch = acquire(store);
  const auto before = store.store().counters().syncs;
  files.hold_syncs(true);
  store.ask(Choose{epoch.number, numbered_commit(epoch, 1)});
  ASSERT_TRUE(files.wait_for_held_sync(store.directory() + "/000000000001.txlog"));
  for (std::uint64_t i = 2; i <= 500; ++i)
    store.ask(Choose{epoch.number, numbered_commit(epoch, i)});
  files.hold_syncs(false);
  store.settle();
  EXPECT_EQ(store.store().counters().syncs - before, 2U);
}

// [S6] A failed sync: what waits, and all that comes later, is unknown; the owner is told once.
TEST(LocalStoreOnAFaultyDisk, AFailedSyncMakesEverythingUnknownAndANewStartFindsOut) {
  txlog::FaultyFiles files(7);
  StoreOnDisk store(std::uint64_t{1} << 20, &files);
  const auto epoch = acquire(store);
  files.fail_syncs(true);
  const auto choose = store.ask(Choose{epoch.number, numbered_commit(epoch, 1)});
  store.settle();
  EXPECT_TRUE(std::holds_alternative<Unknown>(*store.answer(choose)));
  ASSERT_TRUE(store.loop().run_until([&] { return store.failure().has_value(); }));
  const auto look = store.ask(Lookup{numbered_commit(epoch, 1).transaction});
  store.settle();
  EXPECT_TRUE(std::holds_alternative<Unknown>(*store.answer(look))) << "also what needs no write";
  files.fail_syncs(false);
  store.crash(0);
  const auto again = store.ask(Lookup{numbered_commit(epoch, 1).transaction});
  store.settle();
  EXPECT_TRUE(std::holds_alternative<Found>(*store.answer(again)));
}

// [S4] The power goes while chooses are under way: whatever was answered before is there afterwards.
TEST(LocalStoreOnAFaultyDisk, WhatWasAnsweredSurvivesEveryPowerCut) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    txlog::FaultyFiles files(seed);
    StoreOnDisk store(std::uint64_t{64} << 10, &files);
    const auto epoch = acquire(store);
    std::vector<Ticket> tickets;
    for (std::uint64_t i = 1; i <= 200; ++i)
      tickets.push_back(store.ask(Choose{epoch.number, numbered_commit(epoch, i)}));
    const auto answered = [&](std::size_t n) { return store.answer(tickets[n]).has_value(); };
    ASSERT_TRUE(store.loop().run_until([&] { return answered(seed * 3); }));
    files.stop();
    store.close();
    files.resume_after_power_cut();
    store.start();
    for (std::uint64_t i = 1; i <= 200; ++i) {
      if (!answered(i - 1)) continue;
      const auto look = store.ask(Lookup{numbered_commit(epoch, i).transaction});
      ASSERT_TRUE(store.loop().run_until([&] { return store.answer(look).has_value(); }));
      EXPECT_TRUE(std::get<Found>(*store.answer(look)).decision) << "seed " << seed << ", choose " << i;
    }
  }
}

}  // namespace
}  // namespace troth::coordinator::store
