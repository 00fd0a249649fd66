// Postgres' texts. A Postgres text may hold several statements, so a branch costs one round trip to begin and
// one to prepare; an error ends the text, so that PREPARE TRANSACTION is reached only when all before it
// held.
#include <fmt/format.h>

#include "participant_agent/dialect/dialects.h"
#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/postgres_pipeline.h"
#include "participant_agent/dialect/xid.h"

namespace troth::agent {
namespace {

std::string text_value(std::string_view text) {
  return fmt::format("convert_from(decode('{}','hex'),'UTF8')", hexadecimal(text));
}

std::string bytes_value(std::string_view octets) {
  return fmt::format("decode('{}','hex')", hexadecimal(octets));
}

std::string uuid_value(const RequestId& id) {
  return fmt::format("'{}'::uuid", id.text());
}

std::string limits(const BranchStart& start) {
  std::string settings;
  for (const std::string& text : set_limits(start, "LOCAL"))
    settings += text + ";";
  return settings;
}

constexpr std::string_view kNotDurable =
    "CASE WHEN current_setting('fsync') <> 'on' THEN 'fsync is off' "
    "WHEN current_setting('full_page_writes') <> 'on' THEN 'full_page_writes is off' ELSE '' END";

// Read without a lock: a lock that a prepared branch kept would stop the next owner [attack 45].
std::string guard_query(std::string_view cluster) {
  return fmt::format(
      "SELECT o.agent, o.incarnation, o.nonce, o.counter, coalesce(f.epoch, 0), coalesce(f.sequence, 0), "
      "coalesce(f.request_ms, 0), {} "
      "FROM troth.troth_owner o LEFT JOIN troth.troth_floor f ON f.cluster = {} WHERE o.id = 1",
      kNotDurable, cluster);
}

std::string still_inside(const BranchId& branch) {
  return prove_query(plain_literal(postgres_gid_of(branch))) + ";";
}

// The three parts of a branch's beginning.
std::string begin_writing(const BranchStart& start) {
  return fmt::format("BEGIN{} READ WRITE; SET LOCAL troth.branch = '{}'; {}",
                     isolation_clause(start.isolation), postgres_gid_of(start.id), limits(start));
}

std::string marker(const BranchStart& start) {
  const auto& id = start.id;
  return fmt::format("EXECUTE troth_marker ({}, {}, {}, {}, {}, {}, {}, {}); ", id.transaction.epoch.value,
                     id.transaction.sequence.value, id.branch.value, plain_literal(id.transaction.text()),
                     start.request ? text_value(start.request->client) : "NULL",
                     start.request ? uuid_value(start.request->id) : "NULL",
                     bytes_value(octets_of(start.digest)), start.epoch.value);
}

std::string guard(const BranchStart& start) {
  return fmt::format("EXECUTE troth_guard ({})", plain_literal(start.id.transaction.cluster.value));
}

constexpr std::string_view kMarkerColumns =
    "transaction, branch, state, client, replace(request_id::text, '-', ''), encode(digest, 'hex'), "
    "leader_epoch";

// Frees named locks, and tells of what a function prepared. What was seeded cannot be unseeded, but nobody knows
// the new seed. Planned once per session.
constexpr std::string_view kPrepareClean =
    "PREPARE troth_clean AS SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.setseed(('x' || "
    "pg_catalog.left("
    "pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', ''), 12))::bit(48)::bigint / "
    "140737488355328.0 - 1), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements "
    "WHERE from_sql AND name NOT IN ('troth_marker', 'troth_guard', 'troth_clean', "
    "'troth_prove'));";

std::string barrier(const std::string& row, std::chrono::milliseconds wait) {
  return fmt::format(
      "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = {}; "
      "SET LOCAL synchronous_commit = on; INSERT INTO troth.troth_branch "
      "(epoch, sequence, branch, transaction, client, request_id, digest, state, leader_epoch) VALUES ({}); "
      "COMMIT",
      wait.count(), row);
}

class PostgresDialect final : public Dialect {
 public:
  DatabaseKind kind() const override { return DatabaseKind::kPostgres; }

  // The pool's own settings; `standard_conforming_strings` is how tokens.h reads a string.
  Texts set_up_session(const SessionSettings& settings) const override {
    return {
        fmt::format("SET standard_conforming_strings = on; SET client_encoding = 'UTF8'; "
                    "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'hex'; "
                    "SET extra_float_digits = 1; SET TimeZone = 'UTC'; SELECT "
                    "set_config('application_name', {}, false)",
                    text_value(settings.application_name))};
  }

  // RESET ALL goes back to the startup packet's settings: whoever connects puts the same ones there. DISCARD ALL
  // would cost every plan.
  Texts reset_session(const SessionSettings& /*settings*/) const override {
    std::string text;
    for (const PipelineStep& step : pipeline_cleaning())
      text += (step.is_prepared ? "EXECUTE " : "") + step.sql + ";";
    return {text};
  }

