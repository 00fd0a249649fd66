// bench-store: decisions chosen by a coordinator's own store against those of a group of one replica, in one run.
//
//   bench-store DIRECTORY [SECONDS]     makes both stores below DIRECTORY, which must not hold them already
//
// A closed loop: as many `choose` as given are in flight, and each answer asks for the next. Everything that a turn of the
// loop answers is asked again in one submit(), as the coordinator does it. Decisions are ended and forgotten as they come, so
// that both stores clean up while they are measured. Rounds of both take turns.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "bench/statistics.h"
#include "coordinator/decision_store/runtime/group_store.h"
#include "coordinator/decision_store/runtime/local_store.h"

namespace troth::bench {
namespace {

namespace store = coordinator::store;
namespace consensus = coordinator::consensus;

const ClusterId kCluster{"bench-x7k2p9"};

// The owner's event loop, with one alarm.
class Loop {
 public:
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    arrived_.notify_one();
  }
  void wake_at(Instant at) { wake_at_ = at; }

  template <typename Done>
  void run_until(const Done& done, const std::function<void()>& tick) {
    while (!done()) {
      std::deque<std::function<void()>> posted;
      {
        std::unique_lock lock(mutex_);
        const auto left = wake_at_ == Instant::max() ? std::chrono::seconds(1) : wake_at_ - boot_now();
        if (posted_.empty() && left > Duration::zero()) arrived_.wait_for(lock, left);
        posted.swap(posted_);
      }
      for (auto& work : posted)
        work();
      if (boot_now() >= wake_at_) {
        wake_at_ = Instant::max();
        tick();
      }
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
  Instant wake_at_ = Instant::max();
};

struct Round {
  double decisions_per_s = 0;
  double p50_us = 0;
  double syncs_per_decision = 0;
};

class Side {
 public:
  virtual ~Side() = default;
  virtual store::DecisionStore& store() = 0;
  virtual std::uint64_t syncs() = 0;
  virtual void tick() {}
  [[nodiscard]] virtual bool is_ready() { return true; }

  Loop loop;

  void begin() {
    loop.run_until([&] { return is_ready(); }, [&] { tick(); });
    ask(store::AcquireEpoch{{1}, {}, {}});
    loop.run_until([&] { return epoch_.has_value(); }, [&] { tick(); });
  }

  Round measure(std::size_t in_flight, Duration time) {
    // Nobody ran its loop while the other one was measured, and a leader that was away for so long leads no more.
    tick();
    loop.run_until([&] { return is_ready(); }, [&] { tick(); });
    latencies_.clear();
    decided_ = 0;
    const auto syncs_before = syncs();
    const auto began = boot_now();
    until_ = began + time;
    for (std::size_t i = 0; i < in_flight; ++i)
      choose();
    submit();
    loop.run_until([&] { return asked_.empty(); }, [&] { tick(); });
    const auto took = std::chrono::duration<double>(boot_now() - began).count();
    std::ranges::sort(latencies_);
    return {static_cast<double>(decided_) / took, percentile(latencies_, 50),
            static_cast<double>(syncs() - syncs_before) / static_cast<double>(decided_)};
  }

 protected:
  void answered(std::vector<store::Answered> answers) {
    const auto now = boot_now();
    for (auto& [ticket, answer] : answers) {
      if (const auto* acquired = std::get_if<store::EpochAcquired>(&answer)) epoch_ = acquired->epoch;
      const auto at = asked_.find(ticket);
      if (at == asked_.end()) continue;
      CHECK(std::holds_alternative<store::Won>(answer), "a decision was not chosen");
      latencies_.push_back(std::chrono::duration<double, std::micro>(now - at->second).count());
      asked_.erase(at);
      ++decided_;
      if (now < until_) choose();
    }
    forget();
    submit();
  }

 private:
  TransactionId id(std::uint64_t sequence) const {
    return {kCluster, epoch_->number, {sequence}, std::nullopt};
  }
  void ask(store::Request request) { store().submit({{{++ticket_}, std::move(request)}}); }
  void choose() {
    const store::Ticket ticket{++ticket_};
    asked_.emplace(ticket, boot_now());
    to_submit_.push_back(
        {ticket,
         store::Choose{epoch_->number,
                       store::CommitRecord{
                           id(++sequence_), {{{1}, {1}}, {{2}, {2}}}, std::nullopt, {}, {}, "transfer"}}});
  }
  // All but the last 10,000, a thousand at a time.
  void forget() {
    if (sequence_ < ended_ + 11'000) return;
    store::End end{epoch_->number, {}};
    for (int i = 0; i < 1000; ++i)
      end.ended.push_back({id(++ended_), {}, false});
    to_submit_.push_back({{++ticket_}, std::move(end)});
    to_submit_.push_back({{++ticket_}, store::RaiseFloors{epoch_->number, {{epoch_->number, {ended_}}, 0}}});
  }
  void submit() {
    if (!to_submit_.empty()) store().submit(std::exchange(to_submit_, {}));
  }

  std::optional<Epoch> epoch_;
  std::uint64_t ticket_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t decided_ = 0;
  Instant until_;
  std::map<store::Ticket, Instant> asked_;
  std::vector<store::Asked> to_submit_;
  std::vector<double> latencies_;
};

class Local final : public Side {
 public:
  explicit Local(const std::string& directory) {
    store::LocalStoreOptions options;
    options.directory = directory;
    options.cluster = kCluster;
    options.post = [this](std::function<void()> work) { loop.post(std::move(work)); };
    options.on_answers = [this](std::vector<store::Answered> answers) { answered(std::move(answers)); };
    auto opened = store::LocalStore::open(std::move(options));
    CHECK(opened.has_value(), "{}", opened.error().message);
    store_ = std::move(*opened);
  }
  store::DecisionStore& store() override { return *store_; }
  std::uint64_t syncs() override { return store_->counters().syncs; }

 private:
  std::unique_ptr<store::LocalStore> store_;
};

class GroupOfOne final : public Side {
 public:
  explicit GroupOfOne(const std::string& directory) {
    store::GroupStoreOptions options;
    options.directory = directory;
    options.cluster = kCluster;
    options.self = {1};
    options.first = consensus::with_majorities({{1}});
    options.start = {1};
    options.post = [this](std::function<void()> work) { loop.post(std::move(work)); };
    options.now = boot_now;
    options.wake_at = [this](Instant at) { loop.wake_at(at); };
    options.send = [](consensus::ReplicaId, const std::string&) {};
    options.on_answers = [this](std::vector<store::Answered> answers) { answered(std::move(answers)); };
    auto opened = store::GroupStore::open(std::move(options));
    CHECK(opened.has_value(), "{}", opened.error().message);
    store_ = std::move(*opened);
  }
  store::DecisionStore& store() override { return *store_; }
  std::uint64_t syncs() override { return store_->counters().syncs; }
  void tick() override { store_->tick(); }
  bool is_ready() override { return store_->log().is_leading(); }

 private:
  std::unique_ptr<store::GroupStore> store_;
};

Round middle(const std::vector<Round>& rounds) {
  const auto of = [&](double Round::* number) {
    std::vector<double> values;
    for (const auto& round : rounds)
      values.push_back(round.*number);
    return median(std::move(values));
  };
  return {of(&Round::decisions_per_s), of(&Round::p50_us), of(&Round::syncs_per_decision)};
}

int run(const std::string& directory, double seconds) {
  constexpr int kRounds = 3;
  Local local(directory + "/local");
  GroupOfOne group(directory + "/group");
  local.begin();
  group.begin();
  const auto time = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds / kRounds));
  fmt::print(
      "in flight   local/s   group/s   ratio   local p50 us   group p50 us   local syncs   group syncs\n");
  for (const std::size_t in_flight : {1, 8, 64, 512}) {
    std::vector<Round> of_local;
    std::vector<Round> of_group;
    for (int round = 0; round < kRounds; ++round) {
      if (round % 2 == 0) of_local.push_back(local.measure(in_flight, time));
      of_group.push_back(group.measure(in_flight, time));
      if (round % 2 != 0) of_local.push_back(local.measure(in_flight, time));
    }
    const auto a = middle(of_local);
    const auto b = middle(of_group);
    fmt::print("{:9}  {:8.0f}  {:8.0f}  {:6.2f}  {:13.0f}  {:13.0f}  {:12.3f}  {:12.3f}\n", in_flight,
               a.decisions_per_s, b.decisions_per_s, b.decisions_per_s / a.decisions_per_s, a.p50_us,
               b.p50_us, a.syncs_per_decision, b.syncs_per_decision);
  }
  return 0;
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fputs("usage: bench-store DIRECTORY [SECONDS]\n", stderr);
    return 2;
  }
  const std::string directory = argv[1];
  if (std::filesystem::exists(directory + "/local") || std::filesystem::exists(directory + "/group")) {
    std::fputs("bench-store: there are stores in that directory already\n", stderr);
    return 2;
  }
  return troth::bench::run(directory, argc == 3 ? std::atof(argv[2]) : 1.5);
}
