// tests/unit/consensus/synod_replica.h
//
// One replica of a synod as a server would run it: acceptor, proposer and learner around a disk that can be slow and
// loses at a crash what it has not written. Who carries its messages, and when its disk is done, the test says.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/consensus/synod.h"

namespace troth::coordinator::consensus {

struct SynodEnvelope {
  ReplicaId from;
  ReplicaId to;
  Synod::Message message;
};

// "1 -> 2 accept 1.1 apple"
std::string text_of(const SynodEnvelope& envelope);
// "1.2": round and leader
std::string text_of(const Ballot& ballot);

struct SynodTiming {
  Duration patience;
  Backoff back_off;
};

// What a server must not do; a test that can fail shows that it would be seen.
struct SynodDefects {
  bool answers_before_durable = false;
  bool promises_are_forgotten = false;  // by a restart
};

class SynodReplica {
 public:
  SynodReplica(ReplicaId self, Configuration configuration, SynodTiming timing, SynodDefects defects = {})
      : self_(self),
        configuration_(std::move(configuration)),
        timing_(timing),
        defects_(defects),
        learner_(configuration_) {}

  [[nodiscard]] ReplicaId self() const { return self_; }
  [[nodiscard]] bool is_up() const { return up_; }
  [[nodiscard]] const SynodAcceptor::State& durable() const { return durable_; }
  [[nodiscard]] const Synod::Value& learned() const { return learner_.chosen(); }
  [[nodiscard]] const std::optional<SynodProposer>& proposer() const { return proposer_; }
  [[nodiscard]] std::optional<Instant> due() const;
  [[nodiscard]] bool disk_is_busy() const { return !writing_.empty(); }

  void propose(Instant now, Random& random, Synod::Value value);
  void hear(Instant now, Random& random, const SynodEnvelope& envelope);
  void time_passed(Instant now, Random& random);
  // The oldest write is durable now.
  void written();
  // Its writes that are not durable are lost, and all that waited for them.
  void crash();
  void restart();

  // What it has sent since it was asked last.
  std::vector<SynodEnvelope> take_sent() { return std::exchange(sent_, {}); }

 private:
  void step(Instant now, Random& random, const SynodProposer::Input& input);
  void answer(ReplicaId to, SynodAcceptor::Answer answer);
  void send(ReplicaId to, const Synod::Message& message);

  ReplicaId self_;
  Configuration configuration_;
  SynodTiming timing_;
  SynodDefects defects_;
  bool up_ = true;
  SynodAcceptor::State durable_;
  SynodAcceptor acceptor_;
  std::optional<SynodProposer> proposer_;
  SynodLearner learner_;
  std::uint64_t durable_write_ = 0;
  std::deque<SynodAcceptor::Write> writing_;
  std::deque<std::pair<std::uint64_t, std::pair<ReplicaId, Synod::Message>>>
      waiting_;  // for which write, what
  std::vector<SynodEnvelope> sent_;
};

}  // namespace troth::coordinator::consensus
