/**
 * thrift/administration.thrift: what operators call on a coordinator, through the tool `troth`.
 * Every call that changes something needs a reason and leaves a line in the audit trail.
 */
namespace cpp troth.wire
namespace py troth.administration

include "common.thrift"
include "transactions.thrift"
include "agents.thrift"

struct ResourceStatus {
  1: string name,
  2: i32 number,
  3: string kind,
  4: string agent_id,
  5: i64 incarnation,
  6: string address,
  7: bool connected,
  8: agents.ResourceHealth health
}

struct OpenTransaction {
  1: string transaction_id,
  2: transactions.TransactionState state,
  3: i64 age_ms,
  4: list<transactions.BranchStatus> branches,
  5: optional string label
}

struct ClusterStatus {
  1: string cluster,
  2: common.Epoch epoch,
  3: i64 open_transactions,
  4: i64 floor_epoch,
  5: i64 floor_sequence,
  6: i64 request_floor_ms,
  7: list<ResourceStatus> resources,
  8: i64 committed,            // since this process started
  9: i64 aborted,
  10: i64 log_syncs,
  11: string version,
  12: i64 clock_ms             // the coordinator's clock, in milliseconds since 1970
}

/** Another coordinator of the group, as one of them sees it. */
struct PeerStatus {
  1: i32 replica,
  2: string address,        // where services, agents and the tool call it
  3: string peer_address,
  4: bool reached,
  5: optional string trouble  // why it is not reached
}

/** One coordinator of a group, as it sees itself and the others. */
struct GroupStatus {
  1: string cluster,
  2: i32 replica,
  3: string version,
  4: string state,           // leads, follows, looks for a leader
  5: string standing,        // votes; or why not: asks, recovers, set back
  6: optional i32 leader,
  7: bool serves,            // its reign decides; a leader begins one when it leads
  8: common.Epoch epoch,     // the newest that has come here
  9: i64 round,              // of the newest ballot that it promised
  10: i64 chosen,            // the last slot that it knows to be chosen
  11: i64 snapshot,          // the slot of its newest snapshot
  12: list<i32> voters,
  13: list<i32> learners,    // are sent everything, and do not vote
  14: i32 write_quorum,
  15: i32 elect_quorum,
  16: i32 read_quorum,
  17: i64 lease_ms,
  18: bool settled,          // the last change of the group is in effect
  19: string began,          // by what the group began: the same at all, for ever
  20: list<PeerStatus> others,
  21: i64 log_bytes,
  22: i64 clock_ms,
  23: string address         // where services, agents and the tool call it
}

/** What the group is to be. A change of members or quorums that cannot be safe is refused, with the sum. */
struct ChangeGroupRequest {
  1: list<i32> voters,
  2: list<i32> learners,
  3: i32 write_quorum,       // 0: the smallest majority; the same for the other two
  4: i32 elect_quorum,
  5: i32 read_quorum,
  6: string reason,
  7: string operator_name,
  /** Who the caller takes the members for. Where either is given and it is not so, nothing is changed (BUSY): it was changed meanwhile. */
  8: optional list<i32> from_voters,
  9: optional list<i32> from_learners
}

struct TransferLeadRequest {
  1: i32 to,
  2: string reason,
  3: string operator_name
}

struct InDoubtReport {
  1: list<OpenTransaction> transactions,       // decided or pending, not yet ended
  2: list<agents.InDoubtBranch> branches,      // what the agents hold
  3: list<string> unreachable_agents           // the report is not complete while one is named here
}

struct ResolveRequest {
  1: string transaction_id,
  2: string resource,
  3: i32 branch,
  4: bool commit,
  5: string reason,
  6: string operator_name
}

struct ResolveReply {
  1: string state,      // what the branch is now
  2: string detail      // how that compares with the decision
}

service Administration {
  ClusterStatus cluster_status() throws (1: common.TrothError error),
  InDoubtReport in_doubt() throws (1: common.TrothError error),
  /** A heuristic decision about one branch, compared with the group's decision where there is one. */
  ResolveReply resolve(1: ResolveRequest request) throws (1: common.TrothError error),

  /** Of the coordinator that is asked. Where it is alone: INVALID_ARGUMENT. */
  GroupStatus group_status() throws (1: common.TrothError error),
  /** By the leader; answers when the change is in effect. BUSY: another one is not yet. UNKNOWN: ask group_status. */
  GroupStatus change_group(1: ChangeGroupRequest request) throws (1: common.TrothError error),
  /** The leader finishes what is in flight, and aborts nothing for it; answers when the other one leads. */
  GroupStatus transfer_lead(1: TransferLeadRequest request) throws (1: common.TrothError error)
}
