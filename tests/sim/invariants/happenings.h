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
#include "participant_agent/table_messages.h"
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
  bool nothing_stands = false;  // with a no: nothing of the branch does, and nothing ever will
};
// Work that carries a request reaches an agent: an attempt at it.
struct AttemptSent {
  RequestKey request;
  TransactionId transaction;
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
// The same, of one-phase work that it was asked to settle.
struct SettleSent {
  std::string agent;
  BranchId branch;
  DatabaseNumber database;
  agent::BranchEnd end = agent::BranchEnd::kUndecided;
};
// What the coordinators answer an agent that has a branch in doubt.
struct InquiryAnswered {
  BranchId branch;
  agent::GroupDecision decision = agent::GroupDecision::kUndecided;
};
// The coordinator shows what is decided, or about to be, and not ended.
struct OpenShown {
  std::set<TransactionId> transactions;
};
// While no coordinator runs, an operator is about to end a branch at its agent.
struct EndedByHand {
  BranchId branch;
};
// An agent shows that it serves a resource no more, and that only a hand can change that.
struct ResourceGivenUp {
  std::string agent;
  DatabaseNumber database;
  std::string state;
};

// ---- The decision store's log
struct StoreOpens {};
// Its disk is that of an earlier moment: what was decided since is in it no more.
struct StoreSetBack {};
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

// One-phase work comes to its database.
struct OnePhaseRuns {
  BranchId branch;
  DatabaseNumber database;
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
// It is, and applied in every database.
struct ToldApplied {
  RequestKey request;
  TransactionId transaction;
};
struct ToldNotCommitted {
  RequestKey request;
  TransactionId transaction;
};
// Effect none: nothing stands anywhere of any attempt with this request by now, and nothing will.
struct ToldNothingStands {
  RequestKey request;
};
// No attempt with this request ever will.
struct ToldBarred {
  RequestKey request;
};

using Happening =
    std::variant<VoteSent, AttemptSent, CommitCalled, EndSent, SettleSent, InquiryAnswered, OpenShown,
                 EndedByHand, ResourceGivenUp, StoreOpens, StoreSetBack, StoreFound, StoreAppended,
                 StoreDurable, JournalOpens, JournalFound, JournalAppended, JournalDurable, JournalDamaged,
                 MarkerStands, MarkerGone, OnePhaseRuns, BarrierAsked, DatabaseSetBack, ToldCommitted,
                 ToldApplied, ToldNotCommitted, ToldNothingStands, ToldBarred>;

}  // namespace troth::sim
