// coordinator/consensus/replica_steps.h
//
// What a replica of the log hears, and what it asks for; see replicated_log.h.
#pragma once

#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "coordinator/consensus/durable.h"
#include "coordinator/consensus/election.h"
#include "coordinator/consensus/messages.h"

namespace troth::coordinator::consensus {

struct GroupLimits {
  std::uint64_t window = 512;                                       // slots above what is chosen
  std::size_t in_flight_bytes = std::size_t{16} << 20;              // proposed and not chosen
  std::size_t message_bytes = std::size_t{1} << 20;                 // entries in one message
  std::size_t kept_bytes = std::size_t{16} << 20;                   // chosen entries, for those that lag
  std::size_t kept_behind_snapshot_bytes = std::size_t{128} << 20;  // while somebody fetches one
  std::uint64_t unwritten_chosen = 256;  // slots that a start may have to ask about
};

struct ReplicaOptions {
  ReplicaId self;
  // Random, of this start alone: what answers a question of an earlier start is too old for this one.
  Nonce start{};
  Timing timing;
  GroupLimits limits;
};

// Pairs the answer of a read with its question.
using ReadTicket = Named<struct ReadTicketTag, std::uint64_t>;

// ---- inputs
struct MessageReceived {
  ReplicaId from;
  Message message;
};
struct WritesDurable {
  LogWrite through;
};
// Only while can_propose().
struct EntryOffered {
  Entry entry;
};
struct TimePassed {};
// A connection to it was reset, or refused.
struct PeerLost {
  ReplicaId peer;
};
// Linearizable, at the leader.
struct ReadAsked {
  ReadTicket ticket;
};
// At any replica: from a state that has everything that was chosen when it was asked.
struct QuorumReadAsked {
  ReadTicket ticket;
};
// Nobody waits for it any more.
struct ReadGivenUp {
  ReadTicket ticket;
};
// Only while leading. Nothing is aborted for it: what is in flight is finished first.
struct TransferAsked {
  ReplicaId successor;
};
// The state up to `slot` is here, durable, and came from another replica.
struct SnapshotInstalled {
  Slot slot;
  std::map<Slot, Configuration> configured;
};
// The own state up to `slot` is durable in a snapshot: what a log whose older segments go has to say again is written.
struct SnapshotTaken {
  Slot slot;
};
// Somebody fetches a snapshot of the state up to `above`, and will need what follows; nothing: nobody does any more.
struct SnapshotFetched {
  std::optional<Slot> above;
};
using ReplicaInput = std::variant<MessageReceived, WritesDurable, EntryOffered, TimePassed, PeerLost,
                                  ReadAsked, QuorumReadAsked, ReadGivenUp, TransferAsked, SnapshotInstalled,
                                  SnapshotTaken, SnapshotFetched>;

// ---- effects
struct Append {
  LogWrite number;
  DurableRecord record;
};
struct Send {
  ReplicaId to;
  Message message;
  LogWrite after;
};
// Chosen. Each slot once after a start, in order.
struct Deliver {
  Slot slot;
  Entry entry;
};
// It leads; what may have been chosen before is proposed before anything that is offered now.
struct Lead {
  Ballot ballot;
};
// What it proposed and was not delivered may still be chosen, by somebody else.
struct StopLeading {
  Ballot ballot;
  const char* reason;
};
struct ShowLeader {
  std::optional<ReplicaId> leader;
};
// It lags further behind than what is kept, and that begins behind `least`: an older snapshot does not help it.
struct SendSnapshot {
  ReplicaId to;
  Slot least;
};
// Answer from a state that has everything through `slot`.
struct ReadAt {
  ReadTicket ticket;
  Slot slot;
};
// Not the leader, or no longer: ask again.
struct RefuseRead {
  ReadTicket ticket;
};
// What the log's cut tail may have said was taken over: the log may forget that it was cut.
struct SettleCutTail {};
using ReplicaEffect = std::variant<Append, Send, Deliver, Lead, StopLeading, ShowLeader, SendSnapshot, ReadAt,
                                   RefuseRead, SettleCutTail>;
using ReplicaEffects = std::vector<ReplicaEffect>;

}  // namespace troth::coordinator::consensus
