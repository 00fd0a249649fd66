/**
 * thrift/transactions.thrift: what a service calls.
 */
namespace cpp troth.wire
namespace py troth.transactions

include "common.thrift"

/** How many rows a statement must touch (or return, for a SELECT). Anything else is a no vote. */
struct ExpectRows {
  1: optional i64 exactly,
  2: optional i64 at_least
}

/**
 * One SQL statement with its parameters, bound by the database's driver and never pasted into the text.
 * Placeholders are the database's own: $1, $2.. for Postgres, ? for MySQL and MariaDB.
 * Transaction control, XA and several statements in one text are refused (FORBIDDEN_STATEMENT).
 */
struct Statement {
  1: string sql,
  2: list<common.Value> parameters,
  3: optional ExpectRows expect_rows
}

/** The work in one resource. A branch's number is its place in the request, from 1. */
struct BranchWork {
  1: string resource,
  2: list<Statement> statements,
  3: bool read_only  // declared, and enforced by the database
}

enum Acknowledgement {
  APPLIED = 1,  // every branch has committed and released its locks (the default)
  DECIDED = 2   // the decision is durable; the branches commit in the background
}

enum Isolation {
  SERVER_DEFAULT = 1,   // READ COMMITTED on MySQL and MariaDB branches, the server's own on Postgres
  READ_COMMITTED = 2,
  REPEATABLE_READ = 3,
  SERIALIZABLE = 4
}

enum Protocol {
  TWO_PHASE = 1
}

struct ExecuteOptions {
  1: optional Acknowledgement acknowledgement,  // APPLIED when missing
  2: optional Isolation isolation,              // SERVER_DEFAULT when missing
  3: optional Protocol protocol,                // TWO_PHASE when missing
  4: optional i64 timeout_ms,                   // of the whole call; the coordinator's default when missing
  5: optional i64 statement_timeout_ms,         // of each statement; the agent's default when missing
  6: optional i64 max_rows                      // returned by each statement; more is an error (INVALID_ARGUMENT), not a cut
}

struct ExecuteRequest {
  1: list<BranchWork> branches,
  2: optional ExecuteOptions options,
  3: string client_name,           // part of the request key; at most 64 bytes
  // UUIDv7: at most one commit for (client_name, request_id). Never use one again for other content: that is refused,
  // except where a request with a single branch was committed, and the other one does not write in its resource: it alone
  // knows.
  4: optional string request_id,
  5: optional string label,        // for people: shown by `troth status`, never interpreted
  6: optional string traceparent   // W3C trace context, passed through
}

struct StatementResult {
  1: list<common.Column> columns,  // empty for a statement that returns no rows
  2: list<common.Row> rows,
  3: i64 affected_rows,            // for a SELECT: the rows returned
  4: optional i64 generated_key    // MySQL, MariaDB: the first that an INSERT or REPLACE generated, else the last that it gave
}

struct BranchResult {
  1: string resource,
  2: list<StatementResult> statements
}

/** The transaction committed. Failures are TrothError; `effect` there says what is known. */
struct ExecuteResult {
  1: string transaction_id,
  2: list<BranchResult> branches,        // empty when `already_committed`
  3: bool already_committed,             // an earlier attempt with this request_id did it; its rows are not kept
  4: Acknowledgement acknowledged,       // what is true at this moment
  5: list<string> pending_resources,     // decided, but not yet applied there
  6: optional string session_token       // of a group: `status` for this session, at any coordinator, sees this commit
}

enum TransactionState {
  ACTIVE = 1,
  PREPARING = 2,
  PENDING = 3,              // commit was proposed; only the store (or the resource) can tell
  COMMITTED = 4,
  NOT_COMMITTED = 5,        // aborted, or never begun; it never will
  UNKNOWN = 6,              // cannot be told now: ask again, or send the same request_id again
  TOO_OLD = 7,              // below the floor
  HEURISTIC_MIXED = 8,      // some branch ended otherwise than decided: an operator must look
  HEURISTIC_COMMIT = 9,
  HEURISTIC_ROLLBACK = 10
}

/** In a group of coordinators: from which state `status` is answered. One that is alone answers all alike. */
enum Consistency {
  LINEARIZABLE = 1,  // everything that was decided when it was asked, and what runs: by the leader. With `bar`, always
  QUORUM = 2,        // everything that was decided when it was asked: by any coordinator that reaches a read quorum
  SESSION = 3,       // what this session has seen, and perhaps more: by any coordinator to which that has come
  EVENTUAL = 4       // what has come to the coordinator that is asked
}

/**
 * The last three say nothing of what still runs (UNKNOWN), nor of what only a resource knows: a transaction in one phase, and
 * a request that was one.
 */
struct StatusRequest {
  1: optional string transaction_id,   // exactly one of transaction_id and request_id
  2: optional string request_id,
  3: string client_name,               // with request_id
  4: bool bar,                         // with request_id: make sure that it never commits, then say so
  5: list<string> bar_resources,       // resources the request may have touched in one phase
  6: optional i64 timeout_ms,
  7: optional Consistency consistency, // LINEARIZABLE when missing
  8: optional string session_token     // with SESSION: the newest that this session was given
}

