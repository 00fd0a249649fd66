// tests/unit/coordinator/group_on_disks.h
//
// Replicas with logs and snapshots on disks, in one process: the network is a queue, the clock is the test's.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/check.h"
#include "coordinator/decision_store/runtime/group_store.h"
#include "coordinator/decision_store/runtime/snapshot_codec.h"
#include "tests/unit/coordinator/store_under_test.h"

namespace troth::coordinator::store {

// With entries as large as these segments take.
inline void with_segments(GroupStoreOptions& options, std::uint64_t segment_bytes) {
  options.segment_bytes = segment_bytes;
  auto& most = options.batch.request_bytes;
  most = std::min<std::size_t>(most, segment_bytes);
  options.batch.bytes = std::min(options.batch.bytes, most);
  while (least_segment_bytes(options.batch) > segment_bytes)
    options.batch.bytes = most -= 8;
}

class GroupOnDisks : public StoreUnderTest {
 public:
  using Change = std::function<void(GroupStoreOptions&)>;

  // `change`: of every replica's options, at each of its starts.
  explicit GroupOnDisks(std::uint32_t replicas, Change change = {})
      : GroupOnDisks(replicas, std::move(change), true) {}
  // Nobody is up yet.
  static std::unique_ptr<GroupOnDisks> asleep(std::uint32_t replicas, Change change) {
    return std::unique_ptr<GroupOnDisks>(new GroupOnDisks(replicas, std::move(change), false));
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
    stop_all();
    for (const auto id : voters_)
      start(id);
    wait_for_leader();
  }

  void stop(consensus::ReplicaId id) {
    nodes_.erase(id);
    for (auto& [other, node] : nodes_)
      node.store->peer_lost(id);
  }
  // All others start again.
  void crash_all_but(consensus::ReplicaId sleeper) {
    stop_all();
    for (const auto id : voters_)
      if (id != sleeper) start(id);
    wait_for_leader();
  }
  // Its disk is another one.
  void wipe(consensus::ReplicaId id) {
    std::filesystem::remove_all(path_of(id));
    std::filesystem::remove_all(path_of(id) + "-snapshots");
  }
  [[nodiscard]] std::string path_of(consensus::ReplicaId id) const {
    return directory_ + "/" + std::to_string(id.value);
  }
  void start(consensus::ReplicaId id) {
    auto opened = open(id);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    nodes_[id].store = std::move(*opened);
  }
  // Refused, or here.
  [[nodiscard]] Result<std::unique_ptr<GroupStore>> open(consensus::ReplicaId id) {
    auto& node = nodes_[id];
    GroupStoreOptions options;
    options.directory = path_of(id);
    options.cluster = {"bank-x7k2p9"};
    with_segments(options, std::uint64_t{1} << 20);
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
    options.send = [this, id](consensus::ReplicaId to, std::string bytes) {
      if (is_cut(id, to)) return;
      network_.push_back({id, to, std::move(bytes)});
    };
    options.on_answers = [this](std::vector<Answered> answers) {
      for (auto& each : answers) {
        unanswered_.erase(each.ticket);
        EXPECT_TRUE(answers_.emplace(each.ticket, std::move(each.answer)).second) << "answered twice";
      }
    };
    options.on_failure = [this](const Error& reason) {
      has_failed_ = true;
      if (!expects_failures_) ADD_FAILURE() << reason.message;
    };
    options.on_warning = [this](const Error& reason) { warnings_.push_back(reason.message); };
    if (change_) change_(options);
    return GroupStore::open(std::move(options));
  }

