// coordinator/decision_store/group_engine.h
//
// The decision store of a group of coordinators: the record table as every replica applies it, in the order of their
// replicated log. Pure: requests, what the log delivers and what it answers come in; proposals and answers go out.
//
// What is asked in one turn becomes one entry of the log. Whether it won its keys is decided where it is applied, at
// every replica alike [S2]; it is answered there where it was asked, once it is chosen, and so durable at a write
// quorum [S4].
// [S1] An epoch record fences every older request behind it in the log, whoever proposed it.
// [S6] A replica that stops leading answers `Unknown`: what it proposed may still be chosen.
// [S7] A read is answered from a prefix that the log has confirmed, and a prefix ends at a slot.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "coordinator/consensus/ballot.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/decision_store/record_table.h"

namespace troth::coordinator::store {

// One start of one replica: its tickets are its own.
struct BatchOrigin {
  consensus::ReplicaId replica;
  Nonce start;
  bool operator==(const BatchOrigin&) const = default;
};

// An entry of the log.
struct Batch {
  BatchOrigin origin;
  std::vector<Asked> requests;  // writes, in their order
};

// How much one entry takes; what is more waits for the next one. A request that is larger than an entry may ever be is
// refused before it is proposed: in the log it would stop every replica.
// Of the group, and no setting of a process: what one replica proposes, every other one has to write.
struct BatchLimits {
  std::size_t requests = 4096;
  std::size_t bytes = std::size_t{1} << 20;
  std::size_t request_bytes = std::size_t{4} << 20;
};

// The applied state with where it ends. Made apart from an engine, so that a snapshot can be read while it serves.
struct AppliedState {
  RecordTable records;
  WriteNumber next{1};
  consensus::Slot slot;

  // Every record of a snapshot, then where it ends. Refuses (kCorrupt) what contradicts itself.
  [[nodiscard]] Status restore(const LogRecord& record);
  [[nodiscard]] Status restored(consensus::Slot through);
};

class GroupEngine {
 public:
  // ---- inputs (a request is `Asked`)
  struct LeadBegun {};
  struct LeadEnded {};
  // The turn is over: what came in it may go out, if the log takes an entry.
  struct TurnEnded {
    bool may_propose = false;
  };
  struct BatchDelivered {
    consensus::Slot slot;
    Batch batch;
  };
  // Of a batch that was to be proposed, and went without it: its bytes could not have been read by anybody.
  struct RequestUnwritable {
    Ticket ticket;
    Error reason;
  };
  // An entry that is none of ours.
  struct SlotPassed {
    consensus::Slot slot;
  };
  struct ReadConfirmed {
    Ticket ticket;
  };
  struct ReadRefused {
    Ticket ticket;
    const char* why = nullptr;  // null: this replica does not lead
  };
  using Input = std::variant<Asked, LeadBegun, LeadEnded, TurnEnded, BatchDelivered, RequestUnwritable,
                             SlotPassed, ReadConfirmed, ReadRefused>;

  // ---- effects
  struct Propose {
    Batch batch;
  };
  // What it confirms is delivered before. `seen` and `until`: of a session's.
  struct ConfirmRead {
    Ticket ticket;
    Consistency consistency = Consistency::kLinearizable;
    consensus::Slot seen;
    Instant until;
  };
  // What the table took, in its order: for a snapshot that is being written.
  struct Applied {
    std::vector<LogRecord> records;
  };
  using Effect = std::variant<Propose, ConfirmRead, Applied, Answered>;

  GroupEngine(BatchOrigin origin, BatchLimits limits) : origin_(origin), limits_(limits) {}

  // A start from a snapshot, or one that came from another replica. Only while nothing of its own waits: before it leads,
  // or when it no longer does. What it had comes back, for it may take long to destroy.
  [[nodiscard]] AppliedState install(AppliedState state);
  // A piece of a snapshot: the live records of the next `visits` entries. Together with all that is Applied from the first
  // piece on, behind the piece before it, they are the state at the slot that is applied when the cursor is done.
  [[nodiscard]] std::vector<LogRecord> copy_live(RecordTable::CopyCursor& cursor, std::size_t visits);

  [[nodiscard]] std::vector<Effect> step(Input input);

  [[nodiscard]] const RecordTable& records() const { return state_.records; }
  [[nodiscard]] consensus::Slot applied() const { return state_.slot; }
  // What is applied here.
  [[nodiscard]] Prefix prefix() const;
  [[nodiscard]] bool has_unproposed() const { return !unproposed_.empty(); }

 private:
  void ask(Asked asked, std::vector<Effect>& effects);
  void propose(std::vector<Effect>& effects);
  void deliver(BatchDelivered delivered, std::vector<Effect>& effects);
  void refuse(RequestUnwritable unwritable, std::vector<Effect>& effects);
  void end_lead(std::vector<Effect>& effects);
  void confirm_reads(std::vector<Effect>& effects);
  void confirm(Ticket ticket, std::vector<Effect>& effects);
  [[nodiscard]] StoreAnswer read(const Request& request);

  BatchOrigin origin_;
  BatchLimits limits_;
  AppliedState state_;
  bool leads_ = false;
  struct Unproposed {
    Asked asked;
    std::size_t bytes = 0;
  };
  std::deque<Unproposed> unproposed_;
  std::set<Ticket> proposed_;
  // A read comes behind every write that was asked here before it.
  struct BehindWrites {
    std::uint64_t writes = 0;  // that have to be applied first
    Ticket ticket;
  };
  std::uint64_t writes_asked_ = 0;
  std::uint64_t writes_applied_ = 0;
  std::deque<BehindWrites> unconfirmed_;
  std::map<Ticket, Request> reads_;
};

}  // namespace troth::coordinator::store
