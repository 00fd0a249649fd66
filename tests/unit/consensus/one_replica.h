// tests/unit/consensus/one_replica.h
//
// One replica among others that are made up: what it hears is said by the test, and what it does is kept.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

inline constexpr ReplicaId kSelf{1};

inline Entry command(const std::string& text) {
  return Command{std::make_shared<const std::string>(text)};
}

// Replica 1 of a group with majorities.
class OneReplica {
 public:
  explicit OneReplica(std::uint32_t replicas, GroupLimits limits = {}, std::uint64_t window = kWindow)
      : limits_(limits), window_(window) {
    Replicas voters;
    for (std::uint32_t id = 1; id <= replicas; ++id)
      voters.insert({id});
    configuration_ = with_majorities(voters);
    configured_ = {{Slot{1}, configuration_}};
    start();
  }
  // Its log knows all of these; whoever votes in the last answers.
  explicit OneReplica(std::map<Slot, Configuration> configured)
      : window_(kWindow), configuration_(configured.rbegin()->second), configured_(std::move(configured)) {
    start();
  }

  void start(bool cut_tail = false) {
    Restored restored;
    restored.configured = configured_;
    records_.resize(durable_);
    for (const auto& record : records_)
      EXPECT_TRUE(restored.take(record).has_value());
    restored.cut_tail = cut_tail;
    log_.emplace(
        ReplicaOptions{
            .self = kSelf, .start = {++starts_ << 32U}, .timing = {}, .limits = limits_, .window = window_},
        std::move(restored), Random(starts_), now_);
    effects_.clear();
    step(TimePassed{});
  }

  void step(ReplicaInput input) {
    for (auto& effect : log_->step(std::move(input), now_)) {
      if (const auto* append = std::get_if<Append>(&effect)) records_.push_back(append->record);
      effects_.push_back(std::move(effect));
    }
  }
  void hear(std::uint32_t from, Message message) { step(MessageReceived{{from}, std::move(message)}); }
  void pass(Duration time) {
    now_ += time;
    step(TimePassed{});
  }
  // Nothing wakes it.
  void pass_silently(Duration time) { now_ += time; }
  // As the caller has to: it is woken when it asked for it.
  void sleep(Duration time) {
    now_ += time;
    if (now_ >= log_->wakes_at()) step(TimePassed{});
  }
  void write() {
    durable_ = records_.size();
    step(WritesDurable{{durable_}});
  }

  void be_allowed_to_vote() {
    for (const auto other : configuration_.voters) {
      if (other == kSelf) continue;
      for (const auto& asked : sent<AskStanding>(other))
        hear(other.value, answer(asked));
    }
    write();
    EXPECT_TRUE(log_->standing() == Standing::State::kVoting);
  }
  static StandingShown answer(const AskStanding& asked) {
    StandingShown shown;
    shown.asked_in = asked.start;
    return shown;
  }

  Ballot ask_and_prepare() {
    for (int attempt = 0; attempt < 10 && sent<PreVote>({2}).empty(); ++attempt)
      pass(std::chrono::seconds(2));
    const auto ballot = sent<PreVote>({2}).back().ballot;
    for (const auto other : configuration_.voters)
      hear(other.value, PreVoteGranted{ballot});
    write();
    return ballot;
  }

  // All that it said to one of the others.
  template <typename M>
  std::vector<M> sent(ReplicaId to) const {
    std::vector<M> all;
    for (const auto& effect : effects_)
      if (const auto* send = std::get_if<Send>(&effect); send != nullptr && send->to == to)
        if (const auto* message = std::get_if<M>(&send->message)) all.push_back(*message);
    return all;
  }
  template <typename E>
  std::vector<E> done() const {
    std::vector<E> all;
    for (const auto& effect : effects_)
      if (const auto* found = std::get_if<E>(&effect)) all.push_back(*found);
    return all;
  }

  [[nodiscard]] const ReplicatedLog& log() const { return *log_; }
  [[nodiscard]] const std::vector<DurableRecord>& records() const { return records_; }
  [[nodiscard]] Instant now() const { return now_; }
  void forget_effects() { effects_.clear(); }

 private:
  GroupLimits limits_;
  std::uint64_t window_;
  Configuration configuration_;
  std::map<Slot, Configuration> configured_;
  Instant now_{std::chrono::hours(1)};
  std::vector<DurableRecord> records_;
  std::size_t durable_ = 0;
  std::uint64_t starts_ = 0;
  std::optional<ReplicatedLog> log_;
  ReplicaEffects effects_;
};

}  // namespace troth::coordinator::consensus
