// coordinator/table_effects.h
//
// What comes out of the transaction table: what the runtime is to do, in order. See table_messages.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/table_inputs.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

// Where a message to an agent goes.
struct BranchAddress {
  AgentId agent;
  ResourceName resource;
  BranchId branch;
  Position watermark;  // nothing below is first heard of by this agent [T7]
  bool operator==(const BranchAddress&) const = default;
};
// The work of branch n is the n-th of `work_of`'s request, unless the branch is interactive.
struct SendPrepare {
  BranchAddress to;
  Incarnation incarnation;  // another one refuses it [T12]
  CallId work_of;
  std::optional<RequestKey> request;
  Digest digest;
  bool one_phase = false;
  Duration timeout{};                       // of the branch, from now
  std::optional<std::uint32_t> statements;  // the branch is interactive, and so many were answered [T12]
  bool operator==(const SendPrepare&) const = default;
};
// The statement, or which rows, is the call's.
struct SendStatement {
  BranchAddress to;
  Incarnation incarnation;  // another one refuses it [T12]
  CallId call;
  std::uint32_t number = 0;
  std::optional<RequestKey> request;
  Digest digest;
  Duration timeout{};       // of the transaction, from now
  Duration idle_timeout{};  // of the branch, between two calls
  std::shared_ptr<const std::string> options;
  bool operator==(const SendStatement&) const = default;
};
struct SendCommit {
  BranchAddress to;
  bool operator==(const SendCommit&) const = default;
};
// Best effort: what it does not reach asks for itself (attack 61). Carries no reply into the table.
struct SendRollback {
  BranchAddress to;
  bool operator==(const SendRollback&) const = default;
};
// A read-only branch may go, now that all have voted (attack 19). Travels as a rollback: it says nothing of
// the decision [T2], and there is nothing to commit. Carries no reply into the table.
struct SendRelease {
  BranchAddress to;
  bool operator==(const SendRelease&) const = default;
};
// With a branch: say how it ended, and bar it if it did not happen; with its request key beside it: if
// another transaction has committed that key in the resource, say as which, and while the key is live there
// in another attempt, say undecided. With a request key alone: bar that key.
struct SendSettle {
  SettleTicket ticket;
  AgentId agent;
  ResourceName resource;
  std::optional<BranchId> branch;
  std::optional<RequestKey> request;
  Position watermark;
  bool operator==(const SendSettle&) const = default;
};
struct AskStore {
  store::Ticket ticket;
  store::Request request;
};
struct AnswerExecute {
  CallId call;
  Answer answer;
  bool operator==(const AnswerExecute&) const = default;
};
// With `over` the transaction has ended, and nothing of it stands.
struct AnswerStatement {
  CallId call;
  Result<std::string> result;
  std::optional<TransactionId> over;
  bool operator==(const AnswerStatement&) const = default;
};
struct StatusReport {
  TransactionState state = TransactionState::kUnknown;
  std::optional<TransactionId> transaction;
  std::vector<BranchReport> branches;
  std::string detail;
  std::string label;
  bool operator==(const StatusReport&) const = default;
};
struct AnswerStatus {
  CallId call;
  Result<StatusReport> report;
};
enum class InquiryDecision : std::uint8_t { kCommit, kAbort, kUndecided, kTooOld };
struct AnswerInquiry {
  CallId call;
  InquiryDecision decision = InquiryDecision::kUndecided;
  bool operator==(const AnswerInquiry&) const = default;
};
struct AnswerRegistration {
  CallId call;
  Result<std::map<ResourceName, ResourceNumber>> numbers;
};
struct ResolveReport {
  TransactionState state = TransactionState::kUnknown;  // the transaction's, after the resolution
  std::string detail;                                   // how it compares with the decision
  bool operator==(const ResolveReport&) const = default;
};
struct AnswerResolve {
  CallId call;
  Result<ResolveReport> report;
};
// The operator's word is on record, and no transaction here brings it to the branch: its agent is to end it. The call is
// answered with `report` and with what the agent says.
struct SendResolve {
  CallId call;
  AgentId agent;
  BranchId branch;
  ResourceName resource;
  bool commit = false;
  std::string reason;
  std::string operator_name;
  ResolveReport report;
  bool operator==(const SendResolve&) const = default;
};
// This reign is over: the store said that a newer epoch rules, or can no longer write. Nothing new is
// admitted.
struct StopServing {
  Error reason;
  bool operator==(const StopServing&) const = default;
};
// After ShutdownRequested: nothing undecided is left and every call is answered.
struct DrainFinished {
  bool operator==(const DrainFinished&) const = default;
};

using TableEffect =
    std::variant<SendPrepare, SendStatement, SendCommit, SendRollback, SendRelease, SendSettle, AskStore,
                 AnswerExecute, AnswerStatement, AnswerStatus, AnswerInquiry, AnswerRegistration,
                 AnswerResolve, SendResolve, StopServing, DrainFinished>;

}  // namespace troth::coordinator
