// One list of what a branch can leave in its session, a row each: left by a function that it calls, and by a trigger
// that it fires, where no text shows it. The branch itself sees the trace, or the row would show nothing; the next
// branch sees what a fresh session sees.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/global_setting.h"
#include "tests/unit/participant_agent_runtime/stored_values.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

enum class By : std::uint8_t { kFunction, kTrigger };

struct Trace {
  std::string name;
  std::string leave;                    // a statement inside a function; {0}: the agent's role
  std::string see;                      // an expression
  bool as_owner = false;                // with the rights of the function's owner, an administrator
  std::vector<std::string> before;      // what the administrator must do first; {0}: the agent's role
  std::optional<By> only;               // where the other way is none
  std::optional<DatabaseKind> only_in;  // where the other database cannot
  bool taken_back = false;              // the server takes it back at the program's end: nobody sees it
};

std::vector<Trace> postgres_traces() {
  const auto setting = [](const std::string& name, const std::string& value) {
    return Trace{.name = name,
                 .leave = fmt::format("SET {} = {}", name, value),
                 .see = fmt::format("coalesce(current_setting('{}', true), '')", name)};
  };
  std::vector<Trace> traces{
      setting("bank.teller", "'eve'"),
      setting("search_path", "troth, public"),
      setting("DateStyle", "'SQL, DMY'"),
      setting("IntervalStyle", "postgres"),
      setting("TimeZone", "'Asia/Kolkata'"),
      setting("bytea_output", "escape"),
      setting("extra_float_digits", "0"),
      setting("statement_timeout", "12345"),
      setting("lock_timeout", "12345"),
      setting("default_transaction_isolation", "serializable"),
      setting("default_transaction_read_only", "on"),
      setting("plan_cache_mode", "force_generic_plan"),
      setting("enable_seqscan", "off"),
      setting("row_security", "off"),
      setting("client_min_messages", "error"),
      setting("application_name", "'eve'"),
      setting("synchronous_commit", "off"),
      setting("xmloption", "document"),
  };
  traces.push_back({.name = "SET LOCAL",
                    .leave = "SET LOCAL search_path = troth, public",
                    .see = "current_setting('search_path')"});
  traces.push_back({.name = "session_replication_role",
                    .leave = "SET session_replication_role = replica",
                    .see = "current_setting('session_replication_role')",
                    .as_owner = true,
                    // Set by a trigger, it would keep the next trigger from firing.
                    .only = By::kFunction});
  traces.push_back(
      {.name = "role",
       .leave = "SET ROLE {0}_other",
       .see = "current_user::text",
       .before = {"CREATE ROLE {0}_other", "GRANT {0}_other TO {0}", "GRANT ALL ON accounts TO {0}_other"}});
  traces.push_back({.name = "session authorization",
                    .leave = "SET SESSION AUTHORIZATION {0}_other",
                    .see = "session_user::text",
                    .before = {"CREATE ROLE {0}_other", "ALTER ROLE {0} SUPERUSER",
                               "GRANT ALL ON accounts TO {0}_other", "GRANT {0} TO {0}_other"}});
  traces.push_back({.name = "temporary table",
                    .leave = "CREATE TEMPORARY TABLE scratch (id int)",
                    .see = "(to_regclass('scratch') IS NOT NULL)::text",
                    .before = {"GRANT TEMPORARY ON DATABASE {0} TO {0}"}});
  traces.push_back({.name = "temporary sequence",
                    .leave = "CREATE TEMPORARY SEQUENCE numbers",
                    .see = "(to_regclass('numbers') IS NOT NULL)::text",
                    .before = {"GRANT TEMPORARY ON DATABASE {0} TO {0}"}});
  traces.push_back(
      {.name = "advisory lock",
       .leave = "SELECT pg_advisory_lock(4711)",
       .see =
           "(SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"});
  traces.push_back(
      {.name = "shared advisory lock",
       .leave = "SELECT pg_advisory_lock_shared(47, 11)",
       .see =
           "(SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"});
  traces.push_back({.name = "cursor WITH HOLD",
                    .leave = "DECLARE rest CURSOR WITH HOLD FOR SELECT 1",
                    .see = "(SELECT count(*)::text FROM pg_cursors WHERE name = 'rest')"});
  traces.push_back({.name = "prepared statement",
                    .leave = "PREPARE evil AS SELECT 1",
                    .see = "(SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'evil')"});
  // In the branch itself it does not show: it is there from the commit on.
  traces.push_back(
      {.name = "sequence's value",
       .leave = "SELECT nextval('numbers')",
       .see = "last_value_or_none()",
       .before = {"CREATE SEQUENCE numbers", "GRANT ALL ON numbers TO {0}",
                  "CREATE FUNCTION last_value_or_none() RETURNS text LANGUAGE plpgsql AS "
                  "$$BEGIN RETURN lastval()::text; EXCEPTION WHEN others THEN RETURN 'none'; END$$"}});
  return traces;
}

