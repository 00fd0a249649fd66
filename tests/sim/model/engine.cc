#include "tests/sim/model/engine.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/dialect/schema.h"

namespace troth::sim {

using namespace agent;

namespace {

// The day on which virtual time begins, for the seconds that servers tell.
constexpr std::int64_t kFirstSecond = 1'700'000'000;
// Postgres looks for deadlocks after this time only; InnoDB at once.
constexpr Duration kDeadlockTimeout = std::chrono::seconds(1);

template <typename Answered>
Reply lost_as(const ClassifiedError& error) {
  return Answered(std::unexpected(error));
}

// Does anybody there read what the server says, or send it anything?
bool is_listening(const Session& session) {
  return session.has_client && session.reaches_client && !session.broken_off;
}

// What a request is answered with when its session was lost under it.
Reply lost_reply(const Request& request, const ClassifiedError& error, bool ending_sent,
                 const SessionIdentity& session) {
  struct Visitor {
    const ClassifiedError& error;
    WorkResult lost;
    Reply operator()(const RunBranch&) { return lost; }
    Reply operator()(const RunStatement&) { return lost; }
    Reply operator()(const PrepareOpen&) { return lost; }
    Reply operator()(const RollBackOpen&) { return lost; }
    Reply operator()(const ReleaseHeld&) { return lost_as<Answer<void>>(error); }
    Reply operator()(const FinishPrepared&) { return lost_as<Answer<void>>(error); }
    Reply operator()(const ReadMarkers&) { return lost_as<Answer<std::vector<MarkerRow>>>(error); }
    Reply operator()(const MarkResolved&) { return lost_as<Answer<void>>(error); }
    Reply operator()(const InsertBarrier&) { return lost_as<Answer<void>>(error); }
    Reply operator()(const InsertRequestBarrier&) { return lost_as<Answer<void>>(error); }
    Reply operator()(const ListPrepared&) { return lost_as<Answer<PreparedList>>(error); }
    Reply operator()(const ListRoleSessions&) { return lost_as<Answer<std::vector<RoleSession>>>(error); }
    Reply operator()(const EndSession&) { return lost_as<Answer<bool>>(error); }
    Reply operator()(const ReadServer&) { return lost_as<Answer<ServerRow>>(error); }
    Reply operator()(const ClaimOwner&) { return lost_as<Answer<bool>>(error); }
    Reply operator()(const RaiseCounter&) { return lost_as<Answer<bool>>(error); }
    Reply operator()(const RaiseFloors&) { return lost_as<Answer<void>>(error); }
    Reply operator()(const DeleteMarkers&) { return lost_as<Answer<std::uint64_t>>(error); }
    Reply operator()(const CleanUp&) { return Answer<bool>(false); }
  };
  WorkResult lost{
      .outcome = Lost{.error = error.error, .ending_sent = ending_sent}, .results = {}, .session = session};
  return std::visit(Visitor{error, std::move(lost)}, request);
}

}  // namespace

Engine::Engine(ModelOptions options, Random random, Instant now)
    : options_(std::move(options)), random_(random), now_(now), server_(options_.server) {
  DurableState fresh;
  fresh.server = options_.server;
  for (const auto& [id, balance] : options_.accounts)
    fresh.rows.emplace(account_key(id), balance);
  fresh.rows.emplace(owner_key(), OwnerRow{});
  up_ = false;
  disk_ = std::move(fresh);
  start(now);
}

Engine::~Engine() = default;

// -- Time --------------------------------------------------------------------------------------------------

Duration Engine::draw(const Span& span) {
  return Duration(random_.between(span.least.count(), span.most.count()));
}

void Engine::at(Instant when, EventKind kind, const Session& session) {
  events_.emplace(std::pair(std::max(when, now_), ++last_event_),
                  Event{kind, session.handle, session.ticket});
}

std::optional<Instant> Engine::wakes_at() const {
  if (events_.empty()) return std::nullopt;
  return events_.begin()->first.first;
}

void Engine::advance(Instant now) {
  CHECK(now >= now_, "time goes back");
  while (!events_.empty() && events_.begin()->first.first <= now) {
    const auto first = events_.begin();
    now_ = first->first.first;
    const Event event = first->second;
    events_.erase(first);
    handle(event);
  }
  now_ = now;
}

void Engine::handle(const Event& event) {
  const auto found = sessions_.find(event.session);
  if (found == sessions_.end()) return;
  Session& session = *found->second;
  if (event.kind == EventKind::kEnd) {
    if (session.lives && session.doing != Session::Doing::kFlushing) begin_to_end(session);
    return;
  }
  if (event.kind == EventKind::kGone) {
    gone(session);
    return;
  }
  if (event.ticket != session.ticket || !session.suspended) return;
  switch (event.kind) {
    case EventKind::kGoOn:
      // A message that never comes is waited for without end.
      if (session.doing == Session::Doing::kReading && !is_listening(session)) return;
      resume(session, session.woken);
      return;
    case EventKind::kTimeout: resume(session, Woken::kTimeout); return;
    case EventKind::kStatementTimeout: resume(session, Woken::kStatementTimeout); return;
    case EventKind::kLookForDeadlock:
      if (!deadlock_of(session).empty()) resume(session, Woken::kDeadlock);
      return;
    case EventKind::kEnd:
    case EventKind::kGone: return;
  }
}

void Engine::resume(Session& session, Woken woken) {
  ++session.ticket;
  session.woken = woken;
  session.wanted.reset();
  session.doing = Session::Doing::kWorking;
  std::exchange(session.suspended, {}).resume();
  if (session.script.is_done()) script_ended(session);
}

void Engine::script_ended(Session& session) {
  Reply reply = session.script.take();
  session.script = {};
  session.doing = Session::Doing::kIdle;
  // It was told to end while nothing stops it: the answer may still have gone out.
  if (!session.told_to_end || random_.one_in(2)) answer(session, std::move(reply));
  const bool reads_the_end = session.reaches_client && !is_listening(session);
  if (session.told_to_end || reads_the_end) begin_to_end(session);
}

void Engine::Pause::await_suspend(std::coroutine_handle<> script) {
  session.suspended = script;
  session.doing = doing;
  session.woken = Woken::kGoOn;
  ++session.ticket;
  if (doing != Session::Doing::kFlushing && session.told_to_end) {
    engine.at(engine.now_, EventKind::kEnd, session);
    return;
  }
  if (doing == Session::Doing::kReading && !is_listening(session)) {
    if (session.reaches_client) engine.at(engine.now_, EventKind::kEnd, session);
    return;
  }
  engine.at(engine.now_ + duration, EventKind::kGoOn, session);
}

void Engine::LockWait::await_suspend(std::coroutine_handle<> script) {
  session.suspended = script;
  session.doing = Session::Doing::kWaiting;
  session.woken = Woken::kGoOn;
  ++session.ticket;
  session.wanted = wanted;
  if (session.told_to_end) {
    engine.at(engine.now_, EventKind::kEnd, session);
    return;
  }
  if (wanted.give_up.has_value()) engine.at(*wanted.give_up, EventKind::kTimeout, session);
  if (session.statement_deadline.has_value())
    engine.at(*session.statement_deadline, EventKind::kStatementTimeout, session);
  if (engine.is_postgres()) {
    engine.at(engine.now_ + kDeadlockTimeout, EventKind::kLookForDeadlock, session);
    return;
  }
  const std::vector<SessionHandle> circle = engine.deadlock_of(session);
  if (circle.empty()) return;
  Session& victim = engine.session_of(circle[engine.random_.below(circle.size())]);
  victim.woken = Woken::kDeadlock;
  ++victim.ticket;
  engine.at(engine.now_, EventKind::kGoOn, victim);
}

Woken Engine::LockWait::await_resume() const {
  return session.woken;
}

// -- Sessions ----------------------------------------------------------------------------------------------

Session& Engine::session_of(SessionHandle handle) {
  const auto found = sessions_.find(handle);
  CHECK(found != sessions_.end(), "no session {}", handle.value);
  return *found->second;
}

const Session* Engine::find(SessionHandle session) const {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second.get();
}

std::optional<SessionHandle> Engine::find(const SessionIdentity& session) const {
  std::optional<SessionHandle> found;
  for (const auto& [handle, other] : sessions_) {
    if (other->identity == session) found = handle;
  }
  return found;
}

Result<SessionHandle> Engine::open(const std::string& role, const SessionSettings& settings, Instant now) {
  advance(now);
  if (!up_) return fail(ErrorCode::kUnavailable, Effect::kNone, "the database server cannot be reached");
  auto session = std::make_unique<Session>();
  session->handle = {++last_handle_};
  // Postgres' are process numbers; the others count from their start.
  last_connection_ += is_postgres() ? 1 + random_.below(20) : 1;
  session->identity = {.connection = {last_connection_}, .server_start = started_};
  session->role = role;
  session->settings = settings;
  const SessionHandle handle = session->handle;
  sessions_.emplace(handle, std::move(session));
  return handle;
}

void Engine::submit(SessionHandle handle, Request request, Instant now) {
  advance(now);
  Session& session = session_of(handle);
  CHECK(session.has_client && !session.asked.has_value(), "session {} is busy", handle.value);
  session.asked = request;
  session.ending_sent = false;
  const bool went = !session.lives || session.doing == Session::Doing::kGoing;
  const bool is_known_lost = session.broken_off || (went && session.reaches_client);
  if (!session.reaches_client && !is_known_lost) return;
  if (is_known_lost) {
    know_lost(session);
    return;
  }
  session.script = run(session, std::move(request));
  session.doing = Session::Doing::kWorking;
  session.script.resume();
  if (session.script.is_done()) script_ended(session);
}

void Engine::complete(Session& session, Reply reply) {
  session.asked.reset();
  completions_.push_back({session.handle, std::move(reply), session.condition, now_});
}

void Engine::answer(Session& session, Reply reply) {
  if (is_listening(session) && session.asked.has_value()) complete(session, std::move(reply));
}

void Engine::answer_lost(Session& session) {
  if (is_listening(session)) know_lost(session);
}

// Who asks nothing hears nothing: the next call finds it out.
void Engine::know_lost(Session& session) {
  if (!session.asked.has_value()) return;
  session.condition = ConnectionCondition::kLost;
  complete(session, lost_reply(*session.asked, refused(Speaker::kAgent, Fault::kConnectionLost),
                               session.ending_sent, session.identity));
}

void Engine::request_stop(SessionHandle handle, Instant now) {
  advance(now);
  session_of(handle).stop_requested = true;
}

void Engine::interrupt(SessionHandle handle, Instant now) {
  advance(now);
  Session& session = session_of(handle);
  session.stop_requested = true;
  const bool stops = session.doing == Session::Doing::kWorking || session.doing == Session::Doing::kWaiting;
  if (!stops || !session.suspended) return;
  session.woken = Woken::kCancelled;
  ++session.ticket;
  at(now_, EventKind::kGoOn, session);
}

void Engine::break_off(SessionHandle handle, Instant now) {
  advance(now);
  Session& session = session_of(handle);
  if (std::exchange(session.broken_off, true)) return;
  know_lost(session);
  leave_server_alone(session);
}

// The server sees it when it next reads.
void Engine::leave_server_alone(const Session& session) {
  const bool reads = session.doing == Session::Doing::kIdle || session.doing == Session::Doing::kReading;
  if (session.lives && reads && session.reaches_client) at(now_, EventKind::kEnd, session);
}

void Engine::vanish(SessionHandle handle, Instant now) {
  advance(now);
  Session& session = session_of(handle);
  session.has_client = false;
  leave_server_alone(session);
  if (!session.lives) sessions_.erase(handle);
}

void Engine::cut(SessionHandle handle, Instant now) {
  advance(now);
  session_of(handle).reaches_client = false;
}

void Engine::kill(SessionHandle handle, Instant now) {
  advance(now);
  if (Session& session = session_of(handle); session.lives) tell_to_end(session);
}

void Engine::tell_to_end(Session& session) {
  session.told_to_end = true;
  if (session.doing != Session::Doing::kFlushing && session.doing != Session::Doing::kGoing)
    at(now_, EventKind::kEnd, session);
}

void Engine::begin_to_end(Session& session) {
  if (session.doing == Session::Doing::kGoing) return;
  ++session.ticket;
  session.suspended = {};
  session.wanted.reset();
  session.script = {};
  session.doing = Session::Doing::kGoing;
  answer_lost(session);
  at(now_ + draw(options_.times.ending), EventKind::kGone, session);
}

void Engine::gone(Session& session) {
  if (session.transaction.has_value()) {
    Transaction& transaction = transactions_.at(*session.transaction);
    if (transaction.state == Transaction::State::kPrepared) {
      transaction.session.reset();
    } else {
      undo(transaction);
      forget(transaction.number);
    }
    session.transaction.reset();
  }
  session.lives = false;
  session.doing = Session::Doing::kIdle;
  if (!session.has_client) sessions_.erase(session.handle);
}

std::optional<Completion> Engine::take_completion(SessionHandle session) {
  const auto found = std::ranges::find(completions_, session, &Completion::session);
  if (found == completions_.end()) return std::nullopt;
  Completion completion = std::move(*found);
  completions_.erase(found);
  return completion;
}

std::vector<Completion> Engine::take_completions() {
  return std::exchange(completions_, {});
}

// -- Faults ------------------------------------------------------------------------------------------------

void Engine::crash(Instant now) {
  advance(now);
  CHECK(up_, "it is down");
  disk_ = durable_state();
  up_ = false;
  events_.clear();
  for (auto next = sessions_.begin(); next != sessions_.end();) {
    Session& session = *next->second;
    ++session.ticket;
    session.suspended = {};
    session.wanted.reset();
    session.script = {};
    session.transaction.reset();
    session.lives = false;
    session.doing = Session::Doing::kIdle;
    answer_lost(session);
    next = session.has_client ? std::next(next) : sessions_.erase(next);
  }
  transactions_.clear();
  locks_ = {};
  conflicts_ = {};
  lagging_.clear();
  rows_ = {};
}

void Engine::start(Instant now) {
  advance(now);
  CHECK(!up_, "it runs");
  up_ = true;
  started_ = {kFirstSecond +
              std::chrono::duration_cast<std::chrono::seconds>(now_.time_since_epoch()).count()};
  last_connection_ = is_postgres() ? 1'000 + random_.below(20'000) : 7;
  load(disk_);
}

