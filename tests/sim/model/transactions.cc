// What the server does with transactions, rows and locks.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "tests/sim/model/engine.h"

namespace troth::sim {

using namespace agent;

namespace {

// InnoDB's own, where the session was not told another.
constexpr Duration kInnodbLockWait = std::chrono::seconds(50);

}  // namespace

// -- Transactions ------------------------------------------------------------------------------------------

Transaction& Engine::transaction_of(const Session& session) {
  CHECK(session.transaction.has_value(), "session {} is in no transaction", session.handle.value);
  return transactions_.at(*session.transaction);
}

Transaction* Engine::prepared_as(const BranchId& branch) {
  for (auto& [number, transaction] : transactions_) {
    if (transaction.state == Transaction::State::kPrepared && transaction.branch == branch)
      return &transaction;
  }
  return nullptr;
}

std::size_t Engine::taken_slots() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(transactions_, [](const auto& entry) { return entry.second.takes_slot; }));
}

Refusal Engine::begin(Session& session, const BranchStart& start, bool read_only) {
  CHECK(!session.transaction.has_value(), "session {} is in a transaction", session.handle.value);
  if (is_postgres()) {
    // BEGIN .. READ WRITE: "cannot set transaction read-write mode during recovery".
    if (read_only_ && !read_only) return refused(Speaker::kAgent, Fault::kInRecovery);
  } else if (!read_only) {
    // XA START: names are the server's, of branches that run, too.
    for (const auto& [number, other] : transactions_) {
      if (other.branch == start.id)
        return refused(Speaker::kAgent, Fault::kDuplicateXid, start.id.transaction.text());
    }
  }
  begin_own(session);
  Transaction& transaction = transaction_of(session);
  transaction.isolation = start.isolation;
  transaction.read_only = read_only;
  if (!is_postgres() && !read_only) transaction.branch = start.id;
  if (is_postgres()) {
    session.lock_limit.reset();
    if (start.lock_timeout.count() > 0) session.lock_limit = start.lock_timeout;
  }
  return std::nullopt;
}

void Engine::begin_own(Session& session) {
  Transaction transaction;
  transaction.number = {++last_transaction_};
  transaction.session = session.handle;
  session.transaction = transaction.number;
  session.lock_limit.reset();
  if (!is_postgres()) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(session.settings.lock_wait_timeout);
    session.lock_limit = seconds.count() > 0 ? Duration(seconds) : kInnodbLockWait;
  }
  transactions_.emplace(transaction.number, std::move(transaction));
}

CommitNumber Engine::snapshot_of(const Session& session) {
  Transaction& transaction = transaction_of(session);
  if (!transaction.keeps_snapshot()) return last_commit_;
  if (!transaction.snapshot.has_value()) {
    transaction.snapshot = last_commit_;
    if (is_postgres() && transaction.isolation == Isolation::kSerializable)
      conflicts_.begin(transaction.number, last_commit_);
  }
  return *transaction.snapshot;
}

const RowValue* Engine::see(Session& session, const RowKey& key) {
  return rows_.see(key, snapshot_of(session), *session.transaction);
}

CommitNumber Engine::oldest_snapshot() const {
  CommitNumber oldest = last_commit_;
  for (const auto& [number, transaction] : transactions_) {
    if (transaction.snapshot.has_value()) oldest = std::min(oldest, *transaction.snapshot);
  }
  return oldest;
}

void Engine::make_visible(Transaction& transaction) {
  const TransactionNumber number = transaction.number;
  last_commit_ = {last_commit_.value + 1};
  rows_.commit(number, last_commit_, std::min(oldest_snapshot(), CommitNumber{last_commit_.value - 1}));
  locks_.release_all(number);
  conflicts_.commit(number, last_commit_);
  wake_waiters();
}