std::vector<Trace> innodb_traces(DatabaseKind kind) {
  const auto setting = [](const std::string& name, const std::string& value) {
    return Trace{.name = name,
                 .leave = fmt::format("SET SESSION {} = {}", name, value),
                 .see = fmt::format("CONCAT(@@SESSION.{})", name)};
  };
  const auto taken_back = [](Trace trace) {
    trace.taken_back = true;
    return trace;
  };
  const bool mysql = kind == DatabaseKind::kMysql;
  std::vector<Trace> traces{
      {.name = "user variable", .leave = "SET @teller = 'eve'", .see = "@teller"},
      // Of the parameters of a branch in one trip: they are taken back, others of such names are found.
      {.name = "a parameter's variable", .leave = "SET @troth_p1 = 'eve'", .see = "@troth_p1"},
      {.name = "a further parameter's variable", .leave = "SET @troth_p9 = 'eve'", .see = "@troth_p9"},
      {.name = "an owner's variable", .leave = "SET @troth_agent = 'eve'", .see = "@troth_agent"},
      {.name = "a prepared text's variable", .leave = "SET @troth_sql = 'eve'", .see = "@troth_sql"},
      {.name = "user variable by SELECT", .leave = "SELECT 'eve' INTO @teller", .see = "@teller"},
      taken_back(setting("sql_mode", "'ANSI'")),
      setting("time_zone", "'+05:30'"),
      setting("sql_select_limit", "1"),
      taken_back(setting("foreign_key_checks", "0")),
      taken_back(setting("unique_checks", "0")),
      setting("optimizer_switch", "'index_merge=off'"),
      setting("optimizer_search_depth", "1"),
      setting("group_concat_max_len", "4"),
      setting("auto_increment_increment", "7"),
      setting("div_precision_increment", "0"),
      setting("lc_time_names", "'de_CH'"),
      setting("default_week_format", "3"),
      setting("innodb_lock_wait_timeout", "7"),
      setting("lock_wait_timeout", "7"),
      setting("wait_timeout", "7"),
      taken_back(setting("sql_safe_updates", "1")),
      taken_back(setting("sql_big_selects", "0")),
      setting("max_sort_length", "64"),
      setting("max_error_count", "0"),
      setting("sort_buffer_size", "65536"),
      setting("tmp_table_size", "1024"),
      setting("character_set_results", "latin1"),
      taken_back(setting("collation_connection", "latin1_swedish_ci")),
      setting("default_storage_engine", "'MEMORY'"),
      setting("updatable_views_with_limit", "'NO'"),
      setting(mysql ? "max_execution_time" : "max_statement_time", "777"),
      setting(mysql ? "cte_max_recursion_depth" : "max_recursive_iterations", "1"),
      setting("max_sp_recursion_depth", "9"),
      setting("session_track_system_variables", "''"),
      {.name = "what is set while the server does not track",
       .leave =
           "SET SESSION session_track_state_change = OFF; SET SESSION lock_wait_timeout = 9; SET SESSION "
           "session_track_state_change = ON",
       .see = "CONCAT(@@SESSION.lock_wait_timeout)",
       .only_in = DatabaseKind::kMysql},
      taken_back({.name = "SET NAMES", .leave = "SET NAMES latin1", .see = "@@character_set_client"}),
      {.name = "isolation",
       .leave = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
       .see = mysql ? "@@SESSION.transaction_isolation" : "@@SESSION.tx_isolation"},
      {.name = "read only",
       .leave = "SET SESSION TRANSACTION READ ONLY",
       .see = mysql ? "CONCAT(@@SESSION.transaction_read_only)" : "CONCAT(@@SESSION.tx_read_only)"},
      {.name = "clock", .leave = "SET timestamp = 86400", .see = "CAST(DATE(NOW()) < '2000-01-01' AS CHAR)"},
      {.name = "named lock",
       .leave = "DO GET_LOCK('{0}', 1)",
       .see = "CAST(IS_USED_LOCK('{0}') IS NOT NULL AS CHAR)"},
      taken_back({.name = "generated key",
                  .leave = "DO LAST_INSERT_ID(77)",
                  .see = "CAST(LAST_INSERT_ID() AS CHAR)"}),
      {.name = "temporary table",
       .leave = "CREATE TEMPORARY TABLE scratch (id INT)",
       .see = "scratch_or_none()",
       .before = {"GRANT CREATE TEMPORARY TABLES ON {0}.* TO {0}",
                  "CREATE FUNCTION scratch_or_none() RETURNS TEXT DETERMINISTIC READS SQL DATA BEGIN DECLARE "
                  "CONTINUE "
                  "HANDLER FOR "
                  "SQLEXCEPTION RETURN 'none'; RETURN (SELECT CONCAT('seen', COUNT(*)) FROM scratch); END"},
       // MySQL refuses it inside XA. runtime/README.md says what is not seen on MariaDB.
       .only = By::kFunction,
       .only_in = DatabaseKind::kMariadb},
  };
  return traces;
}

