// tests/sim/invariants/happenings.h
//
// What happens in a run that an invariant may have a word about, as plain values, in the order in which it happens.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "base/ids.h"
#include "coordinator/decision_store/records.h"
#include "participant_agent/dialect/resource_rows.h"
#include "participant_agent/journal_records.h"
#include "participant_agent/work.h"

namespace troth::sim {

// A database of the bank, in the order of Simulation::databases().
using DatabaseNumber = Named<struct DatabaseNumberTag, std::size_t>;

// ---- Messages
// An agent's vote leaves it: the answer to a prepare that came under this epoch.
struct VoteSent {
  std::string agent;
  Epoch epoch;
  BranchId branch;
  DatabaseNumber database;
  agent::Vote vote = agent::Vote::kNo;
};
// A coordinator's "commit" reached an agent.
struct CommitCalled {
  BranchId branch;
  DatabaseNumber database;
};
// An agent tells how a branch ended.
struct EndSent {
  std::string agent;
  BranchId branch;
  DatabaseNumber database;
  agent::BranchEnd end = agent::BranchEnd::kUndecided;
};

// ---- The decision store's log
struct StoreOpens {};
struct StoreFound {
  coordinator::store::LogRecord record;
};
struct StoreAppended {
  coordinator::store::LogRecord record;
};
struct StoreDurable {
  coordinator::store::LogRecord record;
};

// ---- An agent's journal
struct JournalOpens {
  std::string agent;
};
struct JournalFound {
  std::string agent;
  agent::JournalRecord record;
};
struct JournalAppended {
  std::string agent;
  agent::JournalRecord record;
};
struct JournalDurable {
  std::string agent;
  agent::JournalRecord record;
};
// A fault took something of it that had been durable.
struct JournalDamaged {
  std::string agent;
};

// ---- The databases: what everybody sees committed. `key` names the row.
struct MarkerStands {
  DatabaseNumber database;
  std::string key;
  agent::MarkerRow row;
};
struct MarkerGone {
  DatabaseNumber database;
  std::string key;
  Position floor;  // the resource's, by then
};

// An agent asks for a barrier, whose commit is to prove something.
struct BarrierAsked {
  DatabaseNumber database;
};
// Another disk under it, or another server in its place: of what had been, it has these.
struct DatabaseSetBack {
  DatabaseNumber database;
  std::set<TransactionId> committed;
  std::set<TransactionId> prepared;
};

// ---- What a client hears
struct ToldCommitted {
  RequestKey request;
  TransactionId transaction;
};
struct ToldNotCommitted {
  RequestKey request;
  TransactionId transaction;
};
// No attempt with this request ever will.
struct ToldBarred {
  RequestKey request;
};

using Happening =
    std::variant<VoteSent, CommitCalled, EndSent, StoreOpens, StoreFound, StoreAppended, StoreDurable,
                 JournalOpens, JournalFound, JournalAppended, JournalDurable, JournalDamaged, MarkerStands,
                 MarkerGone, BarrierAsked, DatabaseSetBack, ToldCommitted, ToldNotCommitted, ToldBarred>;

}  // namespace troth::sim