DurableState Engine::durable_state() const {
  DurableState state;
  state.server = server_;
  state.timeline = timeline_;
  state.gtids = gtids_;
  state.rows = rows_.all();
  for (const auto& [number, transaction] : transactions_) {
    const auto writes = rows_.writes_of(number);
    switch (transaction.on_disk) {
      case Transaction::OnDisk::kNothing:
      case Transaction::OnDisk::kRolledBack: break;
      case Transaction::OnDisk::kPrepared:
        state.prepared.push_back({*transaction.branch, writes, locks_.exclusive_of(number)});
        break;
      case Transaction::OnDisk::kCommitted:
        for (const auto& [key, value] : writes) {
          state.rows.erase(key);
          if (value.has_value()) state.rows.emplace(key, *value);
        }
        break;
    }
  }
  for (const Lagging& lagging : lagging_) {
    for (const auto& [key, value] : lagging.before) {
      state.rows.erase(key);
      if (value.has_value()) state.rows.emplace(key, *value);
    }
    state.prepared.push_back(lagging.on_disk);
  }
  return state;
}

void Engine::load(const DurableState& state) {
  server_ = state.server;
  timeline_ = state.timeline;
  gtids_ = state.gtids;
  const TransactionNumber recovery{++last_transaction_};
  for (const auto& [key, value] : state.rows)
    rows_.write(key, value, recovery);
  last_commit_ = {last_commit_.value + 1};
  rows_.commit(recovery, last_commit_, last_commit_);
  for (const PreparedOnDisk& on_disk : state.prepared) {
    Transaction transaction;
    transaction.number = {++last_transaction_};
    transaction.state = Transaction::State::kPrepared;
    transaction.on_disk = Transaction::OnDisk::kPrepared;
    transaction.branch = on_disk.branch;
    transaction.takes_slot = true;
    transaction.wrote = !on_disk.writes.empty();
    transaction.prepared_at = now_;
    for (const auto& [key, value] : on_disk.writes) {
      locks_.take(transaction.number, key, LockMode::kExclusive);
      rows_.write(key, value, transaction.number);
    }
    // InnoDB finds the locks of a prepared branch by what it has written.
    for (const RowKey& key : on_disk.locked)
      if (is_postgres()) locks_.take(transaction.number, key, LockMode::kExclusive);
    transactions_.emplace(transaction.number, std::move(transaction));
  }
}

