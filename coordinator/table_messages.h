// coordinator/table_messages.h
//
// What goes into the transaction table and what comes out of it. Inputs are what happened; effects are what
// the runtime is to do, in order. The runtime's duties: [D1] Carry out the effects of a step in their order,
// before the next step's. [D2] Keep a call's work until its AnswerExecute, also when the client is gone:
// SendPrepare names it by call. [D3] Every SendPrepare comes back as exactly one PrepareReplied or
// PrepareFailed; SendSettle as one
//      SettleReplied, and every SendStatement as one StatementReplied or StatementFailed of its call. A commit
//      that gets no reply needs none: the table sends it again.
// [D4] Hand every AskStore to the store, and its answer back under the same ticket.
// [D5] Give each step the clocks as read after the input left its queue, and call with TimePassed when
//      `next_due()` is reached.
// [D6] Every message to an agent carries the reign's epoch and the effect's watermark [T7] [T8].
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
#include "coordinator/interactive_work.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

// Pairs a settle's reply with its request.
using SettleTicket = Named<struct SettleTicketTag, std::uint64_t>;

// ---- inputs

// The reign begins: the table lists what is open and redrives it.
struct ServingStarted {};
struct ExecuteRequested {
  CallId call;
  Work work;
};
// The next statement of an interactive transaction; the last one, to hear its answer again; or only rows of that
// answer.
struct StatementRequested {
  CallId call;
  TransactionId transaction;
  std::string client;
  ResourceName resource;
  std::uint32_t number = 0;
  std::optional<Digest> digest;  // of the statement; nullopt: only rows
  std::size_t bytes = 0;
};
struct StatementReplied {
  BranchId branch;
  CallId call;
  StatementAnswer answer;
};
// No answer came. `never_sent`: not one byte of the message left this process.
struct StatementFailed {
  BranchId branch;
  CallId call;
  bool never_sent = false;
  Error reason;
};
struct CommitRequested {
  CallId call;
  TransactionId transaction;
  std::string client;
  Acknowledgement acknowledgement = Acknowledgement::kApplied;
  Duration timeout{};  // zero: what is left of the transaction
};
struct RollbackRequested {
  CallId call;
  TransactionId transaction;
  std::string client;
};
struct PrepareReplied {
  BranchId branch;
  Vote vote;
};
// No vote came. `never_sent`: not one byte of the message left this process.
struct PrepareFailed {
  BranchId branch;
  bool never_sent = false;
  Error reason;
};
struct CommitReplied {
  BranchId branch;
  BranchEnd end = BranchEnd::kUndecided;
  std::string detail;
};
// A failed call is kUndecided.
struct SettleReplied {
  SettleTicket ticket;
  BranchEnd end = BranchEnd::kUndecided;
  std::optional<TransactionId> committed_as;
  std::string detail;
};
struct StoreAnswered {
  store::Ticket ticket;
  store::StoreAnswer answer;
};
struct TimePassed {};

struct RegisteredResource {
  ResourceName name;
  std::string kind;
  std::string identity;
};
struct RegistrationRequested {
  CallId call;
  AgentId agent;
  Incarnation incarnation;
  std::string address;
  std::vector<RegisteredResource> resources;
  std::vector<ResourceName> take_over;
};
// The channel to the agent stands, and the agent named this incarnation on it.
struct AgentConnected {
  AgentId agent;
  Incarnation incarnation;
};
struct AgentLost {
  AgentId agent;
};
// The agent's journal holds that these have ended; they need not be told again.
struct EndedTaken {
  AgentId agent;
  std::vector<TransactionId> transactions;
};
// An agent asks how the transaction of a branch in doubt ended.
struct InquiryReceived {
  CallId call;
  BranchId branch;
};
// `bar`: make sure that the request never commits, then say so. `resources`: where it may have been
// one-phase.
struct StatusRequested {
  CallId call;
  std::variant<TransactionId, RequestKey> subject;
  bool bar = false;
  std::vector<ResourceName> resources;
  Duration timeout{};
};
struct ResolveRequested {
  CallId call;
  TransactionId transaction;
  ResourceName resource;
  BranchNumber branch;
  bool commit = false;
  std::string reason;
  std::string operator_name;
};
// Refuse what is new, let what runs finish, and after `grace` answer what still waits.
struct ShutdownRequested {
  Duration grace;
};

using TableInput =
    std::variant<ServingStarted, ExecuteRequested, StatementRequested, StatementReplied, StatementFailed,
                 CommitRequested, RollbackRequested, PrepareReplied, PrepareFailed, CommitReplied,
                 SettleReplied, StoreAnswered, TimePassed, RegistrationRequested, AgentConnected, AgentLost,
                 EndedTaken, InquiryReceived, StatusRequested, ResolveRequested, ShutdownRequested>;

// ---- effects

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
  Duration timeout{};  // of the branch, from now
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
    std::variant<SendPrepare, SendStatement, SendCommit, SendRollback, SendRelease, SendSettle, AskStore, AnswerExecute, AnswerStatement,
                 AnswerStatus, AnswerInquiry, AnswerRegistration, AnswerResolve, StopServing, DrainFinished>;

}  // namespace troth::coordinator
