/**
 * thrift/agents.thrift: what coordinators and agents say to each other.
 *
 * Any of these messages may be lost, doubled, delayed or reordered [T10]; every one carries what lets the
 * receiver refuse it when it is out of its time: the epoch [T8], and the incarnation where it carries work [T12].
 */
namespace cpp troth.wire
namespace py troth.agents

include "common.thrift"
include "transactions.thrift"

/** Stands in every call of a coordinator to an agent. */
struct LeaderHeader {
  1: string cluster,
  2: common.Epoch epoch,
  3: i64 watermark_epoch,     // nothing below (epoch, sequence) is first heard of [T7]
  4: i64 watermark_sequence,
  5: i64 new_reign            // the newest epoch that `troth cluster new-reign` began; 0 or missing: none [T8]
}

struct RequestKey {
  1: string client,
  2: string request_id
}

struct PrepareRequest {
  1: LeaderHeader header,
  2: i64 incarnation,                   // of the agent for which this work is meant; another refuses it
  3: string transaction_id,
  4: i32 branch,
  5: transactions.BranchWork work,      // work.resource names the resource
  6: optional RequestKey request,
  7: binary digest,
  8: transactions.Isolation isolation,
  9: i64 timeout_ms,                    // of the whole branch, from receipt
  10: optional i64 statement_timeout_ms,
  11: i64 max_rows,
  12: i32 statement_count,              // must equal the size of work.statements [T12]
  13: bool one_phase,                   // commit at once; the answer is `committed` or `no`
  14: optional string traceparent,
  15: bool interactive,                 // the branch is open; `statement_count` of its statements were answered [T12]
  16: optional string label             // for people: in lines and, where the resource asks for it, in SQL comments
}

enum Vote {
  YES = 1,
  NO = 2,                 // nothing of this branch stands, and no session can still run for it [T11]
  READ_ONLY = 3,
  COMMITTED = 4,          // one-phase only
  ALREADY_COMMITTED = 5,  // another transaction committed this request key in this resource
  UNDECIDED = 6           // one-phase only: the agent cannot tell now; settle
}

struct PrepareReply {
  1: Vote vote,
  2: transactions.BranchResult result,      // with yes, read_only, committed
  3: optional common.TrothError refusal,    // with no and undecided
  4: optional string committed_as           // with already_committed: that transaction's id
}

/**
 * One statement of an interactive branch, or only rows of the answer that is kept of its last one. The first opens
 * the branch. The agent runs the next number only, answers the last one again, and refuses the rest [T12].
 */
struct StatementRequest {
  1: LeaderHeader header,
  2: i64 incarnation,                   // of the agent that the branch belongs to; another refuses it
  3: string transaction_id,
  4: i32 branch,
  5: string resource,
  6: i32 number,                        // 1, 2, ..
  7: optional transactions.Statement statement,  // missing: rows of the kept answer to `number`
  8: optional RequestKey request,
  9: binary digest,
  10: transactions.Isolation isolation,
  11: bool read_only,
  12: i64 timeout_ms,                   // what is left of the transaction, from receipt
  13: i64 idle_timeout_ms,              // from this statement's answer to the next call
  14: optional i64 statement_timeout_ms,
  15: i64 max_rows,
  16: i64 from_row,
  17: i64 page_rows,                    // 0: all
  18: optional string traceparent,
  19: optional string label
}

struct StatementReply {
  1: transactions.StatementResult result,
  2: bool more,                         // rows behind these
  3: optional common.TrothError refusal,
  4: bool over                          // with a refusal: nothing of the branch stands, and no session can still run for it [T11]
}

struct FinishRequest {
  1: LeaderHeader header,
  2: string transaction_id,
  3: i32 branch,
  4: string resource
}

enum BranchEnd {
  COMMITTED = 1,     // durable in the database and in the agent's journal [T6]
  ROLLED_BACK = 2,   // and barred: never starts again [T7]
  UNDECIDED = 3,     // not yet: ask again
  LOST = 4,          // commit was decided, but proof says that the branch can no longer commit: heuristic
  TOO_OLD = 5,
  HEURISTIC_COMMITTED = 6,    // an operator ended it so
  HEURISTIC_ROLLED_BACK = 7
}

struct FinishReply {
  1: BranchEnd outcome,
  2: optional string detail
}

struct SettleRequest {
  1: LeaderHeader header,
  2: string transaction_id,          // empty when a request key is to be barred
  3: i32 branch,
  4: string resource,
  5: optional RequestKey request
}

struct SettleReply {
  1: BranchEnd outcome,                  // COMMITTED, ROLLED_BACK (the barrier is committed) or UNDECIDED
  2: optional string committed_as,   // with a request key: the transaction that carried it
  3: optional string detail
}

