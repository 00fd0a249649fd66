#include "tests/support/do_nothing_database.h"

#include <algorithm>
#include <utility>

#include <sys/eventfd.h>

#include "base/check.h"
#include "base/runtime/file_descriptor.h"
#include "participant_agent/dialect/schema.h"

namespace troth {

using namespace agent;

namespace {

ClassifiedError refusal(Meaning meaning, ErrorCode code, Effect effect, std::string message) {
  ClassifiedError refused;
  refused.meaning = meaning;
  refused.error.code = code;
  refused.error.effect = effect;
  refused.error.message = std::move(message);
  refused.error.retryable = code != ErrorCode::kStatementFailed;
  return refused;
}

}  // namespace

class DoNothingCancellation final : public Cancellation {
 public:
  DoNothingCancellation(std::weak_ptr<DoNothingDatabase> database, ConnectionId session)
      : database_(std::move(database)), session_(session) {}

  void interrupt() noexcept override {
    const auto database = database_.lock();
    if (database == nullptr) return;
    const std::lock_guard lock(database->mutex_);
    database->cancelled_.insert(session_);
    database->changed_.notify_all();
  }
  void break_off() noexcept override {
    if (const auto database = database_.lock(); database != nullptr) database->end(session_);
  }

 private:
  const std::weak_ptr<DoNothingDatabase> database_;
  const ConnectionId session_;
};

class DoNothingConnection final : public DatabaseConnection {
 public:
  DoNothingConnection(std::shared_ptr<DoNothingDatabase> database, ConnectionId session)
      : database_(std::move(database)),
        session_(session),
        cancellation_(std::make_shared<DoNothingCancellation>(database_, session)) {
    if (!database_->options_.prompt) return;
    // There is input at any time.
    answers_ = FileDescriptor(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    CHECK(answers_.is_open(), "no descriptor is left");
  }

  ~DoNothingConnection() override {
    const std::lock_guard lock(database_->mutex_);
    database_->sessions_.erase(session_);
    if (open_.has_value()) database_->running_.erase(*open_);
    database_->changed_.notify_all();
  }

  DatabaseKind kind() const override { return database_->kind(); }
  SessionIdentity session_identity() const override { return {.connection = session_, .server_start = {1}}; }
  std::shared_ptr<Cancellation> cancellation() const override { return cancellation_; }
  ConnectionCondition condition() const override { return condition_; }
  bool clean_up() override { return condition_ == ConnectionCondition::kIdle; }

  std::optional<int> descriptor() const override {
    return answers_.is_open() ? std::optional(answers_.get()) : std::nullopt;
  }
  bool start_branch(const BranchWork&) override { return answers_.is_open(); }
  bool start_finishing(const BranchId&, PreparedEnding) override { return answers_.is_open(); }
  Arrival arrived() override { return Arrival::kWell; }

  WorkResult run_branch(const BranchWork& work) override {
    std::unique_lock lock(database_->mutex_);
    WorkResult result{.outcome = Refused{}, .results = {}, .session = session_identity()};
    if (!alive()) {
      result.outcome = Lost{.error = lost().error, .ending_sent = false};
      return result;
    }
    if (!begin(work, work.writes(), result)) return result;
    run_statements(work.statements, lock, result);
    database_->running_.erase(work.start.id);
    if (result.results.size() != work.statements.size()) return result;
    finish(work, result);
    return result;
  }

  WorkResult run_statement(const BranchWork& work, const OpenStatement& statement) override {
    std::unique_lock lock(database_->mutex_);
    WorkResult result{.outcome = Refused{}, .results = {}, .session = session_identity()};
    if (!alive()) {
      result.outcome = Lost{.error = lost().error, .ending_sent = false};
      return result;
    }
    if ((statement.first || statement.marks) && !begin(work, statement.marks, result)) {
      leave_open();
      return result;
    }
    open_ = work.start.id;
    condition_ = ConnectionCondition::kTied;
    run_statements({statement.statement}, lock, result);
    if (result.results.empty())
      leave_open();
    else
      result.outcome = StatementDone{};
    return result;
  }

  WorkResult prepare_open(const BranchWork& work, bool marked, bool hold) override {
    const std::lock_guard lock(database_->mutex_);
    WorkResult result{.outcome = Refused{}, .results = {}, .session = session_identity()};
    if (!alive()) {
      result.outcome = Lost{.error = lost().error, .ending_sent = true};
      return result;
    }
    leave_open();
    BranchWork ending = work;
    if (!marked) ending.ending = hold ? BranchEnding::kHoldReadOnly : BranchEnding::kReadOnly;
    finish(ending, result);
    return result;
  }

  WorkResult roll_back_open(const BranchWork& /*work*/) override {
    const std::lock_guard lock(database_->mutex_);
    WorkResult result{.outcome = Refused{}, .results = {}, .session = session_identity()};
    if (!alive())
      result.outcome = Lost{.error = lost().error, .ending_sent = false};
    else
      result.outcome =
          Refused{refusal(Meaning::kStatementRefused, ErrorCode::kStale, Effect::kNone, "rolled back").error};
    leave_open();
    return result;
  }

  Answer<void> release_held() override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    condition_ = ConnectionCondition::kIdle;
    return {};
  }

