// Each text is one statement, whose answer is its own.
#include "participant_agent/dialect/innodb_dialect.h"

#include <fmt/format.h>

#include "participant_agent/dialect/dialects.h"
#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/session_traces.h"
#include "participant_agent/dialect/xid.h"

namespace troth::agent {
namespace {

std::string text_value(std::string_view text) {
  return fmt::format("_utf8mb4 X'{}'", hexadecimal(text));
}

std::string bytes_value(std::string_view octets) {
  return fmt::format("X'{}'", hexadecimal(octets));
}

std::int64_t whole_seconds(std::chrono::milliseconds time) {
  return (time.count() + 999) / 1000;
}

std::string_view isolation_name(Isolation isolation) {
  switch (isolation) {
    case Isolation::kUnset:
    case Isolation::kReadCommitted: return "READ COMMITTED";
    case Isolation::kRepeatableRead: return "REPEATABLE READ";
    case Isolation::kSerializable: return "SERIALIZABLE";
  }
  return "READ COMMITTED";
}

// The session runs READ COMMITTED; any other level is set for the next transaction alone.
void set_isolation(Isolation isolation, Texts& texts) {
  if (isolation == Isolation::kUnset || isolation == Isolation::kReadCommitted) return;
  texts.push_back(fmt::format("SET TRANSACTION ISOLATION LEVEL {}", isolation_name(isolation)));
}

constexpr std::string_view kOwnerColumns = "o.agent, o.incarnation, o.nonce, o.counter";
constexpr std::string_view kOwnerVariables = "@troth_agent, @troth_incarnation, @troth_nonce, @troth_counter";

// Under SERIALIZABLE every plain SELECT locks what it reads, and a lock on the owner row that a prepared
// branch kept would stop the counter and the next owner [attack 45]: there the row is read before the branch
// begins.
bool reads_owner_before(Isolation isolation) {
  return isolation == Isolation::kSerializable;
}

std::string read_owner_before() {
  return fmt::format("SELECT {} INTO {} FROM troth_owner o WHERE o.id = 1", kOwnerColumns, kOwnerVariables);
}

std::string guard_query(const ClusterId& cluster, Isolation isolation) {
  const bool before = reads_owner_before(isolation);
  return fmt::format(
      "SELECT {}, COALESCE(f.epoch, 0), COALESCE(f.sequence, 0), COALESCE(f.request_ms, 0), {} "
      "FROM {} LEFT JOIN troth_floor f ON f.cluster = {}{}",
      before ? kOwnerVariables : kOwnerColumns, kInnodbNotDurable,
      before ? "(SELECT 1 AS one) o" : "troth_owner o", plain_literal(cluster.value),
      before ? "" : " WHERE o.id = 1");
}

constexpr std::string_view kInsertMarker =
    "INSERT INTO troth_branch "
    "(epoch, sequence, branch, transaction, client, request_id, digest, state, leader_epoch, created) "
    "VALUES ";

Texts begin_writing(const BranchStart& start) {
  Texts texts;
  if (reads_owner_before(start.isolation)) texts.push_back(read_owner_before());
  set_isolation(start.isolation, texts);
  texts.push_back("XA START " + xa_literal(xa_xid_of(start.id)));
  return texts;
}

std::string marker(const BranchStart& start) {
  const auto& id = start.id;
  return fmt::format("{}({}, {}, {}, {}, {}, {}, {}, 'committed', {}, UTC_TIMESTAMP(6))", kInsertMarker,
                     id.transaction.epoch.value, id.transaction.sequence.value, id.branch.value,
                     plain_literal(id.transaction.text()),
                     start.request ? text_value(start.request->client) : "NULL",
                     start.request ? bytes_value(octets_of(start.request->id)) : "NULL",
                     bytes_value(octets_of(start.digest)), start.epoch.value);
}

constexpr std::string_view kMarkerColumns =
    "transaction, branch, state, client, HEX(request_id), HEX(digest), leader_epoch";

}  // namespace

// `sql_mode` is the server's own, and strict: what a column cannot hold is an error, not the nearest value. What
// Troth itself sends reads the same in every mode.
Texts InnodbDialect::set_up_session(const SessionSettings& settings) const {
  Texts texts{"SET NAMES utf8mb4",
              "SET SESSION sql_mode = CONCAT(@@GLOBAL.sql_mode, ',STRICT_TRANS_TABLES,STRICT_ALL_TABLES')",
              "SET SESSION autocommit = 1", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
              "SET SESSION time_zone = '+00:00'"};
  if (kind() == DatabaseKind::kMysql) texts.emplace_back(kTrackSession);
  // What IGNORE did is told by warnings, of which MariaDB keeps 64 as shipped. (MySQL keeps 1,024, and no role without a
  // privilege of its own may change that.)
  if (kind() == DatabaseKind::kMariadb) texts.emplace_back("SET SESSION max_error_count = 65535");
  if (settings.lock_wait_timeout.count() > 0) {
    texts.push_back(
        fmt::format("SET SESSION innodb_lock_wait_timeout = {}", whole_seconds(settings.lock_wait_timeout)));
  }
  return texts;
}

Texts InnodbDialect::reset_session(const SessionSettings& settings) const {
  // The variables are those of `read_owner_before`.
  Texts texts{
      "DO RELEASE_ALL_LOCKS()", "DO LAST_INSERT_ID(0)",
      "SET @troth_agent = NULL, @troth_incarnation = NULL, @troth_nonce = NULL, @troth_counter = NULL"};
  for (auto& text : set_up_session(settings))
    texts.push_back(std::move(text));
  return texts;
}

Texts InnodbDialect::read_session_identity() const {
  return {fmt::format("SELECT CONNECTION_ID(), UNIX_TIMESTAMP() - {}", uptime())};
}

Texts InnodbDialect::list_role_sessions() const {
  return {
      "SELECT id, command FROM information_schema.processlist WHERE user = SUBSTRING_INDEX(USER(), '@', 1) "
      "AND id <> CONNECTION_ID() ORDER BY id"};
}

Texts InnodbDialect::end_session(ConnectionId session) const {
  return {fmt::format("KILL CONNECTION {}", session.value)};
}

Texts InnodbDialect::cancel_statement(ConnectionId session) const {
  return {fmt::format("KILL QUERY {}", session.value)};
}

Texts InnodbDialect::begin_branch(const BranchStart& start) const {
  Texts texts = begin_writing(start);
  texts.push_back(marker(start));
  texts.push_back(guard_query(start.id.transaction.cluster, start.isolation));
  return texts;
}

Texts InnodbDialect::begin_unmarked(const BranchStart& start) const {
  Texts texts = begin_writing(start);
  texts.push_back(guard_query(start.id.transaction.cluster, start.isolation));
  return texts;
}

Texts InnodbDialect::mark(const BranchStart& start) const {
  return {marker(start), guard_query(start.id.transaction.cluster, start.isolation)};
}

Texts InnodbDialect::has_written() const {
  return {};
}

Texts InnodbDialect::begin_read_only(const BranchStart& start) const {
  Texts texts;
  if (reads_owner_before(start.isolation)) texts.push_back(read_owner_before());
  set_isolation(start.isolation, texts);
  texts.emplace_back("START TRANSACTION READ ONLY");
  texts.push_back(guard_query(start.id.transaction.cluster, start.isolation));
  return texts;
}

Texts InnodbDialect::end_read_only() const {
  return {"COMMIT"};
}

// XA END by its name fails unless the session is still inside this very branch.
Texts InnodbDialect::prepare(const BranchId& branch) const {
  const std::string xid = xa_literal(xa_xid_of(branch));
  return {"XA END " + xid, "XA PREPARE " + xid};
}

Texts InnodbDialect::commit_one_phase(const BranchId& branch) const {
  const std::string xid = xa_literal(xa_xid_of(branch));
  return {"XA END " + xid, "XA COMMIT " + xid + " ONE PHASE"};
}

// XA END fails when the branch has ended its work already; XA ROLLBACK then still works.
Texts InnodbDialect::roll_back_active(const BranchId& branch) const {
  const std::string xid = xa_literal(xa_xid_of(branch));
  return {"XA END " + xid, "XA ROLLBACK " + xid};
}

Texts InnodbDialect::commit_prepared(const BranchId& branch) const {
  return {"XA COMMIT " + xa_literal(xa_xid_of(branch))};
}

Texts InnodbDialect::roll_back_prepared(const BranchId& branch) const {
  return {"XA ROLLBACK " + xa_literal(xa_xid_of(branch))};
}

Texts InnodbDialect::read_markers(const BranchId& branch, const std::optional<RequestKey>& request) const {
  std::string query = fmt::format(
      "SELECT {} FROM troth_branch WHERE epoch = {} AND sequence = {} AND branch = {} AND transaction = {}",
      kMarkerColumns, branch.transaction.epoch.value, branch.transaction.sequence.value, branch.branch.value,
      plain_literal(branch.transaction.text()));
  if (request) {
    query += fmt::format(" UNION SELECT {} FROM troth_branch WHERE client = {} AND request_id = {}",
                         kMarkerColumns, text_value(request->client), bytes_value(octets_of(request->id)));
  }
  return {query};
}

Texts InnodbDialect::mark_resolved(const BranchId& branch) const {
  return {fmt::format(
      "UPDATE troth_branch SET state = 'resolved' WHERE epoch = {} AND sequence = {} AND branch = {} "
      "AND transaction = {} AND state = 'committed'",
      branch.transaction.epoch.value, branch.transaction.sequence.value, branch.branch.value,
      plain_literal(branch.transaction.text()))};
}

Texts InnodbDialect::read_unread_calls() const {
  return {
      fmt::format("SELECT {} FROM troth_branch JOIN ({}) repeated USING (client, request_id) "
                  "ORDER BY client, request_id, epoch, sequence, branch",
                  kMarkerColumns, unread_calls("troth_branch"))};
}

Texts InnodbDialect::insert_barrier(const BranchId& branch, EpochNumber epoch,
                                    std::chrono::milliseconds /*wait*/) const {
  const auto& id = branch.transaction;
  return {fmt::format("{}({}, {}, {}, {}, NULL, NULL, NULL, 'barred', {}, UTC_TIMESTAMP(6))", kInsertMarker,
                      id.epoch.value, id.sequence.value, branch.branch.value, plain_literal(id.text()),
                      epoch.value)};
}

Texts InnodbDialect::insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                            std::chrono::milliseconds /*wait*/) const {
  return {fmt::format("{}(0, {}, 1, {}, {}, {}, NULL, 'barred', {}, UTC_TIMESTAMP(6))", kInsertMarker,
                      request.id.unix_ms(), plain_literal(request_barrier_name(request)),
                      text_value(request.client), bytes_value(octets_of(request.id)), epoch.value)};
}

