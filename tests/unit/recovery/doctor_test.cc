// Tables of facts, and what `troth doctor` makes of them.
#include "recovery/doctor.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "participant_agent/dialect/schema.h"
#include "recovery/doctor_questions.h"

namespace troth::recovery {
namespace {

using agent::DatabaseKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> ids_of(const std::vector<Finding>& findings) {
  std::vector<std::string> ids;
  ids.reserve(findings.size());
  for (const auto& finding : findings)
    ids.push_back(finding.id);
  return ids;
}

Finding only(const std::vector<Finding>& findings) {
  EXPECT_EQ(findings.size(), 1U) << testing::PrintToString(ids_of(findings));
  return findings.empty() ? Finding{} : findings.front();
}

PostgresFacts healthy_postgres() {
  return {.version = 150'018,
          .settings = {{"max_prepared_transactions", "200"},
                       {"fsync", "on"},
                       {"full_page_writes", "on"},
                       {"synchronous_commit", "on"},
                       {"default_transaction_read_only", "off"},
                       {"default_transaction_isolation", "read committed"},
                       {"idle_in_transaction_session_timeout", "0"},
                       {"statement_timeout", "0"},
                       {"lock_timeout", "0"},
                       {"client_connection_check_interval", "10000"},
                       {"max_connections", "300"},
                       {"superuser_reserved_connections", "3"}}};
}

InnodbFacts healthy_innodb() {
  return {.version = "9.7.4",
          .account = "`troth`@`%`",
          .settings = {{"xa_detach_on_prepare", "ON"},
                       {"innodb_flush_log_at_trx_commit", "1"},
                       {"innodb_doublewrite", "ON"},
                       {"innodb_flush_method", "O_DIRECT"},
                       {"super_read_only", "OFF"},
                       {"read_only", "OFF"},
                       {"log_bin", "ON"},
                       {"sync_binlog", "1"},
                       {"binlog_format", "ROW"},
                       {"gtid_mode", "ON"},
                       {"transaction_isolation", "READ-COMMITTED"},
                       {"autocommit", "ON"},
                       {"wait_timeout", "28800"},
                       {"sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_DATE"},
                       {"max_connections", "300"},
                       {"max_user_connections", "0"}},
          .character_set = "utf8mb4",
          .tables = {{.name = "account", .engine = "InnoDB", .first_column = "id", .has_key = true},
                     {.name = "troth_branch", .engine = "InnoDB", .has_key = true, .troths = true}}};
}

ResourceFacts resource(DatabaseKind kind, std::variant<NotReached, PostgresFacts, InnodbFacts> server) {
  return {.configured = {.name = "pg",
                         .kind = kind,
                         .config = "agent.toml",
                         .role = "troth\"x",
                         .database = "bank",
                         .sessions = 32,
                         .connections = 113},
          .server = std::move(server),
          .schema_version = agent::kSchemaVersion,
          .clock_ahead_ms = 3};
}

ResourceFacts with(const PostgresFacts& server) {
  return resource(DatabaseKind::kPostgres, server);
}
ResourceFacts with(const InnodbFacts& server, DatabaseKind kind = DatabaseKind::kMysql) {
  return resource(kind, server);
}

TEST(Doctor, FindsNothingWhereNothingIsWrong) {
  EXPECT_THAT(examine(with(healthy_postgres()), {}), IsEmpty());
  EXPECT_THAT(examine(with(healthy_innodb()), {}), IsEmpty());
  auto mariadb = healthy_innodb();
  mariadb.version = "10.11.19-MariaDB";
  mariadb.settings.erase("xa_detach_on_prepare");
  mariadb.settings.erase("gtid_mode");
  EXPECT_THAT(examine(with(mariadb, DatabaseKind::kMariadb), {}), IsEmpty());
}

struct SettingCase {
  std::string_view setting;
  std::string_view value;
  std::string_view id;
  std::string_view mend;
};

TEST(Doctor, JudgesEachSettingOfPostgres) {
  constexpr std::string_view kRole = "ALTER ROLE \"troth\"\"x\" IN DATABASE \"bank\" SET ";
  const SettingCase cases[] = {
      {"max_prepared_transactions", "0", "prepared-transactions-off", "max_prepared_transactions = 32"},
      {"max_prepared_transactions", "31", "prepared-transactions-few", "max_prepared_transactions = 32"},
      {"fsync", "off", "fsync-off", "ALTER SYSTEM SET fsync = on"},
      {"full_page_writes", "off", "full-page-writes-off", "ALTER SYSTEM SET full_page_writes = on"},
      {"synchronous_commit", "off", "synchronous-commit-off", kRole},
      {"synchronous_commit", "local", "synchronous-commit-off", kRole},
      {"default_transaction_read_only", "on", "default-read-only", kRole},
      {"default_transaction_isolation", "serializable", "default-isolation", kRole},
      {"idle_in_transaction_session_timeout", "1000", "timeout-ends-branches", "timeout = 0"},
      {"idle_session_timeout", "1000", "timeout-ends-branches", "SET idle_session_timeout = 0"},
      {"transaction_timeout", "1000", "timeout-ends-branches", "SET transaction_timeout = 0"},
      {"statement_timeout", "5", "timeout-ends-statements", "SET statement_timeout = 0"},
      {"lock_timeout", "5", "timeout-ends-statements", "SET lock_timeout = 0"},
      {"client_connection_check_interval", "0", "client-check-off", "ALTER SYSTEM"},
      {"max_connections", "115", "connections-few", "ALTER SYSTEM SET max_connections = 116"},
  };
  for (const auto& each : cases) {
    auto server = healthy_postgres();
    server.settings[std::string(each.setting)] = each.value;
    const auto finding = only(examine(with(server), {}));
    EXPECT_EQ(finding.id, each.id) << each.setting;
    EXPECT_THAT(finding.mend, HasSubstr(std::string(each.mend)));
    EXPECT_THAT(finding.seen, HasSubstr(std::string(each.value == "115" ? "112" : each.value)));
    EXPECT_EQ(finding.where, "resource pg");
  }
}

TEST(Doctor, CountsWhatIsPreparedBesideTheSessions) {
  auto server = healthy_postgres();
  server.settings["max_prepared_transactions"] = "32";
  EXPECT_THAT(examine(with(server), {}), IsEmpty());
  server.prepared.push_back({.name = "troth1.x", .owner = "troth", .age_s = 1, .troths = true});
  EXPECT_THAT(only(examine(with(server), {})).mend, HasSubstr("= 33"));
}

TEST(Doctor, TellsWhatIsPreparedForTooLongAndWhose) {
  auto server = healthy_postgres();
  server.prepared = {{.name = "troth1.x", .owner = "troth", .age_s = 61, .troths = true},
                     {.name = "jta", .owner = "shop", .age_s = 61, .ending = "ROLLBACK PREPARED 'jta'"},
                     {.name = "young", .owner = "shop", .age_s = 2}};
  const auto findings = examine(with(server), {.older_ms = 60'000});
  EXPECT_THAT(ids_of(findings), ElementsAre("prepared-old", "prepared-stranger"));
  EXPECT_THAT(findings[1].mend, HasSubstr("ask shop how it is to end, then: ROLLBACK PREPARED 'jta'"));
}

// MySQL and MariaDB do not tell how old it is: Troth's are the coordinator's to judge, strangers' are told at once.
TEST(Doctor, TellsAStrangersBranchWhereNobodyKnowsItsAge) {
  auto server = healthy_innodb();
  server.prepared = {{.name = "ours", .troths = true}, {.name = "X'61',X'62',1"}};
  const auto finding = only(examine(with(server), {}));
  EXPECT_EQ(finding.id, "prepared-stranger");
  EXPECT_EQ(finding.seen, "X'61',X'62',1");
}

TEST(Doctor, JudgesWhatElseIsWrongWithPostgres) {
  auto server = healthy_postgres();
  server.version = 120'022;
  server.standby = true;
  server.superuser = true;
  server.role_connections = 112;
  server.database_connections = 5;
  server.without_key = {{"public.t", "ALTER TABLE t"}};
  server.deferred = {{"once on public.t", "ALTER TABLE u"}, {"twice on public.t", "ALTER TABLE v"}};
  server.missing = {{.object = "public.t", .rights = "INSERT, UPDATE"},
                    {.object = "troth.troth_branch", .rights = "DELETE", .troths = true}};
  const auto findings = examine(with(server), {});
  EXPECT_THAT(ids_of(findings), ElementsAre("version-unsupported", "standby", "connections-few",
                                            "connections-few", "role-superuser", "table-without-key",
                                            "deferred-constraint", "troth-privileges", "table-privileges"));
  EXPECT_EQ(findings[3].mend, "ALTER DATABASE \"bank\" CONNECTION LIMIT 113");
  EXPECT_EQ(findings[6].mend, "ALTER TABLE u; ALTER TABLE v");
  EXPECT_EQ(findings[7].mend, "GRANT DELETE ON troth.troth_branch TO \"troth\"\"x\"");
  EXPECT_EQ(findings[8].mend, "GRANT INSERT, UPDATE ON public.t TO \"troth\"\"x\"");
}

TEST(Doctor, JudgesEachSettingOfMysql) {
  const SettingCase cases[] = {
      {"xa_detach_on_prepare", "OFF", "xa-detach-off", "SET PERSIST xa_detach_on_prepare = ON"},
      {"innodb_flush_log_at_trx_commit", "2", "flush-log", "SET PERSIST innodb_flush_log_at_trx_commit = 1"},
      {"innodb_doublewrite", "OFF", "doublewrite-off", "innodb_doublewrite = ON"},
      {"innodb_doublewrite", "DETECT_ONLY", "doublewrite-off", "innodb_doublewrite = ON"},
      {"innodb_flush_method", "nosync", "flush-method", "O_DIRECT"},
      {"super_read_only", "ON", "read-only-server", "SET PERSIST super_read_only = OFF"},
      {"read_only", "ON", "read-only-server", "SET PERSIST read_only = OFF"},
      {"sync_binlog", "0", "sync-binlog", "SET PERSIST sync_binlog = 1"},
      {"binlog_format", "STATEMENT", "binlog-statement", "binlog_format = ROW"},
      {"gtid_mode", "OFF_PERMISSIVE", "gtid-off", "gtid_mode = ON"},
      {"transaction_isolation", "REPEATABLE-READ", "replica-gap-locks", "'READ-COMMITTED'"},
      {"autocommit", "OFF", "autocommit-off", "autocommit = ON"},
      {"wait_timeout", "599", "wait-timeout", "wait_timeout = 28800"},
      {"sql_mode", "NO_ZERO_DATE", "sql-mode-not-strict", "'NO_ZERO_DATE,STRICT_TRANS_TABLES'"},
      {"sql_mode", "", "sql-mode-not-strict", "= 'STRICT_TRANS_TABLES'"},
      {"max_connections", "112", "connections-few", "SET PERSIST max_connections = 113"},
      {"max_user_connections", "10", "connections-few", "SET PERSIST max_user_connections = 113"},
  };
  for (const auto& each : cases) {
    auto server = healthy_innodb();
    server.settings[std::string(each.setting)] = each.value;
    const auto finding = only(examine(with(server), {}));
    EXPECT_EQ(finding.id, each.id) << each.setting;
    EXPECT_THAT(finding.mend, HasSubstr(std::string(each.mend)));
    EXPECT_THAT(finding.seen, HasSubstr(std::string(each.value)));
  }
}

// Nothing persists what a statement sets there.
TEST(Doctor, TellsThatMariadbForgetsWhatAStatementSets) {
  auto server = healthy_innodb();
  server.version = "10.11.19-MariaDB";
  server.settings["idle_transaction_timeout"] = "3";
  const auto finding = only(examine(with(server, DatabaseKind::kMariadb), {}));
  EXPECT_EQ(finding.id, "transaction-timeout");
  EXPECT_EQ(finding.mend, "SET GLOBAL idle_transaction_timeout = 0");
  EXPECT_EQ(finding.remedy, Remedy::kStatementAndSetting);
}

TEST(Doctor, LeavesABinaryLogAloneThatIsOff) {
  auto server = healthy_innodb();
  server.settings["log_bin"] = "OFF";
  server.settings["sync_binlog"] = "0";
  server.settings["binlog_format"] = "STATEMENT";
  EXPECT_THAT(examine(with(server), {}), IsEmpty());
}

TEST(Doctor, KnowsTheVersionsThatLosePreparedBranches) {
  const auto finds = [](std::string version, DatabaseKind kind) {
    auto server = healthy_innodb();
    server.version = std::move(version);
    return !examine(with(server, kind), {}).empty();
  };
  EXPECT_TRUE(finds("5.7.44-log", DatabaseKind::kMysql));
  EXPECT_TRUE(finds("8.0.29", DatabaseKind::kMysql));
  EXPECT_FALSE(finds("8.0.30", DatabaseKind::kMysql));
  EXPECT_FALSE(finds("8.4.0", DatabaseKind::kMysql));
  EXPECT_TRUE(finds("10.4.34-MariaDB", DatabaseKind::kMariadb));
  EXPECT_TRUE(finds("10.5.1-MariaDB", DatabaseKind::kMariadb));
  EXPECT_FALSE(finds("10.5.2-MariaDB", DatabaseKind::kMariadb));
  EXPECT_FALSE(finds("11.4.1-MariaDB", DatabaseKind::kMariadb));
}

TEST(Doctor, JudgesWhatElseIsWrongWithMysql) {
  auto server = healthy_innodb();
  server.super = true;
  server.lists_prepared = false;
  server.sees_variables = false;
  server.character_set = "latin1";
  server.time_zones = false;
  server.user_connections = 7;
  server.tables.push_back({.name = "notes", .engine = "MyISAM", .first_column = "a"});
  server.triggers = {{"audit", "account", "INSERT INTO `notes` VALUES (1)"},
                     {"other", "account", "INSERT INTO mynotes VALUES (1)"}};
  server.missing = {{.object = "`bank`.`account`", .rights = "DELETE"}};
  const auto findings = examine(with(server), {});
  EXPECT_THAT(ids_of(findings),
              ElementsAre("connections-few", "role-super", "xa-recover-denied", "variables-unseen",
                          "table-without-key", "table-engine", "trigger-engine", "character-set",
                          "time-zone-tables", "table-privileges"));
  EXPECT_EQ(findings[0].mend, "ALTER USER `troth`@`%` WITH MAX_USER_CONNECTIONS 113");
  EXPECT_EQ(findings[2].mend, "GRANT XA_RECOVER_ADMIN ON *.* TO `troth`@`%`");
  EXPECT_THAT(findings[6].seen, HasSubstr("trigger audit"));
  EXPECT_EQ(findings[9].mend, "GRANT DELETE ON `bank`.`account` TO `troth`@`%`");
}

TEST(Doctor, KnowsWhyADatabaseWasNotReached) {
  const auto id_of = [](std::string message) {
    return only(examine(resource(DatabaseKind::kPostgres, NotReached{std::move(message)}), {})).id;
  };
  EXPECT_EQ(id_of("connection refused"), "unreachable");
  EXPECT_EQ(id_of("FATAL:  password authentication failed for user \"t\""), "login-refused");
  EXPECT_EQ(id_of("no pg_hba.conf entry for host"), "login-refused");
  EXPECT_EQ(id_of("Access denied for user 't'@'h' (using password: YES)"), "login-refused");
  EXPECT_EQ(id_of("the password file or variable cannot be read: no such file"), "login-refused");
  EXPECT_EQ(id_of("FATAL:  unsupported startup parameter: options"), "pooler-refuses-login");
}

TEST(Doctor, JudgesTheInstallation) {
  auto facts = with(healthy_postgres());
  facts.schema_version = agent::kSchemaVersion + 1;
  EXPECT_EQ(only(examine(facts, {})).id, "schema-version");
  facts.installed = false;
  const auto finding = only(examine(facts, {}));
  EXPECT_EQ(finding.id, "not-installed");
  EXPECT_THAT(finding.mend, HasSubstr("troth install pg --agent-config agent.toml"));
}

TEST(Doctor, JudgesClocks) {
  auto facts = with(healthy_postgres());
  const auto ids = [&](std::int64_t ahead_ms) {
    facts.clock_ahead_ms = ahead_ms;
    return ids_of(examine(facts, {}));
  };
  EXPECT_THAT(ids(1000), IsEmpty());
  EXPECT_THAT(ids(-1001), ElementsAre("clock-apart"));
  EXPECT_THAT(ids(299'999), ElementsAre("clock-apart"));
  EXPECT_THAT(ids(300'000), ElementsAre("clock-far-apart"));
  EXPECT_THAT(ids(-300'000), ElementsAre("clock-far-apart"));
}

TEST(Doctor, JudgesWhatSessionsShowed) {
  const auto ids = [](SessionFacts sessions) {
    auto facts = with(healthy_postgres());
    facts.sessions = std::move(sessions);
    return ids_of(examine(facts, {}));
  };
  EXPECT_THAT(ids({.cannot_end = ""}), IsEmpty());
  EXPECT_THAT(ids({.transaction_refused = "BEGIN: no", .moved = "m", .kept = "k"}),
              ElementsAre("pooler-refuses-transactions"));
  EXPECT_THAT(ids({.moved = "m", .lost = {"a setting"}, .kept = "k"}), ElementsAre("pooler-moves-sessions"));
  EXPECT_THAT(ids({.lost = {"a setting"}}), ElementsAre("pooler-moves-sessions"));
  EXPECT_THAT(ids({.kept = "k", .console = "c"}), ElementsAre("pooler-keeps-sessions"));
  EXPECT_THAT(ids({.console = "c"}), ElementsAre("pooler-keeps-sessions"));
  EXPECT_THAT(ids({.renamed = "7, 9"}), ElementsAre("proxy-renames-sessions"));
  EXPECT_THAT(ids({.cannot_end = "denied"}), ElementsAre("cannot-end-sessions"));
}

TEST(Doctor, TellsWhatCouldNotBeExamined) {
  auto facts = with(healthy_postgres());
  facts.unanswered = {{"settings", "permission denied"}};
  EXPECT_EQ(only(examine(facts, {})).seen, "settings: permission denied");
}

// A session that was lost half way leaves questions without an answer: that is what is told then.
TEST(Doctor, JudgesNothingThatWasNotAnswered) {
  EXPECT_THAT(examine(with(PostgresFacts{}), {}), IsEmpty());
  EXPECT_THAT(examine(with(InnodbFacts{}), {}), IsEmpty());
  EXPECT_THAT(examine(with(InnodbFacts{}, DatabaseKind::kMariadb), {}), IsEmpty());
}

DirectoryFacts healthy_directory() {
  return {.path = "/d",
          .log = "/d/log",
          .program = "troth-agent",
          .config = "agent.toml",
          .size_setting = "journal.journal_bytes",
          .log_bytes = std::uint64_t{1} << 30,
          .segment_bytes = std::uint64_t{64} << 20,
          .file_system = "ext4",
          .mount = "/",
          .sync_median_us = 100,
          .sync_99th_us = 900,
          .free_bytes = std::uint64_t{2} << 30,
          .owner = "troth"};
}

TEST(Doctor, JudgesDirectories) {
  EXPECT_THAT(examine(healthy_directory()), IsEmpty());
  const auto ids = [](auto change) {
    auto facts = healthy_directory();
    change(facts);
    return ids_of(examine(facts));
  };
  EXPECT_THAT(ids([](auto& f) { f.missing = "no"; }), ElementsAre("directory-missing"));
  EXPECT_THAT(ids([](auto& f) { f.verdict = LogVerdict::kCutTail; }), ElementsAre("log-cut-tail"));
  EXPECT_THAT(ids([](auto& f) { f.verdict = LogVerdict::kDamaged; }), ElementsAre("log-damaged"));
  EXPECT_THAT(ids([](auto& f) { f.file_system = "tmpfs"; }), ElementsAre("file-system-volatile"));
  EXPECT_THAT(ids([](auto& f) { f.file_system = "overlay"; }), ElementsAre("file-system-overlay"));
  EXPECT_THAT(ids([](auto& f) { f.file_system = "nfs4"; }), ElementsAre("file-system-network"));
  EXPECT_THAT(ids([](auto& f) { f.file_system = "fuse.sshfs"; }), ElementsAre("file-system-network"));
  EXPECT_THAT(ids([](auto& f) { f.sync_median_us = 10'001; }), ElementsAre("sync-slow"));
  EXPECT_THAT(ids([](auto& f) { f.sync_median_us = 14; }), ElementsAre("sync-suspicious"));
  EXPECT_THAT(ids([](auto& f) { f.mode = 0750; }), ElementsAre("directory-open"));
  EXPECT_THAT(ids([](auto& f) { f.foreign = {"log/1"}; }), ElementsAre("directory-owner"));
  EXPECT_THAT(ids([](auto& f) { f.unseen = {{"sync latency", "denied"}}; }), ElementsAre("directory-unseen"));
}

TEST(Doctor, WantsRoomForTheLogAtItsConfiguredSize) {
  auto facts = healthy_directory();
  facts.free_bytes = (std::uint64_t{64 + 1024} << 20) - 1;
  EXPECT_EQ(only(examine(facts)).mend, "free at least 1 MiB on /, or lower journal.journal_bytes");
  facts.used_bytes = 1;  // what the log has already is not missing
  EXPECT_THAT(examine(facts), IsEmpty());
  facts.free_bytes = (std::uint64_t{128} << 20) - 1;
  EXPECT_EQ(only(examine(facts)).id, "disk-full");
}

TEST(Doctor, QuotesAPathForAShell) {
  auto facts = healthy_directory();
  facts.path = "/it's here";
  facts.mode = 0777;
  EXPECT_EQ(only(examine(facts)).mend, "chmod 0700 '/it'\\''s here'");
}

TEST(Doctor, JudgesTheMachinesClock) {
  EXPECT_THAT(examine(MachineFacts{}), IsEmpty());
  EXPECT_THAT(examine(MachineFacts{.clock_synchronised = true}), IsEmpty());
  EXPECT_EQ(only(examine(MachineFacts{.clock_synchronised = false})).id, "clock-unsynchronised");
}

TEST(Doctor, JudgesTheCluster) {
  const ClusterFacts healthy{.address = "h:1",
                             .version = "1",
                             .tool_version = "1",
                             .resources = {{.name = "pg", .connected = true, .state = "serving"}}};
  EXPECT_THAT(examine(healthy, {}), IsEmpty());
  const auto ids = [&](auto change) {
    auto facts = healthy;
    change(facts);
    return ids_of(examine(facts, {.older_ms = 60'000}));
  };
  EXPECT_THAT(ids([](auto& f) { f.not_reached = "refused"; }), ElementsAre("coordinator-unreachable"));
  EXPECT_THAT(ids([](auto& f) { f.version = "2"; }), ElementsAre("coordinator-version"));
  EXPECT_THAT(ids([](auto& f) { f.clock_ahead_ms = -400'000; }), ElementsAre("clock-far-apart"));
  EXPECT_THAT(ids([](auto& f) { f.resources[0].connected = false; }), ElementsAre("agent-unreachable"));
  EXPECT_THAT(ids([](auto& f) { f.resources[0].state = "set back"; }), ElementsAre("resource-not-serving"));
  EXPECT_THAT(ids([](auto& f) {
                f.resources[0].in_doubt = 1;
                f.resources[0].oldest_in_doubt_ms = 60'000;
              }),
              ElementsAre("in-doubt-old"));
}

TEST(Doctor, TheExitCodeIsTheSeverestFindings) {
  const auto note = found("clock-apart", "w", "s");
  const auto warning = found("role-superuser", "w", "s", {{"role", "r"}});
  const auto error = found("standby", "w", "s", {{"resource", "r"}});
  EXPECT_EQ(exit_code_of(std::vector<Finding>{}), ExitCode::kDone);
  EXPECT_EQ(exit_code_of(std::vector{note}), ExitCode::kDone);
  EXPECT_EQ(exit_code_of(std::vector{note, warning}), ExitCode::kWarnings);
  EXPECT_EQ(exit_code_of(std::vector{note, error, warning}), ExitCode::kAttention);
  std::vector findings{note, warning, error, note};
  put_in_order(findings);
  EXPECT_EQ(findings, (std::vector{error, warning, note, note}));
}

TEST(Doctor, SumsUpWhatItLookedAt) {
  EXPECT_EQ(summary_of(with(healthy_postgres())), "PostgreSQL 15.18, 0 prepared, clock +3 ms");
  EXPECT_EQ(summary_of(with(healthy_innodb())), "MySQL 9.7.4, 2 tables, 0 prepared, clock +3 ms");
  EXPECT_EQ(summary_of(healthy_directory()),
            "log whole, ext4 on /, 2048 MiB free, sync 100 us (median of 100), 900 us (99th percentile)");
  EXPECT_EQ(summary_of(MachineFacts{.clock_synchronised = true}), "its clock is kept right");
  EXPECT_EQ(summary_of(ClusterFacts{.version = "1", .clock_ahead_ms = -2}),
            "version 1, 0 resources, clock -2 ms");
}

TEST(DoctorCatalogue, NamesEachFindingOnce) {
  std::set<std::string_view> seen;
  for (const auto& kind : finding_kinds()) {
    EXPECT_TRUE(seen.insert(kind.id).second) << kind.id;
    EXPECT_FALSE(kind.sees.empty() || kind.why.empty() || kind.mend.empty()) << kind.id;
    EXPECT_THAT(findings_page(), HasSubstr("| `" + std::string(kind.id) + "` |"));
  }
}

TEST(DoctorQuestions, AMissingRightIsToldApartFromOtherRefusals) {
  EXPECT_TRUE(means_missing_right(1142));
  EXPECT_TRUE(means_missing_right(1143));
  EXPECT_FALSE(means_missing_right(1364));
  const auto rights = [](const InnodbTable& table) {
    std::vector<std::string_view> names;
    for (const auto& probe : right_probes(table)) {
      names.push_back(probe.right);
      EXPECT_THAT(probe.text, testing::StartsWith("EXPLAIN "));
    }
    return names;
  };
  EXPECT_THAT(rights({.name = "a`b", .first_column = "id"}),
              ElementsAre("SELECT", "INSERT", "UPDATE", "DELETE"));
  EXPECT_THAT(rights({.name = "troth_branch", .troths = true}),
              ElementsAre("SELECT", "INSERT", "UPDATE", "DELETE"));
  EXPECT_THAT(rights({.name = "troth_owner", .troths = true}), ElementsAre("SELECT", "UPDATE"));
}

}  // namespace
}  // namespace troth::recovery
