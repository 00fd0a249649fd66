// tests/sim/model/engine.h
//
// The inside of a model server: sessions, each with a script (a coroutine) that carries out its request, and one queue of
// events in virtual time that wakes them. A script is both ends of its session: what the agent's SqlConnection does, trip
// by trip, and what the server does in between. Where the client has gone, the script ends at the next trip.
//
//   engine.cc           sessions, events, faults
//   transactions.cc     what the server does: locks, inserts, snapshots, prepare, commit
//   statements.cc       client statements
//   branch_scripts.cc   the order of a branch's steps, as in participant_agent/runtime/sql_connection*.cc
//   open_scripts.cc     interactive branches
//   other_scripts.cc    everything outside of a branch
#pragma once

#include <coroutine>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/model/conflicts.h"
#include "tests/sim/model/durable_state.h"
#include "tests/sim/model/locks.h"
#include "tests/sim/model/model_server.h"
#include "tests/sim/model/refusals.h"
#include "tests/sim/model/rows.h"
#include "tests/sim/model/task.h"
#include "tests/sim/model/transaction.h"

namespace troth::sim {

using Refusal = std::optional<agent::ClassifiedError>;  // none: it was done

// Why a suspended script goes on.
enum class Woken : std::uint8_t { kGoOn, kTimeout, kStatementTimeout, kDeadlock, kCancelled };

struct WantedLock {
  RowKey key;
  LockMode mode = LockMode::kExclusive;
  bool inserts = false;  // waits to see what becomes of another's key
  std::optional<Instant> give_up{};
};

struct Session {
  enum class Doing : std::uint8_t {
    kIdle,      // no request
    kWorking,   // takes time, and may be stopped
    kFlushing,  // takes time, and nothing stops it
    kWaiting,   // for a lock
    kReading,   // for its client's next message
    kGoing,     // rolls back, then it is gone
  };

  SessionHandle handle;
  agent::SessionIdentity identity;
  std::string role;
  agent::SessionSettings settings;

  // The client's end.
  bool has_client = true;
  bool reaches_client = true;
  bool broken_off = false;  // by the client, which still holds it
  agent::ConnectionCondition condition = agent::ConnectionCondition::kIdle;
  bool stop_requested = false;
  bool doubted = false;
  bool ending_sent = false;
  std::optional<BranchId> open;  // the interactive branch that it is inside of
  std::set<std::string> known_statements;
  std::optional<Request> asked;

  // The server's end.
  bool lives = true;
  bool told_to_end = false;
  Doing doing = Doing::kIdle;
  std::optional<TransactionNumber> transaction;
  std::optional<Duration> lock_limit;
  std::optional<Instant> statement_deadline;
  Task<Reply> script;
  std::coroutine_handle<> suspended;
  std::uint64_t ticket = 0;  // of the event that may wake it
  Woken woken = Woken::kGoOn;
  std::optional<WantedLock> wanted;
};

class Engine {
 public:
  Engine(ModelOptions options, Random random, Instant now);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Result<SessionHandle> open(const std::string& role, const agent::SessionSettings& settings, Instant now);
  void submit(SessionHandle session, Request request, Instant now);
  void request_stop(SessionHandle session, Instant now);
  void interrupt(SessionHandle session, Instant now);
  void break_off(SessionHandle session, Instant now);
  void vanish(SessionHandle session, Instant now);
  void cut(SessionHandle session, Instant now);
  void kill(SessionHandle session, Instant now);
  [[nodiscard]] const Session* find(SessionHandle session) const;
  [[nodiscard]] std::optional<SessionHandle> find(const agent::SessionIdentity& session) const;

  [[nodiscard]] std::optional<Instant> wakes_at() const;
  void advance(Instant now);
  std::vector<Completion> take_completions();
  std::optional<Completion> take_completion(SessionHandle session);

  void crash(Instant now);
  void start(Instant now);
  [[nodiscard]] bool is_up() const { return up_; }
  [[nodiscard]] Snapshot snapshot() const;
  void set_back(const Snapshot& snapshot);
  void promote(const Snapshot& snapshot);
  void set_read_only(bool read_only) { read_only_ = read_only; }
  void become_primary();
  void set_sync(Span sync) { options_.times.sync = sync; }
  void set_not_durable(std::string why) { not_durable_ = std::move(why); }

  [[nodiscard]] std::map<RowKey, RowValue> rows_of(Table table) const;
  [[nodiscard]] std::map<std::string, std::optional<agent::MarkerRow>> take_changed_markers();
  [[nodiscard]] std::set<BranchId> prepared() const;

 private:
  // ---- Time
  enum class EventKind : std::uint8_t { kGoOn, kTimeout, kStatementTimeout, kLookForDeadlock, kEnd, kGone };
  struct Event {
    EventKind kind;
    SessionHandle session;
    std::uint64_t ticket;
  };
  [[nodiscard]] Duration draw(const Span& span);
  void at(Instant when, EventKind kind, const Session& session);
  void handle(const Event& event);
  void resume(Session& session, Woken woken);
  void script_ended(Session& session);

