// Replicas with logs on the system's disk, in one process: the network is a queue, the clock is the test's.
#include "coordinator/decision_store/runtime/group_store.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/unit/coordinator/store_conformance.h"

namespace troth::coordinator::store {
namespace {

using namespace std::chrono_literals;
using consensus::ReplicaId;

class GroupOnDisks : public StoreUnderTest {
 public:
  explicit GroupOnDisks(std::uint32_t replicas) {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/troth-group-XXXXXX";
    CHECK(mkdtemp(pattern.data()) != nullptr, "no temporary directory");
    directory_ = pattern;
    for (std::uint32_t id = 1; id <= replicas; ++id)
      voters_.insert({id});
    for (const auto id : voters_)
      start(id);
    wait_for_leader();
  }
  ~GroupOnDisks() override {
    nodes_.clear();
    std::filesystem::remove_all(directory_);
  }

  Ticket ask(Request request) override {
    const Ticket ticket{++last_ticket_};
    unanswered_.insert(ticket);
    nodes_.at(leader()).store->submit({{ticket, std::move(request)}});
    return ticket;
  }
  void settle() override {
    EXPECT_TRUE(run_until([&] { return unanswered_.empty(); }));
  }
  std::optional<StoreAnswer> answer(Ticket ticket) override {
    const auto found = answers_.find(ticket);
    return found == answers_.end() ? std::nullopt : std::optional(found->second);
  }
  // The system's own disks keep everything, once it is on them.
  void crash(std::size_t) override {
    for (auto& sent : std::exchange(network_, {}))
      EXPECT_TRUE(nodes_.at(sent.to).store->receive(sent.from, sent.bytes).has_value());
    nodes_.clear();
    network_.clear();
    unanswered_.clear();
    for (const auto id : voters_)
      start(id);
    wait_for_leader();
  }

  void stop(ReplicaId id) {
    nodes_.erase(id);
    for (auto& [other, node] : nodes_)
      node.store->peer_lost(id);
  }
  void start(ReplicaId id) {
    auto& node = nodes_[id];
    GroupStoreOptions options;
    options.directory = directory_ + "/" + std::to_string(id.value);
    options.cluster = {"bank-x7k2p9"};
    options.segment_bytes = std::uint64_t{1} << 20;
    options.self = id;
    options.first = consensus::with_majorities(voters_);
    options.start = {++starts_};
    options.seed = starts_;
    options.post = [this](std::function<void()> work) {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(work));
      arrived_.notify_one();
    };
    options.now = [this] { return now_; };
    options.wake_at = [&node](Instant at) { node.wake_at = at; };
    options.send = [this, id](ReplicaId to, std::string bytes) {
      network_.push_back({id, to, std::move(bytes)});
    };
    options.on_answers = [this](std::vector<Answered> answers) {
      for (auto& each : answers) {
        unanswered_.erase(each.ticket);
        EXPECT_TRUE(answers_.emplace(each.ticket, std::move(each.answer)).second) << "answered twice";
      }
    };
    options.on_failure = [](const Error& reason) { ADD_FAILURE() << reason.message; };
    auto opened = GroupStore::open(std::move(options));
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    node.store = std::move(*opened);
  }

  [[nodiscard]] ReplicaId leader() const {
    for (const auto& [id, node] : nodes_)
      if (node.store->log().is_leading()) return id;
    return {};
  }
  [[nodiscard]] GroupStore& store(ReplicaId id) { return *nodes_.at(id).store; }
  bool run_until(const std::function<bool()>& holds) {
    const auto bound = std::chrono::steady_clock::now() + 30s;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > bound) return false;
      turn();
    }
    return true;
  }

 private:
  struct Node {
    std::unique_ptr<GroupStore> store;
    Instant wake_at = Instant::max();
  };
  struct Sent {
    ReplicaId from;
    ReplicaId to;
    std::string bytes;
  };

  void wait_for_leader() {
    EXPECT_TRUE(run_until([&] { return leader().value != 0; }));
  }

  // What was posted, then what was sent; and where there is neither, and no disk is at work, time goes on: however slow
  // the machine is, no replica takes another's disk for dead.
  void turn() {
    std::unique_lock lock(mutex_);
    if (posted_.empty() && network_.empty()) {
      if (std::ranges::all_of(nodes_,
                              [](const auto& each) { return each.second.store->log().is_all_durable(); }))
        now_ += 1ms;
      else
        arrived_.wait_for(lock, 1ms);
    }
    auto posted = std::exchange(posted_, {});
    lock.unlock();
    for (auto& work : posted)
      work();
    for (auto& sent : std::exchange(network_, {})) {
      const auto to = nodes_.find(sent.to);
      if (to == nodes_.end()) continue;
      const auto received = to->second.store->receive(sent.from, sent.bytes);
      EXPECT_TRUE(received.has_value());
    }
    for (auto& [id, node] : nodes_)
      if (now_ >= node.wake_at) node.store->tick();
  }

  std::string directory_;
  consensus::Replicas voters_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
  std::deque<Sent> network_;
  Instant now_{1h};
  std::map<ReplicaId, Node> nodes_;
  std::map<Ticket, StoreAnswer> answers_;
  std::set<Ticket> unanswered_;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t starts_ = 0;
};

