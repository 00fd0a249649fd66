// coordinator/consensus/synod.h
//
// Basic Paxos: the replicas of a group choose one value, once. What replicated_log does for every slot, on one page.
//
//   proposer                         acceptors                         learners
//   prepare(b)   to itself, durable
//   prepare(b)   ------------------> promise(b, last acceptance)
//   accept(b, v) <--- E promises     v: of the highest ballot among them, or its own
//                ------------------> acceptance(b, v) ---------------> chosen: W in one ballot
//   refused, or silence: waits a random while, then a higher ballot
//
// Durability: an acceptor's answer names the write that it needs durable; sent before, it can be forgotten by a crash
// and contradicted. A proposer's ballot is durable as its own acceptor's promise before anybody else hears of it, so no
// start ever uses a ballot again (attack 22). A proposer and a learner keep nothing: a new start asks again.
// Any message may be lost, doubled, late or reordered [T10].
// Source: Lamport, "Paxos Made Simple" (2001), section 2; quorum sizes as in quorum.h.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "coordinator/backoff.h"
#include "coordinator/consensus/quorum.h"
#include "coordinator/consensus/synod_rules.h"

namespace troth::coordinator::consensus {

// What they say to each other.
struct Synod {
  using Value = std::shared_ptr<const std::string>;

  struct Prepare {
    Ballot ballot;
  };
  struct Accept {
    Ballot ballot;
    Value value;
  };
  // `value` was accepted in `ballot`. Goes to every learner.
  struct Acceptance {
    Ballot ballot;
    Value value;
  };
  struct Promise {
    Ballot ballot;
    std::optional<Acceptance> accepted;  // in the highest ballot below or equal to it, if any
  };
  // Of a prepare or accept in `ballot`.
  struct Refusal {
    Ballot ballot;
    Ballot promised;
  };
  using Message = std::variant<Prepare, Accept, Promise, Acceptance, Refusal>;
};

class SynodAcceptor {
 public:
  // All that must survive a crash.
  struct State {
    Ballot promised;
    std::optional<Synod::Acceptance> accepted;
  };
  // Writes are numbered 1.. from each start; a later one replaces an earlier one.
  struct Write {
    std::uint64_t number = 0;
    State state;
  };
  struct Answer {
    std::optional<Write> write;
    Synod::Message message;   // Promise, Acceptance or Refusal
    std::uint64_t needs = 0;  // leaves when the write of this number is durable; 0: at once
  };

  SynodAcceptor() = default;
  explicit SynodAcceptor(State durable) : state_(std::move(durable)) {}

  [[nodiscard]] Answer step(const Synod::Prepare& prepare);
  [[nodiscard]] Answer step(const Synod::Accept& accept);

  // As it will be when every write is durable.
  [[nodiscard]] const State& state() const { return state_; }

 private:
  [[nodiscard]] Answer refuse(const Ballot& ballot) const;
  [[nodiscard]] std::optional<Write> write(State state);

  State state_;
  std::uint64_t writes_ = 0;
};

class SynodProposer {
 public:
  struct Options {
    ReplicaId self;  // one of the voters
    Configuration configuration;
    Synod::Value value;
    Ballot above;  // what its own acceptor has promised durably: the first ballot is above it
    Duration
        patience;  // how long a phase may take: above a round trip and a write, or no ballot ever gets through
    Backoff back_off;  // until the next ballot
  };

  // ---- inputs
  struct Begun {};
  struct PromiseReceived {
    ReplicaId from;
    Synod::Promise promise;
  };
  struct RefusalReceived {
    ReplicaId from;
    Synod::Refusal refusal;
  };
  struct ValueLearned {};  // this replica's learner knows what is chosen
  struct TimePassed {};
  using Input = std::variant<Begun, PromiseReceived, RefusalReceived, ValueLearned, TimePassed>;

  // ---- effects
  struct Send {
    ReplicaId to;
    Synod::Message message;  // Prepare or Accept
  };

  explicit SynodProposer(Options options);

  // `random` spreads the delays; `now` is read after the input left its queue.
  [[nodiscard]] std::vector<Send> step(Instant now, Random& random, const Input& input);

  // When TimePassed is wanted.
  [[nodiscard]] std::optional<Instant> due() const { return due_; }
  [[nodiscard]] bool over() const { return std::holds_alternative<Over>(phase_); }
  // How many ballots it has begun.
  [[nodiscard]] std::uint32_t rounds() const { return rounds_; }

 private:
  struct Idle {};
  struct AskingItself {
    Ballot ballot;
  };
  struct PhaseOne {
    Ballot ballot;
    Replicas promised;
    Replicas refused;
    std::optional<Synod::Acceptance> highest;
  };
  struct PhaseTwo {
    Ballot ballot;
    Replicas refused;
  };
  struct BackingOff {};
  struct Over {};

  std::vector<Send> begin_round(Instant now);
  std::vector<Send> take_promise(Instant now, ReplicaId from, const Synod::Promise& promise);
  std::vector<Send> begin_phase_two(Instant now, const PhaseOne& won);
  void take_refusal(Instant now, Random& random, ReplicaId from, const Synod::Refusal& refusal);
  void back_off(Instant now, Random& random);
  [[nodiscard]] std::vector<Send> to_all(const Synod::Message& message, bool itself_too) const;

  Options options_;
  Ballot above_;  // the next ballot goes above it
  std::variant<Idle, AskingItself, PhaseOne, PhaseTwo, BackingOff, Over> phase_;
  std::optional<Instant> due_;
  std::uint32_t rounds_ = 0;
};

class SynodLearner {
 public:
  explicit SynodLearner(Configuration configuration) : configuration_(std::move(configuration)) {}

  void step(ReplicaId from, const Synod::Acceptance& acceptance);
  // Once there, it never changes.
  [[nodiscard]] const Synod::Value& chosen() const { return chosen_; }

 private:
  Configuration configuration_;
  std::map<ReplicaId, Ballot> highest_;  // in which each voter is known to have accepted
  Synod::Value chosen_;
};

}  // namespace troth::coordinator::consensus
