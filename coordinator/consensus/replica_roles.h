// coordinator/consensus/replica_roles.h
//
// What a replica of the log is at the moment, and what it knows as long as it is that; see replicated_log.h.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "coordinator/consensus/lease.h"
#include "coordinator/consensus/messages.h"
#include "coordinator/consensus/phase_one.h"
#include "coordinator/consensus/phase_two.h"
#include "coordinator/consensus/replica_steps.h"

namespace troth::coordinator::consensus {

struct Following {};
struct Asking {
  Ballot ballot;
  Replicas granted;
  Instant ends;
};

struct Preparing {
  PhaseOne phase;
  Instant ends;
  Instant resend;
};

struct WaitingRead {
  ReadTicket ticket;
  HeartbeatNumber confirmed_by;
};

// One question for all quorum reads that wait when it is sent.
struct QuorumRound {
  std::vector<ReadTicket> tickets;
  ReadNumber number;  // 0: not sent yet, and takes more
  Replicas answered;
  Slot highest;  // of their first answers
  Instant until;
  Instant resend = Instant::max();
};

struct SessionRead {
  ReadTicket ticket;
  Slot slot;
  Instant until;
};

// Nothing new is proposed meanwhile. The lead is given up when nothing is in flight, and the successor has answered a
// heartbeat that was sent since, and knows all that is chosen.
struct Transfer {
  ReplicaId successor;
  Instant ends;
  std::optional<HeartbeatNumber> last;  // the first heartbeat behind the last proposal
};

struct Leading {
  PhaseTwo phase;
  std::deque<Entry> adopted;  // not proposed yet
  LeaseHolder lease;
  Instant began;
  HeartbeatNumber number;
  Instant next_heartbeat;
  std::map<ReplicaId, HeartbeatNumber> seen;
  std::map<ReplicaId, Slot> told;  // what each knew to be chosen, at least
  struct Heard {
    Instant at;
    Instant awake;  // the same by the clock that stands still where this replica is not run
  };
  std::map<ReplicaId, Heard> heard;  // when its last answer came
  std::map<ReplicaId, Instant> resend;
  std::deque<WaitingRead> reads;
  std::map<Slot, Configuration> changes;  // proposed, not chosen, and of a kind that may follow the newest
  Slot own;  // the first slot that was not adopted: from there on what is chosen is newer than every read
  Instant worked;
  std::optional<Transfer> transfer;
  std::optional<ReplicaId> did_not_take_over;  // the last one
  Instant next_transfer;                       // that it begins by itself
};
using Role = std::variant<Following, Asking, Preparing, Leading>;

// Of what waits for the own log.
struct OwnPromise {
  LogWrite after;
  Ballot ballot;
};

struct OwnAcceptance {
  LogWrite after;
  Ballot ballot;
  Slot slot;
  Instant appended;
};

}  // namespace troth::coordinator::consensus
