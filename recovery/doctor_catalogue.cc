#include "recovery/doctor_catalogue.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::recovery {
namespace {

using enum Severity;
using enum Examined;
using enum Remedy;

constexpr FindingKind kKinds[] = {
    // ---- a resource, whatever it is
    {"unreachable", kError, kResource, "The database does not answer.",
     "No branch can run there, and none that is in doubt can end.", kAdvice,
     "start the database, or mend host, port, socket and database of the resource <resource> in <config>"},
    {"login-refused", kError, kResource, "The database answers, and refuses the agent's role.",
     "The agent cannot open a session, so no branch can run there.", kAgentSetting,
     "user = \"<role>\", with the password that the database has for it in password_file"},
    {"not-installed", kError, kResource, "Troth's tables are not there.",
     "Without its marker a branch cannot be proved, so that the agent runs none.", kCommand,
     "troth install <resource> --agent-config <config> --admin-user ADMIN --admin-password-file FILE"},
    {"schema-version", kError, kResource, "Troth's tables are of another version than this release's.",
     "The agent does not use tables whose layout it does not know.", kAdvice,
     "of older tables: stop the agent, run `troth install <resource> --agent-config <config>` of this "
     "release, "
     "start an agent of this release; of newer ones: use the release that made them"},
    {"troth-privileges", kError, kResource, "The role lacks a right on one of Troth's own tables.",
     "Markers, floors and the owner row cannot be kept, so no branch can run.", kStatement, "<grants>"},
    {"table-privileges", kNote, kResource, "The role may not do everything on a table of the services.",
     "A statement that needs the missing right makes its whole transaction fail.", kStatement, "<grants>"},
    {"cannot-end-sessions", kError, kResource, "The role could not end another session of its own.",
     "After a crash the agent must end what its last start left behind before it may say \"rolled back\".",
     kAdvice,
     "let the role <role> end its own sessions; see that nothing between agent and database hides them"},
    {"not-examined", kNote, kResource, "Something could not be looked at.",
     "What was not seen may be wrong all the same.", kAdvice,
     "give the role <role> the right to read it, or look at it by hand"},
    {"prepared-old", kWarning, kResource, "A prepared branch of Troth's is older than it should be.",
     "It holds its locks, and what others wrote since cannot be cleaned up, until it ends.", kCommand,
     "troth in-doubt --older-than-ms <older>"},
    {"prepared-stranger", kWarning, kResource, "A prepared transaction that is not Troth's.",
     "It holds its locks until somebody ends it, and Troth never will.", kAdvice,
     "ask <owner> how it is to end, then: <ending>"},
    {"table-without-key", kNote, kResource, "Tables without a primary key.",
     "Replication finds their rows slowly or not at all, InnoDB locks more than the rows that change, and "
     "undo "
     "cannot name a row.",
     kStatement, "<keys>"},
    {"connections-few", kWarning, kResource,
     "The server, the role or the database takes fewer connections than the agent is configured to open.",
     "Under load branches fail for want of a session, those that would free locks included.", kStatement,
     "<statement>"},
    {"pooler-moves-sessions", kError, kResource,
     "Something in between gives one session several backends (transaction or statement pooling).",
     "A branch, its locks, settings and prepared statements belong to one backend; here they go to "
     "strangers.",
     kAgentSetting, "host and port of the database itself for the resource <resource>"},
    {"pooler-refuses-transactions", kError, kResource,
     "Something in between refuses transactions of several statements (statement pooling).",
     "A branch is such a transaction.", kAgentSetting,
     "host and port of the database itself for the resource <resource>"},
    {"pooler-refuses-login", kError, kResource,
     "A pooler in between refuses what the agent sets when it opens a session.",
     "No session can be opened; and a pooler would move or keep sessions if one could.", kAgentSetting,
     "host and port of the database itself for the resource <resource>"},
    {"pooler-keeps-sessions", kWarning, kResource,
     "Something in between keeps a backend when its client has gone (session pooling).",
     "A lost client's transaction, or on MariaDB its prepared branch, lives on until the pooler notices.",
     kAgentSetting, "host and port of the database itself for the resource <resource>"},
    {"proxy-renames-sessions", kError, kResource,
     "Something in between tells sessions other numbers than the server's own.",
     "The agent ends lost sessions by their number: it would end nobody's, or a stranger's.", kAgentSetting,
     "host and port of the database itself for the resource <resource>"},
    {"clock-apart", kNote, kResource, "A clock differs from this machine's by more than a second.",
     "Ages and timestamps from different machines do not compare.", kCommand, "timedatectl set-ntp true"},
    {"clock-far-apart", kError, kResource, "A clock differs from this machine's by five minutes or more.",
     "Request_ids from the future are refused, and what is forgotten is decided by the time.", kCommand,
     "timedatectl set-ntp true"},

    // ---- Postgres
    {"version-unsupported", kError, kPostgres, "PostgreSQL before 13.",
     "The agent asks for functions that it does not have.", kAdvice, "upgrade to PostgreSQL 13 or later"},
    {"prepared-transactions-off", kError, kPostgres, "max_prepared_transactions is 0, as shipped.",
     "PREPARE TRANSACTION fails, so that no branch beside another can commit.", kStatementRestart,
     "ALTER SYSTEM SET max_prepared_transactions = <needed>"},
    {"prepared-transactions-few", kWarning, kPostgres,
     "max_prepared_transactions is below the sessions configured and what is prepared now.",
     "With no slot left a branch fails at its prepare, after all its work.", kStatementRestart,
     "ALTER SYSTEM SET max_prepared_transactions = <needed>"},
    {"fsync-off", kError, kPostgres, "fsync is off.", "A crash of the machine loses what was acknowledged.",
     kStatement, "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()"},
    {"full-page-writes-off", kError, kPostgres, "full_page_writes is off.",
     "A crash of the machine can tear a page, and what was acknowledged is damaged.", kStatement,
     "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf()"},
    {"synchronous-commit-off", kNote, kPostgres, "synchronous_commit is not on for the role.",
     "Branches switch it on for themselves; what services write beside Troth can be lost.", kStatement,
     "ALTER ROLE <role> IN DATABASE <database> SET synchronous_commit = on"},
    {"standby", kError, kPostgres, "The server is a standby.", "It takes no writes.", kAdvice,
     "point the resource <resource> at the primary"},
    {"default-read-only", kError, kPostgres, "default_transaction_read_only is on for the role.",
     "The agent cannot raise its counter, so that it cannot serve.", kStatement,
     "ALTER ROLE <role> IN DATABASE <database> SET default_transaction_read_only = off"},
    {"default-isolation", kNote, kPostgres,
     "default_transaction_isolation is not read committed for the role.",
     "Transactions that ask for no level run on this one, and fail with serialization errors.", kStatement,
     "ALTER ROLE <role> IN DATABASE <database> SET default_transaction_isolation = 'read committed'"},
    {"timeout-ends-branches", kWarning, kPostgres,
     "A timeout of the role ends sessions or transactions that are idle, or long.",
     "It ends interactive branches between two statements, and the pool's idle sessions, behind the agent's "
     "back.",
     kStatement, "ALTER ROLE <role> IN DATABASE <database> SET <setting> = 0"},
    {"timeout-ends-statements", kWarning, kPostgres, "statement_timeout or lock_timeout is set for the role.",
     "Branches have their own; this one also cuts the agent's statements, COMMIT PREPARED among them.",
     kStatement, "ALTER ROLE <role> IN DATABASE <database> SET <setting> = 0"},
    {"client-check-off", kNote, kPostgres, "client_connection_check_interval is 0.",
     "The backend of an agent that died goes on with its statement, and holds its locks as long.", kStatement,
     "ALTER SYSTEM SET client_connection_check_interval = '10s'; SELECT pg_reload_conf()"},
    {"role-superuser", kWarning, kPostgres, "The role is a superuser.",
     "Statements of services run with this role: each could do anything to the whole server.", kStatement,
     "ALTER ROLE <role> NOSUPERUSER"},
    {"deferred-constraint", kNote, kPostgres, "Constraints that are checked only at the end.",
     "They fire at prepare: a violation is seen only when all the work is done, and names no statement.",
     kStatement, "<statement>"},

    // ---- MySQL and MariaDB
    {"version-xa-defects", kError, kInnodb,
     "MySQL before 8.0.30, or MariaDB before 10.5.2: a version that loses prepared branches.",
     "MySQL before 8.0.30 loses or diverges prepared branches in crashes; MariaDB before 10.5.2 rolls them "
     "back "
     "when their session ends.",
     kAdvice, "upgrade to <version> or later"},
    {"xa-detach-off", kError, kInnodb, "xa_detach_on_prepare is OFF (MySQL).",
     "A prepared branch would hold its session, and the agent runs none.", kStatement,
     "SET PERSIST xa_detach_on_prepare = ON"},
    {"flush-log", kError, kInnodb, "innodb_flush_log_at_trx_commit is not 1.",
     "A crash loses what was acknowledged; the agent refuses to vote.", kStatement,
     "SET <persist> innodb_flush_log_at_trx_commit = 1"},
    {"sync-binlog", kError, kInnodb, "The binary log is on, and sync_binlog is not 1.",
     "A crash loses what was acknowledged, and replicas differ; the agent refuses to vote.", kStatement,
     "SET <persist> sync_binlog = 1"},
    {"doublewrite-off", kError, kInnodb, "innodb_doublewrite is off.",
     "A crash of the machine can tear a page, and what was acknowledged is damaged.", kDatabaseSetting,
     "innodb_doublewrite = ON"},
    {"flush-method", kError, kInnodb, "innodb_flush_method does not sync.",
     "A crash of the machine loses what was acknowledged.", kDatabaseSetting,
     "innodb_flush_method = O_DIRECT"},
    {"binlog-statement", kError, kInnodb, "The binary log is on, and binlog_format is STATEMENT.",
     "Branches run READ COMMITTED, where InnoDB then refuses every write (1665).", kStatement,
     "SET <persist> binlog_format = ROW"},
    {"gtid-off", kNote, kInnodb, "The binary log is on, and gtid_mode is not ON (MySQL).",
     "The set of GTIDs is how a server that was set back is known at once.", kDatabaseSetting,
     "gtid_mode = ON and enforce_gtid_consistency = ON"},
    {"read-only-server", kError, kInnodb, "read_only or super_read_only is on.", "It takes no writes.",
     kStatement, "SET <persist> <setting> = OFF"},
    {"autocommit-off", kNote, kInnodb, "autocommit is off for new sessions.",
     "The agent switches it on for its own; a DBA's session holds locks until it commits.", kStatement,
     "SET <persist> autocommit = ON"},
    {"replica-gap-locks", kNote, kInnodb,
     "The binary log is on, and the server's isolation is not READ COMMITTED.",
     "Gap locks of branches in doubt stall a replica's applier.", kStatement,
     "SET <persist> transaction_isolation = 'READ-COMMITTED'"},
    {"wait-timeout", kWarning, kInnodb, "wait_timeout is shorter than ten minutes.",
     "It ends sessions that interactive branches, or on MariaDB prepared ones, are tied to, and idle ones of "
     "the "
     "pool.",
     kStatement, "SET <persist> wait_timeout = 28800"},
    {"transaction-timeout", kWarning, kInnodb,
     "idle_transaction_timeout or idle_write_transaction_timeout is set (MariaDB).",
     "It ends interactive branches between two statements.", kStatement, "SET GLOBAL <setting> = 0"},
    {"sql-mode-not-strict", kWarning, kInnodb, "sql_mode is not strict.",
     "A value that does not fit is cut or zeroed, and the transaction commits.", kStatement,
     "SET <persist> sql_mode = '<mode>'"},
    {"xa-recover-denied", kError, kInnodb, "The role may not list prepared branches (MySQL).",
     "After a restart the agent cannot see what is in doubt.", kStatement,
     "GRANT XA_RECOVER_ADMIN ON *.* TO <account>"},
    {"variables-unseen", kNote, kInnodb, "The role may not see its sessions' user variables (MySQL).",
     "What a trigger left in one is not seen, and the next branch may read it.", kStatement,
     "GRANT SELECT ON performance_schema.user_variables_by_thread TO <account>"},
    {"role-super", kWarning, kInnodb, "The role has SUPER.",
     "Statements of services run with this role: each could change the whole server.", kStatement,
     "REVOKE SUPER ON *.* FROM <account>"},
    {"table-engine", kWarning, kInnodb, "Tables that are not InnoDB.",
     "A change to them stays when its branch is rolled back.", kStatement, "<statement>"},
    {"trigger-engine", kNote, kInnodb, "A trigger writes to a table that is not InnoDB.",
     "What it wrote stays when the branch is rolled back.", kStatement, "<statement>"},
    {"character-set", kNote, kInnodb, "The schema's character set is not utf8mb4.",
     "New tables refuse, or cut, text that a service may send.", kStatement,
     "ALTER DATABASE <schema> CHARACTER SET utf8mb4"},
    {"time-zone-tables", kNote, kInnodb, "Named time zones are unknown to the server.",
     "CONVERT_TZ with a named zone answers NULL, which a statement may write.", kCommand,
     "mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql --user=ADMIN --password mysql"},

    // ---- directories
    {"directory-missing", kError, kDirectory, "The directory is not there, or was never made by `init`.",
     "The process does not start; and where it is lost, so is what it remembered.", kCommand,
     "<program> --config <config> init --name NAME"},
    {"log-damaged", kError, kDirectory, "The log will not be opened.",
     "The process does not start, and what stands there is the only memory of what it promised.", kCommand,
     "troth log verify <log>"},
    {"log-cut-tail", kWarning, kDirectory, "The log's last batch is bad.",
     "It is cut at the next start: either it was never synced, or the disk has lost something.", kCommand,
     "troth log verify <log>"},
    {"file-system-volatile", kError, kDirectory, "The file system is in memory.",
     "What was acknowledged goes with the machine's next start.", kAdvice,
     "move the data directory to a disk, and set data_directory"},
    {"file-system-overlay", kWarning, kDirectory, "The file system is a container's own layer.",
     "It goes with the container.", kAdvice, "mount a volume there, and set data_directory"},
    {"file-system-network", kWarning, kDirectory, "The file system is on a network, or made by a program.",
     "Its syncs and locks keep what the server behind it keeps, and it stalls as it does.", kAdvice,
     "move the data directory to a local disk, and set data_directory"},
    {"sync-slow", kWarning, kDirectory, "A sync takes longer than 10 ms, half of the time.",
     "Each transaction waits for one.", kAdvice, "use a disk with a write cache that keeps its content"},
    {"sync-suspicious", kNote, kDirectory, "A sync takes less than 15 microseconds.",
     "No disk is that fast: something may answer before the data is safe.", kAdvice,
     "see that the disk, or what imitates it, keeps what was synced when its power goes"},
    {"disk-full", kError, kDirectory, "There is no room for two more segments of the log.",
     "The process stops when it cannot write.", kAdvice, "free at least <missing> on <mount>"},
    {"disk-low", kWarning, kDirectory, "There is no room for the log at its configured size.",
     "The disk is full before the log is cleaned.", kAdvice,
     "free at least <missing> on <mount>, or lower <setting>"},
    {"directory-open", kWarning, kDirectory, "Others may read or write the directory.",
     "It holds statements with their parameters, and whoever can write there can change what was decided.",
     kCommand, "chmod 0700 <directory>"},
    {"directory-owner", kWarning, kDirectory, "Files in the directory belong to different users.",
     "The process cannot open what it may not write.", kCommand, "chown -R <owner> <directory>"},
    {"directory-unseen", kNote, kDirectory, "The directory could not be looked at fully.",
     "What was not seen may be wrong all the same.", kAdvice,
     "run this as the user whom the directory belongs to"},
    {"clock-unsynchronised", kWarning, kDirectory, "Nothing keeps this machine's clock right.",
     "It drifts away from those of the databases and the other machines.", kCommand,
     "timedatectl set-ntp true"},

    // ---- the cluster
    {"coordinator-unreachable", kError, kCluster, "The coordinator does not answer.",
     "No transaction begins, and none in doubt ends.", kAdvice,
     "start the coordinator, or mend the address <address>"},
    {"coordinator-version", kNote, kCluster, "The coordinator is of another release than this tool.",
     "This tool may know less, or more, than it does.", kAdvice, "use the tool of the coordinator's release"},
    {"agent-unreachable", kError, kCluster, "The coordinator cannot reach an agent.",
     "None of its resources takes part in anything.", kAdvice,
     "start the agent at <address>, and see that the coordinator can reach it"},
    {"resource-not-serving", kError, kCluster, "A resource does not serve.", "Work for it is refused.",
     kAdvice, "<remedy>"},
    {"in-doubt-old", kWarning, kCluster, "Branches are in doubt for longer than they should be.",
     "They hold their locks until they end.", kCommand, "troth in-doubt --older-than-ms <older>"},
};

std::string filled(std::string_view id, std::string_view mend, const Names& names) {
  std::string text;
  while (!mend.empty()) {
    const auto open = mend.find('<');
    const auto close = open == std::string_view::npos ? open : mend.find('>', open);
    text += mend.substr(0, open);
    if (close == std::string_view::npos) break;
    const auto word = mend.substr(open + 1, close - open - 1);
    const auto name = std::ranges::find(names, word, &Names::value_type::first);
    CHECK(name != names.end(), "finding {} needs <{}>", id, word);
    text += name->second;
    mend.remove_prefix(close + 1);
  }
  return text;
}

// A cell of a Markdown table: <words> are no tags, and a bar ends no cell.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else if (c == '|') {
      escaped += "\\|";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string section_of(Examined examined) {
  std::string text = fmt::format(
      "\n## {}\n\n| finding | severity | what it is | why it matters | what mends it "
      "|\n|---|---|---|---|---|\n",
      name_of(examined));
  for (const auto& kind : kKinds) {
    if (kind.examined != examined) continue;
    text += fmt::format("| `{}` | {} | {} | {} | {}: {} |\n", kind.id, name_of(kind.severity),
                        cell(kind.sees), cell(kind.why), name_of(kind.remedy), cell(kind.mend));
  }
  return text;
}

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case kNote: return "note";
    case kWarning: return "warning";
    case kError: return "error";
  }
  return "invalid";
}

