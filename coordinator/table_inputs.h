// coordinator/table_inputs.h
//
// What goes into the transaction table: what happened. See table_messages.h.
#pragma once

#include <cstdint>
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

}  // namespace troth::coordinator
