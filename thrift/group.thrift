/**
 * thrift/group.thrift: what the coordinators of a group call on each other, on a port of their own.
 */
namespace cpp troth.wire

include "common.thrift"

/** First on every connection between two replicas, both ways. */
struct ReplicaHello {
  1: common.Hello hello,
  2: i32 replica,        // its sender's number
  3: i32 to,             // whom its sender believes to speak to
  4: i64 start,          // random, of this start of its sender; never 0
  5: string group        // by what the group began, as its sender has it: compared as it is
}

/** thrift/replicas.thrift: a Message or a SnapshotMessage. May be lost, doubled, delayed or reordered [T10]. */
struct ReplicaMessage {
  1: i32 replica,        // its sender's number
  2: i64 start,          // as its greeting had it
  3: binary message
}

/** A client's call as it came, passed on to the leader in that client's name. */
struct PassedCall {
  1: i32 replica,        // who passes it on
  2: i64 start,
  3: optional string role,   // of the client's certificate; missing, like the name, without TLS
  4: optional string name,
  5: string peer,        // the client's address
  6: binary message      // without the frame's length
}

struct PassedAnswer {
  1: binary frame        // as the client is to get it, its length included
}

service Replicas {
  /** Refuses another cluster, another version, another replica than was meant, and a second process of one number. */
  ReplicaHello greet(1: ReplicaHello hello) throws (1: common.TrothError error),
  oneway void deliver(1: ReplicaMessage message),
  /**
   * An error that is declared says that no service saw the call: whoever passed it on may do so again. The call's own failure,
   * if it has one, is in its answer.
   */
  PassedAnswer pass_on(1: PassedCall call) throws (1: common.TrothError error)
}