  Answer<void> finish_prepared(const BranchId& branch, PreparedEnding ending) override {
    std::unique_lock lock(database_->mutex_);
    if (database_->silent_.contains(session_)) stay_silent(lock);
    database_->changed_.wait(lock, [&] {
      return !database_->finishing_held_ || !alive() || database_->cancelled_.contains(session_);
    });
    if (!alive()) return std::unexpected(lost());
    // Where the end fails, only the end of the session is sure: then any session can finish the branch.
    const bool was_tied = condition_ == ConnectionCondition::kTied;
    if (was_tied) condition_ = ConnectionCondition::kDoubtful;
    if (database_->cancelled_.contains(session_))
      return std::unexpected(refusal(Meaning::kCancelled, ErrorCode::kTimeout, Effect::kNone, "cancelled"));
    const auto found = database_->prepared_.find(branch);
    const bool elsewhere = found != database_->prepared_.end() && database_->options_.ties &&
                           found->second.session != session_ &&
                           database_->sessions_.contains(found->second.session);
    if (found == database_->prepared_.end() || elsewhere) {
      return std::unexpected(
          refusal(Meaning::kUnknownXid, ErrorCode::kUnknownTransaction, Effect::kNone, "no such branch"));
    }
    if (ending == PreparedEnding::kCommit) database_->markers_.emplace(branch, found->second.marker);
    database_->prepared_.erase(found);
    if (was_tied) condition_ = ConnectionCondition::kIdle;
    return {};
  }

  Answer<std::vector<MarkerRow>> read_markers(const BranchId& branch,
                                              const std::optional<RequestKey>& request) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    return visible(branch, request);
  }

