// coordinator/transaction.h
//
// What a client asks of one transaction, what its branches answer, and what the client hears.
// The protocols never look into statements or rows: the work stays with the runtime under the call's id, and
// a branch's result is bytes that travel from its vote to the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace troth::coordinator {

// The runtime's name for one call that waits for an answer. Never used twice in one reign.
using CallId = Named<struct CallTag, std::uint64_t>;

enum class Acknowledgement : std::uint8_t {
  kApplied,  // every branch has committed and released its locks
  kDecided,  // the decision is durable; the branches commit in the background
};

// The work in one resource; its statements stay with the runtime. A branch's number is its place, from 1.
struct BranchWork {
  ResourceName resource;
  bool declared_read_only = false;
  std::optional<BranchNumber> number;  // its place, when not given
  bool operator==(const BranchWork&) const = default;
};

// What an interactive transaction is begun with; its work comes later.
struct InteractiveTerms {
  Duration idle_timeout{};  // the longest pause between two calls; zero: the limit's own
  bool read_only = false;
  std::shared_ptr<const std::string> options;  // opaque: what the runtime makes each statement's message with
};

// One-shot work: everything that a transaction is to do. Or, with `interactive`, how one is begun.
struct Work {
  std::vector<BranchWork> branches;
  std::optional<InteractiveTerms> interactive;
  std::string client;                 // client_name; counted against the limit per client
  std::optional<RequestKey> request;  // at most one commit per key, ever
  Digest digest;                      // over what is asked; compared only where `request` is set
  Acknowledgement acknowledgement = Acknowledgement::kApplied;
  Duration
      timeout{};  // of the whole call, or interactive transaction, from its arrival; zero: the limit's own
  std::string label;  // for people
  std::size_t bytes = 0;
};

// A branch's vote. `result` is opaque: the branch's rows as the runtime wants them back.
struct VotedYes {
  std::string result;
  bool operator==(const VotedYes&) const = default;
};
// Nothing of this branch stands, and no session can still run for it [T11].
struct VotedNo {
  Error refusal;
  bool operator==(const VotedNo&) const = default;
};
struct VotedReadOnly {
  std::string result;
  bool operator==(const VotedReadOnly&) const = default;
};
// One-phase only: the branch has committed.
struct VotedCommitted {
  std::string result;
  bool operator==(const VotedCommitted&) const = default;
};
// Another transaction has committed this request key in this resource.
struct VotedAlreadyCommitted {
  TransactionId as;
  bool operator==(const VotedAlreadyCommitted&) const = default;
};
// One-phase only: the agent cannot tell now; settle.
struct VotedUndecided {
  Error reason;
  bool operator==(const VotedUndecided&) const = default;
};
using Vote =
    std::variant<VotedYes, VotedNo, VotedReadOnly, VotedCommitted, VotedAlreadyCommitted, VotedUndecided>;

// How an agent says that a branch stands, answering commit or settle.
enum class BranchEnd : std::uint8_t {
  kCommitted,            // durable in the database and in the agent's journal [T6]
  kRolledBack,           // and barred: never starts again [T7]
  kUndecided,            // not yet: ask again
  kLost,                 // commit was decided, but proof says that this branch can no longer commit
  kTooOld,               // below the agent's floor: cannot be told
  kHeuristicCommitted,   // an operator ended it so
  kHeuristicRolledBack,  // an operator ended it so
};

// How a transaction stands, in the words that `status` answers with.
enum class TransactionState : std::uint8_t {
  kActive,             // asked for, nothing sent yet
  kPreparing,          // branches work and vote
  kPending,            // commit was proposed: only the store, or the resource, can tell
  kCommitted,          // chosen; it never changes
  kNotCommitted,       // aborted, or never begun; it never will be
  kUnknown,            // cannot be told now: ask again, or send the same request_id again
  kTooOld,             // below the floor: forgotten on purpose
  kHeuristicMixed,     // some branch ended otherwise than decided: an operator must look
  kHeuristicCommit,    // an operator committed it
  kHeuristicRollback,  // an operator rolled it back
};

struct BranchReport {
  BranchNumber branch;
  ResourceName resource;
  std::string state;  // preparing, prepared, committing, committed, read-only, rolled back, lost, resolved
  bool operator==(const BranchReport&) const = default;
};

// What a client that asked for a commit hears.
struct Committed {
  TransactionId transaction;
  std::vector<std::string> results;  // by branch, in the order of the request; empty when `already_committed`
  bool already_committed = false;    // an earlier attempt with this request key did it; its rows are not kept
  Acknowledgement acknowledged = Acknowledgement::kApplied;
  std::vector<ResourceName> pending;  // decided, but not yet applied there
  bool operator==(const Committed&) const = default;
};
// `error.effect` tells aborted (none) from unknown.
struct Failed {
  std::optional<TransactionId> transaction;
  Error error;
  bool operator==(const Failed&) const = default;
};
// What the client of an interactive transaction hears.
struct Begun {
  TransactionId transaction;
  bool operator==(const Begun&) const = default;
};
struct RolledBack {
  TransactionId transaction;
  bool operator==(const RolledBack&) const = default;
};
using Answer = std::variant<Committed, Failed, Begun, RolledBack>;

[[nodiscard]] std::string_view name_of(TransactionState state);
[[nodiscard]] std::string_view name_of(BranchEnd end);
[[nodiscard]] std::string_view name_of(Acknowledgement acknowledgement);

}  // namespace troth::coordinator
