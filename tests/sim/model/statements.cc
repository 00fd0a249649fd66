// A client's statements, and what every branch reads beside them.
#include <fmt/format.h>

#include "participant_agent/dialect/schema.h"
#include "tests/sim/model/engine.h"
#include "tests/sim/model/statement_words.h"

namespace troth::sim {

using namespace agent;

namespace {

const std::int64_t* balance_in(const RowValue* value) {
  return value == nullptr ? nullptr : &std::get<std::int64_t>(*value);
}

}  // namespace

Task<std::expected<StatementResult, ClassifiedError>> Engine::execute(Session& session,
                                                                      const Statement& statement) {
  const Woken woken = co_await work(session);
  if (woken == Woken::kCancelled) co_return std::unexpected(refused(Speaker::kClient, Fault::kCancelled));
  const std::optional<StatementWord> word = parse_word(options_.kind, statement);
  if (!word.has_value())
    co_return std::unexpected(refused(Speaker::kClient, Fault::kUnknownStatement, statement.sql));
  Transaction& transaction = transaction_of(session);
  const TransactionNumber own = transaction.number;
  StatementResult result;

  if (const auto* read = std::get_if<ReadAccount>(&*word); read != nullptr) {
    const RowKey key = account_key(read->id);
    result.columns = {{.name = "balance", .type = "bigint"}};
    const std::int64_t* balance = balance_in(see(session, key));
    conflicts_.read(own, key);
    // A row that Postgres does not see is not locked, and not waited for.
    if (read->locks && (balance != nullptr || !is_postgres())) {
      Refusal refusal = co_await lock(session, key, Speaker::kClient);
      if (refusal.has_value()) co_return std::unexpected(*refusal);
      const bool is_late =
          is_postgres() && transaction.keeps_snapshot() && rows_.last_commit_of(key) > *transaction.snapshot;
      if (is_late) co_return std::unexpected(refused(Speaker::kClient, Fault::kSerialization));
      balance = balance_in(rows_.newest(key, own));
    }
    if (!read->locks && reads_lock(session)) {
      Refusal refusal = co_await lock_read(session, key, Speaker::kClient);
      if (refusal.has_value()) co_return std::unexpected(*refusal);
      balance = balance_in(rows_.newest(key, own));
    }
    if (balance != nullptr) result.rows.push_back({Value{*balance}});
    co_return result;
  }
  if (transaction.read_only)
    co_return std::unexpected(refused(Speaker::kClient, Fault::kReadOnlyTransaction));
  if (read_only_) co_return std::unexpected(refused(Speaker::kClient, Fault::kReadOnlyServer));

  if (const auto* add = std::get_if<AddToAccount>(&*word); add != nullptr) {
    const RowKey key = account_key(add->id);
    if (is_postgres() && see(session, key) == nullptr) co_return result;
    conflicts_.read(own, key);
    Refusal refusal = co_await lock(session, key, Speaker::kClient);
    if (refusal.has_value()) co_return std::unexpected(*refusal);
    const bool is_late =
        is_postgres() && transaction.keeps_snapshot() && rows_.last_commit_of(key) > *transaction.snapshot;
    if (is_late) co_return std::unexpected(refused(Speaker::kClient, Fault::kSerialization));
    const std::int64_t* balance = balance_in(rows_.newest(key, own));
    if (balance == nullptr) co_return result;
    const std::int64_t next = *balance + add->amount;
    if (next < 0)
      co_return std::unexpected(refused(Speaker::kClient, Fault::kCheckViolated, "never_negative"));
    write(session, key, next);
    result.affected = 1;
    co_return result;
  }

  const auto& added = std::get<InsertAccount>(*word);
  if (added.balance < 0)
    co_return std::unexpected(refused(Speaker::kClient, Fault::kCheckViolated, "never_negative"));
  const RowKey key = account_key(added.id);
  const RowValue balance = added.balance;
  Refusal refusal = co_await insert(session, key, balance, Speaker::kClient);
  if (refusal.has_value()) co_return std::unexpected(*refusal);
  result.affected = 1;
  co_return result;
}

bool Engine::reads_lock(const Session& session) {
  return !is_postgres() && transaction_of(session).isolation == Isolation::kSerializable;
}

Task<Refusal> Engine::lock_read(Session& session, const RowKey& key, Speaker speaker) {
  const WantedLock wanted{.key = key, .mode = LockMode::kShared};
  Refusal refusal = co_await wait_until_free(session, wanted, speaker);
  if (refusal.has_value()) co_return refusal;
  const TransactionNumber own = *session.transaction;
  if (rows_.newest(key, own) != nullptr) {
    locks_.take(own, key, LockMode::kShared);
  } else {
    locks_.take_gap(own, key.table, rows_.before(key), rows_.behind(key));
  }
  co_return std::nullopt;
}

Task<Refusal> Engine::lock_floors(Session& session, const ClusterId& cluster) {
  if (!reads_lock(session)) co_return std::nullopt;
  const RowKey key = floor_key(cluster);
  Refusal refusal = co_await lock_read(session, key, Speaker::kAgent);
  co_return refusal;
}

// Without a lock: one that a prepared branch kept would stop the next owner [attack 45].
GuardRow Engine::guard(Session& session, const ClusterId& cluster) {
  GuardRow guard;
  guard.owner = std::get<OwnerRow>(*see(session, owner_key()));
  const RowKey key = floor_key(cluster);
  const RowValue* floors = reads_lock(session) ? rows_.newest(key, *session.transaction) : see(session, key);
  if (floors != nullptr) guard.floors = std::get<Floors>(*floors);
  guard.not_durable = not_durable_;
  return guard;
}

std::vector<MarkerRow> Engine::see_markers(Session& session, const BranchId& branch,
                                           const std::optional<RequestKey>& request) {
  std::set<RowKey> keys{marker_key(branch)};
  if (request.has_value()) {
    if (const RowValue* found = see(session, request_key(*request)); found != nullptr)
      keys.insert(std::get<MarkerKey>(*found).key);
  }
  std::vector<MarkerRow> markers;
  for (const RowKey& key : keys) {
    if (const RowValue* found = see(session, key); found != nullptr)
      markers.push_back(std::get<MarkerRow>(*found));
  }
  return markers;
}

}  // namespace troth::sim
