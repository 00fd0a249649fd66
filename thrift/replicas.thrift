/**
 * thrift/replicas.thrift: what the replicas of a coordinator group say to each other, and what each writes to its own
 * log. The first may be lost, doubled, delayed or reordered [T10]; the second outlives every process: what a field
 * means never changes, ids are never used again, a new field is optional.
 *
 * Missing fields are refused, but where they are optional. Times are microseconds of the sender's own clock.
 */
namespace cpp troth.replica

struct Ballot {
  1: i64 round,
  2: i32 leader
}

// How far a replica's own log has come: in which of its starts, through which write.
struct Position {
  1: i64 start,
  2: i64 durable
}

struct Configuration {
  1: list<i32> voters,
  2: i32 write_quorum,
  3: i32 elect_quorum,
  4: i32 read_quorum,
  5: list<i32> learners,
  30: optional i64 lease_us,  // of the lease; neither of the two: 150 ms, and clocks that run 1% from true time
  31: optional i32 drift_ppm
}

// Neither field: a no-op.
struct Entry {
  1: optional binary command,
  2: optional Configuration change
}

// Log record 1, and part of messages.
struct Accepted {
  1: i64 slot,
  2: Ballot ballot,
  3: Entry entry
}

// ---- the other log records

// 2
struct Promised {
  1: Ballot ballot
}
// 3
struct Learned {
  1: i64 slot,
  2: Entry entry
}
// 4
struct ChosenThrough {
  1: i64 slot
}
// 5
struct ConfiguredFrom {
  1: i64 slot,
  2: Configuration configuration
}
// 6
struct Started {
  1: i64 start
}
// 7
struct PositionsKnown {
  1: map<i32, Position> positions
}

// 30
struct WaitsAfterStart {
  1: i64 wait_us
}

// 31
struct StandingAsked {
  1: Position position
}

// ---- messages

struct PreVote {
  1: Ballot ballot
}
struct PreVoteGranted {
  1: Ballot ballot
}
struct Prepare {
  1: Ballot ballot,
  2: i64 above
}
// Or a part of one: the slots behind `above`, through `through`.
struct Promise {
  1: Ballot ballot,
  2: i64 chosen,
  3: list<Accepted> accepted,
  4: Position position,
  5: i64 above,
  6: optional i64 through
}
struct Refused {
  1: Ballot ballot,
  2: Ballot promised,
  3: optional i32 leader
}
struct Accept {
  1: Ballot ballot,
  2: i64 first,
  3: list<Entry> entries,
  4: i64 chosen
}
struct AcceptedThrough {
  1: Ballot ballot,
  2: i64 first,
  3: i64 last,
  4: Position position
}
struct Heartbeat {
  1: Ballot ballot,
  2: i64 number,
  3: i64 chosen,
  4: i64 sent_us,
  5: map<i32, Position> positions
}
struct HeartbeatSeen {
  1: Ballot ballot,
  2: i64 number,
  3: i64 chosen,
  4: Position position,
  5: i64 sent_us,  // as the heartbeat had it
  // 6 was whether the lease is granted, without its terms
  30: optional i64 lease_us,  // it is granted; both or none
  31: optional i32 drift_ppm
}
struct Fetch {
  1: i64 above
}
struct ChosenEntries {
  1: i64 first,
  2: list<Entry> entries,
  3: i64 chosen
}
struct Release {
  1: Ballot ballot,
  2: i32 successor
}
struct TakeOver {
  1: Ballot ballot,
  2: i64 chosen
}
struct AskStanding {
  1: i64 above,
  2: bool everything,
  3: i64 start,
  4: Ballot fence
}
struct StandingShown {
  1: Position known,
  2: Ballot promised,
  3: i64 chosen,
  4: list<Accepted> accepted,
  5: i64 asked_in,
  6: i64 above,
  7: optional i64 through
}
struct AskHighest {
  1: i64 number,
  2: optional i64 waits_for
}
struct HighestShown {
  1: i64 number,
  2: i64 highest,
  3: i64 chosen
}

union Message {
  1: PreVote pre_vote,
  2: PreVoteGranted pre_vote_granted,
  3: Prepare prepare,
  4: Promise promise,
  5: Refused refused,
  6: Accept accept,
  7: AcceptedThrough accepted_through,
  8: Heartbeat heartbeat,
  9: HeartbeatSeen heartbeat_seen,
  10: Fetch fetch,
  11: ChosenEntries chosen_entries,
  12: Release release,
  13: TakeOver take_over,
  14: AskStanding ask_standing,
  15: StandingShown standing_shown,
  16: AskHighest ask_highest,
  17: HighestShown highest_shown
}

// ---- snapshots of the decision store's table

/**
 * A snapshot's file is made of txlog's batches (txlog/FORMAT.md), one behind the other, numbered from 0. The first has the
 * salt "SNAPSHOT" and one record, of type 1001; the others have the salt that it names. Then come the table's records
 * (thrift/records.thrift) with their own types, and as the last one a record of type 1002. Without it, or with anything
 * behind it, the file is no snapshot.
 */

// 1001
struct SnapshotBegun {
  1: i32 format,         // 1; what a reader does not know it refuses
  2: string cluster,
  3: i64 salt            // random, never 0
}
// 1002
struct SnapshotEnded {
  1: i64 slot,           // the state is that behind this one
  2: list<binary> configured,  // each a ConfiguredFrom: that of the next slot, and what is chosen for later ones
  3: i64 records         // between the first and this one
}

struct SnapshotName {
  1: i64 slot,
  2: i64 salt
}
struct SnapshotOffered {
  1: SnapshotName name,
  2: i64 bytes,          // of the file
  3: string cluster
}
struct ChunkAsked {
  1: SnapshotName name,
  2: i64 offset
}
struct ChunkSent {
  1: SnapshotName name,
  2: i64 offset,
  3: binary bytes,
  4: i32 checksum        // CRC32C of the bytes
}
struct SnapshotWithdrawn {
  1: SnapshotName name
}

// Goes over the same connection as Message; no field of the one is a field of the other, so that the first byte or two
// tell which it is.
union SnapshotMessage {
  32: SnapshotOffered offered,
  33: ChunkAsked chunk_asked,
  34: ChunkSent chunk_sent,
  35: SnapshotWithdrawn withdrawn
}