struct BranchStatus {
  1: string resource,
  2: i32 branch,
  3: string state   // preparing, prepared, committing, committed, read-only, rolled back, lost, resolved
}

struct StatusReply {
  1: TransactionState state,
  2: optional string transaction_id,
  3: list<BranchStatus> branches,
  4: optional string detail,        // in words, for people
  5: optional string label,
  6: optional string session_token  // of a group
}

/**
 * An interactive transaction: `begin_transaction`, any number of `query`, then `commit` or `rollback`.
 *
 * Statements are numbered by the caller, from 1, in each resource by itself. The same number again is the same
 * statement, and gets the answer that is kept of the last one; it never runs twice. A resource takes one
 * statement at a time.
 * Whatever ends the transaction before `commit` was called - a failed statement or a missed `expect_rows`, a lost
 * agent, session or coordinator, a time that is up - ends all of it: effect `none`, begin anew. After `commit` was
 * called the outcome may be unknown: call `commit` again, or ask `status`.
 */
struct BeginOptions {
  1: optional Isolation isolation,      // SERVER_DEFAULT when missing
  2: bool read_only,                    // of all branches; enforced by the databases
  3: optional i64 timeout_ms,           // from begin to commit or rollback; the coordinator's default when missing
  4: optional i64 idle_timeout_ms,      // the longest pause between two calls; the coordinator's default when missing
  5: optional i64 statement_timeout_ms, // of each statement; the agent's default when missing
  6: optional i64 max_rows              // returned by each statement; more is an error that ends the transaction
}

struct BeginRequest {
  1: optional BeginOptions options,
  2: string client_name,           // at most 64 bytes; only the same client's calls reach the transaction
  // UUIDv7: at most one commit for (client_name, request_id), as in ExecuteRequest and together with it. One that a single
  // branch of `execute` had is found out at the first statement that may write in that branch's resource.
  3: optional string request_id,
  4: optional string label,        // for people: shown by `troth status`, never interpreted
  5: optional string traceparent   // W3C trace context, passed through
}

struct BeginResult {
  1: string transaction_id,
  2: bool already_committed        // an earlier attempt with this request_id committed, as that id; nothing was begun
}

struct QueryRequest {
  1: string transaction_id,
  2: string client_name,
  3: string resource,
  4: i32 number,                   // of this statement in this resource: 1, 2, ..
  5: Statement statement,
  6: optional i64 page_rows        // at most so many rows in this answer, the others by `fetch`; all when missing
}

struct QueryResult {
  1: StatementResult result,       // affected_rows counts all rows, not those of this page
  2: bool more                     // there are rows behind these
}

/** Rows of the answer that is kept of a resource's last statement; asked for twice, they come twice. */
struct FetchRequest {
  1: string transaction_id,
  2: string client_name,
  3: string resource,
  4: i32 number,                   // of that statement
  5: i64 from_row,                 // 0 is the first
  6: optional i64 page_rows        // all that are left when missing
}

struct CommitRequest {
  1: string transaction_id,
  2: string client_name,
  3: optional Acknowledgement acknowledgement,  // APPLIED when missing
  4: optional i64 timeout_ms                    // of this call; what is left of the transaction when missing
}

struct CommitResult {
  1: string transaction_id,
  2: bool already_committed,             // an earlier call did it
  3: Acknowledgement acknowledged,       // what is true at this moment
  4: list<string> pending_resources,     // decided, but not yet applied there
  5: optional string session_token       // see ExecuteResult
}

struct RollbackRequest {
  1: string transaction_id,
  2: string client_name
}

/** Nothing of the transaction stands, and nothing will; its branches are being rolled back. */
struct RollbackResult {
  1: string transaction_id
}

service Transactions {
  common.Hello hello(1: common.Hello hello) throws (1: common.TrothError error),

  /**
   * Everything in one call: runs all branches, commits all or none.
   * Errors: effect `none` - nothing stands anywhere, and never will;
   *         effect `unknown` - send the same request_id again, or ask `status`.
   */
  ExecuteResult execute(1: ExecuteRequest request) throws (1: common.TrothError error),

  /** A request_id that is being worked on is BUSY: its transaction ends by itself when nobody calls any more. */
  BeginResult begin_transaction(1: BeginRequest request) throws (1: common.TrothError error),
  /**
   * Errors: FORBIDDEN_STATEMENT, INVALID_ARGUMENT, BUSY, OVERLOADED and PERMISSION_DENIED were refused before they ran,
   * and the transaction goes on, unless the error names a `transaction_id`: then it has ended, effect `none`; or its commit
   * was called before, effect `unknown`: call that again.
   */
  QueryResult query(1: QueryRequest request) throws (1: common.TrothError error),
  QueryResult fetch(1: FetchRequest request) throws (1: common.TrothError error),
  /**
   * Commits all branches or none. Errors: effect `none` - nothing stands anywhere, and never will;
   * effect `unknown` - call it again. BUSY: a statement still runs, and the transaction goes on.
   */
  CommitResult commit(1: CommitRequest request) throws (1: common.TrothError error),
  RollbackResult rollback(1: RollbackRequest request) throws (1: common.TrothError error),

  StatusReply status(1: StatusRequest request) throws (1: common.TrothError error)
}
