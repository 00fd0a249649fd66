/**
 * thrift/journal.thrift: what an agent's journal holds, record by record. The log's record type says which struct
 * follows (participant_agent/runtime/journal_codec.cc); the evolution rules of common.thrift hold here too, for
 * as long as a disk may hold a record.
 */
namespace cpp troth.wire.journal
namespace py troth.journal

include "common.thrift"
include "transactions.thrift"
include "agents.thrift"

struct Owner {
  1: string agent,
  2: i64 incarnation,
  3: i64 nonce,
  4: i64 counter
}

struct AgentStarted {
  1: i64 incarnation
}

struct EpochSeen {
  1: common.Epoch epoch
}

struct WatermarkRaised {
  1: i64 epoch,
  2: i64 sequence
}

struct Claiming {
  1: string resource,
  2: Owner row
}

struct Owns {
  1: string resource,
  2: Owner row
}

struct CounterRaised {
  1: string resource,
  2: i64 counter,
  3: optional string gtid
}

struct ResourceIdentity {
  1: string resource,
  2: string server,
  3: i64 timeline,
  4: string installation
}

/** A branch that began, with its redo. */
struct BranchBegun {
  1: string transaction,
  2: i32 branch,
  3: transactions.BranchWork work,
  4: i64 epoch,
  5: i64 incarnation,
  6: optional agents.RequestKey request,
  7: binary digest,
  8: transactions.Isolation isolation,
  9: i64 connection,
  10: i64 server_start,
  11: i64 timeout_us,
  12: optional bool set_back    // missing: no
}

struct DecisionLearned {
  1: string transaction,
  2: i32 branch,
  3: string resource
}

struct Finished {
  1: string transaction,
  2: i32 branch,
  3: string resource,
  4: agents.BranchEnd outcome
}

struct Resolved {
  1: string transaction,
  2: i32 branch,
  3: string resource,
  4: bool commit,
  5: string reason,
  6: string operator_name
}

struct EndedByLeader {
  1: list<string> transactions
}

struct FloorRaised {
  1: string resource,
  2: i64 epoch,
  3: i64 sequence,
  4: i64 request_ms
}

struct SetBackAccepted {
  1: string resource
}

struct TakeOverUsed {
  1: string resource
}

struct TakeOverTold {
  1: string resource
}

struct ReignDoubted {
  1: common.Epoch rival
}
