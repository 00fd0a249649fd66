// tests/unit/consensus/synod_world.h
//
// A synod in virtual time: a network that loses, doubles, delays and reorders, disks that take a while, replicas that
// crash and come back, each with a proposal of its own. One seed, one run. It sees every disk, so it knows what is
// chosen before any learner does, and stops a run in which two values are.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "tests/unit/consensus/synod_replica.h"

namespace troth::coordinator::consensus {

class SynodWorld {
 public:
  struct Options {
    Configuration configuration;
    SynodTiming timing;
    SynodDefects defects;
    Duration shortest_delay{300};  // of a message, one way
    Duration longest_delay{500};
    Duration longest_write{100};
    std::uint32_t lost_percent = 0;
    std::uint32_t doubled_percent = 0;
    bool crashes = false;
  };

  SynodWorld(Options options, std::uint64_t seed);

  // Each of these replicas proposes its own value at some moment `within` from now, and after each of its restarts
  // another one.
  void propose(const Replicas& proposers, Duration within);
  // Until `done`, or nothing is left to happen, or `until`.
  void run(Instant until, const std::function<bool()>& done);
  // No more faults: everybody is up, and who has not learned proposes.
  void heal();

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] const Synod::Value& chosen() const { return chosen_; }
  [[nodiscard]] bool all_have_learned() const;
  [[nodiscard]] std::uint32_t most_rounds() const;
  // What went wrong; empty: nothing did.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  struct Counts {
    std::uint64_t messages = 0;
    std::uint64_t crashes = 0;
    std::uint64_t writes_lost = 0;
    std::uint64_t restarted_with_acceptance = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  void at(Instant when, std::function<void()> what);
  void propose(SynodReplica& replica);
  void after_step(SynodReplica& replica);
  void carry(const SynodEnvelope& envelope);
  void write_next(ReplicaId id);
  void wake(ReplicaId id);
  void crash_or_restart();
  void look_at(const SynodReplica& replica);

  Options options_;
  Random random_;
  Instant now_;
  std::multimap<Instant, std::function<void()>> events_;
  std::map<ReplicaId, SynodReplica> replicas_;
  std::map<ReplicaId, std::uint64_t> starts_;  // what was under way in an earlier start is gone
  Replicas proposers_;
  std::set<std::string> proposed_;
  std::map<Ballot, std::pair<Synod::Value, Replicas>> accepted_;  // durably
  Synod::Value chosen_;
  std::string wrong_;
  Counts counts_;
};

}  // namespace troth::coordinator::consensus
