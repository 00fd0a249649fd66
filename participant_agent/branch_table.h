// participant_agent/branch_table.h
//
// All branches of one agent, over all its resources, and the guards that every message passes first.
//
// [T5] The agent's own journalled commit outranks "no record"; below the floor a branch is rolled back only if the
//      journal is unbroken, and the resource was not set back, since it began.
// [T6] Nothing of a committed branch goes before the leader has said `ended`; floors are raised first, rows go
//      later.
// [T7] A branch is never started twice: known ones are remembered until the watermark above them is durable, and
//      below the watermark nothing is first heard of. After a start nothing runs before a live leader was heard.
// [T8] Each answer waits for the newest epoch to be durable (its ticket).
// [T12] Work names the incarnation it is meant for; another is refused.
//
// A refused prepare with effect none is a no: nothing of the branch ever ran. (Out of its time - epoch,
// incarnation, watermark - it is refused with effect unknown, for an earlier copy may have been taken.)
// One-phase work so refused is remembered, because a doubled message must not commit what was refused (attack 51).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "participant_agent/branch.h"
#include "participant_agent/ended_positions.h"
#include "participant_agent/fence.h"
#include "participant_agent/floor_keeper.h"
#include "participant_agent/journal_replay.h"
#include "participant_agent/table_messages.h"

namespace troth::agent {

struct TableLimits {
  std::size_t live_branches = 10'000;
  // Of live branches, and of results kept for doubled requests; and, by itself, of redo that waits for the disk.
  std::size_t live_bytes = 256U << 20;
  std::size_t kept_bytes = 256U << 20;          // of the answers that open branches keep; beside live_bytes
  std::size_t redo_bytes = kMaxWorkBytes;       // of one branch's work: its redo is one record of the journal
  std::size_t remembered_branches = 1'000'000;  // ended ones that the watermark has not passed
  std::size_t ended_runs = 100'000;             // of transactions in a row that the leader has ended, above it
};

struct TableOptions {
  ClusterId cluster;
  Incarnation incarnation;
  std::map<ResourceName, DatabaseKind> resources;
  TableLimits limits;
  BranchTimes times;
  Duration floor_interval = std::chrono::seconds(60);
  std::uint32_t delete_batch = 1'000;
};

// What an operator sees of a branch that has not ended.
struct OpenBranch {
  BranchId id;
  ResourceName resource;
  Branch::Phase phase;
  std::string state;  // Branch::in_doubt_word()
  std::string waiting_for;
  Instant since;
};

// What of a resource's branches has not ended.
struct BranchLoad {
  std::size_t live = 0;
  std::size_t in_doubt = 0;    // prepared, or being finished
  Duration oldest_in_doubt{};  // how long it is known here
};

class BranchTable {
 public:
  BranchTable(TableOptions options, const JournalState& journal, Instant now);

  [[nodiscard]] std::vector<TableEffect> step(const TableInput& input, Instant now);

  // When a Ticked is due next.
  [[nodiscard]] Instant wakes_at() const;
  // Why nothing is taken for any resource [T8].
  [[nodiscard]] std::optional<Error> stopped() const { return fence_.doubt(); }
  [[nodiscard]] const std::optional<Epoch>& epoch() const { return fence_.newest(); }
  [[nodiscard]] const Branch* find(const BranchId& id) const;
  [[nodiscard]] std::vector<OpenBranch> open_branches() const;
  // By resource, also where there are none; cheaper than looking through open_branches().
  [[nodiscard]] std::map<ResourceName, BranchLoad> loads(Instant now) const;
  [[nodiscard]] std::size_t live_bytes() const { return live_bytes_; }
  // Every branch of this resource that has not ended.
  [[nodiscard]] std::set<BranchId> live_in(const ResourceName& resource) const;
  // Some branch still runs statements, or holds its snapshot.
  [[nodiscard]] bool is_working() const;
  [[nodiscard]] std::size_t remembered() const { return branches_.size(); }
  // Restates all that the journal must still hold; what stands before may go.
  [[nodiscard]] std::vector<JournalRecord> checkpoint() const;
  // Shared with the other machines of this agent, so that tickets rise in the order of appending.
  [[nodiscard]] JournalSequence& journal() { return journal_; }

