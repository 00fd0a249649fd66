// coordinator/consensus/replica_steps.h
//
// What a replica of the log hears, and what it asks for; see replicated_log.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "coordinator/consensus/durable.h"
#include "coordinator/consensus/election.h"
#include "coordinator/consensus/membership.h"
#include "coordinator/consensus/messages.h"

namespace troth::coordinator::consensus {

// Of one process: others may have other ones.
struct GroupLimits {
  std::size_t in_flight_bytes = std::size_t{16} << 20;  // proposed and not chosen
  std::size_t message_bytes = std::size_t{1} << 20;     // entries in one message, where it is more than one
  std::size_t accepted_bytes = std::size_t{64} << 20;   // accepted, and not known to be chosen
  std::size_t unwritten_bytes = std::size_t{32} << 20;  // appended and not durable
  std::size_t held_bytes = std::size_t{4} << 20;        // messages that wait until something is durable
  std::size_t kept_bytes = std::size_t{16} << 20;       // chosen entries, for those that lag
  std::size_t kept_behind_snapshot_bytes = std::size_t{128} << 20;  // while somebody fetches one
  // What a start may have to ask about, and has to keep until then.
  std::uint64_t unwritten_chosen = 256;                        // slots
  std::size_t unwritten_chosen_bytes = std::size_t{16} << 20;  // and an entry more
};

struct ReplicaOptions {
  ReplicaId self;
  // Whom its configuration file names beside it, members or not: they are asked what they know of it (standing.h).
  Replicas listed{};
  // Random, of this start alone: what answers a question of an earlier start is too old for this one.
  Nonce start{};
  // Of the group: sessions' tokens name it.
  Nonce incarnation{};
  Timing timing;
  GroupLimits limits;
  std::uint64_t window =
      kWindow;  // see membership.h; another one only in tests, at every replica of the group
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
// At any replica: from a state that has everything that was chosen when it was asked. Late where a quorum cannot be asked, or
// nobody leads who could say whether the highest slot that it has accepted is chosen (Timing::quorum_read).
struct QuorumReadAsked {
  ReadTicket ticket;
};
// What a client has seen: of which life of the group (a restored or a set back one is another), and through which slot.
struct SessionToken {
  Nonce incarnation;
  Slot slot;
};
// At any replica: from a state that has everything its session has seen, if it is here by then. Read-your-writes and monotonic,
// no more: what others have done since need not be seen. Its answer names the slot of the session's next token.
struct SessionReadAsked {
  ReadTicket ticket;
  SessionToken token;
  Instant until;
};
// Nobody waits for it any more.
struct ReadGivenUp {
  ReadTicket ticket;
};
// Only while leading, and to a voter that answers. Nothing is aborted for it: what is in flight is finished first, and where
// the successor does not show that it knows all of it, the leader goes on (Timing::hand_over).
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
                                  ReadAsked, QuorumReadAsked, SessionReadAsked, ReadGivenUp, TransferAsked,
                                  SnapshotInstalled, SnapshotTaken, SnapshotFetched>;

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
enum class ReadRefusal : std::uint8_t {
  kNotLeading,        // or no longer: ask again
  kLate,              // what the session has seen, or a quorum accepted, did not come here in time
  kOtherIncarnation,  // the token is of another life of the group: what it has seen may be gone
};
struct RefuseRead {
  ReadTicket ticket;
  ReadRefusal reason = ReadRefusal::kNotLeading;
};
// What the log's cut tail may have said was taken over: the log may forget that it was cut.
struct SettleCutTail {};
using ReplicaEffect = std::variant<Append, Send, Deliver, Lead, StopLeading, ShowLeader, SendSnapshot, ReadAt,
                                   RefuseRead, SettleCutTail>;
using ReplicaEffects = std::vector<ReplicaEffect>;

}  // namespace troth::coordinator::consensus