  Answer<void> mark_resolved(const BranchId& branch) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    const auto marker = database_->markers_.find(branch);
    if (marker != database_->markers_.end() && marker->second.state == MarkerState::kCommitted)
      marker->second.state = MarkerState::kResolved;
    return {};
  }

  Answer<void> insert_barrier(const BranchId& branch, EpochNumber epoch, std::chrono::milliseconds) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    if (is_held(branch, {})) return std::unexpected(waits_in_vain());
    const bool inserted = database_->markers_.emplace(branch, barrier(branch, epoch)).second;
    if (!inserted) return std::unexpected(duplicate());
    return {};
  }

  Answer<void> insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                      std::chrono::milliseconds) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    if (is_held({}, request)) return std::unexpected(waits_in_vain());
    for (const auto& [branch, marker] : database_->markers_)
      if (marker.request == request) return std::unexpected(duplicate());
    MarkerRow row = barrier(BranchId{{}, BranchNumber{1}}, epoch);
    row.request = request;
    if (!database_->request_barriers_.emplace(request, row).second) return std::unexpected(duplicate());
    return {};
  }

  Answer<PreparedList> list_prepared() override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    PreparedList list;
    for (const auto& [branch, prepared] : database_->prepared_)
      list.branches.push_back({.branch = branch, .age_seconds = {}});
    return list;
  }

  Answer<std::vector<RoleSession>> list_role_sessions() override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    std::vector<RoleSession> others;
    for (const ConnectionId other : database_->sessions_)
      if (other != session_) others.push_back({.connection = other, .state = "does nothing"});
    return others;
  }

  Answer<bool> end_session(const SessionIdentity& session) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    database_->sessions_.erase(session.connection);
    database_->changed_.notify_all();
    return true;
  }

  Answer<ServerRow> read_server(const std::string&) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    ServerRow row;
    row.server = "does-nothing";
    row.started = {1};
    row.version = "does nothing";
    row.installation = "0123456789abcdef";
    row.schema_version = kSchemaVersion;
    row.owner = database_->owner_;
    row.not_durable = database_->not_durable_;
    return row;
  }

  Answer<bool> claim_owner(const OwnerRow& expected, const OwnerRow& claimed) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    if (!database_->owner_.same_owner(expected)) return false;
    const std::uint64_t counter = database_->owner_.counter;
    database_->owner_ = claimed;
    database_->owner_.counter = counter;
    return true;
  }

  Answer<bool> raise_counter(const OwnerRow& mine, std::uint64_t counter) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    if (!database_->owner_.same_owner(mine) || counter != database_->owner_.counter + 1) return false;
    database_->owner_.counter = counter;
    return true;
  }

  Answer<void> raise_floors(const ClusterId&, const Floors& floors) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    database_->floors_.position = std::max(database_->floors_.position, floors.position);
    database_->floors_.request_ms = std::max(database_->floors_.request_ms, floors.request_ms);
    return {};
  }

  Answer<std::uint64_t> delete_markers(const ClusterId&, const Floors& floors, std::uint32_t limit) override {
    const std::lock_guard lock(database_->mutex_);
    if (!alive()) return std::unexpected(lost());
    std::uint64_t gone = 0;
    for (auto at = database_->markers_.begin(); at != database_->markers_.end() && gone < limit;) {
      const bool below = position_of(at->first.transaction) < floors.position;
      at = below ? database_->markers_.erase(at) : std::next(at);
      if (below) ++gone;
    }
    return gone;
  }

  Answer<void> run_texts(const Texts&) override { return {}; }
  Answer<TextRows> ask_texts(const Texts&) override { return TextRows{}; }

 private:
  // All of these want the database's mutex held.
  bool alive() {
    if (!database_->sessions_.contains(session_)) condition_ = ConnectionCondition::kLost;
    return condition_ != ConnectionCondition::kLost;
  }

  static ClassifiedError lost() {
    return refusal(Meaning::kConnectionLost, ErrorCode::kUnavailable, Effect::kUnknown,
                   "the session was lost");
  }
  static ClassifiedError duplicate() {
    return refusal(Meaning::kDuplicateKey, ErrorCode::kStatementFailed, Effect::kNone, "the key is taken");
  }

  static ClassifiedError waits_in_vain() {
    return refusal(Meaning::kLockTimeout, ErrorCode::kConflict, Effect::kNone,
                   "a running or prepared branch holds its key");
  }

  // Whether an insert at this branch's key, or at this request's, would wait.
  bool is_held(const BranchId& branch, const std::optional<RequestKey>& request) const {
    if (database_->running_.contains(branch) || database_->prepared_.contains(branch)) return true;
    if (!request.has_value()) return false;
    const auto runs = [&](const auto& entry) { return entry.second.request == request; };
    const auto is_prepared = [&](const auto& entry) { return entry.second.marker.request == request; };
    return std::ranges::any_of(database_->running_, runs) ||
           std::ranges::any_of(database_->prepared_, is_prepared);
  }

  // What the marker's insert, and the guard behind it, say against this branch.
  std::optional<ClassifiedError> refuse_marker(const BranchWork& work) const {
    GuardRow guard;
    guard.owner = database_->owner_;
    guard.floors = database_->floors_;
    if (auto passed = check_guard(guard, work.mine, work.start, work.writes()); !passed.has_value()) {
      return ClassifiedError{.meaning = Meaning::kStatementRefused, .error = std::move(passed.error())};
    }
    if (work.writes() && is_held(work.start.id, work.start.request)) return waits_in_vain();
    return std::nullopt;
  }

  static MarkerRow marker_of(const BranchWork& work) {
    MarkerRow marker;
    marker.transaction = work.start.id.transaction.text();
    marker.branch = work.start.id.branch;
    marker.state = MarkerState::kCommitted;
    marker.request = work.start.request;
    marker.digest = work.start.digest;
    marker.epoch = work.start.epoch;
    return marker;
  }

  static MarkerRow barrier(const BranchId& branch, EpochNumber epoch) {
    MarkerRow row;
    row.transaction = branch.transaction.text();
    row.branch = branch.branch;
    row.state = MarkerState::kBarred;
    row.epoch = epoch;
    return row;
  }

  std::vector<MarkerRow> visible(const BranchId& branch, const std::optional<RequestKey>& request) const {
    std::vector<MarkerRow> rows;
    if (const auto found = database_->markers_.find(branch); found != database_->markers_.end())
      rows.push_back(found->second);
    if (!request.has_value() || !rows.empty()) return rows;
    if (const auto barred = database_->request_barriers_.find(*request);
        barred != database_->request_barriers_.end())
      rows.push_back(barred->second);
    for (const auto& [other, marker] : database_->markers_)
      if (marker.request == request) rows.push_back(marker);
    return rows;
  }

  // The guard, and the marker where there is one; false: the outcome is set.
  bool begin(const BranchWork& work, bool marks, WorkResult& result) {
    if (std::optional<ClassifiedError> refused = refuse_marker(work); refused.has_value()) {
      result.outcome = Refused{std::move(refused->error)};
      return false;
    }
    if (work.writes() && work.durability_required && !database_->not_durable_.empty()) {
      result.outcome = Refused{
          refusal(Meaning::kStatementRefused, ErrorCode::kNotDurable, Effect::kNone, database_->not_durable_)
              .error};
      return false;
    }
    if (!marks) return true;
    if (std::vector<MarkerRow> rows = visible(work.start.id, work.start.request); !rows.empty()) {
      result.outcome = MarkerTaken{std::move(rows)};
      return false;
    }
    database_->running_.emplace(work.start.id, marker_of(work));
    return true;
  }

  void leave_open() {
    if (open_.has_value()) database_->running_.erase(*open_);
    open_.reset();
    if (condition_ == ConnectionCondition::kTied) condition_ = ConnectionCondition::kIdle;
  }

  // Stops at the first one that fails, with the outcome set.
  void run_statements(const std::vector<Statement>& statements, std::unique_lock<std::mutex>& lock,
                      WorkResult& result) {
    for (const Statement& statement : statements) {
      if (statement.sql == database_->options_.blocking_statement) block(lock);
      if (!alive()) {
        result.outcome = Lost{.error = lost().error, .ending_sent = false};
        return;
      }
      if (database_->cancelled_.contains(session_)) {
        result.outcome =
            Refused{refusal(Meaning::kCancelled, ErrorCode::kTimeout, Effect::kNone, "cancelled").error};
        return;
      }
      if (statement.sql == database_->options_.refused_statement) {
        result.outcome = Refused{refusal(Meaning::kStatementRefused, ErrorCode::kStatementFailed,
                                         Effect::kNone, "a constraint refuses it")
                                     .error};
        return;
      }
      result.results.push_back({.columns = {}, .rows = {}, .affected = 1, .generated_key = {}});
    }
  }

  void block(std::unique_lock<std::mutex>& lock) {
    const std::uint64_t released = database_->released_;
    ++database_->blocked_;
    database_->changed_.notify_all();
    database_->changed_.wait(lock, [&] {
      return database_->released_ != released || database_->cancelled_.contains(session_) ||
             !database_->sessions_.contains(session_);
    });
    --database_->blocked_;
  }

  // Half-open: not even its end is noticed here.
  void stay_silent(std::unique_lock<std::mutex>& lock) {
    const std::uint64_t released = database_->released_;
    database_->changed_.wait(lock, [&] { return database_->released_ != released; });
  }

  // Whether this is an ending that loses its session; `reached` is whether the branch ended all the same.
  bool loses_ending(bool& reached) const {
    const std::uint64_t every = database_->options_.lose_an_ending_in;
    if (every == 0 || ++database_->endings_ % every != 0) return false;
    reached = (database_->endings_ / every) % 2 == 0;
    return true;
  }

  void finish(const BranchWork& work, WorkResult& result) {
    bool reached = true;
    const bool loses = work.writes() && loses_ending(reached);
    if (loses) {
      database_->sessions_.erase(session_);
      result.results.clear();
      result.outcome = Lost{.error = lost().error, .ending_sent = true};
      condition_ = ConnectionCondition::kLost;
      if (!reached) return;
    }
    switch (work.ending) {
      case BranchEnding::kReadOnly: result.outcome = ReadOnlyDone{}; break;
      case BranchEnding::kHoldReadOnly:
        condition_ = ConnectionCondition::kTied;
        result.outcome = ReadOnlyDone{};
        break;
      case BranchEnding::kCommitOnePhase:
        database_->markers_.emplace(work.start.id, marker_of(work));
        if (!loses) result.outcome = CommittedOnePhase{};
        break;
      case BranchEnding::kPrepare:
        database_->prepared_.emplace(
            work.start.id, DoNothingDatabase::PreparedBranch{.marker = marker_of(work), .session = session_});
        if (loses) break;
        if (database_->options_.ties) condition_ = ConnectionCondition::kTied;
        result.outcome = Prepared{.tied = database_->options_.ties};
        break;
    }
  }

  const std::shared_ptr<DoNothingDatabase> database_;
  const ConnectionId session_;
  const std::shared_ptr<DoNothingCancellation> cancellation_;
  FileDescriptor answers_;  // with `prompt`
  ConnectionCondition condition_ = ConnectionCondition::kIdle;
  std::optional<BranchId> open_;
};

