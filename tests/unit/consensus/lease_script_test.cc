// Plays tests/scripts/lease/: a group, one leader and its grantors, on one clock. A script's words:
//
//   3 replicas                 majorities; or `5 replicas electing 4`. All start new
//   1 leads in 5.1             was elected; the promises that made it so are there: `1 leads in 5.1 by 1 2`
//   1 asks 2                   a request of its lease; `1 asks 2 late` stays under way until `the late request arrives`
//   3 would like 2 to promise 6.3          prepare or pre-vote
//   1 gives up, 1 hands over to 3          `2 hears of it`, of the last hand-over
//   after 100ms
//   2 restarts, 1 restarts, 1 stands       the last: how its lease stands
#include <map>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "coordinator/consensus/lease.h"
#include "coordinator/consensus/synod_rules.h"
#include "tests/unit/coordinator/script.h"

namespace troth::coordinator::consensus {
namespace {

using std::chrono::milliseconds;

class ScriptedLease : public ScriptedMachine {
 public:
  std::vector<std::string> apply(const std::string& line) override {
    Words words(line);
    std::vector<std::string> lines;
    if (words.accept("after")) {
      const auto word = words.next();
      EXPECT_TRUE(word.ends_with("ms")) << line;
      now_ += milliseconds{std::stoll(word)};
      lines.push_back(fmt::format("at {}", text_of(now_)));
    } else if (words.accept("the late request arrives")) {
      lines.push_back(ask(late_->first, late_->second));
    } else {
      lines = act({static_cast<std::uint32_t>(words.number())}, words);
    }
    words.expect_end(line);
    return lines;
  }

 private:
  struct Replica {
    Ballot promised;
    LeaseGrantor grantor;
    std::optional<LeaseHolder> holder;
  };
  struct Request {
    ReplicaId from;
    Ballot ballot;
    Instant sent;
  };

  static ReplicaId replica_id(Words& words) { return {static_cast<std::uint32_t>(words.number())}; }
  static std::string text_of(Instant when) {
    const auto us = when.time_since_epoch().count();
    return us % 1'000 == 0 ? fmt::format("{}ms", us / 1'000)
                           : fmt::format("{}.{:03}ms", us / 1'000, us % 1'000);
  }
  static std::string text_of(const Ballot& ballot) {
    return fmt::format("{}.{}", ballot.round, ballot.leader.value);
  }
  static Ballot read_ballot(Words& words) {
    const auto word = words.next();
    const auto dot = word.find('.');
    return {std::stoull(word.substr(0, dot)), {static_cast<std::uint32_t>(std::stoul(word.substr(dot + 1)))}};
  }

  std::vector<std::string> act(ReplicaId id, Words& words) {
    if (words.accept("replicas")) return begin(id.value, words);
    auto& replica = replicas_.at(id);
    if (words.accept("leads in")) {
      replica.holder.emplace(read_ballot(words));
      if (words.accept("by"))
        while (!words.empty())
          replicas_.at(replica_id(words)).promised = replica.holder->ballot();
      return {standing(replica)};
    }
    if (words.accept("asks")) {
      const Request request{id, replica.holder->ballot(), now_};
      const auto to = ReplicaId{static_cast<std::uint32_t>(std::stoul(words.next()))};
      if (words.accept("late")) {
        late_ = {request, to};
        return {};
      }
      std::vector lines{ask(request, to)};
      lines.push_back(standing(replica));
      return lines;
    }
    if (words.accept("would like")) {
      const auto whom = replica_id(words);
      EXPECT_TRUE(words.accept("to promise"));
      return {promise(id, whom, read_ballot(words))};
    }
    if (words.accept("gives up")) {
      replica.holder->give_up();
      return {standing(replica)};
    }
    if (words.accept("hands over to")) {
      last_ = replica.holder->hand_over(replica_id(words));
      return {standing(replica)};
    }
    if (words.accept("hears of it")) {
      replica.grantor.hand_over(*last_);
      return {running(replica)};
    }
    if (words.accept("restarts")) {
      replica.holder.reset();
      replica.grantor = LeaseGrantor(LeaseTerms{}.waited(), id, replica.promised, now_);
      return {running(replica)};
    }
    if (words.accept("stands")) return {standing(replica)};
    ADD_FAILURE() << "'" << words.peek() << "' is nothing that a replica does";
    return {};
  }

  std::vector<std::string> begin(std::uint32_t count, Words& words) {
    Replicas voters;
    for (std::uint32_t id = 1; id <= count; ++id)
      voters.insert({id});
    configuration_ = with_majorities(voters);
    if (words.accept("electing")) {
      configuration_.quorums.elect = static_cast<std::uint32_t>(words.number());
      configuration_.quorums.write = count;
    }
    for (const auto id : voters)
      replicas_.emplace(id, Replica{{}, LeaseGrantor(LeaseTerms{}.waited(), id, {}, now_), {}});
    return {fmt::format("a lease takes {}", configuration_.lease())};
  }

  std::string ask(const Request& request, ReplicaId to) {
    auto& grantor = replicas_.at(to);
    if (!may_accept(grantor.promised, request.ballot))
      return fmt::format("{} refuses, promised {}", to.value, text_of(grantor.promised));
    grantor.promised = request.ballot;
    if (!grantor.grantor.grant(now_, {}, request.ballot, grantor.promised))
      return fmt::format("{} refuses", to.value);
    auto line = fmt::format("{} {}", to.value, running(grantor));
    auto& asker = replicas_.at(request.from);
    if (asker.holder) asker.holder->granted(now_, {to, request.ballot, request.sent, LeaseTerms{}}, 0);
    return line;
  }

  std::string promise(ReplicaId candidate, ReplicaId whom, const Ballot& ballot) {
    auto& replica = replicas_.at(whom);
    if (!may_promise(replica.promised, ballot))
      return fmt::format("{} refuses, promised {}", whom.value, text_of(replica.promised));
    if (!replica.grantor.allows(now_, candidate))
      return fmt::format("{} refuses: {}", whom.value, running(replica));
    replica.promised = ballot;
    return fmt::format("{} promises {}", whom.value, text_of(ballot));
  }

  std::string running(const Replica& replica) const {
    const auto grant = replica.grantor.running(now_);
    if (!grant) return "refuses nobody";
    return fmt::format("grants {} until {}{}", text_of(grant->ballot), text_of(grant->until),
                       grant->successor ? fmt::format(", free for {}", grant->successor->value) : "");
  }

  std::string standing(const Replica& replica) const {
    if (!replica.holder) return "no lease";
    if (replica.holder->given_up()) return "given up";
    const auto until = replica.holder->valid_until(configuration_);
    if (!until) return "too few grants";
    return fmt::format("{} until {}", replica.holder->valid(now_, configuration_) ? "valid" : "was valid",
                       text_of(*until));
  }

  Instant now_;
  Configuration configuration_;
  std::map<ReplicaId, Replica> replicas_;
  std::optional<std::pair<Request, ReplicaId>> late_;
  std::optional<LeaseHandOver> last_;
};

class LeaseScript : public testing::TestWithParam<std::string> {};

TEST_P(LeaseScript, EffectsAreExactlyThese) {
  ScriptedLease machine;
  run_script(GetParam(), machine);
}

INSTANTIATE_TEST_SUITE_P(Lease, LeaseScript, testing::ValuesIn(scripts_of("lease")), script_name);

}  // namespace
}  // namespace troth::coordinator::consensus