  // What a script waits for. Nothing in them needs a destructor: GCC 12 may run that of what is awaited twice.
  struct Pause {
    Engine& engine;
    Session& session;
    Session::Doing doing;
    Duration duration;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> script);
    Woken await_resume() const { return session.woken; }
  };
  struct LockWait {
    Engine& engine;
    Session& session;
    const WantedLock& wanted;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> script);
    Woken await_resume() const;
  };
  Pause work(Session& session) {
    return {*this, session, Session::Doing::kWorking, draw(options_.times.statement)};
  }
  Pause flush(Session& session) {
    return {*this, session, Session::Doing::kFlushing, draw(options_.times.sync) / 2};
  }
  // The client reads the answer, and sends what comes next. Nothing more comes of a client that has gone.
  Pause trip(Session& session) {
    return {*this, session, Session::Doing::kReading, draw(options_.times.trip)};
  }

  // ---- Sessions
  Session& session_of(SessionHandle handle);
  void leave_server_alone(const Session& session);
  void tell_to_end(Session& session);
  void begin_to_end(Session& session);
  void gone(Session& session);
  // To a client that listens.
  void answer(Session& session, Reply reply);
  void answer_lost(Session& session);
  // Its client's end finds out by itself.
  void know_lost(Session& session);
  void complete(Session& session, Reply reply);

  // ---- What the server does. What a coroutine is given lives in the frame of who awaits it: GCC 12 may destroy twice
  // what an awaiting expression itself makes.
  [[nodiscard]] bool is_postgres() const { return options_.kind == agent::DatabaseKind::kPostgres; }
  [[nodiscard]] bool ties() const { return options_.kind == agent::DatabaseKind::kMariadb; }
  [[nodiscard]] agent::ClassifiedError refused(agent::Speaker speaker, Fault fault,
                                               const std::string& about = {}) const {
    return refusal(options_.kind, speaker, fault, about);
  }
  [[nodiscard]] Transaction& transaction_of(const Session& session);
  [[nodiscard]] Transaction* prepared_as(const BranchId& branch);
  [[nodiscard]] std::size_t taken_slots() const;
  Refusal begin(Session& session, const agent::BranchStart& start, bool read_only);
  void begin_own(Session& session);  // for one text outside of a branch
  [[nodiscard]] CommitNumber snapshot_of(const Session& session);
  [[nodiscard]] const RowValue* see(Session& session, const RowKey& key);
  Task<Refusal> wait_until_free(Session& session, const WantedLock& asked, agent::Speaker speaker);
  Task<Refusal> lock(Session& session, const RowKey& key, agent::Speaker speaker);
  Task<Refusal> insert(Session& session, const RowKey& key, const RowValue& value, agent::Speaker speaker);
  Task<Refusal> insert_marker(Session& session, const agent::MarkerRow& row, const RowKey& key);
  void write(Session& session, const RowKey& key, std::optional<RowValue> value);
  // Postgres: any error. InnoDB: the statement's only, unless it was a deadlock.
  void failed(Session& session, const agent::ClassifiedError& error);
  Task<Refusal> prepare(Session& session, const BranchId& branch);
  Task<Refusal> commit(Session& session);
  Task<Refusal> roll_back(Session& session);
  Task<Refusal> finish(Session& session, const BranchId& branch, agent::PreparedEnding ending);
  void make_visible(Transaction& transaction);
  void undo(Transaction& transaction);
  void inherit_gaps(const std::vector<RowKey>& gone_keys);
  void forget(TransactionNumber number);
  void wake_waiters();
  // A write reaches the disk, and with it all that was written before.
  void reach_disk(Transaction& transaction, Transaction::OnDisk as);
  [[nodiscard]] CommitNumber oldest_snapshot() const;
  [[nodiscard]] std::vector<SessionHandle> deadlock_of(const Session& session) const;
  Task<std::expected<agent::StatementResult, agent::ClassifiedError>> execute(
      Session& session, const agent::Statement& statement);
  // InnoDB under SERIALIZABLE: a plain read takes shared locks.
  [[nodiscard]] bool reads_lock(const Session& session);
  Task<Refusal> lock_read(Session& session, const RowKey& key, agent::Speaker speaker);
  Task<Refusal> lock_floors(Session& session, const ClusterId& cluster);
  agent::GuardRow guard(Session& session, const ClusterId& cluster);
  std::vector<agent::MarkerRow> see_markers(Session& session, const BranchId& branch,
                                            const std::optional<RequestKey>& request);

  // ---- Branches, as SqlConnection runs them
  using Ended = std::optional<agent::WorkResult>;  // none: it goes on
  enum class Beginning : std::uint8_t { kMarked, kUnmarked, kReadOnly };
  [[nodiscard]] static agent::WorkResult result_of(const Session& session,
                                                   decltype(agent::WorkResult::outcome) outcome);
  Task<Ended> run_whole(Session& session, const agent::BranchWork& work);
  Task<agent::WorkResult> run_steps(Session& session, const agent::BranchWork& work);
  Task<Ended> begin_branch(Session& session, const agent::BranchWork& work, Beginning beginning);
  Task<Ended> begin_once(Session& session, const agent::BranchWork& work, Beginning beginning);
  Task<Refusal> begin_and_mark(Session& session, const agent::BranchWork& work, Beginning beginning,
                               agent::GuardRow& guard);
  Task<Refusal> mark_and_read_guard(Session& session, const agent::BranchWork& work, agent::GuardRow& guard);
  Task<Ended> judge_begin(Session& session, const agent::BranchWork& work, const Refusal& refusal,
                          const agent::GuardRow& guard);
  Task<std::expected<agent::StatementResult, Error>> run_one(Session& session, const agent::BranchWork& work,
                                                             const agent::Statement& statement,
                                                             std::uint32_t number);
  void set_statement_deadline(Session& session, const agent::BranchWork& work) const;
  Task<agent::WorkResult> refuse(Session& session, const agent::BranchWork& work, const Error& why,
                                 bool ending_sent = false);
  Task<agent::WorkResult> refuse_begin(Session& session, const agent::BranchWork& work,
                                       const agent::ClassifiedError& why);
  Task<agent::WorkResult> marker_taken(Session& session, const agent::BranchWork& work);
  Task<agent::WorkResult> take_back(Session& session, const agent::BranchWork& work, const Error& why);
  Task<agent::WorkResult> take_back_late(Session& session, const agent::BranchWork& work);
  Task<Ended> mark_open(Session& session, const agent::BranchWork& work);
  [[nodiscard]] agent::WorkResult session_is_lost(const Session& session,
                                                  const agent::BranchWork& work) const;
  static void doubt(Session& session);
  static void untie(Session& session);

  // ---- Requests
  Task<Reply> run(Session& session, Request request);
  template <typename Result>
  static Task<Reply> replied(Task<Result> task) {
    Result result = co_await task;
    co_return Reply(std::move(result));
  }
  // A text outside of a branch, on a session that may run one.
  [[nodiscard]] Refusal may_run_text(const Session& session) const;
  Task<agent::Answer<void>> insert_own(Session& session, const agent::MarkerRow& row, const RowKey& key,
                                       Duration wait);
  Task<agent::Answer<bool>> change_owner(Session& session, const agent::OwnerRow& expected,
                                         const agent::OwnerRow& wanted, bool counts);
  Task<agent::WorkResult> carry_out(Session& session, RunBranch request);
  Task<agent::WorkResult> carry_out(Session& session, RunStatement request);
  Task<agent::WorkResult> carry_out(Session& session, PrepareOpen request);
  Task<agent::WorkResult> carry_out(Session& session, RollBackOpen request);
  Task<agent::Answer<void>> carry_out(Session& session, ReleaseHeld request);
  Task<agent::Answer<void>> carry_out(Session& session, FinishPrepared request);
  Task<agent::Answer<std::vector<agent::MarkerRow>>> carry_out(Session& session, ReadMarkers request);
  Task<agent::Answer<void>> carry_out(Session& session, MarkResolved request);
  Task<agent::Answer<void>> carry_out(Session& session, InsertBarrier request);
  Task<agent::Answer<void>> carry_out(Session& session, InsertRequestBarrier request);
  Task<agent::Answer<agent::PreparedList>> carry_out(Session& session, ListPrepared request);
  Task<agent::Answer<std::vector<agent::RoleSession>>> carry_out(Session& session, ListRoleSessions request);
  Task<agent::Answer<bool>> carry_out(Session& session, EndSession request);
  Task<agent::Answer<agent::ServerRow>> carry_out(Session& session, ReadServer request);
  Task<agent::Answer<bool>> carry_out(Session& session, ClaimOwner request);
  Task<agent::Answer<bool>> carry_out(Session& session, RaiseCounter request);
  Task<agent::Answer<void>> carry_out(Session& session, RaiseFloors request);
  Task<agent::Answer<std::uint64_t>> carry_out(Session& session, DeleteMarkers request);
  Task<agent::Answer<bool>> carry_out(Session& session, CleanUp request);

  // ---- The disk
  [[nodiscard]] DurableState durable_state() const;
  void load(const DurableState& state);

  ModelOptions options_;
  Random random_;
  Instant now_;
  bool up_ = true;
  bool read_only_ = false;
  std::string not_durable_;

  std::map<SessionHandle, std::unique_ptr<Session>> sessions_;
  std::uint64_t last_handle_ = 0;
  std::uint64_t last_connection_ = 0;
  agent::ServerStart started_;
  std::map<std::pair<Instant, std::uint64_t>, Event> events_;
  std::uint64_t last_event_ = 0;
  std::vector<Completion> completions_;

  Rows rows_;
  Locks locks_;
  Conflicts conflicts_;
  std::map<TransactionNumber, Transaction> transactions_;
  std::uint64_t last_transaction_ = 0;
  CommitNumber last_commit_;
  std::string server_;
  std::uint64_t timeline_ = 1;
  std::uint64_t newest_timeline_ = 1;
  std::size_t promotions_ = 0;
  GtidSet gtids_;
  std::vector<Lagging> lagging_;
  DurableState disk_;  // while it is down
};

}  // namespace troth::sim
