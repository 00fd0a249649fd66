// tests/sim/invariants/group_memory.h
//
// What a group of coordinators has chosen, whether any of them knows it or not: every durable acceptance of every replica is
// counted here, and what a write quorum has is applied as each replica applies it. So a decision is known at the moment at
// which it can no longer be lost.
//
// Judged on the way, each a promise of Multi-Paxos or of the decision store above it:
// - a ballot has one value for a slot, and only its own leader's;
// - once a value is chosen, nothing else is accepted in its slot in a higher ballot;
// - nobody accepts below what it has promised;
// - who says that a slot is chosen has what is chosen there;
// - a slot is counted by the voters of its own configuration, and by nobody else; a change counts a window of slots behind
//   its own, and nobody proposes further ahead;
// - any two quorums that have to meet do, also across a change;
// - nobody leads whom no elect quorum promised its ballot, and nobody from where it knows to be removed;
// - epochs rise, and behind an epoch's record nothing is taken that another start, or an older epoch, has asked for [T5] [T8].
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "coordinator/consensus/durable.h"
#include "coordinator/decision_store/group_engine.h"
#include "tests/sim/invariants/invariants.h"

namespace troth::sim {

class GroupMemory {
 public:
  // `beginning`: the group's first configuration. `on_rare`: told of situations that a run is worth something for.
  GroupMemory(coordinator::consensus::Configuration beginning, std::function<void(std::string_view)> on_rare);

  // What comes of it: records that the store has from here, in their order.
  using Chosen = std::vector<coordinator::store::LogRecord>;

  // A start reads its log: what it finds is all that this replica knows of what it said.
  void opens(coordinator::consensus::ReplicaId replica);
  // It found its last batch bad, and takes over what others have promised and accepted before it votes: also what is older than
  // the highest of their promises.
  void cut(coordinator::consensus::ReplicaId replica);
  [[nodiscard]] Chosen found(coordinator::consensus::ReplicaId replica,
                             const coordinator::consensus::DurableRecord& record, Broken& broken);
  void appended(coordinator::consensus::ReplicaId replica,
                const coordinator::consensus::DurableRecord& record, Broken& broken);
  [[nodiscard]] Chosen durable(coordinator::consensus::ReplicaId replica,
                               const coordinator::consensus::DurableRecord& record, Broken& broken);

  // By which this slot is counted, as far as what is chosen tells.
  [[nodiscard]] const coordinator::consensus::Configuration& configuration(
      coordinator::consensus::Slot slot) const;
  // Does the last change count for the next slot?
  [[nodiscard]] bool is_settled() const;
  // Everything up to here is chosen and applied.
  [[nodiscard]] coordinator::consensus::Slot applied() const { return engine_.applied(); }
  [[nodiscard]] const coordinator::store::GroupEngine& engine() const { return engine_; }
  // Who had the last slot chosen.
  [[nodiscard]] std::optional<coordinator::consensus::ReplicaId> leader() const;
  // The state of a replica that applies what is chosen on top of `snapshot`, as text, one line a live record.
  [[nodiscard]] std::multiset<std::string> state_on(coordinator::store::AppliedState snapshot) const;
  // A moment of the history.
  [[nodiscard]] std::uint64_t acceptances() const { return acceptances_; }
  // Is something chosen that no write quorum has without what this replica has accepted since then?
  [[nodiscard]] bool hangs_on(coordinator::consensus::ReplicaId replica, std::uint64_t since) const;
  // What it has accepted since then went with its disk. Nothing that is chosen may hang on that.
  void set_back(coordinator::consensus::ReplicaId replica, std::uint64_t since);

 private:
  struct Replica {
    coordinator::consensus::Ballot promised;
    coordinator::consensus::Ballot said;  // the highest that it ever had on its disk
    std::map<coordinator::consensus::Slot, coordinator::consensus::Entry> accepted;  // last
    coordinator::consensus::Slot told;  // of it everything was compared with what is chosen
    bool takes_over = false;
    std::set<std::pair<coordinator::consensus::Slot, coordinator::consensus::Ballot>>
        taken_over;         // below what it had promised
    bool restates = false;  // it is saying again what stands, for its log is going to be cut
  };
  struct Value {
    coordinator::consensus::Ballot ballot;
    coordinator::consensus::Entry entry;
  };
  struct Proposal {
    coordinator::consensus::Entry entry;
    // Durably, and as the how many-th acceptance.
    std::map<coordinator::consensus::ReplicaId, std::uint64_t> accepted;
  };

  void judge_promise(coordinator::consensus::ReplicaId replica,
                     const coordinator::consensus::Accepted& accepted, Broken& broken);
  void note_proposal(coordinator::consensus::ReplicaId replica,
                     const coordinator::consensus::Accepted& accepted, Broken& broken);
  [[nodiscard]] Chosen count(coordinator::consensus::ReplicaId replica,
                             const coordinator::consensus::DurableRecord& record, Broken& broken);
  [[nodiscard]] Chosen apply(Broken& broken);
  void judge_applied(const coordinator::store::Batch& batch, const coordinator::store::LogRecord& record,
                     Broken& broken);
  // Is it accepted by a write quorum of its configuration?
  [[nodiscard]] bool is_chosen(coordinator::consensus::Slot slot, const Proposal& proposal) const;
  void judge_leader(const coordinator::consensus::Accepted& accepted, Broken& broken) const;
  void judge_chosen(coordinator::consensus::Slot slot, const coordinator::consensus::Ballot& ballot,
                    Broken& broken) const;
  void take(coordinator::consensus::Slot slot, const coordinator::consensus::ChangeConfiguration& change,
            Broken& broken);
  void judge_told(coordinator::consensus::ReplicaId replica, coordinator::consensus::Slot through,
                  Broken& broken);

  void note_rare(coordinator::consensus::Slot slot, const coordinator::store::Batch& batch) const;

  std::map<coordinator::consensus::Slot, coordinator::consensus::Configuration> configured_;  // from there on
  std::function<void(std::string_view)> on_rare_;
  std::map<coordinator::consensus::ReplicaId, Replica> replicas_;
  std::map<coordinator::consensus::Slot, std::map<coordinator::consensus::Ballot, Proposal>> proposals_;
  std::map<coordinator::consensus::Slot, Value> chosen_;
  std::set<coordinator::consensus::Ballot> led_;  // in which something was proposed
  std::uint64_t acceptances_ = 0;
  coordinator::store::GroupEngine engine_;
  std::optional<Epoch> epoch_;
  coordinator::store::BatchOrigin ruler_;  // who asked for that epoch
};

}  // namespace troth::sim