std::string_view name_of(Examined examined) {
  switch (examined) {
    case kResource: return "Every resource";
    case kPostgres: return "Postgres";
    case kInnodb: return "MySQL and MariaDB";
    case kDirectory: return "Directories and this machine";
    case kCluster: return "The cluster";
  }
  return "invalid";
}

std::string_view name_of(Remedy remedy) {
  switch (remedy) {
    case kStatement: return "statement";
    case kStatementRestart: return "statement, then restart the database";
    case kStatementAndSetting: return "statement, and the same in the database's configuration";
    case kDatabaseSetting: return "the database's configuration, then restart it";
    case kAgentSetting: return "the agent's configuration, then restart it";
    case kCommand: return "command";
    case kAdvice: return "advice";
  }
  return "invalid";
}

std::span<const FindingKind> finding_kinds() {
  return kKinds;
}

Finding found(std::string_view id, std::string where, std::string seen, const Names& names) {
  const auto* kind = std::ranges::find(kKinds, id, &FindingKind::id);
  CHECK(kind != std::end(kKinds), "no finding is called {}", id);
  return {.id = std::string(id),
          .severity = kind->severity,
          .where = std::move(where),
          .seen = std::move(seen),
          .why = std::string(kind->why),
          .remedy = kind->remedy,
          .mend = filled(id, kind->mend, names)};
}

void put_in_order(std::vector<Finding>& findings) {
  std::ranges::stable_sort(findings, std::ranges::greater{}, &Finding::severity);
}

std::string findings_page() {
  std::string page =
      "# What `troth doctor` finds\n\n"
      "Made from the code (`troth doctor --list`); a test compares. How to run it: "
      "[tool.md](tool.md#doctor).\n\n"
      "*note*: know it. *warning*: it works, and will fail or slow down one day. *error*: it does not work, "
      "or "
      "may lose what\nwas acknowledged. Words in &lt;angle brackets&gt; are filled in by the finding itself; "
      "&lt;persist&gt;\nis PERSIST on MySQL, and GLOBAL on MariaDB, where the same goes into its "
      "configuration "
      "file.\n";
  for (const auto examined : {kResource, kPostgres, kInnodb, kDirectory, kCluster})
    page += section_of(examined);
  return page;
}

}  // namespace troth::recovery
