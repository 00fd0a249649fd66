// tests/unit/participant_agent/storm_world.h
//
// A leader, a database and an agent in one process, with everything that may go wrong between them: messages
// lost, doubled, late and reordered; sessions that outlive their client; answers that are lost; an agent that
// forgets what was not durable. One seed tells the whole story.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "participant_agent/branch_table.h"
#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {

class StormWorld {
 public:
  explicit StormWorld(std::uint64_t seed);

  // Plays `steps` stormy steps, then lets everything heal. Empty: every rule held; else the first that did
  // not.
  [[nodiscard]] std::string play(int steps);

  // Rare situations that this world ran into, so that a test can prove they happen.
  [[nodiscard]] const std::map<std::string, int>& seen() const { return seen_; }

 private:
  enum class Row : std::uint8_t { kCommitted, kBarred };
  enum class Fate : std::uint8_t { kUndecided, kCommit, kAbort };

  // What the leader knows of one transaction with one branch here.
  struct Plan {
    BranchId id;
    Fate fate = Fate::kUndecided;
    bool yes = false;
    bool told_never = false;    // the client may have been told "not committed"
    bool told_done = false;     // the client may have been told "committed"
    bool acknowledged = false;  // needs no more messages
    std::uint64_t meant_for = 0;
  };
  // The server's side of a branch's work.
  struct Session {
    bool lost = false;  // nobody hears its answer
  };
  struct HeldAnswer {
    BranchId id;
    BranchEffect effect;
    JournalTicket after;
  };

  void restart();
  void hear(const TableInput& input);
  void carry_out(const BranchId& id, const BranchEffect& effect);
  void storm_step();
  void heal();
  void send_something(Plan& plan);
  void run_session(const BranchId& id);
  void carry_operation(std::size_t index);
  void finish(const BranchId& id, bool commit);
  void bar(const BranchId& id);
  void read(const BranchId& id);
  void release_answers();
  void deliver(const HeldAnswer& answer);
  void on_vote(Plan& plan, const VoteAnswer& answer);
  void on_end(Plan& plan, const FinishAnswer& answer);
  void check_always();
  [[nodiscard]] LeaderStamp stamp() const;
  [[nodiscard]] bool chance(std::uint64_t one_in) { return stormy_ && random_.one_in(one_in); }
  void broken(const Plan& plan, const std::string& rule);
  void note(const std::string& what) { ++seen_[what]; }

  Random random_;
  bool stormy_ = true;
  Instant now_{std::chrono::seconds(1000)};
  std::string problem_;
  std::map<std::string, int> seen_;

  // The leader.
  std::vector<Plan> plans_;
  std::map<BranchId, std::size_t> plan_of_;
  std::list<TableInput> late_;  // copies of messages that are still on their way

  // The database.
  std::map<BranchId, Row> rows_;
  std::set<BranchId> prepared_;
  std::map<BranchId, Session> sessions_;
  std::map<BranchId, int> commits_;

  // The agent.
  std::uint64_t incarnation_ = 0;
  std::optional<BranchTable> table_;
  std::vector<AppendJournal> journal_;
  std::vector<JournalRecord> durable_;
  std::vector<HeldAnswer> held_;
  struct Operation {
    BranchId id;
    BranchEffect effect;
  };
  std::vector<Operation> operations_;
  std::set<BranchId> ran_;  // in this incarnation
  std::set<BranchId> hostages_;
};

}  // namespace troth::agent