Texts InnodbDialect::claim_owner(const OwnerRow& expected, const OwnerRow& claimed) const {
  return {fmt::format(
      "UPDATE troth_owner SET agent = {}, incarnation = {}, nonce = {}, raised = UTC_TIMESTAMP(6) WHERE id = "
      "1 "
      "AND agent = {} AND incarnation = {} AND nonce = {}",
      text_value(claimed.agent.value), claimed.incarnation.value, nonce_literal(claimed.nonce),
      text_value(expected.agent.value), expected.incarnation.value, nonce_literal(expected.nonce))};
}

Texts InnodbDialect::raise_counter(const OwnerRow& mine, std::uint64_t counter) const {
  return {fmt::format(
      "UPDATE troth_owner SET counter = {}, raised = UTC_TIMESTAMP(6) WHERE id = 1 AND agent = {} "
      "AND incarnation = {} AND nonce = {} AND counter = {}",
      counter, text_value(mine.agent.value), mine.incarnation.value, nonce_literal(mine.nonce), counter - 1)};
}

// Assignments run left to right: the sequence is chosen while the old epoch still stands.
Texts InnodbDialect::raise_floors(const ClusterId& cluster, const Floors& floors) const {
  return {fmt::format(
      "INSERT INTO troth_floor (cluster, epoch, sequence, request_ms) VALUES ({0}, {1}, {2}, {3}) "
      "ON DUPLICATE KEY UPDATE "
      "sequence = IF(epoch < {1}, {2}, IF(epoch = {1}, GREATEST(sequence, {2}), sequence)), "
      "epoch = GREATEST(epoch, {1}), request_ms = GREATEST(request_ms, {3})",
      plain_literal(cluster.value), floors.position.epoch.value, floors.position.sequence.value,
      floors.request_ms)};
}

Texts InnodbDialect::delete_markers(const ClusterId& cluster, const Floors& floors,
                                    std::uint32_t limit) const {
  return {fmt::format(
      "DELETE FROM troth_branch WHERE (epoch < {0} OR (epoch = {0} AND sequence < {1})) "
      "AND (epoch = 0 OR LEFT(transaction, {2}) = {3}) AND (request_id IS NULL OR request_id < {4}) "
      "ORDER BY epoch, sequence, branch, transaction LIMIT {5}",
      floors.position.epoch.value, floors.position.sequence.value, cluster.value.size() + 1,
      plain_literal(cluster.value + "."), bytes_value(octets_of(first_request_id_of(floors.request_ms))),
      limit)};
}

}  // namespace troth::agent
