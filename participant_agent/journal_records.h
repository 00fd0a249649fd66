// participant_agent/journal_records.h
//
// What the agent writes into its journal. The runtime turns these into stored bytes and back; the machines
// only know these. Tickets number the records of one process: an answer that must not be heard before a
// record is durable names that record's ticket, and the runtime lets it go when everything up to it is on
// disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "participant_agent/dialect/resource_rows.h"
#include "participant_agent/work.h"

namespace troth::agent {

// 0: waits for nothing.
using JournalTicket = Named<struct JournalTicketTag, std::uint64_t>;

class JournalSequence {
 public:
  JournalTicket next() { return {++last_}; }

 private:
  std::uint64_t last_ = 0;
};

// This process began; durable before it registers anywhere, so that no two starts ever answer to one
// incarnation [T12].
struct AgentStarted {
  Incarnation incarnation;
  auto operator<=>(const AgentStarted&) const = default;
};

// The newest reign this agent has heard of; durable before anything is answered under it [T8].
struct EpochSeen {
  Epoch epoch;
  auto operator<=>(const EpochSeen&) const = default;
};

// Nothing below is first heard of; durable before anything below is dropped from memory [T7].
struct WatermarkRaised {
  Position watermark;
  auto operator<=>(const WatermarkRaised&) const = default;
};

// About to write this owner row; durable before the row is touched (attack 45).
struct Claiming {
  ResourceName resource;
  OwnerRow row;
  auto operator<=>(const Claiming&) const = default;
};

// The row was written: this start owns the resource.
struct Owns {
  ResourceName resource;
  OwnerRow row;
  auto operator<=>(const Owns&) const = default;
};

// The counter reached this in the owner row. A row below it shows a server that was set back (attack 46).
struct CounterRaised {
  ResourceName resource;
  std::uint64_t counter = 0;
  std::optional<std::string> gtid;  // MySQL: what the server then held, where it was read anew
  auto operator<=>(const CounterRaised&) const = default;
};

// Which server and installation stand behind a resource.
struct ResourceIdentity {
  ResourceName resource;
  std::string server;
  std::uint64_t timeline = 0;
  std::string installation;
  auto operator<=>(const ResourceIdentity&) const = default;
};

// A writing branch began, on this session where its prepare ties one (else it is none). Its yes is answered only after this is durable, so a branch without
// it never voted yes. Holds the redo for `troth repair`.
struct BranchBegun {
  Work work;
  SessionIdentity session;
  bool set_back = false;  // its resource was set back since, and an operator accepted that
  bool operator==(const BranchBegun&) const = default;
};

// Commit was decided. Outranks every later "no record" [T5]; durable before the acknowledgement [T6].
struct DecisionLearned {
  BranchId id;
  ResourceName resource;
  auto operator<=>(const DecisionLearned&) const = default;
};

// How the branch ended here. Nobody waits for it; without it the end is found out again.
struct Finished {
  BranchId id;
  ResourceName resource;
  BranchEnd end = BranchEnd::kRolledBack;
  auto operator<=>(const Finished&) const = default;
};

// An operator ended the branch, against or without the group's decision; durable before it is done.
struct Resolved {
  BranchId id;
  ResourceName resource;
  bool commit = false;
  std::string reason;
  std::string operator_name;
  auto operator<=>(const Resolved&) const = default;
};

// The leader needs no answer about these any more [T6].
struct EndedByLeader {
  std::vector<TransactionId> transactions;
  auto operator<=>(const EndedByLeader&) const = default;
};

// An operator lets the resource be used although it was set back, or was another's meanwhile. Of branches that began before, a floor proves
// nothing any more [T5]; durable before the resource is served again.
struct SetBackAccepted {
  ResourceName resource;
  auto operator<=>(const SetBackAccepted&) const = default;
};

// An operator's leave to take the resource was used, and the coordinators have yet to hear so; durable before the
// owner row is raised, so that a start that dies on the way needs no second leave.
struct TakeOverUsed {
  ResourceName resource;
  auto operator<=>(const TakeOverUsed&) const = default;
};
struct TakeOverTold {
  ResourceName resource;
  auto operator<=>(const TakeOverTold&) const = default;
};

// The newest epoch's number was heard with another nonce: nothing is taken, also after a restart, until a reign
// is heard that an operator began [T8].
struct ReignDoubted {
  Epoch rival;
  auto operator<=>(const ReignDoubted&) const = default;
};

// The resource's floors were raised and committed; rows below may go.
struct FloorRaised {
  ResourceName resource;
  Floors floors;
  auto operator<=>(const FloorRaised&) const = default;
};

using JournalRecord =
    std::variant<EpochSeen, WatermarkRaised, Claiming, Owns, CounterRaised, ResourceIdentity, BranchBegun,
                 DecisionLearned, Finished, Resolved, EndedByLeader, FloorRaised, AgentStarted,
                 SetBackAccepted, ReignDoubted, TakeOverUsed, TakeOverTold>;

[[nodiscard]] std::string_view name_of(const JournalRecord& record);

struct AppendJournal {
  JournalTicket ticket;
  JournalRecord record;
  bool unhurried = false;  // no answer waits for it
  bool operator==(const AppendJournal&) const = default;
};

}  // namespace troth::agent
