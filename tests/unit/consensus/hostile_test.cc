// One replica among others that are late, odd or damaged. What it must never do: deliver two entries for one slot,
// count an answer that was meant for an earlier start of it, or abort because of what another says.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {
namespace {

using namespace std::chrono_literals;

constexpr ReplicaId kSelf{1};

Entry command(const std::string& text) {
  return Command{std::make_shared<const std::string>(text)};
}

// Replica 1 of a group with majorities.
class OneReplica {
 public:
  explicit OneReplica(std::uint32_t replicas, GroupLimits limits = {}) : limits_(limits) {
    Replicas voters;
    for (std::uint32_t id = 1; id <= replicas; ++id)
      voters.insert({id});
    configuration_ = with_majorities(voters);
    start();
  }

  void start(bool cut_tail = false) {
    Restored restored;
    restored.configured = {{Slot{1}, configuration_}};
    records_.resize(durable_);
    for (const auto& record : records_)
      EXPECT_TRUE(restored.take(record).has_value());
    restored.cut_tail = cut_tail;
    log_.emplace(ReplicaOptions{.self = kSelf, .start = {++starts_}, .timing = {}, .limits = limits_},
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
      pass(2s);
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
  Configuration configuration_;
  Instant now_{1h};
  std::vector<DurableRecord> records_;
  std::size_t durable_ = 0;
  std::uint64_t starts_ = 0;
  std::optional<ReplicatedLog> log_;
  ReplicaEffects effects_;
};

// [C1] What a leader adopted may be known to be chosen by one that promised nothing. Were it learned from there, the
// same entries would be counted again, for the slots behind.
TEST(Hostile, LeaderLearnsNothingThatItHasInFlight) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  const auto ballot = one.ask_and_prepare();
  one.hear(2, Promise{.ballot = ballot,
                      .chosen = {},
                      .accepted = {{{1}, {0, {3}}, command("a")}, {{2}, {0, {3}}, command("b")}},
                      .position = {}});
  ASSERT_TRUE(one.log().is_leading());
  one.hear(3, ChosenEntries{.first = {1}, .entries = {command("a"), command("b")}, .chosen = {2}});
  one.write();
  one.hear(2, AcceptedThrough{.ballot = ballot, .first = {1}, .last = {2}, .position = {}});
  const auto delivered = one.done<Deliver>();
  ASSERT_EQ(delivered.size(), 2U);
  EXPECT_EQ(delivered[0].slot, Slot{1});
  EXPECT_EQ(delivered[0].entry, command("a"));
  EXPECT_EQ(delivered[1].slot, Slot{2});
  EXPECT_EQ(delivered[1].entry, command("b"));
  EXPECT_EQ(one.log().chosen(), Slot{2});
}

// Attack 44. An answer to an earlier start does not know what this replica has accepted since, and lost.
TEST(Hostile, CutTailIsNotTakenOverFromAnAnswerToAnEarlierStart) {
  OneReplica one(3);
  one.start(true);
  const auto first = one.sent<AskStanding>({2}).front();
  one.start(true);
  one.hear(2, OneReplica::answer(first));
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).front()));
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kRecovering);
  one.hear(2, OneReplica::answer(one.sent<AskStanding>({2}).back()));
  one.write();
  EXPECT_EQ(one.log().standing(), Standing::State::kVoting);
}

// Attack 26. Nor how far its log has come since.
TEST(Hostile, SetBackIsSeenThoughAnAnswerToAnEarlierStartComesFirst) {
  OneReplica one(3);
  const auto first = one.sent<AskStanding>({2}).front();
  one.start();
  one.hear(3, OneReplica::answer(one.sent<AskStanding>({3}).front()));
  one.hear(2, OneReplica::answer(first));
  EXPECT_EQ(one.log().standing(), Standing::State::kAsking);
  auto shown = OneReplica::answer(one.sent<AskStanding>({2}).back());
  shown.known = {.start = 1, .write = {5}};
  one.hear(2, shown);
  EXPECT_EQ(one.log().standing(), Standing::State::kSetBack);
}

// Attack 23. What had been accepted when an earlier start asked is no answer to what was asked since.
TEST(Hostile, QuorumReadIsNotAnsweredByWhatAnEarlierStartAsked) {
  OneReplica one(3);
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{7}});
  const auto early = one.sent<AskHighest>({2}).front();
  one.start();
  one.be_allowed_to_vote();
  one.step(QuorumReadAsked{{8}});
  one.hear(2, HighestShown{.number = early.number, .highest = {}, .chosen = {}});
  EXPECT_TRUE(one.done<ReadAt>().empty());
  one.hear(2, HighestShown{.number = one.sent<AskHighest>({2}).back().number, .highest = {}, .chosen = {}});
  EXPECT_EQ(one.done<ReadAt>().size(), 1U);
}

}  // namespace
}  // namespace troth::coordinator::consensus