  [[nodiscard]] consensus::ReplicaId leader() const {
    for (const auto& [id, node] : nodes_)
      if (node.store && node.store->log().is_leading()) return id;
    return {};
  }
  [[nodiscard]] bool is_up(consensus::ReplicaId id) const {
    const auto found = nodes_.find(id);
    return found != nodes_.end() && found->second.store != nullptr;
  }
  [[nodiscard]] GroupStore& store(consensus::ReplicaId id) { return *nodes_.at(id).store; }
  bool run_until(const std::function<bool()>& holds) {
    const auto bound = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > bound) return false;
      turn();
    }
    return true;
  }
  // And everybody who votes follows it: no other candidate is on its way to depose it.
  void wait_for_leader() {
    EXPECT_TRUE(run_until([&] {
      const auto leads = leader();
      return leads.value != 0 && std::ranges::all_of(nodes_, [&](const auto& each) {
               if (each.second.store == nullptr) return true;
               const auto& log = each.second.store->log();
               return log.standing() == consensus::Standing::State::kSetBack || log.leader() == leads;
             });
    }));
  }
  [[nodiscard]] Status try_start(consensus::ReplicaId id) {
    auto opened = open(id);
    if (!opened) return std::unexpected(std::move(opened.error()));
    nodes_[id].store = std::move(*opened);
    return {};
  }
  void stop_all() {
    nodes_.clear();
    network_.clear();
    unanswered_.clear();
    has_failed_ = false;
  }
  // Somebody else leads.
  void transfer_lead_from(consensus::ReplicaId id) {
    EXPECT_TRUE(run_until([&] {
      const auto leader = this->leader();
      if (leader == id) store(id).transfer_to({id.value == 1 ? 2U : 1U});
      return leader.value != 0 && leader != id;
    }));
  }
  [[nodiscard]] Instant now() const { return now_; }
  // By so much time goes on where nothing happens.
  void set_step(Duration step) { step_ = step; }
  [[nodiscard]] bool has_failed() const { return has_failed_; }

  struct Sent {
    consensus::ReplicaId from;
    consensus::ReplicaId to;
    std::string bytes;
  };
  // Every message may be looked at and changed; it comes as often as `watch` says.
  void watch(std::function<int(Sent&)> watch) { watch_ = std::move(watch); }
  // Nothing goes between it and the others.
  void isolate(consensus::ReplicaId id) { isolated_.insert(id); }
  void heal() { isolated_.clear(); }
  void expect_failures() { expects_failures_ = true; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  GroupOnDisks(std::uint32_t replicas, Change change, bool up) : change_(std::move(change)) {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/troth-group-XXXXXX";
    CHECK(mkdtemp(pattern.data()) != nullptr, "no temporary directory");
    directory_ = pattern;
    for (std::uint32_t id = 1; id <= replicas; ++id)
      voters_.insert({id});
    if (!up) return;
    for (const auto id : voters_)
      start(id);
    wait_for_leader();
  }

  struct Node {
    std::unique_ptr<GroupStore> store;
    Instant wake_at = Instant::max();
  };
  [[nodiscard]] bool is_cut(consensus::ReplicaId from, consensus::ReplicaId to) const {
    return isolated_.contains(from) || isolated_.contains(to);
  }

  // What was posted, then what was sent; and where there is neither, and no disk is at work, time goes on: however slow
  // the machine is, no replica takes another's disk for dead. Snapshots' disks work beside: time leaves them some.
  void turn() {
    std::unique_lock lock(mutex_);
    if (posted_.empty() && network_.empty()) {
      if (change_) arrived_.wait_for(lock, std::chrono::microseconds(100));
      if (posted_.empty() && std::ranges::all_of(nodes_, [](const auto& each) {
            return each.second.store == nullptr || each.second.store->log().is_all_durable();
          }))
        now_ += step_;
    }
    auto posted = std::exchange(posted_, {});
    lock.unlock();
    for (auto& work : posted)
      work();
    for (auto& sent : std::exchange(network_, {})) {
      if (!is_up(sent.to) || is_cut(sent.from, sent.to)) continue;
      for (auto times = watch_ ? watch_(sent) : 1; times > 0; --times) {
        const auto received = nodes_.at(sent.to).store->receive(sent.from, sent.bytes);
        EXPECT_TRUE(received.has_value() || watch_);
      }
    }
    for (auto& [id, node] : nodes_)
      if (node.store && now_ >= node.wake_at) node.store->tick();
  }

  Change change_;
  std::string directory_;
  consensus::Replicas voters_;
  consensus::Replicas isolated_;
  std::function<int(Sent&)> watch_;
  bool expects_failures_ = false;
  bool has_failed_ = false;
  std::vector<std::string> warnings_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
  std::deque<Sent> network_;
  Instant now_{std::chrono::hours(1)};
  Duration step_ = std::chrono::milliseconds(1);
  std::map<consensus::ReplicaId, Node> nodes_;
  std::map<Ticket, StoreAnswer> answers_;
  std::set<Ticket> unanswered_;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t starts_ = 0;
};

}  // namespace troth::coordinator::store