struct HeartbeatRequest {
  1: LeaderHeader header,
  2: i64 floor_epoch,                // transactions below it are forgotten
  3: i64 floor_sequence,
  4: i64 request_floor_ms,           // request_ids with an older timestamp are forgotten
  5: list<string> ended,             // transactions whose every branch is acknowledged [T6]
  6: optional string agent_id,       // who is meant; another agent, at an address that was this one's, takes nothing of it
  7: optional list<string> resources // whose floors these are: the agent's, as the coordinator has it; missing: all
}

struct ResourceHealth {
  1: string resource,
  /**
   * starting     the agent connects, claims the resource, ends old sessions
   * serving
   * unreachable  the server does not answer the agent, or (from a coordinator) the agent does not answer
   * waiting      the server answers, but cannot be used as it is; looked at again
   * not durable  writes are refused: the server may lose what it acknowledges
   * set back     another server, or an older state of it: an operator must look
   * not owner    another agent owns the resource
   * stopped      the agent takes nothing for any resource: the coordinators were set back [T8]
   */
  2: string state,
  3: string detail,             // why it is in that state; empty: nothing to say
  4: i32 in_doubt,
  5: i64 oldest_in_doubt_ms,
  6: i32 sessions_busy,
  7: i32 sessions,
  8: string remedy              // what an operator does about it; empty: nothing
}

struct HeartbeatReply {
  1: i64 incarnation,
  2: list<ResourceHealth> resources,
  3: list<string> ended_taken,  // of `ended`: durable in the journal, need not be told again
  4: string agent_id            // a caller that reached another agent than it meant must not use it
}

struct InDoubtBranch {
  1: string resource,
  2: string transaction_id,
  3: i32 branch,
  4: i64 age_ms,
  5: string state,              // prepared, committing, rolling back, too old, orphan
  6: string waiting_for,        // in words
  7: optional string database_id   // gid or XID as the database shows it
}

struct AgentStatus {
  1: string agent_id,
  2: i64 incarnation,
  3: string version,
  4: list<ResourceHealth> resources,
  5: list<InDoubtBranch> in_doubt,
  6: common.Epoch epoch
}

/** An operator's decision about one branch; goes to the audit trail with its reason. */
struct ResolveBranchRequest {
  1: string resource,
  2: string transaction_id,
  3: i32 branch,
  4: bool commit,
  5: string reason,
  6: string operator_name
}

struct TakeOverRequest {
  1: string resource,
  2: string reason,
  3: string operator_name
}

service Agent {
  common.Hello agent_hello(1: common.Hello hello) throws (1: common.TrothError error),
  /** Runs the branch's work and votes; with `one_phase` commits it. */
  PrepareReply prepare(1: PrepareRequest request) throws (1: common.TrothError error),
  StatementReply run_statement(1: StatementRequest request) throws (1: common.TrothError error),
  FinishReply commit_branch(1: FinishRequest request) throws (1: common.TrothError error),
  FinishReply rollback_branch(1: FinishRequest request) throws (1: common.TrothError error),
  /** Finds out how a branch (or a request key) ended, and makes sure that it never happens if it did not. */
  SettleReply settle_branch(1: SettleRequest request) throws (1: common.TrothError error),
  HeartbeatReply heartbeat(1: HeartbeatRequest request) throws (1: common.TrothError error),

  AgentStatus agent_status() throws (1: common.TrothError error),
  FinishReply resolve_branch(1: ResolveBranchRequest request) throws (1: common.TrothError error),
  ResourceHealth take_over_resource(1: TakeOverRequest request) throws (1: common.TrothError error)
}

struct ResourceRegistration {
  1: string name,
  2: string kind,        // postgres, mysql, mariadb
  3: string identity     // what tells this server from another
}

struct RegisterRequest {
  1: string cluster,           // empty at the very first registration: the reply names it
  2: string agent_id,
  3: i64 incarnation,
  4: string address,           // host:port where coordinators call this agent
  5: list<ResourceRegistration> resources,
  6: list<string> take_over    // names that the operator moved to this agent
}

struct RegisterReply {
  1: string cluster,
  2: map<string, i32> resource_numbers,
  3: common.Epoch epoch
}

struct InquireRequest {
  1: string cluster,
  2: string agent_id,
  3: string transaction_id,
  4: i32 branch,
  5: string resource
}

enum Decision {
  COMMIT = 1,
  ABORT = 2,
  UNDECIDED = 3,
  TOO_OLD = 4
}

struct InquireReply {
  1: Decision decision,
  2: LeaderHeader header
}

/** What a coordinator answers to agents. */
service Directory {
  RegisterReply register_agent(1: RegisterRequest request) throws (1: common.TrothError error),
  /** How did this branch's transaction end? An agent never decides alone. */
  InquireReply inquire(1: InquireRequest request) throws (1: common.TrothError error),
  /** The reign that this coordinator serves in; confirms a jump of the epoch [T8]. */
  common.Epoch current_epoch() throws (1: common.TrothError error)
}
