// Plays tests/scripts/synod/. A script's words:
//
//   3 replicas                         majorities; or `4 replicas W 2 E 3`
//   1 proposes apple                   replica 1 has begun
//   1 -> 2 prepare 1.1                 the message arrives; any that was ever sent may, again and late, too
//   1 writes                           one write of its disk is durable
//   all but 3                          until nothing moves: every message that is under way arrives, and every disk
//                                      writes; what is for 3 waits. `all` lets nobody wait
//   lost to 3, lost from 1             what is under way there never arrives by itself
//   1 crashes, 1 restarts
//   after 10ms                         time goes on, and everybody is told
#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/consensus/synod_replica.h"
#include "tests/unit/coordinator/script.h"

namespace troth::coordinator::consensus {
namespace {

using std::chrono::milliseconds;

class ScriptedSynod : public ScriptedMachine {
 public:
  std::vector<std::string> apply(const std::string& line) override {
    lines_.clear();
    Words words(line);
    if (line.find("->") != std::string::npos) {
      arrive(line);
      return lines_;
    }
    if (words.accept("all")) {
      std::optional<ReplicaId> without;
      if (words.accept("but")) without = replica_id(words);
      words.expect_end(line);
      settle(without);
      return lines_;
    }
    if (words.accept("lost")) {
      const bool to = words.accept("to");
      EXPECT_TRUE(to || words.accept("from")) << line;
      const auto whose = replica_id(words);
      std::erase_if(under_way_, [&](const auto& each) { return (to ? each.to : each.from) == whose; });
      return lines_;
    }
    if (words.accept("after")) {
      now_ += milliseconds{read_milliseconds(words.next())};
      for (auto& [id, replica] : replicas_)
        report(replica, [&](SynodReplica& each) { each.time_passed(now_, random_); });
      return lines_;
    }
    const auto number = words.number();
    if (words.accept("replicas")) {
      begin(number, words);
    } else {
      act(replicas_.at({static_cast<std::uint32_t>(number)}), words);
    }
    words.expect_end(line);
    return lines_;
  }

 private:
  static std::uint64_t read_milliseconds(const std::string& word) {
    EXPECT_TRUE(word.ends_with("ms")) << word;
    return std::stoull(word);
  }
  static ReplicaId replica_id(Words& words) { return {static_cast<std::uint32_t>(words.number())}; }

  void begin(std::uint64_t count, Words& words) {
    Replicas voters;
    for (std::uint32_t id = 1; id <= count; ++id)
      voters.insert({id});
    auto configuration = with_majorities(voters);
    if (words.accept("W")) configuration.quorums.write = static_cast<std::uint32_t>(words.number());
    if (words.accept("E")) configuration.quorums.elect = static_cast<std::uint32_t>(words.number());
    configuration.quorums.read = static_cast<std::uint32_t>(count);
    EXPECT_TRUE(check(configuration));
    for (const auto id : voters)
      replicas_.emplace(id, SynodReplica(id, configuration,
                                         {milliseconds{10}, Backoff{milliseconds{4}, milliseconds{16}}}));
  }

  void act(SynodReplica& replica, Words& words) {
    if (words.accept("proposes")) {
      const auto value = std::make_shared<const std::string>(words.next());
      report(replica, [&](SynodReplica& each) { each.propose(now_, random_, value); });
    } else if (words.accept("writes")) {
      ASSERT_TRUE(replica.disk_is_busy()) << "nothing to write";
      write(replica);
    } else if (words.accept("crashes")) {
      replica.crash();
    } else if (words.accept("restarts")) {
      replica.restart();
      lines_.push_back(standing(replica));
    }
  }

  // Does something to a replica, and says what came of it.
  template <typename Action>
  void report(SynodReplica& replica, const Action& action) {
    const bool knew = replica.learned() != nullptr;
    const auto due = replica.due();
    action(replica);
    for (auto& envelope : replica.take_sent()) {
      lines_.push_back(text_of(envelope));
      ever_sent_.insert_or_assign(text_of(envelope), envelope);
      under_way_.push_back(std::move(envelope));
    }
    if (!knew && replica.learned())
      lines_.push_back(fmt::format("{} has learned {}", replica.self().value, *replica.learned()));
    if (const auto later = replica.due(); later && later != due)
      lines_.push_back(
          fmt::format("{} waits until {}ms", replica.self().value, later->time_since_epoch().count() / 1000));
  }

  static std::string standing(const SynodReplica& replica) {
    const auto& [promised, accepted] = replica.durable();
    return fmt::format("{} has promised {}, {}", replica.self().value, text_of(promised),
                       accepted ? fmt::format("accepted {} {}", text_of(accepted->ballot), *accepted->value)
                                : "nothing accepted");
  }

  void write(SynodReplica& replica) {
    report(replica, [&](SynodReplica& each) {
      each.written();
      lines_.push_back("disk of " + standing(each));
    });
  }

  void arrive(const std::string& text) {
    const auto sent = ever_sent_.find(text);
    ASSERT_NE(sent, ever_sent_.end()) << "nobody has sent '" << text << "'";
    std::erase_if(under_way_, [&](const auto& each) { return text_of(each) == text; });
    report(replicas_.at(sent->second.to),
           [&](SynodReplica& each) { each.hear(now_, random_, sent->second); });
  }

  void settle(std::optional<ReplicaId> without) {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto& [id, replica] : replicas_)
        for (; replica.disk_is_busy() && id != without; moved = true)
          write(replica);
      const auto next =
          std::ranges::find_if(under_way_, [&](const auto& each) { return each.to != without; });
      if (next == under_way_.end()) continue;
      const auto envelope = std::move(*next);
      under_way_.erase(next);
      report(replicas_.at(envelope.to), [&](SynodReplica& each) { each.hear(now_, random_, envelope); });
      moved = true;
    }
  }

  Instant now_;
  Random random_{1};
  std::map<ReplicaId, SynodReplica> replicas_;
  std::map<std::string, SynodEnvelope> ever_sent_;
  std::deque<SynodEnvelope> under_way_;
  std::vector<std::string> lines_;
};

class SynodScript : public testing::TestWithParam<std::string> {};

TEST_P(SynodScript, EffectsAreExactlyThese) {
  ScriptedSynod machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(Synod, SynodScript, testing::ValuesIn(scripts_of("synod")), script_name);

}  // namespace
}  // namespace troth::coordinator::consensus