  Texts read_session_identity() const override {
    return {"SELECT pg_backend_pid(), floor(extract(epoch FROM pg_postmaster_start_time()))::bigint"};
  }

  Texts list_role_sessions() const override {
    return {
        "SELECT pid, state FROM pg_stat_activity WHERE usename = session_user AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend' "
        "ORDER BY pid"};
  }

  Texts end_session(ConnectionId session) const override {
    return {fmt::format("SELECT pg_terminate_backend({})", session.value)};
  }

  Texts cancel_statement(ConnectionId session) const override {
    return {fmt::format("SELECT pg_cancel_backend({})", session.value)};
  }

  // Planned anew with every branch, marker and guard cost the server more than running them does.
  Texts prepare_for_branches() const override {
    return {fmt::format(
        "PREPARE troth_marker (int, bigint, int, text, text, uuid, bytea, int) AS "
        "INSERT INTO troth.troth_branch "
        "(epoch, sequence, branch, transaction, client, request_id, digest, state, leader_epoch) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, 'committed', $8); PREPARE troth_guard (text) AS {}; {} {}",
        guard_query("$1"), kPrepareClean, pipeline_statements())};
  }

  Texts begin_branch(const BranchStart& start) const override {
    return {begin_writing(start) + marker(start) + guard(start)};
  }

  Texts begin_unmarked(const BranchStart& start) const override {
    return {begin_writing(start) + guard(start)};
  }

  Texts mark(const BranchStart& start) const override { return {marker(start) + guard(start)}; }

  // The first write of any kind takes a transaction id.
  Texts has_written() const override {
    return {"SELECT CASE WHEN pg_current_xact_id_if_assigned() IS NULL THEN '0' ELSE '1' END"};
  }

  Texts begin_read_only(const BranchStart& start) const override {
    return {fmt::format("BEGIN{} READ ONLY; {}{}", isolation_clause(start.isolation), limits(start),
                        guard_query(plain_literal(start.id.transaction.cluster.value)))};
  }

  Texts end_read_only() const override { return {"COMMIT"}; }

  Texts prepare(const BranchId& branch) const override {
    return {fmt::format("{}; {} PREPARE TRANSACTION '{}'", kOwnRole, still_inside(branch),
                        postgres_gid_of(branch))};
  }

  Texts commit_one_phase(const BranchId& branch) const override { return {still_inside(branch) + " COMMIT"}; }

  Texts roll_back_active(const BranchId& /*branch*/) const override { return {"ROLLBACK"}; }

  Texts commit_prepared(const BranchId& branch) const override {
    return {fmt::format("COMMIT PREPARED '{}'", postgres_gid_of(branch))};
  }

  Texts roll_back_prepared(const BranchId& branch) const override {
    return {fmt::format("ROLLBACK PREPARED '{}'", postgres_gid_of(branch))};
  }

  bool ties_prepared_branches() const override { return false; }
  bool begins_again_after_wait() const override { return false; }
  bool server_times_statements() const override { return true; }

  Texts read_markers(const BranchId& branch, const std::optional<RequestKey>& request) const override {
    std::string query = fmt::format(
        "SELECT {} FROM troth.troth_branch WHERE epoch = {} AND sequence = {} AND branch = {} AND "
        "transaction = {}",
        kMarkerColumns, branch.transaction.epoch.value, branch.transaction.sequence.value,
        branch.branch.value, plain_literal(branch.transaction.text()));
    if (request) {
      query += fmt::format(" UNION SELECT {} FROM troth.troth_branch WHERE client = {} AND request_id = {}",
                           kMarkerColumns, text_value(request->client), uuid_value(request->id));
    }
    return {query};
  }

  Texts mark_resolved(const BranchId& branch) const override {
    return {fmt::format(
        "UPDATE troth.troth_branch SET state = 'resolved' WHERE epoch = {} AND sequence = {} AND branch = {} "
        "AND transaction = {} AND state = 'committed'",
        branch.transaction.epoch.value, branch.transaction.sequence.value, branch.branch.value,
        plain_literal(branch.transaction.text()))};
  }

  Texts read_unread_calls() const override {
    return {
        fmt::format("SELECT {} FROM troth.troth_branch JOIN ({}) repeated USING (client, request_id) "
                    "ORDER BY client, request_id, epoch, sequence, branch",
                    kMarkerColumns, unread_calls("troth.troth_branch"))};
  }

  Texts insert_barrier(const BranchId& branch, EpochNumber epoch,
                       std::chrono::milliseconds wait) const override {
    const auto& id = branch.transaction;
    return {
        barrier(fmt::format("{}, {}, {}, {}, NULL, NULL, NULL, 'barred', {}", id.epoch.value,
                            id.sequence.value, branch.branch.value, plain_literal(id.text()), epoch.value),
                wait)};
  }

