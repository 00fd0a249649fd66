// coordinator/decision_store/records.h
//
// What the decision store remembers. The records are the coordinator's only durable memory: everything that
// must survive a crash is one of these, or it is in a resource.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace troth::coordinator::store {

// A branch that voted yes. Read-only branches are in no record: they have nothing to finish.
struct RecordBranch {
  BranchNumber branch;
  ResourceNumber resource;
  auto operator<=>(const RecordBranch&) const = default;
};

// Commit of a transaction: its decision key and, where there is one, its request key.
struct CommitRecord {
  TransactionId transaction;
  std::vector<RecordBranch> branches;
  std::optional<RequestKey> request;
  Digest digest;  // meaningful with `request`
  WallTime decided;
  std::string label;
  bool operator==(const CommitRecord&) const = default;
};

// Three-phase only: from here abort, too, must be chosen before anybody hears it. Claims no request key, so
// that a transaction that later aborts does not use it up (attack 41).
struct PreCommitRecord {
  TransactionId transaction;
  std::vector<RecordBranch> branches;
  WallTime proposed;
  bool operator==(const PreCommitRecord&) const = default;
};

// A chosen abort. Two-phase commit presumes abort and writes none.
struct AbortRecord {
  TransactionId transaction;
  WallTime decided;
  std::string reason;
  bool operator==(const AbortRecord&) const = default;
};

// This request key may never commit.
struct BarredRecord {
  RequestKey request;
  WallTime barred;
  bool operator==(const BarredRecord&) const = default;
};

// What `choose` decides between. First writer wins on each key that the record carries.
using Choosable = std::variant<CommitRecord, PreCommitRecord, AbortRecord, BarredRecord>;

// A reign began; everything of an older epoch is fenced from here.
struct EpochRecord {
  Epoch epoch;
  WallTime acquired;
  EpochNumber new_reign;  // the newest epoch, up to this one, that an operator began; 0: none
  bool operator==(const EpochRecord&) const = default;
};

// A resource's place: its name belongs to one agent; its number is given once and never reused.
struct ResourceRecord {
  ResourceName name;
  ResourceNumber number;
  std::string kind;      // postgres, mysql, mariadb
  std::string identity;  // what tells this server from another
  AgentId agent;
  Incarnation incarnation;
  std::string address;  // host:port where coordinators call the agent
  bool operator==(const ResourceRecord&) const = default;
};

// Below a floor things have been forgotten on purpose. Floors only rise.
struct Floors {
  Position transactions;         // transactions below are dropped once ended
  std::uint64_t request_ms = 0;  // request_ids whose own timestamp is below are dropped
  bool operator==(const Floors&) const = default;
};

// Every branch has acknowledged [T6]; outcome and request key stay until the floors pass them.
struct EndedRecord {
  TransactionId transaction;
  WallTime ended;
  bool heuristic = false;  // some branch ended otherwise than decided
  bool operator==(const EndedRecord&) const = default;
};

// An operator's heuristic decision about one branch: an audit line, never dropped before its transaction.
struct ResolutionRecord {
  TransactionId transaction;
  BranchNumber branch;
  ResourceName resource;
  bool commit = false;
  std::string reason;
  std::string operator_name;
  WallTime resolved;
  bool operator==(const ResolutionRecord&) const = default;
};

// What is written to the log.
using LogRecord = std::variant<EpochRecord, CommitRecord, PreCommitRecord, AbortRecord, BarredRecord,
                               ResourceRecord, Floors, EndedRecord, ResolutionRecord>;

// A decision as the store holds it.
struct StoredDecision {
  std::variant<CommitRecord, AbortRecord> decision;
  std::optional<EndedRecord> ended;
  std::vector<ResolutionRecord> resolutions;
  bool operator==(const StoredDecision&) const = default;

  [[nodiscard]] const CommitRecord* commit() const { return std::get_if<CommitRecord>(&decision); }
  [[nodiscard]] const TransactionId& transaction() const;
};

}  // namespace troth::coordinator::store
