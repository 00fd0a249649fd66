// participant_agent/table_messages.h
//
// What an agent's branch table can hear, and what it may ask for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "participant_agent/branch_messages.h"
#include "participant_agent/fence.h"

namespace troth::agent {

// -- Inputs -------------------------------------------------------------------------------------------------

// A heartbeat: tells that the leader lives, what it has forgotten, and what needs no answer any more.
struct LeaderSpoke {
  LeaderStamp stamp;
  Floors floors;
  std::vector<TransactionId> ended;
  // The resources that the floors are told for: this agent's, as the leader has it. None: a leader of an older release, which
  // means all.
  std::optional<std::vector<ResourceName>> resources;
};
struct PrepareArrived {
  LeaderStamp stamp;
  Work work;
};
// A statement of an interactive branch; `work` is what the branch is begun with, without its statements.
struct StatementArrived {
  LeaderStamp stamp;
  Work work;
  NumberedStatement statement;
};
struct CommitArrived {
  LeaderStamp stamp;
  BranchId id;
  ResourceName resource;
};
struct RollbackArrived {
  LeaderStamp stamp;
  BranchId id;
  ResourceName resource;
};
struct SettleArrived {
  LeaderStamp stamp;
  BranchId id;
  ResourceName resource;
};
// Make sure that no one-phase branch of this request ever commits in the resource (attack 40).
struct RequestBarArrived {
  LeaderStamp stamp;
  RequestKey request;
  ResourceName resource;
};
// An operator's, authenticated and audited before it comes here.
struct ResolveArrived {
  BranchId id;
  ResourceName resource;
  ResolveRequested resolution;
};
// The coordinators, asked by ConfirmEpoch, named this epoch as theirs.
struct EpochConfirmed {
  Epoch epoch;
};
enum class GroupDecision : std::uint8_t { kCommit, kAbort, kUndecided, kTooOld };
struct InquiryAnswered {
  LeaderStamp stamp;
  BranchId id;
  GroupDecision decision = GroupDecision::kUndecided;
};
struct BranchReported {
  BranchId id;
  BranchInput input;
};
// Every record up to this ticket is on disk.
struct JournalDurable {
  JournalTicket through;
};
struct ResourceServing {
  ResourceName resource;
};
// An operator lets a server be used that was set back; before it is served.
struct ResourceSetBack {
  ResourceName resource;
};
struct ResourceStopped {
  ResourceName resource;
  Error reason;
};
// The database holds this prepared branch, and the safe order of listing proved it an orphan (orphans.h).
struct PreparedFound {
  BranchId id;
  ResourceName resource;
};
struct FloorsCommitted {
  ResourceName resource;
  Floors floors;
};
struct MarkersDeleted {
  ResourceName resource;
  std::uint64_t rows = 0;
};
struct Ticked {};

using TableInput =
    std::variant<LeaderSpoke, PrepareArrived, StatementArrived, CommitArrived, RollbackArrived, SettleArrived,
                 RequestBarArrived, ResolveArrived, EpochConfirmed, InquiryAnswered, BranchReported,
                 JournalDurable, ResourceServing, ResourceSetBack, ResourceStopped, PreparedFound,
                 FloorsCommitted, MarkersDeleted, Ticked>;

// -- Effects ------------------------------------------------------------------------------------------------

// Never an AppendJournal or a Refuse: those stand for themselves.
struct ForBranch {
  BranchId id;
  ResourceName resource;
  BranchEffect effect;
  bool operator==(const ForBranch&) const = default;
};
// Answers the call that was just stepped. A prepare refused with effect none is a no.
struct RefuseCall {
  Error error;
  JournalTicket after;
  bool operator==(const RefuseCall&) const = default;
};
struct AnswerHeartbeat {
  std::vector<TransactionId> ended_taken;
  JournalTicket after;
  bool operator==(const AnswerHeartbeat&) const = default;
};
// Ask every configured coordinator for its epoch.
struct ConfirmEpoch {
  Epoch epoch;
  bool operator==(const ConfirmEpoch&) const = default;
};
// No work, commit or rollback is taken any more until a reign is heard that an operator began.
struct StopService {
  Error reason;
  bool operator==(const StopService&) const = default;
};
// Such a reign was heard.
struct ResumeService {
  bool operator==(const ResumeService&) const = default;
};
// Insert the request's barrier; a duplicate key is judged by `judge_request`. Answers the call itself.
struct BarRequest {
  RequestKey request;
  ResourceName resource;
  JournalTicket after;
  bool operator==(const BarRequest&) const = default;
};
// The request is being worked on: answer undecided.
struct AnswerRequestBusy {
  RequestKey request;
  JournalTicket after;
  bool operator==(const AnswerRequestBusy&) const = default;
};
struct RaiseFloors {
  ResourceName resource;
  Floors floors;
  bool operator==(const RaiseFloors&) const = default;
};
struct DeleteMarkers {
  ResourceName resource;
  Floors floors;
  std::uint32_t limit = 0;
  bool operator==(const DeleteMarkers&) const = default;
};

using TableEffect =
    std::variant<ForBranch, AppendJournal, RefuseCall, AnswerHeartbeat, ConfirmEpoch, StopService,
                 ResumeService, BarRequest, AnswerRequestBusy, RaiseFloors, DeleteMarkers>;

}  // namespace troth::agent