class TracesTest : public DatabaseTest {
 protected:
  // Makes `leave()` or a trigger on `accounts`, and `seen()`.
  void arrange(const Trace& trace, By by) {
    const std::string& role = resource().options().user;
    const auto named = [&](const std::string& text) {
      std::string result = text;
      for (auto at = result.find("{0}"); at != std::string::npos; at = result.find("{0}"))
        result.replace(at, 3, role);
      return result;
    };
    for (const std::string& sql : trace.before)
      resource().run(named(sql));
    const std::string leave = named(trace.leave);
    const std::string see = named(trace.see);
    if (resource().is_postgres()) {
      const std::string rights = trace.as_owner ? "SECURITY DEFINER" : "";
      const std::string body = fmt::format("BEGIN EXECUTE $text${}$text$; RETURN {}; END", leave,
                                           by == By::kTrigger ? "NEW" : "1");
      resource().run(fmt::format("CREATE FUNCTION leave() RETURNS {} LANGUAGE plpgsql {} AS $body${}$body$",
                                 by == By::kTrigger ? "trigger" : "int", rights, body));
      if (by == By::kTrigger)
        resource().run(
            "CREATE TRIGGER leave BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION leave()");
      resource().run(fmt::format(
          "CREATE FUNCTION public.seen() RETURNS text LANGUAGE plpgsql AS $body$BEGIN RETURN {}; END$body$",
          see));
      return;
    }
    resource().run(fmt::format("GRANT EXECUTE ON {0}.* TO {0}", role));
    if (by == By::kTrigger) {
      resource().run(
          fmt::format("CREATE TRIGGER leave_it BEFORE UPDATE ON accounts FOR EACH ROW BEGIN {}; END", leave));
      // A table without rows until then: the trigger fires only in a branch that goes in one trip.
      resource().run("CREATE TABLE fires (n INT)");
      resource().run(
          fmt::format("CREATE TRIGGER leave_too BEFORE UPDATE ON fires FOR EACH ROW BEGIN {}; END", leave));
    } else {
      resource().run(fmt::format(
          "CREATE FUNCTION leave_it() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN {}; RETURN 1; END",
          leave));
    }
    resource().run(
        fmt::format("CREATE FUNCTION seen() RETURNS TEXT DETERMINISTIC READS SQL DATA RETURN {}", see));
  }