void Engine::undo(Transaction& transaction) {
  const TransactionNumber number = transaction.number;
  std::vector<RowKey> gone_keys;
  for (const auto& [key, value] : rows_.writes_of(number))
    gone_keys.push_back(key);
  rows_.roll_back(number);
  locks_.release_all(number);
  conflicts_.roll_back(number);
  inherit_gaps(gone_keys);
  wake_waiters();
}

// Attack 50: who waited to see what becomes of a key gets its lock when the key goes, as a lock on the gap that it leaves;
// and keeps that.
void Engine::inherit_gaps(const std::vector<RowKey>& gone_keys) {
  if (is_postgres()) return;
  for (const auto& [handle, waiter] : sessions_) {
    if (!waiter->wanted.has_value() || !waiter->wanted->inserts) continue;
    const RowKey& key = waiter->wanted->key;
    if (std::ranges::find(gone_keys, key) == gone_keys.end() || rows_.newest(key, {}) != nullptr) continue;
    locks_.take_gap(*waiter->transaction, key.table, rows_.before(key), rows_.behind(key));
  }
}

void Engine::forget(TransactionNumber number) {
  const auto found = transactions_.find(number);
  if (found->second.session.has_value()) session_of(*found->second.session).transaction.reset();
  transactions_.erase(found);
}

// -- Locks -------------------------------------------------------------------------------------------------

void Engine::wake_waiters() {
  for (const auto& [handle, waiter] : sessions_) {
    if (waiter->doing != Session::Doing::kWaiting || waiter->woken != Woken::kGoOn) continue;
    const WantedLock& wanted = *waiter->wanted;
    if (!locks_.blockers(*waiter->transaction, wanted.key, wanted.mode).empty()) continue;
    ++waiter->ticket;
    at(now_ + draw(options_.times.wake), EventKind::kGoOn, *waiter);
  }
}

// Everybody in the circle that `session`'s wait closes; nobody: it closes none.
std::vector<SessionHandle> Engine::deadlock_of(const Session& session) const {
  std::vector<SessionHandle> path;
  std::set<SessionHandle> seen;
  const auto reaches = [&](const auto& self, const Session& from) -> bool {
    if (!from.wanted.has_value() || !from.transaction.has_value()) return false;
    if (!seen.insert(from.handle).second) return false;
    path.push_back(from.handle);
    for (const TransactionNumber blocker :
         locks_.blockers(*from.transaction, from.wanted->key, from.wanted->mode)) {
      if (blocker == session.transaction) return true;
      const auto& holder = transactions_.at(blocker).session;
      if (holder.has_value() && self(self, *sessions_.at(*holder))) return true;
    }
    path.pop_back();
    return false;
  };
  if (!reaches(reaches, session)) path.clear();
  return path;
}

Task<Refusal> Engine::wait_until_free(Session& session, const WantedLock& asked, Speaker speaker) {
  WantedLock wanted = asked;
  if (session.lock_limit.has_value()) wanted.give_up = now_ + *session.lock_limit;
  while (!locks_.blockers(*session.transaction, wanted.key, wanted.mode).empty()) {
    // Named, because GCC 12 destroys an aggregate twice that is made where it is awaited.
    LockWait wait{*this, session, wanted};
    const Woken woken = co_await wait;
    switch (woken) {
      case Woken::kGoOn: break;
      case Woken::kTimeout: co_return refused(speaker, Fault::kLockTimeout, wanted.key.key);
      case Woken::kDeadlock: co_return refused(speaker, Fault::kDeadlock, wanted.key.key);
      case Woken::kStatementTimeout:
        // MySQL's and MariaDB's is the agent's, which asks the whole session to stop.
        session.stop_requested = session.stop_requested || !is_postgres();
        co_return refused(speaker, Fault::kCancelled, wanted.key.key);
      case Woken::kCancelled: co_return refused(speaker, Fault::kCancelled, wanted.key.key);
    }
  }
  co_return std::nullopt;
}

