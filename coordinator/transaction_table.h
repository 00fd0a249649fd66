// coordinator/transaction_table.h
//
// Every transaction of one reign: admits it, names it, lets its protocol machine decide it, and answers
// whoever asks about it. Pure: one step takes one input and says, in order, what the runtime is to do.
//
//   execute -> admission -> (request key looked up) -> one-phase | two-phase -> answers, ended
//
// [T5] "No record" means abort only for a transaction without one-phase tag, of an epoch older than the
// prefix's
//      newest or of this reign and no longer in this table, and above the floor. Open records come first.
// [T6] A record is ended only after every branch acknowledged it; then the agents are told.
// [T7] Every message carries the agent's watermark: below it this reign begins nothing there any more.
//
// Durability: nothing of its own. What must survive is in the store, and an effect that depends on a durable
// write comes out only with the store's answer to it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/table_limits.h"
#include "coordinator/table_messages.h"

namespace troth::coordinator {

// The clocks as read after an input left its queue.
struct Clocks {
  Instant now;
  WallTime wall;
};

struct OpenTransactionReport {
  TransactionId transaction;
  TransactionState state = TransactionState::kUnknown;
  Duration age{};  // since it was begun, or, for a redriven one, since its decision
  std::vector<BranchReport> branches;
  std::string label;
};

struct TableCounts {
  std::uint64_t committed = 0;  // since this reign began
  std::uint64_t aborted = 0;
  std::uint64_t undecided = 0;  // now
  std::uint64_t open = 0;       // now: undecided, and decided but not ended
  std::uint64_t refused = 0;    // calls that admission turned away
  Sequence last_sequence;       // of this reign; zero: it has begun nothing
  bool draining = false;
  std::optional<WallTime> oldest_open;  // when it was begun; of a redriven one, when it was decided
};

// What of a resource's branches waits for the acknowledgement of a commit that was decided.
struct ResourceBacklog {
  std::size_t branches = 0;
  Duration oldest{};  // since its transaction was begun, or, for a redriven one, since its decision
};

// What an open transaction is called, for lines about it.
struct OpenTransactionNames {
  std::string client;
  std::optional<RequestId> request;
  std::string label;
};

struct ResourceReport {
  store::ResourceRecord record;
  bool connected = false;
};

class TransactionTable {
 public:
  // `reign` is the store's answer to the epoch's acquisition.
  TransactionTable(ClusterId cluster, const store::EpochAcquired& reign, TableLimits limits,
                   std::uint64_t seed);
  TransactionTable(TransactionTable&&) noexcept;
  TransactionTable& operator=(TransactionTable&&) noexcept;
  ~TransactionTable();

  [[nodiscard]] std::vector<TableEffect> step(Clocks clocks, TableInput input);

  // When the table wants TimePassed; nullopt: nothing waits for time.
  [[nodiscard]] std::optional<Instant> next_due() const;

  // What a message that the runtime sends by itself, such as a heartbeat, carries.
  [[nodiscard]] Epoch epoch() const;
  [[nodiscard]] Position watermark(const AgentId& agent) const;
  [[nodiscard]] store::Floors floors() const;
  // What this agent may forget in its resources: the floors, but nothing that the table may still have to ask it about.
  [[nodiscard]] store::Floors floors(const AgentId& agent) const;
  // Transactions whose every branch is acknowledged and of which this agent has not yet said EndedTaken.
  [[nodiscard]] std::vector<TransactionId> ended_to_tell(const AgentId& agent, std::size_t limit) const;

  [[nodiscard]] TableCounts counts() const;
  // Not yet at the beginning of a reign, while the store lists what earlier ones left open.
  [[nodiscard]] bool knows_all_open() const;
  [[nodiscard]] std::vector<OpenTransactionReport> open_transactions(Clocks clocks, std::size_t limit) const;
  [[nodiscard]] std::vector<ResourceReport> resources() const;
  // By resource; looks at the `limit` oldest open transactions.
  [[nodiscard]] std::map<ResourceName, ResourceBacklog> backlogs(Clocks clocks, std::size_t limit) const;
  // Nothing: it is not open here.
  [[nodiscard]] std::optional<OpenTransactionNames> names_of(const TransactionId& id) const;

 private:
  class Reign;
  std::unique_ptr<Reign> reign_;
};

}  // namespace troth::coordinator
