/**
 * thrift/common.thrift: the words that every service of Troth shares.
 *
 * How this contract may grow (versions N and N-1 work together during a rolling upgrade):
 *   - no field is `required`; a reader gives a missing field the meaning stated beside it;
 *   - a field id is never used again for something else; a removed field's id stays in a comment;
 *   - a new enum value is sent only to a peer whose `hello` named the feature; an unknown one is refused
 *     with an error that names it, never mapped to a neighbour;
 *   - method names are unique over all services, because all services of a process share one port.
 *
 * Transport: framed. Protocols: binary and compact, told apart by their first byte.
 * Calls with seqid 0 (what stock clients send) are answered in call order; others in any order, and a seqid
 * that is still in flight on its connection is refused.
 */
namespace cpp troth.wire
namespace py troth.common

/** What is known of the effect of a call that failed. The caller's next step depends on this alone. */
enum Effect {
  NONE = 1,     // nothing happened and nothing will: retry freely
  APPLIED = 2,  // it happened, although the call failed in another way
  UNKNOWN = 3   // it may or may not have happened: ask (`status`), or send the same request_id again
}

enum ErrorCode {
  INVALID_ARGUMENT = 1,
  UNKNOWN_RESOURCE = 2,
  UNKNOWN_TRANSACTION = 3,
  STATEMENT_FAILED = 4,        // the database refused a statement
  EXPECTATION_MISSED = 5,      // `expect_rows` was not met
  FORBIDDEN_STATEMENT = 6,     // transaction control, several statements, or a session left in another state
  CONFLICT = 7,                // deadlock, serialization failure, lock wait timeout: retry makes sense
  BUSY = 8,                    // the same request or branch is still running
  OVERLOADED = 9,              // a limit is reached: retry after `retry_after_ms`
  TIMEOUT = 10,
  UNAVAILABLE = 11,            // agent, resource or coordinator cannot be reached
  REQUEST_ID_REUSED = 12,      // the same request_id with other content
  REQUEST_ID_TOO_OLD = 13,     // below the request floor: no longer remembered
  REQUEST_ID_FROM_FUTURE = 14, // more than five minutes ahead of the leader's clock
  BARRED = 15,                 // a `status` with `bar` came first: this request never commits
  TOO_OLD = 16,                // below the floor: forgotten on purpose
  STALE = 17,                  // an older epoch, or another incarnation than the live one
  NOT_DURABLE = 18,            // the database's settings would not keep what it acknowledges
  SET_BACK = 19,               // a disk or server was restored to an older state: an operator must look
  NOT_OWNER = 20,              // another agent or coordinator owns this resource or directory
  CORRUPT = 21,
  IO = 22,
  INTERNAL = 23,
  PERMISSION_DENIED = 24,      // the caller's certificate does not allow it
  HEURISTIC = 25               // an operator ended a branch of it by hand: only people can tell what it came to
}

/** Every declared failure of every method. `message` names the thing, the place and the remedy. */
exception TrothError {
  1: ErrorCode code,
  2: Effect effect,
  3: string message,
  4: bool retryable,                // the same call may succeed later, unchanged
  5: optional string resource,
  6: optional i32 branch,           // 1.. in the order of the request
  7: optional i32 statement,        // 1.. inside its branch
  8: optional string sqlstate,
  9: optional i32 vendor_code,
  10: optional string constraint,
  11: optional i64 retry_after_ms,
  12: optional string transaction_id
}

/**
 * One typed SQL value; exactly one field is set. Text fields are UTF-8. A value that a column cannot hold exactly is
 * refused with its parameter's number, never rounded; docs/types.md has every type on every database.
 */
union Value {
  1: bool is_null,          // always true when set
  2: bool boolean,          // MySQL and MariaDB give back int64 0 or 1
  3: i64 int64,
  4: i64 uint64,            // the 64 bits of an unsigned number, and of a BIT; Postgres gives back decimal
  5: double float64,        // NaN, infinities: Postgres only. Of a 32-bit column: the double of its shortest form, 0.1
  6: string decimal,        // -12.50, 1.5e3: digits exactly as sent and stored; Postgres also NaN, Infinity, -Infinity
  7: string text,           // NUL: not on Postgres. Also what has no form here: infinity, zero dates, enums, intervals
  8: binary bytes,
  9: string date,           // 2026-11-23, years 0001 to 9999
  10: string time,          // 13:37:00.123456; MySQL and MariaDB: -838:59:59 to 838:59:59
  11: string timestamp,     // 2026-11-23 13:37:00.123456, no zone; into a column with one: UTC
  12: string timestamp_tz,  // 2026-11-23 13:37:00.123456+00, or +05:30, or Z; comes back in UTC
  13: string json,          // exactly as stored: jsonb and MySQL's JSON write it anew; MariaDB gives back text
  14: string uuid,          // 8-4-4-4-12 hexadecimal digits; MySQL and MariaDB give back text
  15: list<Value> elements  // an array, Postgres only: values of one type or null, or arrays of one shape, up to 6 deep
}

struct Row {
  1: list<Value> values
}

struct Column {
  1: string name,
  2: string type  // the database's own name of the type, also of an enum or an extension's type
}

/** Who is on the other side; exchanged first on every connection between Troth's own processes. */
struct Hello {
  1: i32 version,           // of this contract; 1
  2: list<string> features, // names; an unknown one is ignored
  3: string program,        // e.g. "troth-agent 0.1.0"
  4: string cluster,        // cluster id; empty when not yet known (services, tool)
  // Of a coordinator that belongs to a group; each host:port, where services, agents and the tool call. Any of them takes every
  // call, and passes it on; the leader saves that way.
  5: list<string> coordinators,
  6: optional string leader // as far as this one knows
}

struct Epoch {
  1: i64 number,
  2: i64 nonce
}
