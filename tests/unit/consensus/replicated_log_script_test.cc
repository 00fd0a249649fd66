#include <gtest/gtest.h>

#include "coordinator/consensus/replicated_log.h"
#include "tests/unit/consensus/consensus_words.h"
#include "tests/unit/coordinator/script.h"
#include "tests/unit/coordinator/script_words.h"

namespace troth::coordinator::consensus {
namespace {

// Replica 1 of a group; its log is written when the script says so.
class ScriptedReplica : public ScriptedMachine {
 public:
  std::vector<std::string> apply(const std::string& line) override {
    Words words(line);
    auto lines = hear(words);
    words.expect_end(line);
    return lines;
  }

 private:
  std::vector<std::string> hear(Words& words) {
    if (words.accept("starts in a group of")) {
      Replicas voters;
      for (auto id = words.number(); id > 0; --id)
        voters.insert({static_cast<std::uint32_t>(id)});
      configuration_ = with_majorities(voters);
      if (words.accept("window")) window_ = words.number();
      if (words.accept("keeping")) limits_.kept_bytes = words.number();
      if (words.accept("messages of")) limits_.message_bytes = words.number();
      if (words.accept("unwritten")) limits_.unwritten_bytes = words.number();
      if (words.accept("accepted")) limits_.accepted_bytes = words.number();
      if (words.accept("held")) limits_.held_bytes = words.number();
      return start(false);
    }
    if (words.accept("crashes and starts again")) return start(words.accept("with a cut tail"));
    // What others tell after a start, and nothing happens otherwise.
    if (words.accept("may vote")) {
      for (const auto other : configuration_.voters)
        if (other.value != 1) step(MessageReceived{other, StandingShown{}});
      return write_all();
    }
    if (words.accept("is elected in")) return be_elected(read_ballot(words.next()));
    if (words.accept("standing")) {
      switch (log_->standing()) {
        case Standing::State::kAsking: return {"asking"};
        case Standing::State::kRecovering: return {"recovering"};
        case Standing::State::kVoting: return {"voting"};
        case Standing::State::kSetBack: return {"set back"};
      }
    }
    if (words.accept("holds the lease")) return {log_->holds_lease(now_) ? "yes" : "no"};
    if (words.accept("may propose")) return {log_->can_propose() ? "yes" : "no"};
    if (words.accept("after")) {
      now_ += read_duration(words.next());
      return step(TimePassed{});
    }
    // Woken as it asks to be; heartbeats are left out.
    if (words.accept("runs for")) {
      std::vector<std::string> lines;
      for (const auto end = now_ + read_duration(words.next()); now_ < end;) {
        now_ = std::min(end, std::max(now_, log_->wakes_at()));
        if (now_ < log_->wakes_at()) break;
        for (auto& line : step(TimePassed{}))
          if (!line.contains(": heartbeat ")) lines.push_back(std::move(line));
      }
      return lines;
    }
    // Without a look at the clock: the next message finds it there.
    if (words.accept("sleeps")) {
      now_ += read_duration(words.next());
      return {};
    }
    if (words.accept("written")) return write_all();
    if (words.accept("offered change to")) {
      Replicas voters;
      while (!words.empty())
        voters.insert({static_cast<std::uint32_t>(words.number())});
      return step(EntryOffered{ChangeConfiguration{with_majorities(voters)}});
    }
    if (words.accept("offered"))
      return step(EntryOffered{Command{std::make_shared<const std::string>(words.next())}});
    if (words.accept("quorum read")) return step(QuorumReadAsked{{words.number()}});
    if (words.accept("session read")) {
      SessionReadAsked asked{.ticket = {words.number()}, .token = {}, .until = now_};
      if (words.accept("of another group")) asked.token.incarnation = {99};
      EXPECT_TRUE(words.accept("at")) << words.peek();
      asked.token.slot = {words.number()};
      if (words.accept("within")) asked.until = now_ + read_duration(words.next());
      return step(asked);
    }
    if (words.accept("give up read")) return step(ReadGivenUp{{words.number()}});
    if (words.accept("read")) return step(ReadAsked{{words.number()}});
    if (words.accept("transfer to")) return step(TransferAsked{{static_cast<std::uint32_t>(words.number())}});
    if (words.accept("connection lost to"))
      return step(PeerLost{{static_cast<std::uint32_t>(words.number())}});
    const ReplicaId from{static_cast<std::uint32_t>(words.number())};
    EXPECT_TRUE(words.accept("says")) << words.peek();
    auto message = read_message(words);
    if (auto* seen = std::get_if<HeartbeatSeen>(&message)) seen->sent = sent_[seen->number];
    return step(MessageReceived{from, std::move(message)});
  }

  std::vector<std::string> start(bool cut_tail) {
    Restored restored;
    restored.configured = {{Slot{1}, configuration_}};
    appended_.resize(durable_);
    for (const auto& record : appended_)
      EXPECT_TRUE(restored.take(record).has_value());
    restored.cut_tail = cut_tail;
    log_.emplace(ReplicaOptions{.self = {1}, .timing = {}, .limits = limits_, .window = window_},
                 std::move(restored), Random(1), now_);
    return step(TimePassed{});
  }

  std::vector<std::string> write_all() {
    durable_ = appended_.size();
    return step(WritesDurable{{durable_}});
  }

  // The usual way to the lead, by the votes of all others.
  std::vector<std::string> be_elected(const Ballot& ballot) {
    now_ += std::chrono::seconds{2};
    step(TimePassed{});
    for (const auto other : configuration_.voters)
      step(MessageReceived{other, PreVoteGranted{ballot}});
    write_all();
    std::vector<std::string> lines;
    for (const auto other : configuration_.voters) {
      for (auto& line : step(MessageReceived{
               other, Promise{.ballot = ballot, .chosen = {}, .accepted = {}, .position = {}}}))
        lines.push_back(std::move(line));
    }
    return lines;
  }

  std::vector<std::string> step(ReplicaInput input) {
    std::vector<std::string> lines;
    for (const auto& effect : log_->step(std::move(input), now_)) {
      if (const auto* append = std::get_if<Append>(&effect)) appended_.push_back(append->record);
      if (const auto* send = std::get_if<Send>(&effect))
        if (const auto* beat = std::get_if<Heartbeat>(&send->message)) sent_[beat->number] = beat->sent;
      lines.push_back(write(effect));
    }
    return lines;
  }

  Instant now_{std::chrono::hours{1}};
  GroupLimits limits_;
  std::uint64_t window_ = kWindow;
  Configuration configuration_;
  std::vector<DurableRecord> appended_;
  std::size_t durable_ = 0;
  std::map<HeartbeatNumber, Instant> sent_;
  std::optional<ReplicatedLog> log_;
};

class ReplicatedLogScript : public testing::TestWithParam<std::string> {};

TEST_P(ReplicatedLogScript, Holds) {
  ScriptedReplica machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(Scripts, ReplicatedLogScript, testing::ValuesIn(scripts_of("replicated_log")),
                         script_name);

}  // namespace
}  // namespace troth::coordinator::consensus
