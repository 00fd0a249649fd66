// participant_agent/runtime/resource.h
//
// One resource of a running agent: its database sessions, who owns it, and what its branches need done there.
// Runs on the event loop's thread; the sessions have threads of their own and come back through the loop.
//
// Three pools, so that what frees locks never waits behind what waits for them:
//   work       begins and prepares branches; a MariaDB branch stays on its session
//   finishing  commits and rolls back prepared branches, reads markers, inserts barriers
//   control    one session: ownership, counter, lists, floors
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/ids.h"
#include "base/runtime/alarm.h"
#include "base/runtime/clock.h"
#include "participant_agent/branch.h"
#include "participant_agent/ownership.h"
#include "participant_agent/resource_health.h"
#include "participant_agent/runtime/metrics_table.h"
#include "participant_agent/runtime/orphan_watch.h"
#include "participant_agent/runtime/own_sessions.h"
#include "participant_agent/runtime/resource_meter.h"
#include "participant_agent/runtime/running_work.h"
#include "participant_agent/runtime/session_pool.h"
#include "participant_agent/runtime/settings.h"
#include "participant_agent/table_messages.h"

namespace asio {
class io_context;
}

namespace troth::agent {

class Resource {
 public:
  struct Owner {
    std::function<void(TableInput)> table;  // feeds the branch table
    std::function<void(const AppendJournal&)> append;
    std::function<JournalSequence&()> journal;
    std::function<std::set<BranchId>()> live_branches;     // of this resource
    std::function<const Branch*(const BranchId&)> branch;  // null: not known; for lines about it
    std::function<void(const BranchId&, std::function<void(GroupDecision)>)> ask_decision;
    std::function<void(const Error&)> start_anew;  // the process ends with this, to be started again
    std::function<void()> on_standing;  // it serves, or is another's by now: what is registered has changed
  };
  // Opens a session; what connect_to() does, or a test's stand-in.
  using Opener = std::function<Result<std::unique_ptr<DatabaseConnection>>()>;
  struct Options {
    ResourceSettings settings;
    ClusterId cluster;
    OwnershipOptions ownership;
    OwnershipMemory memory;
    Duration barrier_wait{};
    Duration statement_timeout{};
    Duration list_interval{};
    // A tied session that has not ended its branch by then is taken for half-open.
    Duration tied_patience = std::chrono::seconds(10);
    ResultLimits limits;
    Duration slow_branch{};  // a branch that takes longer to its vote gets a line; zero: none does
    std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>(agent_metrics());
    Opener open;            // sessions for branches
    Opener open_finishing;  // the same with the barrier's lock wait
  };

  Resource(asio::io_context& loop, Options options, Owner owner);
  ~Resource();
  Resource(const Resource&) = delete;
  Resource& operator=(const Resource&) = delete;

  void start();
  // Refuses what waits, asks what runs to stop, joins the sessions' threads.
  void shut_down();

  void journal_durable(JournalTicket through);
  // `done` hears what it came to, once the resource is served or an operator must look again.
  void allow_take_over(std::function<void(const ResourceHealth&)> done);
  // Answers what waited too long for a session; called by the owner's tick.
  void refuse_expired();
  [[nodiscard]] bool takes_over_by_configuration() const { return options_.settings.take_over; }
  // An operator let this agent take it from another; the coordinators must hear so once.
  [[nodiscard]] bool tells_take_over() const { return ownership_.tells_take_over(); }
  [[nodiscard]] bool is_anothers() const { return health().state == ResourceState::kNotOwner; }
  void registered() { step(Registered{}); }

  // ---- what the branch table asks for
  void run_work(const Branch& branch, const RunWork& run);
  void run_statement(const Branch& branch, const RunStatement& run);
  void prepare_open(const Branch& branch, const PrepareOpen& prepare);
  void roll_back_open(const Branch& branch);
  void cancel_work(const BranchId& id);
  void end_session(const Branch& branch);
  void release_session(const BranchId& id);
  void finish_prepared(const Branch& branch, bool commit);
  void end_holder(const Branch& branch);
  void read_markers(const Branch& branch);
  void mark_resolved(const Branch& branch);
  void insert_barrier(const Branch& branch, EpochNumber epoch);
  void raise_floors(const Floors& floors);
  void delete_markers(const Floors& floors, std::uint32_t limit);
  void bar_request(const RequestKey& request, EpochNumber epoch, std::function<void(RequestVerdict)> done);