Result<std::unique_ptr<DatabaseConnection>> DoNothingDatabase::connect() {
  ConnectionId session;
  {
    const std::lock_guard lock(mutex_);
    if (refused_)
      return fail(ErrorCode::kUnavailable, Effect::kNone,
                  "the database that does nothing takes no connections");
    session = {++last_session_};
    sessions_.insert(session);
  }
  return std::make_unique<DoNothingConnection>(shared_from_this(), session);
}

void DoNothingDatabase::refuse_connections(bool refused) {
  const std::lock_guard lock(mutex_);
  refused_ = refused;
}

void DoNothingDatabase::end(ConnectionId session) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(session);
  changed_.notify_all();
}

void DoNothingDatabase::release() {
  const std::lock_guard lock(mutex_);
  ++released_;
  changed_.notify_all();
}

void DoNothingDatabase::silence(ConnectionId session) {
  const std::lock_guard lock(mutex_);
  silent_.insert(session);
}

void DoNothingDatabase::set_back() {
  const std::lock_guard lock(mutex_);
  owner_.counter = 0;
}

void DoNothingDatabase::lose_durability(std::string setting) {
  const std::lock_guard lock(mutex_);
  not_durable_ = std::move(setting);
}

void DoNothingDatabase::hold_finishing(bool held) {
  const std::lock_guard lock(mutex_);
  finishing_held_ = held;
  changed_.notify_all();
}

std::size_t DoNothingDatabase::sessions() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

std::size_t DoNothingDatabase::blocked() const {
  const std::lock_guard lock(mutex_);
  return blocked_;
}

std::size_t DoNothingDatabase::committed() const {
  const std::lock_guard lock(mutex_);
  return markers_.size();
}

std::size_t DoNothingDatabase::unfinished() const {
  const std::lock_guard lock(mutex_);
  return running_.size() + prepared_.size();
}

std::map<BranchId, MarkerRow> DoNothingDatabase::markers() const {
  const std::lock_guard lock(mutex_);
  return markers_;
}

}  // namespace troth