 private:
  struct Entry {
    Branch branch;
    Instant since;
    std::size_t counted_bytes = 0;
    std::size_t kept_bytes = 0;  // of an open branch's last answer
    std::optional<Instant> alarm;
  };
  struct Resource {
    DatabaseKind kind = DatabaseKind::kPostgres;
    std::optional<Error> not_serving;
    FloorKeeper floors;
    Floors told;  // by the leader, for this resource
  };
  // A transaction has one branch in a resource, whatever its number (attack 69).
  using BusyKey = std::pair<ResourceName, RequestKey>;
  struct Context {
    Instant now;
    std::vector<TableEffect> effects;
  };

  void on(const LeaderSpoke& input, Context& context);
  void on(const PrepareArrived& input, Context& context);
  void on(const StatementArrived& input, Context& context);
  void on(const CommitArrived& input, Context& context);
  void on(const RollbackArrived& input, Context& context);
  void on(const SettleArrived& input, Context& context);
  void on(const RequestBarArrived& input, Context& context);
  void on(const ResolveArrived& input, Context& context);
  void on(const EpochConfirmed& input, Context& context);
  void on(const InquiryAnswered& input, Context& context);
  void on(const BranchReported& input, Context& context);
  void on(const JournalDurable& input, Context& context);
  void on(const ResourceServing& input, Context& context);
  void on(const ResourceSetBack& input, Context& context);
  void on(const ResourceStopped& input, Context& context);
  void on(const PreparedFound& input, Context& context);
  void on(const FloorsCommitted& input, Context& context);
  void on(const MarkersDeleted& input, Context& context);
  void on(const Ticked& input, Context& context);

  // Why a message with this stamp is not taken.
  std::optional<Error> pass(const LeaderStamp& stamp, Context& context);
  // False: the call was refused.
  bool admit(const LeaderStamp& stamp, Context& context);
  // Why its branch is not begun here.
  [[nodiscard]] Status may_begin(const Work& work) const;
  [[nodiscard]] std::optional<Error> overloaded(std::size_t bytes) const;
  // For one more answer of an open branch: it is kept in place of the branch's last one.
  [[nodiscard]] std::optional<Error> overloaded_with_answers(const Entry* branch) const;
  // The branch that the message is about, if it is known and the message is about it.
  [[nodiscard]] Result<Entry*> known_branch(const Work& work);
  // [T3] Nobody will propose their commit any more: their leader's reign is over.
  void give_up_open(EpochNumber newest, Context& context);
  void refuse_work(const Work& work, Error error, Context& context);
  // Steps the branch, made first if it is unheard of.
  void finish(const BranchId& id, const ResourceName& resource, const BranchInput& input, Context& context);
  void step_branch(Entry& entry, const BranchInput& input, Context& context);
  Entry& add(Branch branch, Context& context);
  void account(Entry& entry);
  void set_alarm(Entry& entry);
  void set_alarms_of(const ResourceName& resource);
  void drop(std::map<BranchId, Entry>::iterator at);
  void drop_below_watermark();
  void raise_watermark(Context& context);
  void raise_floors(const ResourceName& name, Resource& resource, Context& context);
  void refuse_call(Error error, Context& context);
  JournalTicket append(JournalRecord record, Context& context);
  void note_unwritten(const AppendJournal& append);

  TableOptions options_;
  Fence fence_;
  JournalSequence journal_;
  JournalTicket epoch_ticket_;
  bool leader_heard_ = false;
  Position told_watermark_;
  Position durable_watermark_;
  std::optional<std::pair<JournalTicket, Position>> raising_watermark_;
  Instant floors_at_;
  Instant upkeep_at_;
  std::map<ResourceName, Resource> resources_;
  std::map<BranchId, Entry> branches_;
  EndedPositions ended_by_leader_;  // forgotten, and above the watermark
  std::set<BranchId> live_;
  std::set<std::pair<Instant, BranchId>> alarms_;
  std::map<BusyKey, BranchId> busy_;
  std::size_t live_bytes_ = 0;
  std::size_t kept_bytes_ = 0;
  // Redo that waits for the disk, oldest first: a branch that no session took has ended long before it is written.
  std::deque<std::pair<JournalTicket, std::size_t>> unwritten_;
  std::size_t unwritten_bytes_ = 0;
};

}  // namespace troth::agent