  // What the rows made; those of an error that the next one shows are not there.
  void put_away() {
    const std::string& role = resource().options().user;
    const auto drops =
        resource().is_postgres()
            ? std::vector<std::string>{"DROP TRIGGER IF EXISTS leave ON accounts",
                                       "DROP FUNCTION IF EXISTS leave()",
                                       "DROP FUNCTION IF EXISTS seen()",
                                       "DROP FUNCTION IF EXISTS last_value_or_none()",
                                       "DROP SEQUENCE IF EXISTS numbers",
                                       fmt::format("ALTER ROLE {} NOSUPERUSER", role)}
            : std::vector<std::string>{"DROP TRIGGER IF EXISTS leave_it", "DROP TABLE IF EXISTS fires",
                                       "DROP FUNCTION IF EXISTS leave_it", "DROP FUNCTION IF EXISTS seen",
                                       "DROP FUNCTION IF EXISTS scratch_or_none"};
    for (const std::string& sql : drops)
      resource().run(sql);
    if (!resource().is_postgres()) return;
    const std::string other = role + "_other";
    if (resource().value(fmt::format("SELECT count(*) FROM pg_roles WHERE rolname = '{}'", other)) == "1") {
      resource().run(fmt::format("DROP OWNED BY {}", other));
      resource().run(fmt::format("DROP ROLE {}", other));
    }
  }

  Value see(DatabaseConnection& session) {
    const std::string sql = resource().is_postgres() ? "SELECT public.seen()" : "SELECT seen()";
    const WorkResult result =
        session.run_branch(resource().work({resource().statement(sql)}, BranchEnding::kReadOnly));
    EXPECT_TRUE(ended_as<ReadOnlyDone>(result));
    return result.results.empty() ? Value{} : result.results[0].rows.at(0).at(0);
  }

  void show_row(const Trace& trace, By by, BranchEnding ending) {
    arrange(trace, by);
    const bool postgres = resource().is_postgres();
    auto session = resource().connect();
    const Value fresh = see(*session);
    std::vector<Statement> statements;
    if (by == By::kTrigger) {
      statements = resource().transfer(1, 1).statements;
    } else {
      statements = {resource().statement(postgres ? "SELECT leave()" : "SELECT leave_it()")};
    }
    statements.push_back(resource().statement(postgres ? "SELECT public.seen()" : "SELECT seen()"));
    const BranchWork work = resource().work(statements, ending);
    const WorkResult left = session->run_branch(work);
    if (std::holds_alternative<Prepared>(left.outcome)) {
      ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
    } else if (ending == BranchEnding::kCommitOnePhase) {
      ASSERT_TRUE(ended_as<CommittedOnePhase>(left));
    } else {
      // Postgres prepares no branch that touched a temporary table, or holds some locks twice.
      ASSERT_TRUE(ended_as<Refused>(left));
    }
    if (!left.results.empty()) {
      const Value inside = left.results.at(1).rows.at(0).at(0);
      EXPECT_EQ(inside == fresh, trace.taken_back) << "in the branch itself: " << show(inside);
    }
    // As the pool does between two branches.
    if (session->condition() != ConnectionCondition::kIdle || !session->clean_up())
      session = resource().connect();
    const Value after = see(*session);
    EXPECT_EQ(after, fresh) << show(after) << " instead of " << show(fresh);
    if (by == By::kTrigger && !postgres) show_in_one_trip(fresh);
  }

