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
  ResolveReply resolve(1: ResolveRequest request) throws (1: common.TrothError error)
}