Task<Refusal> Engine::lock(Session& session, const RowKey& key, Speaker speaker) {
  WantedLock wanted{.key = key, .mode = LockMode::kExclusive};
  Refusal refusal = co_await wait_until_free(session, wanted, speaker);
  if (!refusal.has_value()) locks_.take(*session.transaction, key, LockMode::kExclusive);
  co_return refusal;
}

void Engine::write(Session& session, const RowKey& key, std::optional<RowValue> value) {
  rows_.write(key, std::move(value), *session.transaction);
  conflicts_.write(*session.transaction, key);
  transaction_of(session).wrote = true;
}

// A unique key: while another's uncommitted row stands there, nobody knows.
Task<Refusal> Engine::insert(Session& session, const RowKey& key, const RowValue& value, Speaker speaker) {
  const TransactionNumber own = *session.transaction;
  if (is_postgres()) static_cast<void>(snapshot_of(session));
  for (;;) {
    // Postgres: a committed row is a duplicate, whoever has locked it.
    const bool decided = is_postgres() && !rows_.has_uncommitted(key) && rows_.newest(key, own) != nullptr;
    if (!decided) {
      WantedLock look{.key = key, .mode = LockMode::kShared, .inserts = true};
      Refusal refusal = co_await wait_until_free(session, look, speaker);
      if (refusal.has_value()) co_return refusal;
    }
    if (rows_.newest(key, own) != nullptr) {
      if (!is_postgres()) locks_.take(own, key, LockMode::kShared);
      co_return refused(speaker, Fault::kDuplicateKey, key.key);
    }
    if (locks_.blockers(own, key, LockMode::kInsert).empty()) break;
    WantedLock place{.key = key, .mode = LockMode::kInsert};
    Refusal refusal = co_await wait_until_free(session, place, speaker);
    if (refusal.has_value()) co_return refusal;
  }
  locks_.take(own, key, LockMode::kInsert);
  write(session, key, value);
  co_return std::nullopt;
}

// Its primary key first, then its request's.
Task<Refusal> Engine::insert_marker(Session& session, const MarkerRow& row, const RowKey& key) {
  if (read_only_) co_return refused(Speaker::kAgent, Fault::kReadOnlyServer);
  const RowValue value = row;
  Refusal refusal = co_await insert(session, key, value, Speaker::kAgent);
  if (refusal.has_value() || !row.request.has_value()) co_return refusal;
  const RowKey requested = request_key(*row.request);
  const RowValue names = MarkerKey{key};
  refusal = co_await insert(session, requested, names, Speaker::kAgent);
  if (refusal.has_value() && !is_postgres()) {
    rows_.undo(key);
    locks_.release(*session.transaction, key);
    inherit_gaps({key});
    wake_waiters();
  }
  co_return refusal;
}

void Engine::failed(Session& session, const ClassifiedError& error) {
  if (!is_postgres() && error.meaning != Meaning::kDeadlock) return;
  Transaction& transaction = transaction_of(session);
  undo(transaction);
  transaction.state = Transaction::State::kDoomed;
}

// -- Ends --------------------------------------------------------------------------------------------------

Task<Refusal> Engine::prepare(Session& session, const BranchId& branch) {
  Transaction& transaction = transaction_of(session);
  if (transaction.state == Transaction::State::kDoomed) co_return refused(Speaker::kAgent, Fault::kDoomed);
  if (is_postgres() && prepared_as(branch) != nullptr)
    co_return refused(Speaker::kAgent, Fault::kDuplicateXid, branch.transaction.text());
  if (conflicts_.is_refused(transaction.number)) co_return refused(Speaker::kAgent, Fault::kSerialization);
  conflicts_.settle(transaction.number);
  if (is_postgres() && taken_slots() >= options_.prepared_slots)
    co_return refused(Speaker::kAgent, Fault::kNoSlot, branch.transaction.text());
  transaction.takes_slot = true;
  co_await flush(session);
  transaction.branch = branch;
  reach_disk(transaction, Transaction::OnDisk::kPrepared);
  co_await flush(session);
  transaction.state = Transaction::State::kPrepared;
  transaction.snapshot.reset();
  transaction.prepared_at = now_;
  // MySQL keeps them from REPEATABLE READ on, MariaDB from SERIALIZABLE on.
  const bool keeps_gaps =
      ties() ? transaction.isolation == Isolation::kSerializable : transaction.keeps_snapshot();
  if (!keeps_gaps) locks_.release_gaps(transaction.number);
  wake_waiters();
  if (!ties()) {
    transaction.session.reset();
    session.transaction.reset();
  }
  co_return std::nullopt;
}