  // The trigger fires again, in a branch that goes in one trip: in its last statement, with its values in the text, or in
  // one before, by its number.
  void show_in_one_trip(const Value& fresh) {
    const Statement fires = resource().statement("UPDATE fires SET n = n + 1");
    const Statement by_number = resource().statement("UPDATE fires SET n = n + ABS(?)", {{std::int64_t{1}}});
    const Statement plain =
        resource().statement("UPDATE accounts SET balance = ABS(?) WHERE id = 0", {{std::int64_t{1}}});
    for (const std::vector<Statement>& statements :
         std::vector<std::vector<Statement>>{{fires}, {plain, by_number, plain}}) {
      resource().run("DELETE FROM fires");
      auto session = resource().connect();
      for (const bool one_trip : {false, true}) {
        if (one_trip) resource().run("INSERT INTO fires VALUES (1)");
        const BranchWork work = resource().work(statements);
        const WorkResult result = session->run_branch(work);
        ASSERT_TRUE(ended_as<Prepared>(result));
        EXPECT_EQ(!result.times.ending.has_value(), one_trip);
        ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
        if (session->condition() != ConnectionCondition::kIdle || !session->clean_up()) {
          ASSERT_TRUE(one_trip) << "nothing fired";
          session = resource().connect();
        }
      }
      const Value after = see(*session);
      EXPECT_EQ(after, fresh) << show(after) << " instead of " << show(fresh) << ", after one trip of "
                              << statements.size() << ", first " << statements.front().sql;
    }
  }

  void show_all(const std::vector<Trace>& traces) {
    for (const Trace& trace : traces) {
      if (trace.only_in.value_or(GetParam()) != GetParam()) continue;
      for (const By by : {By::kFunction, By::kTrigger}) {
        if (trace.only.value_or(by) != by) continue;
        for (const BranchEnding ending : {BranchEnding::kCommitOnePhase, BranchEnding::kPrepare}) {
          SCOPED_TRACE(fmt::format("{}, left by a {} in a branch that {}", trace.name,
                                   by == By::kFunction ? "function" : "trigger",
                                   ending == BranchEnding::kPrepare ? "prepares" : "commits"));
          show_row(trace, by, ending);
          put_away();
        }
      }
    }
  }
};

using PostgresTracesTest = TracesTest;
TROTH_FOR_POSTGRES(PostgresTracesTest);
using InnodbTracesTest = TracesTest;
TROTH_FOR_INNODB(InnodbTracesTest);

TEST_P(PostgresTracesTest, NextBranchSeesWhatAFreshSessionSees) {
  show_all(postgres_traces());
}

TEST_P(InnodbTracesTest, NextBranchSeesWhatAFreshSessionSees) {
  show_all(innodb_traces(GetParam()));
}

// It reads the owner into variables, before it begins.
TEST_P(InnodbTracesTest, SessionOfASerializableBranchIsKept) {
  const auto session = resource().connect();
  for (int i = 0; i < 2; ++i) {
    BranchWork work = resource().transfer(1, 1);
    work.start.isolation = Isolation::kSerializable;
    ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
    ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
    EXPECT_TRUE(session->clean_up());
  }
}

// LISTEN takes effect at the commit: the branch itself does not see it.
TEST_P(PostgresTracesTest, NextBranchDoesNotListen) {
  arrange({.name = {}, .leave = "LISTEN news", .see = "(SELECT count(*)::text FROM pg_listening_channels())"},
          By::kFunction);
  const auto session = resource().connect();
  ASSERT_TRUE(ended_as<CommittedOnePhase>(session->run_branch(
      resource().work({resource().statement("SELECT leave()")}, BranchEnding::kCommitOnePhase))));
  EXPECT_EQ(see(*session), Value{Text{"1"}});
  ASSERT_TRUE(session->clean_up());
  EXPECT_EQ(see(*session), Value{Text{"0"}});
}

// What a branch seeded would let it know the numbers that the next one draws.
TEST_P(PostgresTracesTest, NextBranchDrawsOtherNumbers) {
  const auto session = resource().connect();
  const auto draw = [&](const std::string& sql) {
    const WorkResult result =
        session->run_branch(resource().work({resource().statement(sql)}, BranchEnding::kReadOnly));
    EXPECT_TRUE(ended_as<ReadOnlyDone>(result));
    EXPECT_TRUE(session->clean_up());
    return result.results.empty() ? Value{} : result.results[0].rows.at(0).back();
  };
  // The seeded sequence's second number, drawn in the same branch.
  const Value known = draw("SELECT setseed(0.5), random(), random()");
  const Value again = draw("SELECT setseed(0.5), random(), random()");
  EXPECT_EQ(known, again);
  static_cast<void>(draw("SELECT setseed(0.5), random()"));
  EXPECT_NE(draw("SELECT random()"), known);
}