Snapshot Engine::snapshot() const {
  Snapshot snapshot;
  snapshot.state_ = std::make_shared<const DurableState>(up_ ? durable_state() : disk_);
  return snapshot;
}

void Engine::set_back(const Snapshot& snapshot) {
  CHECK(!up_, "a disk is not exchanged under a running server");
  disk_ = *snapshot.state_;
}

void Engine::promote(const Snapshot& snapshot) {
  set_back(snapshot);
  // No two promotions make one and the same server, though they begin with one and the same copy.
  if (is_postgres()) {
    disk_.timeline = ++newest_timeline_;
  } else {
    disk_.server = options_.server + std::string(++promotions_, '\'');
  }
}

void Engine::become_primary() {
  CHECK(up_, "it is down");
  read_only_ = false;
  if (is_postgres()) timeline_ = ++newest_timeline_;
}

std::map<std::string, std::optional<MarkerRow>> Engine::take_changed_markers() {
  std::map<std::string, std::optional<MarkerRow>> changed;
  for (const auto& key : rows_.take_changed_markers()) {
    const RowValue* row = rows_.newest({Table::kBranch, key}, TransactionNumber{});
    changed[key] = row == nullptr ? std::nullopt : std::optional(std::get<MarkerRow>(*row));
  }
  return changed;
}

std::map<RowKey, RowValue> Engine::rows_of(Table table) const {
  if (up_) return rows_.all_of(table);
  std::map<RowKey, RowValue> rows;
  for (auto row = disk_.rows.lower_bound({table, ""}); row != disk_.rows.end() && row->first.table == table;
       ++row)
    rows.insert(*row);
  return rows;
}

std::set<BranchId> Engine::prepared() const {
  std::set<BranchId> prepared;
  if (!up_) {
    for (const PreparedOnDisk& on_disk : disk_.prepared)
      prepared.insert(on_disk.branch);
  }
  for (const auto& [number, transaction] : transactions_) {
    if (transaction.state == Transaction::State::kPrepared) prepared.insert(*transaction.branch);
  }
  return prepared;
}

}  // namespace troth::sim
