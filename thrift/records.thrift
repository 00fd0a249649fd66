/**
 * thrift/records.thrift: what the decision store writes to its log, one compact struct per record; the record's
 * type in the log says which.
 *
 * These bytes outlive every process, so what a field means never changes:
 *   - no field is `required`, ids are never used again, and a missing field is read as corrupt unless it is
 *     marked optional;
 *   - a new field is optional, and a reader of version N-1 must be right to skip it; what it must not skip is a
 *     new record type, which it refuses;
 *   - golden bytes of every released version are kept in tests/unit/coordinator/record_codec_test.cc.
 *
 * Times are microseconds since 1970-01-01 UTC. A transaction is its id's text.
 */
namespace cpp troth.record

struct Branch {
  1: i32 branch,
  2: i32 resource  // the resource's number
}

// type 1
struct EpochAcquired {
  1: i32 number,
  2: i64 nonce,
  3: i64 acquired_us,
  4: optional i32 new_reign  // the newest epoch, up to this one, that an operator began; missing: none
}

// type 2
struct Commit {
  1: string transaction,
  2: list<Branch> branches,     // those that voted yes
  3: optional string client,    // with request_id
  4: optional binary request_id,
  5: optional binary digest,    // SHA-256, with request_id
  6: i64 decided_us,
  7: string label
}

// type 3
struct PreCommit {
  1: string transaction,
  2: list<Branch> branches,
  3: i64 proposed_us
}

// type 4
struct Abort {
  1: string transaction,
  2: i64 decided_us,
  3: string reason
}

// type 5
struct Barred {
  1: string client,
  2: binary request_id,
  3: i64 barred_us
}

// type 6
struct Resource {
  1: string name,
  2: i32 number,
  3: string kind,
  4: string identity,
  5: string agent,
  6: i64 incarnation,
  7: string address
}

// type 7
struct Floors {
  1: i32 epoch,
  2: i64 sequence,
  3: i64 request_ms
}

// type 8
struct Ended {
  1: string transaction,
  2: i64 ended_us,
  3: bool heuristic
}

// type 9
struct Resolution {
  1: string transaction,
  2: i32 branch,
  3: string resource,
  4: bool commit,
  5: string reason,
  6: string operator_name,
  7: i64 resolved_us
}

// type 10, in the log of `local` alone: the group at that place has taken over everything before it. No program opens such a
// log for a coordinator any more; those that do not know the type refuse it, too.
struct Superseded {
  1: string by,
  // Its log was made: what it holds now may be newer than everything before this record.
  2: optional bool group_is_made
}

/**
 * One write that a group's replicated log carries out. `kind` says which fields it has:
 *   1 acquire an epoch: nonce, now_us, above
 *   2 choose           : epoch, type, one record (types 2 to 5)
 *   3 end              : epoch, records of type 8
 *   4 register         : epoch, one record of type 6
 *   5 raise floors     : epoch, one record of type 7
 *   6 resolve          : epoch, one record of type 9
 */
struct BatchedRequest {
  1: i64 ticket,                   // the asker's own
  2: i32 kind,
  3: optional i32 epoch,
  4: optional i32 type,            // of `records`
  5: optional list<binary> records,
  6: optional i64 nonce,
  7: optional i64 now_us,
  8: optional i32 above,           // missing: none
  9: optional bool unnumbered      // the resource is to be given a number; its record's own means nothing
}

// An entry of a group's log.
struct Batch {
  1: i32 replica,                  // who asked, in which of its starts
  2: i64 start,
  3: list<BatchedRequest> requests
}
