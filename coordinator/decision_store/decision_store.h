// coordinator/decision_store/decision_store.h
//
// The decision store: the coordinator's only durable memory, behind one narrow asynchronous interface.
// Requests and answers are values, so that pure machines, the simulator and every engine speak of the same
// things.
//
// What an engine promises; tests/unit/coordinator/store_conformance.h holds each engine to it:
// [S1] An epoch, once answered, is durable, and higher than every epoch answered before. From then every
//      request that names an older epoch is answered `Fenced`.
// [S2] Keys are (transaction, pre-commit), (transaction, decision), (client, request_id). Each is first
// writer
//      wins. A record is applied whole or not at all: is one of its keys taken, nothing is written.
// [S3] Only a commit or `barred` claims a request key.
// [S4] An answer is given only when everything it speaks of is durable. `Won` is never taken back.
// [S5] Choosing the same record again is safe: `Won`, or `Existing` with that very record.
// [S6] `Fenced` and `Unknown` say nothing of the record: it may be applied, now or later. Only a lookup whose
//      prefix carries a newer epoch can tell [T4].
// [S7] A lookup answers from one prefix and says which: `Prefix::epoch` is the newest epoch record inside it.
// [S8] What is not ended never leaves. `end` keeps outcome and request key until both floors have passed
// them. [S9] A floor is durable before anything is dropped for it, and never falls. [S10] A batch is not
// atomic: each request stands for itself; answers may come in any order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "coordinator/decision_store/records.h"

namespace troth::coordinator::store {

// Where the applied history ends: a count of log records in `local`, a slot in a group.
using WriteNumber = Named<struct WriteNumberTag, std::uint64_t>;

struct Prefix {
  Epoch epoch;  // the newest epoch record inside the prefix
  WriteNumber position;
  Floors floors;
  EpochNumber new_reign{};  // the newest epoch in it that an operator began; 0: none
  bool operator==(const Prefix&) const = default;
};

struct Counts {
  std::uint64_t open = 0;    // undecided pre-commits and decisions not yet ended
  std::uint64_t ended = 0;   // kept for the retention
  std::uint64_t barred = 0;  // kept for the retention
  bool operator==(const Counts&) const = default;
};

// ---- requests

// `above`: the epoch must be higher than this one too, and an operator begins it (`troth cluster new-reign`).
struct AcquireEpoch {
  Nonce nonce;
  WallTime now;
  EpochNumber above{};
};
struct Choose {
  EpochNumber epoch;
  Choosable record;
};
// From which prefix a lookup is answered. Where there is one coordinator, all four are the first. In a group:
//   linearizable  from one that has everything that was chosen when it was asked; by the leader
//   quorum        the same, by any replica that reaches a read quorum
//   session       from one that ends at `seen` or later, by any replica: what its session has seen is in it
//   eventual      from whatever has come here
enum class Consistency : std::uint8_t { kLinearizable, kQuorum, kSession, kEventual };
struct Lookup {
  std::variant<TransactionId, RequestKey> key;
  Consistency consistency = Consistency::kLinearizable;
  WriteNumber seen{};  // of a session
  Instant until{};     // for so long that prefix is waited for, by the store's clock
};
// Lists decisions and undecided pre-commits in the order of their transactions, `limit` at a time, from
// `cursor` on (a position; nullopt: from the first).
enum class Listing : std::uint8_t { kOpen, kEnded };
struct List {
  Listing listing = Listing::kOpen;
  std::optional<Position> cursor;
  std::uint32_t limit = 1000;
};
struct End {
  EpochNumber epoch;
  std::vector<EndedRecord> ended;
};
// `number` zero: give it one. A known name keeps its number whatever the record says.
struct RegisterResource {
  EpochNumber epoch;
  ResourceRecord resource;
};
struct RaiseFloors {
  EpochNumber epoch;
  Floors floors;
};
struct Resolve {
  EpochNumber epoch;
  ResolutionRecord resolution;
};
using Request = std::variant<AcquireEpoch, Choose, Lookup, List, End, RegisterResource, RaiseFloors, Resolve>;

// ---- answers

struct EpochAcquired {
  Epoch epoch;
  Floors floors;
  std::vector<EpochRecord> history;  // epochs whose transactions are not all below the floor, oldest first
  std::vector<ResourceRecord> resources;
  Counts counts;
  EpochNumber new_reign{};  // EpochRecord::new_reign
};
struct Won {
  bool operator==(const Won&) const = default;
};
// The key is taken. `holder` holds it: the same transaction's own decision, or another's.
enum class TakenKey : std::uint8_t { kPreCommit, kDecision, kRequest };
struct Existing {
  TakenKey key = TakenKey::kDecision;
  std::variant<StoredDecision, PreCommitRecord, BarredRecord> holder;
  bool operator==(const Existing&) const = default;
};
struct Fenced {
  EpochNumber by;
  bool operator==(const Fenced&) const = default;
};
struct Unknown {
  Error reason;
  bool operator==(const Unknown&) const = default;
};
struct Found {
  std::optional<StoredDecision> decision;
  std::optional<PreCommitRecord> pre_commit;
  std::optional<BarredRecord> barred;
  Prefix prefix;
  bool operator==(const Found&) const = default;
};
struct Listed {
  std::vector<StoredDecision> decisions;
  std::vector<PreCommitRecord> undecided;
  std::optional<Position> next;  // nullopt: that was all
};
struct EndRecorded {
  Counts counts;
};
struct ResourceRegistered {
  ResourceRecord resource;  // with its number
};
struct FloorsRaised {
  Floors floors;
  Counts counts;
};
struct Resolved {};
// The request itself cannot be done, e.g. no resource number is left.
struct Refused {
  Error reason;
};
using StoreAnswer = std::variant<EpochAcquired, Won, Existing, Fenced, Unknown, Found, Listed, EndRecorded,
                                 ResourceRegistered, FloorsRaised, Resolved, Refused>;

// Pairs an answer with its request; given by the asker, used once.
using Ticket = Named<struct StoreTicketTag, std::uint64_t>;
struct Asked {
  Ticket ticket;
  Request request;
};
struct Answered {
  Ticket ticket;
  StoreAnswer answer;
};

// One engine. `submit` may be called only on the owner's event loop; the answers come on the same loop,
// later, through the function that the engine was made with, each ticket exactly once.
class DecisionStore {
 public:
  DecisionStore() = default;
  DecisionStore(const DecisionStore&) = delete;
  DecisionStore& operator=(const DecisionStore&) = delete;
  virtual ~DecisionStore() = default;
  virtual void submit(std::vector<Asked> requests) = 0;
};

}  // namespace troth::coordinator::store