Task<Refusal> Engine::commit(Session& session) {
  Transaction& transaction = transaction_of(session);
  if (transaction.state == Transaction::State::kDoomed) co_return refused(Speaker::kAgent, Fault::kDoomed);
  if (conflicts_.is_refused(transaction.number)) co_return refused(Speaker::kAgent, Fault::kSerialization);
  conflicts_.settle(transaction.number);
  if (transaction.wrote) {
    co_await flush(session);
    const bool lags = ties() && options_.binary_log && transaction.branch.has_value() && random_.one_in(2);
    reach_disk(transaction, lags ? Transaction::OnDisk::kPrepared : Transaction::OnDisk::kCommitted);
    co_await flush(session);
    if (lags) {
      Lagging lagging{.on_disk = {*transaction.branch, rows_.writes_of(transaction.number), {}},
                      .before = {}};
      for (const auto& [key, value] : lagging.on_disk.writes) {
        const RowValue* before = rows_.newest(key, {});
        lagging.before[key] = before == nullptr ? std::nullopt : std::optional(*before);
      }
      lagging_.push_back(std::move(lagging));
    }
  }
  make_visible(transaction);
  forget(transaction.number);
  co_return std::nullopt;
}

Task<Refusal> Engine::roll_back(Session& session) {
  co_await work(session);
  Transaction& transaction = transaction_of(session);
  if (transaction.state != Transaction::State::kDoomed) undo(transaction);
  forget(transaction.number);
  co_return std::nullopt;
}

Task<Refusal> Engine::finish(Session& session, const BranchId& branch, PreparedEnding ending) {
  co_await work(session);
  const bool is_elsewhere = session.transaction.has_value() && transaction_of(session).branch != branch;
  if (!is_postgres() && is_elsewhere) co_return refused(Speaker::kAgent, Fault::kOutside);
  Transaction* found = prepared_as(branch);
  // MySQL: whoever comes second waits until the first one's end is durable, and learns nothing of it.
  while (!is_postgres() && found != nullptr && found->finisher.has_value()) {
    co_await work(session);
    found = prepared_as(branch);
  }
  const bool unknown =
      found == nullptr || (ties() && found->session.has_value() && found->session != session.handle);
  if (unknown) co_return refused(Speaker::kAgent, Fault::kUnknownXid, branch.transaction.text());
  if (found->finisher.has_value())
    co_return refused(Speaker::kAgent, Fault::kXidBusy, branch.transaction.text());
  // MySQL's read-only servers end prepared branches.
  if (read_only_ && options_.kind != DatabaseKind::kMysql)
    co_return refused(Speaker::kAgent, Fault::kReadOnlyServer);
  const bool commits = ending == PreparedEnding::kCommit;
  found->finisher = session.handle;
  co_await flush(session);
  reach_disk(*found, commits ? Transaction::OnDisk::kCommitted : Transaction::OnDisk::kRolledBack);
  co_await flush(session);
  if (commits) {
    make_visible(*found);
  } else {
    undo(*found);
  }
  forget(found->number);
  co_return std::nullopt;
}

void Engine::reach_disk(Transaction& transaction, Transaction::OnDisk as) {
  transaction.on_disk = as;
  lagging_.clear();
  if (options_.kind == DatabaseKind::kMysql) ++gtids_[server_];
}

}  // namespace troth::sim