  [[nodiscard]] const ResourceName& name() const { return name_; }
  [[nodiscard]] DatabaseKind kind() const { return options_.settings.kind; }
  [[nodiscard]] bool serves() const { return ownership_.serves(); }
  [[nodiscard]] ResourceHealth health() const;
  [[nodiscard]] std::vector<JournalRecord> checkpoint() const { return ownership_.checkpoint(); }
  // Empty until it has been served once, by this or an earlier start.
  [[nodiscard]] std::string identity() const;
  [[nodiscard]] SessionPoolCounts sessions() const { return work_.counts(); }
  [[nodiscard]] ResourceMeter& meter() { return meter_; }
  void refresh_metrics();

 private:
  template <typename T>
  void on_finishing(std::optional<BranchId> branch, std::function<Result<T>(DatabaseConnection&)> run,
                    std::function<void(Result<T>)> done, std::function<bool(DatabaseConnection&)> start = {});
  template <typename T>
  void on_control(std::function<Result<T>(DatabaseConnection&)> run, std::function<void(Result<T>)> done);
  void noticed(BackendFate fate);
  void later(Duration delay, std::function<void()> action);

  void step(const OwnershipInput& input);
  void carry_out(const Connect& effect);
  void carry_out(const ReadServer& effect);
  void carry_out(const ClaimRow& effect);
  void carry_out(const RaiseCounter& effect);
  void carry_out(const ListSessions& effect);
  void carry_out(const EndSessions& effect);
  void carry_out(const Serve& effect);
  void carry_out(const AcceptSetBack& effect);
  void carry_out(const StartAnew& effect);
  void carry_out(const Stop& effect);
  void carry_out(const AppendJournal& effect);

  [[nodiscard]] OrphanWatch::Owner orphan_watch_owner();
  void take_over_came_to_an_end();
  void note_durability(std::string why_not);

  void report(const BranchId& id, BranchInput input);
  [[nodiscard]] BranchWork task_of(const Branch& branch);
  // `binds`: the session that gets it is the branch's from here.
  void run_on_session(const Branch& branch, bool binds, RunningWork::Run run, RunningWork::Start start = {});
  void end_session_of(const BranchId& id, const SessionIdentity& session);
  void end_silent_session(const BranchId& id, const SessionIdentity& session,
                          const std::shared_ptr<bool>& answered);
  void end_holder_of(const BranchId& id, const std::optional<SessionIdentity>& journalled, Instant give_up);
  void measure_work(const BranchId& id, RunningWork& running, const WorkResult& result);
  void work_done(const BranchId& id, const std::shared_ptr<RunningWork>& running, Status status,
                 BackendFate fate);

  asio::io_context& loop_;
  ResourceName name_;
  Options options_;
  Owner owner_;
  std::shared_ptr<OwnSessions> own_sessions_ = std::make_shared<OwnSessions>();
  Ownership ownership_;
  OwnerRow mine_;
  ResourceMeter meter_;

  std::map<BranchId, std::shared_ptr<RunningWork>> running_;
  std::set<BranchId> tied_;  // prepared, and held by the session that prepared them
  DeadlineWatch cancels_{DeadlineWatchOptions{}};

  std::string not_durable_;  // why writes are refused; as the server said last
  std::function<void(const ResourceHealth&)> take_over_done_;
  Alarm alarm_;
  bool shut_down_ = false;

  SessionPool work_;
  SessionPool finishing_;
  SessionPool control_;
  OrphanWatch orphans_;
};

// What the agent itself does on a session may take this long.
inline constexpr Duration kAgentTaskTimeout = std::chrono::seconds(30);

template <typename T>
void Resource::on_finishing(std::optional<BranchId> branch, std::function<Result<T>(DatabaseConnection&)> run,
                            std::function<void(Result<T>)> done,
                            std::function<bool(DatabaseConnection&)> start) {
  auto& pool = branch && tied_.contains(*branch) ? work_ : finishing_;
  pool.submit<T>(
      boot_now() + kAgentTaskTimeout, std::move(branch), std::move(run),
      [this, done = std::move(done)](Result<T> result, BackendFate fate) {
        if (shut_down_) return;
        noticed(fate);
        done(std::move(result));
      },
      std::move(start));
}

template <typename T>
void Resource::on_control(std::function<Result<T>(DatabaseConnection&)> run,
                          std::function<void(Result<T>)> done) {
  control_.submit<T>(boot_now() + kAgentTaskTimeout, std::nullopt, std::move(run),
                     [this, done = std::move(done)](Result<T> result, BackendFate fate) {
                       if (shut_down_) return;
                       noticed(fate);
                       done(std::move(result));
                     });
}

// A connection's answer as what the machines are told.
template <typename T>
Result<T> result_of(Answer<T> answer) {
  if (answer) return *std::move(answer);
  return std::unexpected(std::move(answer.error().error));
}

}  // namespace troth::agent