  Texts insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                               std::chrono::milliseconds wait) const override {
    return {barrier(fmt::format("0, {}, 1, {}, {}, {}, NULL, 'barred', {}", request.id.unix_ms(),
                                plain_literal(request_barrier_name(request)), text_value(request.client),
                                uuid_value(request.id), epoch.value),
                    wait)};
  }

  Texts list_prepared() const override {
    return {
        "SELECT gid, greatest(0, floor(extract(epoch FROM now() - prepared)))::bigint FROM pg_prepared_xacts "
        "WHERE database = current_database() AND gid LIKE 'troth1.%' ORDER BY gid"};
  }

  std::optional<PreparedRow> parse_prepared(const TextRow& row) const override {
    if (row.size() != 2 || !row[0]) return std::nullopt;
    auto branch = branch_of_postgres_gid(*row[0]);
    if (!branch) return std::nullopt;
    const std::string age = row[1].value_or("0");
    return PreparedRow{std::move(*branch), std::strtoll(age.c_str(), nullptr, 10)};
  }

  Texts read_server(const std::string& /*known_gtid*/) const override {
    return {fmt::format(
        "SELECT (SELECT system_identifier FROM pg_control_system()), "
        "CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())::bigint "
        "ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END, "
        "'', NULL, pg_is_in_recovery()::int, "
        "floor(extract(epoch FROM pg_postmaster_start_time()))::bigint, version(), "
        "v.installation, v.version, "
        "CASE WHEN current_setting('max_prepared_transactions') = '0' THEN "
        "'max_prepared_transactions is 0, as shipped: set it to at least the number of sessions and restart' "
        "ELSE '' END, {}, o.agent, o.incarnation, o.nonce, o.counter "
        "FROM troth.troth_owner o, troth.troth_schema_version v WHERE o.id = 1 AND v.id = 1",
        kNotDurable)};
  }

  Texts claim_owner(const OwnerRow& expected, const OwnerRow& claimed) const override {
    return {fmt::format(
        "UPDATE troth.troth_owner SET agent = {}, incarnation = {}, nonce = {}, raised = now() WHERE id = 1 "
        "AND agent = {} AND incarnation = {} AND nonce = {}",
        text_value(claimed.agent.value), claimed.incarnation.value, nonce_literal(claimed.nonce),
        text_value(expected.agent.value), expected.incarnation.value, nonce_literal(expected.nonce))};
  }

  Texts raise_counter(const OwnerRow& mine, std::uint64_t counter) const override {
    return {
        fmt::format("UPDATE troth.troth_owner SET counter = {}, raised = now() WHERE id = 1 AND agent = {} "
                    "AND incarnation = {} AND nonce = {} AND counter = {}",
                    counter, text_value(mine.agent.value), mine.incarnation.value, nonce_literal(mine.nonce),
                    counter - 1)};
  }

  Texts raise_floors(const ClusterId& cluster, const Floors& floors) const override {
    return {fmt::format(
        "INSERT INTO troth.troth_floor AS f (cluster, epoch, sequence, request_ms) VALUES ({}, {}, {}, {}) "
        "ON CONFLICT (cluster) DO UPDATE SET "
        "epoch = (CASE WHEN (f.epoch, f.sequence) < (excluded.epoch, excluded.sequence) THEN excluded.epoch "
        "ELSE f.epoch END), "
        "sequence = (CASE WHEN (f.epoch, f.sequence) < (excluded.epoch, excluded.sequence) "
        "THEN excluded.sequence ELSE f.sequence END), "
        "request_ms = greatest(f.request_ms, excluded.request_ms)",
        plain_literal(cluster.value), floors.position.epoch.value, floors.position.sequence.value,
        floors.request_ms)};
  }

  Texts delete_markers(const ClusterId& cluster, const Floors& floors, std::uint32_t limit) const override {
    return {fmt::format(
        "DELETE FROM troth.troth_branch WHERE (epoch, sequence, branch, transaction) IN ("
        "SELECT epoch, sequence, branch, transaction FROM troth.troth_branch "
        "WHERE (epoch, sequence) < ({}, {}) AND (epoch = 0 OR starts_with(transaction, {})) "
        "AND (request_id IS NULL OR request_id < {}) ORDER BY epoch, sequence LIMIT {})",
        floors.position.epoch.value, floors.position.sequence.value, plain_literal(cluster.value + "."),
        uuid_value(first_request_id_of(floors.request_ms)), limit)};
  }
};

}  // namespace

const Dialect& postgres_dialect() {
  static const PostgresDialect kDialect;
  return kDialect;
}

}  // namespace troth::agent
