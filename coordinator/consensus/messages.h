// coordinator/consensus/messages.h
//
// What replicas say to each other. Any of it may be lost, doubled, late or reordered [T10].
//
//   pre-vote  -> pre-vote granted            would you elect me? nothing changes yet
//   prepare   -> promise                     phase one, for every slot that is not chosen
//   accept    -> accepted                    phase two, many slots in flight
//   heartbeat -> heartbeat seen              leads, renews the lease, confirms reads, tells what is chosen
//   fetch     -> chosen entries              catching up; a snapshot where they are gone
//   release, take over                       leadership handed over on purpose
//   ask highest -> highest shown             quorum reads
//   ask standing -> standing shown           after a start: do you know more of me than I do?
#pragma once

#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "base/time.h"
#include "coordinator/consensus/ballot.h"
#include "coordinator/consensus/entry.h"
#include "coordinator/consensus/lease.h"
#include "coordinator/consensus/log_position.h"

namespace troth::coordinator::consensus {

// Numbers a leader's heartbeats within its ballot; what answers one, answers all before it.
using HeartbeatNumber = Named<struct HeartbeatTag, std::uint64_t>;

// A slot's acceptance: `entry` was accepted in `ballot`, and in no higher one.
struct Accepted {
  Slot slot;
  Ballot ballot;
  Entry entry;
  bool operator==(const Accepted&) const = default;
};

struct PreVote {
  Ballot ballot;  // that would be prepared
};
struct PreVoteGranted {
  Ballot ballot;
};

// For every slot. A promise that does not fit one message comes in parts, each asked for by the same prepare again: who has
// promised a ballot accepts nothing below it any more, so what the parts tell stands, whenever each was sent.
struct Prepare {
  Ballot ballot;
  Slot above;  // every slot up to here is known to be chosen, or what its receiver accepted there was told
};
struct Promise {
  Ballot ballot;
  Slot chosen;  // a candidate proposes nothing at or below it, and catches up first (attack 12)
  std::vector<Accepted> accepted;  // in the order of slots; above `above` and `chosen`
  LogPosition position;            // of its sender
  Slot above;                      // as asked
  std::optional<Slot> through;     // the last slot that this part tells of; none: it tells of all
};

// An answer to pre-vote, prepare, accept or heartbeat of `ballot`.
struct Refused {
  Ballot ballot;
  Ballot promised;                  // above `ballot`, or a lease stands in its way
  std::optional<ReplicaId> leader;  // who leads, as far as its sender knows
};

struct Accept {
  Ballot ballot;
  Slot first;
  std::vector<Entry> entries;  // of `first` and the slots behind it
  Slot chosen;                 // see Heartbeat
};
struct AcceptedThrough {
  Ballot ballot;
  Slot first;
  Slot last;             // of these its sender's acceptance is durable
  LogPosition position;  // of its sender
};

struct Heartbeat {
  Ballot ballot;
  HeartbeatNumber number;
  Slot chosen;   // every slot up to here is chosen; of those proposed in `ballot` it is that proposal
  Instant sent;  // by its sender's clock, which gets it back
  std::map<ReplicaId, LogPosition> positions;  // how far each log is known to have come, at least
};
struct HeartbeatSeen {
  Ballot ballot;
  HeartbeatNumber number;
  Slot chosen;                        // of its sender
  LogPosition position;               // of its sender
  Instant sent;                       // of the heartbeat
  std::optional<LeaseTerms> granted;  // the lease, once more, by these
};

struct Fetch {
  Slot above;
};
struct ChosenEntries {
  Slot first;
  std::vector<Entry> entries;
  Slot chosen;  // of its sender: more is to be fetched below it
};

// The leader of `ballot` proposes nothing more, and its lease is free for `successor` alone (attack 37).
struct Release {
  LeaseHandOver hand_over;
};
struct TakeOver {
  Ballot ballot;  // that ends
  Slot chosen;
};

// After its sender's start.
struct AskStanding {
  Slot above;               // as in Prepare
  bool everything = false;  // it cut its log, and asks for what it may have promised and accepted
  Ballot fence;             // promise this first, if nothing is in its way; none: nothing
  Nonce start;              // of its sender
};
struct StandingShown {
  LogPosition known;  // of whom it is sent to, at least
  Ballot promised;
  Slot chosen;
  std::vector<Accepted> accepted;  // as in Promise; only with `everything`
  Nonce asked_in;                  // AskStanding::start
  Slot above;                      // as in Promise
  std::optional<Slot> through;
};

// For a quorum read; `number` is the asker's own.
using ReadNumber = Named<struct ReadNumberTag, std::uint64_t>;
struct AskHighest {
  ReadNumber number;
  Slot
      waits_for;  // somebody has accepted this one, and it is not known to be chosen; 0: none. A leader fills what is below
};
struct HighestShown {
  ReadNumber number;
  Slot highest;  // accepted
  Slot chosen;
};

using Message = std::variant<PreVote, PreVoteGranted, Prepare, Promise, Refused, Accept, AcceptedThrough,
                             Heartbeat, HeartbeatSeen, Fetch, ChosenEntries, Release, TakeOver, AskStanding,
                             StandingShown, AskHighest, HighestShown>;

// About what it takes of memory, in bytes.
[[nodiscard]] std::size_t size_of(const Message& message);

}  // namespace troth::coordinator::consensus