using MysqlTracesTest = TracesTest;
INSTANTIATE_TEST_SUITE_P(Databases, MysqlTracesTest, testing::Values(DatabaseKind::kMysql), kind_name);

// So nobody has to look for them.
TEST_P(MysqlTracesTest, TemporaryTablesAreRefused) {
  arrange({.name = {}, .leave = "CREATE TEMPORARY TABLE scratch (id INT)", .see = "1"}, By::kFunction);
  resource().run(fmt::format("GRANT CREATE TEMPORARY TABLES ON {0}.* TO {0}", resource().options().user));
  for (const BranchEnding ending : {BranchEnding::kCommitOnePhase, BranchEnding::kReadOnly}) {
    const auto session = resource().connect();
    const WorkResult result =
        session->run_branch(resource().work({resource().statement("SELECT leave_it()")}, ending));
    EXPECT_EQ(refusal_of(result).effect, Effect::kNone);
  }
}

// More marks in every answer are no trace, and cost nothing; those of the parameters neither.
TEST_P(MysqlTracesTest, WhatADbaLetsTheServerTrackIsNoTrace) {
  const GlobalSetting variables(resource(), "session_track_system_variables", "'*'");
  const GlobalSetting schema(resource(), "session_track_schema", "1");
  const GlobalSetting transactions(resource(), "session_track_transaction_info", "'CHARACTERISTICS'");
  const GlobalSetting gtids(resource(), "session_track_gtids", "'OWN_GTID'");
  resource().takes_for_a_wait(std::chrono::seconds(10));
  const auto session = resource().connect();
  const auto looks = [&] {
    const auto rows = session->ask_texts({"SHOW SESSION STATUS LIKE 'Com_execute_sql'"});
    EXPECT_TRUE(rows.has_value());
    return std::stoul(rows->at(0).at(1).value_or("0"));
  };
  for (int round = 0; round < 4; ++round) {
    BranchWork work = resource().transfer(1, 5);
    work.statements.push_back(resource().statement(
        "UPDATE accounts SET balance = balance + ABS(?) WHERE id = 2", {{std::int64_t{5}}}));
    const auto before = looks();
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result));
    EXPECT_EQ(!result.times.ending.has_value(), round > 0);
    EXPECT_TRUE(session->clean_up());
    // The statement by its number, and the check; no look.
    if (round > 0) {
      EXPECT_EQ(looks() - before, 2U);
    }
    ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
  }
}

// The cost of being sure: where nothing was left the session is kept, and the one look comes with the branch's end.
TEST_P(MysqlTracesTest, SessionOfABranchThatLeftNothingCostsOneLook) {
  const auto session = resource().connect();
  const auto count = [&](const std::string& name) {
    const auto rows = session->ask_texts({fmt::format("SHOW SESSION STATUS LIKE '{}'", name)});
    EXPECT_TRUE(rows.has_value() && rows->size() == 1);
    return std::stoul(rows->at(0).at(1).value_or("0"));
  };
  for (int i = 0; i < 3; ++i) {
    const auto looks = count("Com_execute_sql");
    ASSERT_TRUE(ended_as<CommittedOnePhase>(
        session->run_branch(resource().transfer(1, 1, BranchEnding::kCommitOnePhase))));
    EXPECT_EQ(count("Com_execute_sql") - looks, 1U);
    const auto before = count("Questions");
    EXPECT_TRUE(session->clean_up());
    // The question itself.
    EXPECT_EQ(count("Questions") - before, 1U);
  }
}

}  // namespace
}  // namespace troth::agent