const StoreKind kOne{"OneReplica", [] { return std::make_unique<GroupOnDisks>(1); }};
const StoreKind kThree{"ThreeReplicas", [] { return std::make_unique<GroupOnDisks>(3); }};
INSTANTIATE_TEST_SUITE_P(GroupStore, StoreConformance, testing::Values(kOne, kThree), name_of_kind);
// Disks that lose what is under way are the simulated ones of group_engine_test.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreThatLosesWrites);

CommitRecord commit(Epoch epoch, std::uint64_t sequence) {
  return {{{"bank-x7k2p9"}, epoch.number, {sequence}, std::nullopt}, {{{1}, {1}}}, std::nullopt, {}, {}, ""};
}

// The leader goes; another one has everything that was answered, and fences what the first one began.
TEST(GroupStore, LosesAReplicaAndNoDecision) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  std::vector<Ticket> tickets;
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence)
    tickets.push_back(group.ask(Choose{epoch.number, commit(epoch, sequence)}));
  group.settle();
  for (const auto ticket : tickets)
    EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(ticket)));

  const auto first = group.leader();
  group.stop(first);
  ASSERT_TRUE(group.run_until([&] { return group.leader().value != 0; }));
  const auto next_ticket = group.ask(AcquireEpoch{{2}, {}, {}});
  group.settle();
  const auto& next = std::get<EpochAcquired>(*group.answer(next_ticket));
  EXPECT_GT(next.epoch.number, epoch.number);
  EXPECT_EQ(next.counts.open, 200U);
  const auto late = group.ask(Choose{epoch.number, commit(epoch, 201)});
  group.settle();
  EXPECT_TRUE(std::holds_alternative<Fenced>(*group.answer(late)));

  // What comes back catches up.
  group.start(first);
  EXPECT_TRUE(group.run_until([&] { return group.store(first).record_counts().open == 200; }));
}

TEST(GroupStore, LeadIsHandedOverWithoutAnUnknownAnswer) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  const auto first = group.leader();
  std::vector<Ticket> tickets;
  for (std::uint64_t sequence = 1; sequence <= 50; ++sequence)
    tickets.push_back(group.ask(Choose{epoch.number, commit(epoch, sequence)}));
  group.store(first).transfer_to({first.value % 3 + 1});
  ASSERT_TRUE(group.run_until([&] { return group.leader() == ReplicaId{first.value % 3 + 1}; }));
  group.settle();
  for (const auto ticket : tickets)
    EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(ticket)));
}

// In the log it would stop every replica, at every start.
TEST(GroupStore, RequestThatNobodyCouldReadIsRefusedAndStopsNobody) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  auto nameless = commit(epoch, 2);
  nameless.transaction = {};
  const auto before = group.ask(Choose{epoch.number, commit(epoch, 1)});
  const auto bad = group.ask(Choose{epoch.number, nameless});
  const auto behind = group.ask(Choose{epoch.number, commit(epoch, 3)});
  group.settle();
  EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(before)));
  EXPECT_EQ(std::get<Refused>(*group.answer(bad)).reason.code, ErrorCode::kCorrupt);
  EXPECT_TRUE(std::holds_alternative<Won>(*group.answer(behind)));
  group.crash(0);
  const auto listed = group.ask(List{});
  group.settle();
  EXPECT_EQ(std::get<Listed>(*group.answer(listed)).decisions.size(), 2U);
}

TEST(GroupStore, ManyRequestsOfATurnShareSyncs) {
  GroupOnDisks group(3);
  const auto epoch_ticket = group.ask(AcquireEpoch{{1}, {}, {}});
  group.settle();
  const auto epoch = std::get<EpochAcquired>(*group.answer(epoch_ticket)).epoch;
  const auto before = group.store(group.leader()).counters().syncs;
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::vector<Ticket> tickets;
    for (std::uint64_t each = 1; each <= 64; ++each)
      tickets.push_back(group.ask(Choose{epoch.number, commit(epoch, round * 64 + each)}));
    group.settle();
  }
  EXPECT_LT(group.store(group.leader()).counters().syncs - before, 1280U / 10);
}

}  // namespace
}  // namespace troth::coordinator::store
