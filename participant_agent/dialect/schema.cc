#include "participant_agent/dialect/schema.h"

#include <algorithm>

#include <fmt/format.h>

#include "participant_agent/dialect/dialects.h"
#include "participant_agent/dialect/literals.h"

namespace troth::agent {
namespace {

// Of an upgrade, at what holds a table: branches in doubt do.
constexpr int kLockSeconds = 5;

// Names come from an operator's configuration: quoted, with the quote doubled.
std::string quoted(std::string_view name, char quote) {
  std::string text(1, quote);
  for (const char c : name) {
    if (c == quote) text += quote;
    text += c;
  }
  return text + quote;
}

constexpr std::string_view kStates = "'committed', 'local', 'undone', 'barred', 'repaired', 'resolved'";

// What the tables of older versions lack, in one text each, so that there is a key at every moment. Where there is
// nothing to change it takes no lock.
Texts upgrade_postgres() {
  const auto alter = [](std::string_view old_constraint, const std::string& change) {
    return fmt::format(
        "DO $troth$ BEGIN "
        "IF EXISTS (SELECT FROM pg_catalog.pg_constraint "
        "WHERE conrelid = 'troth.troth_branch'::regclass AND conname = '{}') THEN "
        "SET LOCAL lock_timeout = '{}s'; "
        "ALTER TABLE troth.troth_branch {}, DROP CONSTRAINT {}; "
        "END IF; END $troth$",
        old_constraint, kLockSeconds, change, old_constraint);
  };
  return {alter("troth_branch_client_request_id_branch_key",
                "ADD CONSTRAINT troth_request UNIQUE (client, request_id)"),
          alter("troth_branch_state_check",
                fmt::format("ADD CONSTRAINT troth_state CHECK (state IN ({}))", kStates))};
}

Texts install_postgres(const InstallOptions& options) {
  const std::string role = quoted(options.role, '"');
  Texts texts{
      "CREATE SCHEMA IF NOT EXISTS troth",
      fmt::format("CREATE TABLE IF NOT EXISTS troth.troth_branch ("
                  "epoch bigint NOT NULL, sequence bigint NOT NULL, branch integer NOT NULL, "
                  "transaction text COLLATE \"C\" NOT NULL, client text COLLATE \"C\", request_id uuid, "
                  "digest bytea, "
                  "state text COLLATE \"C\" NOT NULL CONSTRAINT troth_state CHECK (state IN ({})), "
                  "leader_epoch bigint NOT NULL, created timestamptz NOT NULL DEFAULT now(), "
                  "PRIMARY KEY (epoch, sequence, branch, transaction), "
                  "CONSTRAINT troth_request UNIQUE (client, request_id))",
                  kStates),
      "CREATE TABLE IF NOT EXISTS troth.troth_owner ("
      "id integer PRIMARY KEY CHECK (id = 1), agent text COLLATE \"C\" NOT NULL, incarnation bigint NOT "
      "NULL, "
      "nonce text COLLATE \"C\" NOT NULL, counter bigint NOT NULL, raised timestamptz NOT NULL) "
      "WITH (fillfactor = 10)",
      "INSERT INTO troth.troth_owner VALUES (1, '', 0, '0000000000000000', 0, now()) ON CONFLICT DO NOTHING",
      "CREATE TABLE IF NOT EXISTS troth.troth_floor ("
      "cluster text COLLATE \"C\" PRIMARY KEY, epoch bigint NOT NULL, sequence bigint NOT NULL, "
      "request_ms bigint NOT NULL)",
      "CREATE TABLE IF NOT EXISTS troth.troth_schema_version ("
      "id integer PRIMARY KEY CHECK (id = 1), version integer NOT NULL, installation text COLLATE \"C\" NOT "
      "NULL, "
      "installed timestamptz NOT NULL)",
      // Not where the constraints are others, whatever a client that goes on behind an error has run before.
      fmt::format(
          "INSERT INTO troth.troth_schema_version AS v SELECT 1, {}, {}, now() "
          "WHERE (SELECT count(*) FROM pg_catalog.pg_constraint WHERE conrelid = "
          "'troth.troth_branch'::regclass AND conname IN ('troth_request', 'troth_state')) = 2 "
          "ON CONFLICT (id) DO UPDATE SET version = excluded.version WHERE v.version < excluded.version",
          kSchemaVersion, plain_literal(options.installation)),
      fmt::format("GRANT USAGE ON SCHEMA troth TO {}", role),
      fmt::format("GRANT SELECT, INSERT, UPDATE, DELETE ON troth.troth_branch TO {}", role),
      fmt::format("GRANT SELECT, UPDATE ON troth.troth_owner TO {}", role),
      fmt::format("GRANT SELECT, INSERT, UPDATE ON troth.troth_floor TO {}", role),
      fmt::format("GRANT SELECT ON troth.troth_schema_version TO {}", role),
  };
  const Texts upgrade = upgrade_postgres();
  texts.insert(std::next(texts.begin(), 2), upgrade.begin(), upgrade.end());
  return texts;
}

constexpr std::string_view kAscii = "CHARACTER SET ascii COLLATE ascii_bin";

// A name's collation must not fold or pad: 'a' and 'A', 'a' and 'a ' are different clients.
std::string exact_text(DatabaseKind kind, std::uint32_t length) {
  return fmt::format("VARCHAR({}) CHARACTER SET utf8mb4 COLLATE {}", length,
                     kind == DatabaseKind::kMariadb ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin");
}

// A name as a value, legible where it is no trouble.
std::string value_of(std::string_view name) {
  const auto is_legible = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '`';
  };
  return std::ranges::all_of(name, is_legible) ? fmt::format("'{}'", name)
                                               : fmt::format("_utf8mb4 X'{}'", hexadecimal(name));
}

// How many columns the request's key has: three of version 1, two of this one. A subquery.
std::string columns_of_request_key(const std::string& database) {
  return fmt::format(
      "(SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = {} AND table_name = "
      "'troth_branch' AND index_name = 'troth_request' AND non_unique = 0)",
      value_of(database));
}

// Whether a marker can say that an operator committed its branch: 1 since version 3. A subquery.
std::string knows_resolved(const std::string& database) {
  return fmt::format(
      "(SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = {} AND table_name = "
      "'troth_branch' AND column_name = 'state' AND column_type LIKE '%resolved%')",
      value_of(database));
}

std::string state_column() {
  return fmt::format("state ENUM({}) {} NOT NULL", kStates, kAscii);
}

// Only a prepared statement's text can depend on what is there. Where there is nothing to change it takes no lock.
Texts upgrade_innodb(const std::string& database) {
  Texts texts{fmt::format("SET SESSION lock_wait_timeout = {0}, SESSION innodb_lock_wait_timeout = {0}",
                          kLockSeconds)};
  const auto alter = [&](const std::string& where, const std::string& change) {
    texts.push_back(
        fmt::format("SET @troth = IF({}, CONCAT('ALTER TABLE ', {}, '.troth_branch ', {}), 'DO 0')", where,
                    value_of(quoted(database, '`')), quoted_literal(change)));
    texts.insert(texts.end(), {"PREPARE troth FROM @troth", "EXECUTE troth", "DEALLOCATE PREPARE troth"});
  };
  alter(columns_of_request_key(database) + " = 3",
        "DROP INDEX troth_request, ADD UNIQUE KEY troth_request (client, request_id)");
  alter(knows_resolved(database) + " = 0", "MODIFY " + state_column());
  return texts;
}

Texts install_innodb(DatabaseKind kind, const InstallOptions& options) {
  const std::string schema = quoted(options.database, '`');
  const std::string account = fmt::format("{}@{}", quoted(options.role, '`'), quoted(options.role_host, '`'));
  Texts texts{
      fmt::format(
          "CREATE TABLE IF NOT EXISTS {}.troth_branch ("
          "epoch INT UNSIGNED NOT NULL, sequence BIGINT UNSIGNED NOT NULL, branch INT UNSIGNED NOT NULL, "
          "transaction VARCHAR(48) {} NOT NULL, client {}, request_id BINARY(16), digest BINARY(32), "
          "{}, "
          "leader_epoch INT UNSIGNED NOT NULL, created DATETIME(6) NOT NULL, "
          "PRIMARY KEY (epoch, sequence, branch, transaction), "
          "UNIQUE KEY troth_request (client, request_id)) ENGINE=InnoDB",
          schema, kAscii, exact_text(kind, 64), state_column()),
      fmt::format("CREATE TABLE IF NOT EXISTS {}.troth_owner ("
                  "id INT NOT NULL PRIMARY KEY CHECK (id = 1), agent {} NOT NULL, "
                  "incarnation BIGINT UNSIGNED NOT NULL, nonce CHAR(16) {} NOT NULL, "
                  "counter BIGINT UNSIGNED NOT NULL, raised DATETIME(6) NOT NULL) ENGINE=InnoDB",
                  schema, exact_text(kind, 64), kAscii),
      fmt::format(
          "INSERT IGNORE INTO {}.troth_owner VALUES (1, '', 0, '0000000000000000', 0, UTC_TIMESTAMP(6))",
          schema),
      fmt::format("CREATE TABLE IF NOT EXISTS {}.troth_floor ("
                  "cluster VARCHAR(19) {} NOT NULL PRIMARY KEY, epoch INT UNSIGNED NOT NULL, "
                  "sequence BIGINT UNSIGNED NOT NULL, request_ms BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
                  schema, kAscii),
      fmt::format("CREATE TABLE IF NOT EXISTS {}.troth_schema_version ("
                  "id INT NOT NULL PRIMARY KEY CHECK (id = 1), version INT UNSIGNED NOT NULL, "
                  "installation VARCHAR(64) {} NOT NULL, installed DATETIME(6) NOT NULL) ENGINE=InnoDB",
                  schema, kAscii),
      // Not where key or states are others, whatever a client that goes on behind an error has run before.
      fmt::format(
          "INSERT INTO {0}.troth_schema_version SELECT 1, {1}, {2}, UTC_TIMESTAMP(6) FROM DUAL WHERE {3} = 2 "
          "AND {4} = 1 "
          "ON DUPLICATE KEY UPDATE version = GREATEST(version, {1})",
          schema, kSchemaVersion, plain_literal(options.installation),
          columns_of_request_key(options.database), knows_resolved(options.database)),
      fmt::format("GRANT SELECT, INSERT, UPDATE, DELETE ON {}.troth_branch TO {}", schema, account),
      fmt::format("GRANT SELECT, UPDATE ON {}.troth_owner TO {}", schema, account),
      fmt::format("GRANT SELECT, INSERT, UPDATE ON {}.troth_floor TO {}", schema, account),
      fmt::format("GRANT SELECT ON {}.troth_schema_version TO {}", schema, account),
  };
  const Texts upgrade = upgrade_innodb(options.database);
  texts.insert(std::next(texts.begin()), upgrade.begin(), upgrade.end());
  if (kind == DatabaseKind::kMysql) {
    texts.push_back(fmt::format("GRANT XA_RECOVER_ADMIN ON *.* TO {}", account));
    // Shows a session its own user variables: what a trigger left in one keeps the session from the next
    // branch.
    texts.push_back(
        fmt::format("GRANT SELECT ON performance_schema.user_variables_by_thread TO {}", account));
  }
  return texts;
}

}  // namespace

Texts install_texts(DatabaseKind kind, const InstallOptions& options) {
  return kind == DatabaseKind::kPostgres ? install_postgres(options) : install_innodb(kind, options);
}

Texts uninstall_texts(DatabaseKind kind, const InstallOptions& options) {
  if (kind == DatabaseKind::kPostgres) return {"DROP SCHEMA IF EXISTS troth CASCADE"};
  const std::string schema = quoted(options.database, '`');
  return {
      fmt::format("DROP TABLE IF EXISTS {0}.troth_branch, {0}.troth_owner, {0}.troth_floor, "
                  "{0}.troth_schema_version",
                  schema)};
}

std::string install_script(DatabaseKind kind, const InstallOptions& options) {
  const bool postgres = kind == DatabaseKind::kPostgres;
  std::string script = fmt::format(
      "-- Troth's tables, version {}, for {}. Run it as an administrator{}.\n"
      "-- Before it, make the agent's own role, used by nobody else, one per resource:\n",
      kSchemaVersion, name_of(kind), postgres ? fmt::format(", connected to the resource's database") : "");
  if (postgres) {
    script += fmt::format("--   CREATE ROLE {} LOGIN PASSWORD '...';\n", quoted(options.role, '"'));
  } else {
    script += fmt::format("--   CREATE USER {}@{} IDENTIFIED BY '...';\n", quoted(options.role, '`'),
                          quoted(options.role_host, '`'));
  }
  script += fmt::format(
      "-- and grant it what the services' statements need.\n"
      "-- Where tables of an older version stand they are brought to this one: stop the resource's agent "
      "before,\n"
      "-- with nothing in doubt here (`troth in-doubt`), run all of this, and start an agent of this "
      "release.\n"
      "-- When a lock is waited for in vain, something is in doubt all the same. When a key is duplicated, "
      "a\n"
      "-- request_id stands in two rows; `troth install` without --print says what to do, and the keys are "
      "those of:\n"
      "--   {};\n",
      unread_calls(postgres ? "troth.troth_branch" : quoted(options.database, '`') + ".troth_branch"));
  for (const auto& text : install_texts(kind, options))
    script += text + ";\n";
  return script;
}

}  // namespace troth::agent
