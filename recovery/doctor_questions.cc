#include "recovery/doctor_questions.h"

#include <cstdlib>

#include <fmt/format.h>

#include "participant_agent/dialect/xid.h"
#include "recovery/doctor.h"

namespace troth::recovery {
namespace {

using agent::DatabaseKind;
using agent::TextRow;
using agent::TextRows;

// A column that is missing or NULL reads as empty, and as zero: every such column means "nothing" then.
std::string text(const TextRow& row, std::size_t column) {
  return column < row.size() ? row[column].value_or("") : "";
}

std::int64_t number(const TextRow& row, std::size_t column) {
  return std::strtoll(text(row, column).c_str(), nullptr, 10);
}

bool flag(const TextRow& row, std::size_t column) {
  return text(row, column) == "1";
}

std::vector<Flaw> flaws_of(const TextRows& rows) {
  std::vector<Flaw> flaws;
  for (const TextRow& row : rows)
    flaws.push_back({.name = text(row, 0), .statement = text(row, 1)});
  return flaws;
}

void read_settings(const TextRows& rows, ServerSettings& settings) {
  for (const TextRow& row : rows)
    settings[text(row, 0)] = text(row, 1);
}

// ---- Postgres

// Troth's own tables, and what `troth install` grants on them; objects as GRANT names them.
constexpr std::string_view kPostgresOwnRights =
    "SELECT o.object, string_agg(o.may, ', ' ORDER BY o.may) FROM ("
    "SELECT 'SCHEMA troth' AS object, 'USAGE' AS may FROM pg_namespace n WHERE n.nspname = 'troth' "
    "AND NOT has_schema_privilege(n.oid, 'USAGE') UNION ALL "
    "SELECT 'troth.' || c.relname, w.may FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN (VALUES ('troth_branch', 'SELECT'), ('troth_branch', 'INSERT'), ('troth_branch', 'UPDATE'), "
    "('troth_branch', 'DELETE'), ('troth_owner', 'SELECT'), ('troth_owner', 'UPDATE'), ('troth_floor', "
    "'SELECT'), ('troth_floor', "
    "'INSERT'), "
    "('troth_floor', 'UPDATE'), ('troth_schema_version', 'SELECT')) w (relation, may) ON w.relation = "
    "c.relname "
    "WHERE n.nspname = 'troth' AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, w.may)) o "
    "GROUP BY o.object ORDER BY o.object";

// A serial column takes its sequence; an identity column needs no right of its own. The CASE is because conditions
// run in any order, and has_sequence_privilege() fails for what is no sequence.
constexpr std::string_view kPostgresRights =
    "SELECT o.object, string_agg(o.may, ', ' ORDER BY o.may) FROM ("
    "SELECT format('SCHEMA %I', n.nspname) AS object, 'USAGE' AS may FROM pg_namespace n "
    "WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'troth') "
    "AND EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')) "
    "AND NOT has_schema_privilege(n.oid, 'USAGE') UNION ALL "
    "SELECT format('%I.%I', n.nspname, c.relname), w.may FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) w (may) "
    "WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', "
    "'troth') "
    "AND NOT has_table_privilege(c.oid, w.may) UNION ALL "
    "SELECT format('SEQUENCE %I.%I', n.nspname, c.relname), 'USAGE' FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a' "
    "WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'troth') "
    "AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') END) o GROUP BY o.object "
    "ORDER BY o.object LIMIT 1000";

constexpr std::string_view kPostgresWithoutKey =
    "SELECT format('%s.%s', n.nspname, c.relname), format('ALTER TABLE %I.%I ADD COLUMN row_key bigint "
    "GENERATED "
    "ALWAYS AS IDENTITY PRIMARY KEY', n.nspname, c.relname) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' "
    "AND n.nspname NOT IN ('information_schema', 'troth') "
    "AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) "
    "ORDER BY n.nspname, c.relname LIMIT 1000";

// The same constraint, checked at once.
constexpr std::string_view kPostgresDeferred =
    "SELECT format('%s on %s.%s', k.conname, n.nspname, c.relname), format('ALTER TABLE %I.%I DROP "
    "CONSTRAINT %I, "
    "ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname, k.conname, "
    "replace(pg_get_constraintdef(k.oid), ' DEFERRABLE INITIALLY DEFERRED', '')) "
    "FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = "
    "c.relnamespace "
    "WHERE k.condeferred AND k.contype IN ('u', 'p', 'x', 'f') AND k.conparentid = 0 "
    "ORDER BY n.nspname, c.relname, k.conname LIMIT 1000";

void add_rights(const TextRows& rows, bool troths, std::vector<MissingRight>& missing) {
  for (const TextRow& row : rows)
    missing.push_back({.object = text(row, 0), .rights = text(row, 1), .troths = troths});
}

// ---- MySQL and MariaDB

constexpr std::string_view kInnodbSettings =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('xa_detach_on_prepare', 'innodb_flush_log_at_trx_commit', "
    "'innodb_doublewrite', 'innodb_flush_method', 'super_read_only', 'read_only', 'log_bin', 'sync_binlog', "
    "'binlog_format', 'gtid_mode', 'transaction_isolation', 'tx_isolation', 'autocommit', 'wait_timeout', "
    "'idle_transaction_timeout', 'idle_write_transaction_timeout', 'sql_mode', 'max_connections', "
    "'max_user_connections')";

constexpr std::string_view kInnodbAccount =
    "SELECT VERSION(), CURRENT_USER(), @@SESSION.max_user_connections, "
    "(SELECT s.default_character_set_name FROM information_schema.schemata s WHERE s.schema_name = "
    "DATABASE()), "
    "CONVERT_TZ('2020-01-01 00:00:00', 'UTC', 'Europe/Berlin') IS NOT NULL, "
    "(SELECT COUNT(*) > 0 FROM information_schema.user_privileges p WHERE p.privilege_type = 'SUPER' "
    "AND p.grantee = CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', "
    "SUBSTRING_INDEX(CURRENT_USER(), '@', -1), ''''))";

constexpr std::string_view kInnodbTables =
    "SELECT t.table_name, t.engine, (SELECT COUNT(*) FROM information_schema.table_constraints k "
    "WHERE k.table_schema = t.table_schema AND k.table_name = t.table_name AND "
    "k.constraint_type = 'PRIMARY KEY') > 0, "
    "(SELECT c.column_name FROM information_schema.columns c WHERE c.table_schema = t.table_schema "
    "AND c.table_name = t.table_name AND c.ordinal_position = 1), "
    "t.table_name IN ('troth_branch', 'troth_owner', 'troth_floor', 'troth_schema_version') "
    "FROM information_schema.tables t WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' "
    "ORDER BY t.table_name LIMIT 1000";

constexpr std::string_view kInnodbTriggers =
    "SELECT trigger_name, event_object_table, action_statement FROM information_schema.triggers "
    "WHERE trigger_schema = DATABASE() ORDER BY trigger_name LIMIT 1000";

// user@host -> `user`@`host`.
std::string account_of(const std::string& current_user) {
  const auto at = current_user.rfind('@');
  if (at == std::string::npos) return quoted_name(current_user, '`');
  return quoted_name(current_user.substr(0, at), '`') + "@" + quoted_name(current_user.substr(at + 1), '`');
}

void read_prepared(DatabaseKind kind, const TextRows& rows, InnodbFacts& facts) {
  for (const TextRow& row : rows) {
    PreparedSeen prepared;
    const auto branch = agent::dialect_of(kind).parse_prepared(row);
    prepared.troths = branch.has_value();
    std::string xid = text(row, 3);
    if (kind == DatabaseKind::kMysql) {
      const auto parsed = agent::parse_mysql_recover(text(row, 0), text(row, 1), text(row, 2), text(row, 3));
      if (parsed) xid = agent::xa_literal(*parsed);
    }
    prepared.name =
        branch ? fmt::format("{}, branch {}", branch->branch.transaction.text(), branch->branch.branch.value)
               : xid;
    prepared.ending = fmt::format("XA COMMIT {} or XA ROLLBACK {}", xid, xid);
    facts.prepared.push_back(std::move(prepared));
  }
}

}  // namespace

std::vector<Question<PostgresFacts>> postgres_questions() {
  return {
      {"settings",
       "SELECT name, setting FROM pg_settings WHERE name IN ('max_prepared_transactions', 'fsync', "
       "'full_page_writes', 'synchronous_commit', 'default_transaction_read_only', "
       "'default_transaction_isolation', 'idle_in_transaction_session_timeout', 'idle_session_timeout', "
       "'transaction_timeout', 'statement_timeout', 'lock_timeout', 'client_connection_check_interval', "
       "'max_connections', 'superuser_reserved_connections', 'reserved_connections')",
       [](const TextRows& rows, ResourceFacts&, PostgresFacts& facts) {
         read_settings(rows, facts.settings);
       }},
      {"the role",
       "SELECT current_setting('server_version_num'), pg_is_in_recovery()::int, rolsuper::int, rolconnlimit, "
       "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()), "
       "(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
       "WHERE n.nspname = 'troth' AND c.relname = 'troth_branch') "
       "FROM pg_roles WHERE rolname = session_user",
       [](const TextRows& rows, ResourceFacts& resource, PostgresFacts& facts) {
         if (rows.empty()) return;
         const TextRow& row = rows.front();
         facts.version = number(row, 0);
         facts.standby = flag(row, 1);
         facts.superuser = flag(row, 2);
         facts.role_connections = number(row, 3);
         facts.database_connections = number(row, 4);
         resource.installed = number(row, 5) > 0;
       }},
      {"prepared transactions",
       "SELECT gid, owner, database, greatest(0, floor(extract(epoch FROM now() - prepared)))::bigint, "
       "quote_literal(gid) FROM pg_prepared_xacts ORDER BY prepared LIMIT 10000",
       [](const TextRows& rows, ResourceFacts&, PostgresFacts& facts) {
         for (const TextRow& row : rows) {
           facts.prepared.push_back({.name = fmt::format("{} in {}", text(row, 0), text(row, 2)),
                                     .owner = text(row, 1),
                                     .age_s = number(row, 3),
                                     .troths = agent::branch_of_postgres_gid(text(row, 0)).has_value(),
                                     .ending = fmt::format("COMMIT PREPARED {} or ROLLBACK PREPARED {}",
                                                           text(row, 4), text(row, 4))});
         }
       }},
      {"rights on Troth's tables", std::string(kPostgresOwnRights),
       [](const TextRows& rows, ResourceFacts&, PostgresFacts& facts) {
         add_rights(rows, true, facts.missing);
       }},
      {"rights on tables", std::string(kPostgresRights),
       [](const TextRows& rows, ResourceFacts&, PostgresFacts& facts) {
         add_rights(rows, false, facts.missing);
       }},
      {"tables without a primary key", std::string(kPostgresWithoutKey),
       [](const TextRows& rows, ResourceFacts&, PostgresFacts& facts) {
         facts.without_key = flaws_of(rows);
       }},
      {"deferred constraints", std::string(kPostgresDeferred),
       [](const TextRows& rows, ResourceFacts&, PostgresFacts& facts) { facts.deferred = flaws_of(rows); }},
  };
}

std::vector<Question<InnodbFacts>> innodb_questions(DatabaseKind kind) {
  std::vector<Question<InnodbFacts>> questions{
      {"settings", std::string(kInnodbSettings),
       [](const TextRows& rows, ResourceFacts&, InnodbFacts& facts) { read_settings(rows, facts.settings); }},
      {"the account", std::string(kInnodbAccount),
       [](const TextRows& rows, ResourceFacts&, InnodbFacts& facts) {
         if (rows.empty()) return;
         const TextRow& row = rows.front();
         facts.version = text(row, 0);
         facts.account = account_of(text(row, 1));
         facts.user_connections = number(row, 2);
         facts.character_set = text(row, 3);
         facts.time_zones = flag(row, 4);
         facts.super = flag(row, 5);
       }},
      {"tables", std::string(kInnodbTables),
       [](const TextRows& rows, ResourceFacts& resource, InnodbFacts& facts) {
         resource.installed = false;
         for (const TextRow& row : rows) {
           facts.tables.push_back({.name = text(row, 0),
                                   .engine = text(row, 1),
                                   .first_column = text(row, 3),
                                   .has_key = flag(row, 2),
                                   .troths = flag(row, 4)});
           resource.installed = resource.installed || text(row, 0) == "troth_branch";
         }
       }},
      {"triggers", std::string(kInnodbTriggers),
       [](const TextRows& rows, ResourceFacts&, InnodbFacts& facts) {
         for (const TextRow& row : rows)
           facts.triggers.push_back({.name = text(row, 0), .table = text(row, 1), .text = text(row, 2)});
       }},
  };
  const auto listing = agent::dialect_of(kind).list_prepared().front();
  if (kind == DatabaseKind::kMysql) {
    questions.push_back({"prepared branches", listing,
                         [](const TextRows& rows, ResourceFacts&, InnodbFacts& facts) {
                           read_prepared(DatabaseKind::kMysql, rows, facts);
                         },
                         [](InnodbFacts& facts) { facts.lists_prepared = false; }});
    questions.push_back({"user variables",
                         "SELECT COUNT(*) FROM performance_schema.user_variables_by_thread WHERE FALSE",
                         [](const TextRows&, ResourceFacts&, InnodbFacts&) {},
                         [](InnodbFacts& facts) { facts.sees_variables = false; }});
  } else {
    questions.push_back(
        {"prepared branches", listing, [](const TextRows& rows, ResourceFacts&, InnodbFacts& facts) {
           read_prepared(DatabaseKind::kMariadb, rows, facts);
         }});
  }
  return questions;
}

std::string clock_question(DatabaseKind kind) {
  return kind == DatabaseKind::kPostgres
             ? "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
             : "SELECT FLOOR(UNIX_TIMESTAMP(SYSDATE(3)) * 1000)";
}

std::string schema_version_question(DatabaseKind kind) {
  return fmt::format("SELECT version FROM {}troth_schema_version WHERE id = 1",
                     kind == DatabaseKind::kPostgres ? "troth." : "");
}

std::vector<RightProbe> right_probes(const InnodbTable& table) {
  const auto name = quoted_name(table.name, '`');
  const RightProbe select{"SELECT", fmt::format("EXPLAIN SELECT 1 FROM {} LIMIT 1", name)};
  const RightProbe insert{"INSERT", fmt::format("EXPLAIN INSERT INTO {} () VALUES ()", name)};
  const RightProbe update{
      "UPDATE", fmt::format("EXPLAIN UPDATE {} SET {} = NULL", name, quoted_name(table.first_column, '`'))};
  const RightProbe remove{"DELETE", fmt::format("EXPLAIN DELETE FROM {}", name)};
  if (!table.troths) return {select, insert, update, remove};
  if (table.name == "troth_branch") return {select, insert, update, remove};
  if (table.name == "troth_owner") return {select, update};
  if (table.name == "troth_floor") return {select, insert, update};
  return {select};
}

bool means_missing_right(std::int32_t vendor_code) {
  constexpr std::int32_t kTableAccessDenied = 1142;
  constexpr std::int32_t kColumnAccessDenied = 1143;
  return vendor_code == kTableAccessDenied || vendor_code == kColumnAccessDenied;
}

}  // namespace troth::recovery
