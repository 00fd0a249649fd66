#include "participant_agent/dialect/statement_class.h"

#include <gtest/gtest.h>

#include "participant_agent/dialect/statement.h"
#include "participant_agent/work.h"

namespace troth::agent {
namespace {

using Kind = StatementClass::Kind;
constexpr DatabaseKind kPg = DatabaseKind::kPostgres;
constexpr DatabaseKind kMy = DatabaseKind::kMysql;
constexpr DatabaseKind kMa = DatabaseKind::kMariadb;

std::string kind_of(DatabaseKind kind, std::string_view sql) {
  const auto what = classify(kind, sql);
  if (!what) return what.error().code == ErrorCode::kForbiddenStatement ? "forbidden" : "error";
  switch (what->kind) {
    case Kind::kRead: return "read";
    case Kind::kLockingRead: return "locking read";
    case Kind::kWrite: return "write";
  }
  return "invalid";
}

struct Case {
  DatabaseKind kind;
  std::string_view sql;
  std::string_view expected;
};

TEST(StatementClass, IsReadFromTheFirstKeyword) {
  const Case cases[] = {
      {kPg, "SELECT 1", "read"},
      {kPg, "  -- why\n /* a /* nested */ comment */ ( (select 1) )", "read"},
      {kPg, "VALUES (1)", "read"},
      {kPg, "TABLE account", "read"},
      {kPg, "WITH a AS (SELECT 1) SELECT * FROM a", "read"},
      {kPg, "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "write"},
      {kPg, "SELECT 1 INTO newtable", "write"},
      {kPg, "SHOW server_version", "read"},
      {kPg, "EXPLAIN SELECT 1", "read"},
      {kPg, "EXPLAIN ANALYZE SELECT 1", "write"},
      {kPg, "SELECT nextval('s')", "write"},
      {kPg, "SELECT pg_notify('paid', 'yes')", "write"},
      {kPg, "SELECT pg_catalog.pg_logical_emit_message(true, 'paid', 'yes')", "write"},
      {kPg, "SELECT replace(a, 'x', 'y') FROM t", "read"},
      {kPg, "UPDATE t SET a = 1", "write"},
      {kPg, "insert into t values (1);", "write"},
      {kPg, "MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE", "write"},
      {kPg, "CREATE TABLE t (a int)", "write"},
      {kPg, "CALL p(1)", "write"},
      {kPg, "LOCK TABLE t", "write"},
      {kMy, "SELECT 1", "read"},
      {kMy, "# why\nSELECT 1", "read"},
      {kMy, "SELECT 1 --1", "read"},
      {kMy, "/*+ MAX_EXECUTION_TIME(10) */ SELECT 1", "read"},
      {kMy, "SELECT REPLACE(a, 'x', 'y') FROM t", "read"},
      {kMy, "REPLACE INTO t VALUES (1)", "write"},
      {kMy, "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2", "write"},
      {kMy, "SELECT a INTO @x FROM t", "write"},
      {kMa, "WITH a AS (SELECT 1) SELECT * FROM a", "read"},
      {kMa, "DESCRIBE t", "read"},
  };
  for (const auto& [kind, sql, expected] : cases)
    EXPECT_EQ(kind_of(kind, sql), expected) << name_of(kind) << ": " << sql;
}

// Attack 19: a locking read counts as a write, or its locks would go before all have voted.
TEST(StatementClass, ALockingReadIsNoPlainRead) {
  const Case cases[] = {
      {kPg, "SELECT * FROM t WHERE a = 1 FOR UPDATE", "locking read"},
      {kPg, "SELECT * FROM t FOR NO KEY UPDATE SKIP LOCKED", "locking read"},
      {kPg, "SELECT * FROM t for share", "locking read"},
      {kPg, "SELECT * FROM t FOR KEY SHARE", "locking read"},
      {kPg, "SELECT 'for update'", "read"},
      {kPg, "SELECT $$ for update $$", "read"},
      {kPg, "SELECT \"for update\" FROM t", "read"},
      {kPg, "SELECT a -- for update\n FROM t", "read"},
      {kMy, "SELECT * FROM t FOR UPDATE", "locking read"},
      {kMy, "SELECT * FROM t FOR SHARE NOWAIT", "locking read"},
      {kMy, "SELECT * FROM t LOCK IN SHARE MODE", "locking read"},
      {kMy, "SELECT 'for update'", "read"},
      {kMy, "SELECT `for update` FROM t", "read"},
      // Under another sql_mode these read otherwise; the stricter reading holds.
      {kMy, "SELECT \"for update\"", "locking read"},
      {kMy, "SELECT 'a\\' FROM t FOR UPDATE -- '", "locking read"},
  };
  for (const auto& [kind, sql, expected] : cases)
    EXPECT_EQ(kind_of(kind, sql), expected) << name_of(kind) << ": " << sql;
}

TEST(StatementClass, WhatWouldEndTheBranchOrChangeTheSessionIsForbidden) {
  for (const auto kind : {kPg, kMy, kMa}) {
    for (const std::string_view keyword : {"BEGIN",
                                           "START TRANSACTION",
                                           "COMMIT",
                                           "END",
                                           "ABORT",
                                           "ROLLBACK",
                                           "SAVEPOINT a",
                                           "RELEASE SAVEPOINT a",
                                           "XA END 'a'",
                                           "XA COMMIT 'a'",
                                           "PREPARE TRANSACTION 'a'",
                                           "PREPARE s AS SELECT 1",
                                           "EXECUTE s",
                                           "DEALLOCATE s",
                                           "SET a = 1",
                                           "RESET ALL",
                                           "DISCARD ALL",
                                           "USE other",
                                           "DO 1",
                                           "DECLARE c CURSOR FOR SELECT 1",
                                           "FETCH c",
                                           "CLOSE c",
                                           "COPY t FROM STDIN",
                                           "LOAD DATA INFILE 'x' INTO TABLE t",
                                           "HANDLER t OPEN",
                                           "FROBNICATE",
                                           "VACUUM",
                                           "FLUSH TABLES",
                                           "KILL 1",
                                           "UNLOCK TABLES"}) {
      EXPECT_EQ(kind_of(kind, keyword), "forbidden") << name_of(kind) << ": " << keyword;
      EXPECT_EQ(kind_of(kind, "/* x */ ( " + std::string(keyword)), "forbidden") << keyword;
    }
  }
  for (const std::string_view sql :
       {"LISTEN a", "UNLISTEN a", "NOTIFY a", "CHECKPOINT", "CLUSTER t", "REINDEX TABLE t"})
    EXPECT_EQ(kind_of(kPg, sql), "forbidden") << sql;
  // Attack 16: DDL commits implicitly on MySQL and MariaDB.
  for (const auto kind : {kMy, kMa}) {
    for (const std::string_view sql :
         {"CREATE TABLE t (a int)", "ALTER TABLE t ADD b int", "DROP TABLE t", "TRUNCATE t",
          "RENAME TABLE t TO u", "GRANT SELECT ON t TO u", "ANALYZE TABLE t", "OPTIMIZE TABLE t",
          "LOCK TABLES t WRITE", "CALL p()", "SELECT 1 INTO OUTFILE '/tmp/x'"}) {
      EXPECT_EQ(kind_of(kind, sql), "forbidden") << sql;
    }
  }
}

TEST(StatementClass, SeveralStatementsInOneTextAreForbidden) {
  for (const auto kind : {kPg, kMy, kMa}) {
    EXPECT_EQ(kind_of(kind, "SELECT 1; COMMIT"), "forbidden");
    EXPECT_EQ(kind_of(kind, "SELECT 1;;"), "forbidden");
    EXPECT_EQ(kind_of(kind, "SELECT ';'; "), "read");
    EXPECT_EQ(kind_of(kind, "SELECT 1; -- done"), "read");
  }
  EXPECT_EQ(kind_of(kPg, "SELECT E'a'\n'b\\'; COMMIT; --'"), "read")
      << "one string in two lines, as Postgres reads it";
  // A comment may stand before the line break. Read as two strings, the second would end behind the last
  // quote here, and hide what Postgres runs.
  EXPECT_EQ(kind_of(kPg, "SELECT E'a' -- c\n'\\'' , 'x'"), "read");
  EXPECT_NE(kind_of(kPg, "SELECT E'a' -- c\n'\\'' ; COMMIT; --'"), "read");
  EXPECT_EQ(kind_of(kPg, "SELECT 'a\\'; COMMIT; --'"), "forbidden") << "a backslash is no escape in '...'";
}

// One server runs what another takes for a comment.
TEST(StatementClass, ExecutableCommentsAreForbidden) {
  EXPECT_EQ(kind_of(kMy, "/*! XA END 'a' */"), "forbidden");
  EXPECT_EQ(kind_of(kMy, "/*!99999 SELECT 1 */ COMMIT"), "forbidden");
  EXPECT_EQ(kind_of(kMa, "SELECT 1 /*M!100000 FOR UPDATE */"), "forbidden");
  EXPECT_EQ(kind_of(kMy, "SELECT '/*! x */'"), "read");
  EXPECT_EQ(kind_of(kPg, "SELECT 1 /*! only a comment */"), "read");
}

TEST(StatementClass, TrothsOwnTablesAreOutOfReach) {
  EXPECT_EQ(kind_of(kPg, "DELETE FROM troth.troth_branch"), "forbidden");
  EXPECT_EQ(kind_of(kPg, "SELECT * FROM \"troth\".\"troth_owner\""), "forbidden");
  EXPECT_EQ(kind_of(kMy, "UPDATE `Troth_Owner` SET counter = 0"), "forbidden");
  EXPECT_EQ(kind_of(kPg, "SELECT 'troth_branch'"), "read");
}

TEST(StatementClass, TrothsOwnTablesAreNotHiddenByQuotes) {
  EXPECT_EQ(kind_of(kPg, R"(DELETE FROM troth.U&"troth\005fbranch")"), "forbidden");
  EXPECT_EQ(kind_of(kPg, R"(DELETE FROM u&"troth"."troth!005fowner" UESCAPE '!')"), "forbidden");
  EXPECT_EQ(kind_of(kPg, R"(SELECT U&'\0061', u & "b", u&b FROM t)"), "read");
  // A name to a server with ANSI_QUOTES.
  EXPECT_EQ(kind_of(kMy, R"(DELETE FROM "troth_branch")"), "forbidden");
  EXPECT_EQ(kind_of(kMy, R"(SELECT "troth")"), "read");
}

TEST(StatementClass, WhatIsNotClosedIsForbidden) {
  for (const std::string_view sql :
       {"", "  -- nothing", "SELECT 'a", "SELECT \"a", "SELECT /* a", "SELECT 1 /* a /* b */", "7"})
    EXPECT_EQ(kind_of(kPg, sql), "forbidden") << sql;
  EXPECT_EQ(kind_of(kPg, "SELECT $tag$ a $tg$"), "forbidden");
  EXPECT_EQ(kind_of(kPg, std::string_view("SELECT 1\0; COMMIT", 17)), "forbidden");
  EXPECT_EQ(kind_of(kMy, "SELECT `a"), "forbidden");
  EXPECT_EQ(kind_of(kMy, "SELECT 'a\\'"), "forbidden");
}

TEST(StatementClass, TellsWhatMayStayInTheSession) {
  EXPECT_TRUE(classify(kMy, "SELECT @x := 1")->touches_session);
  EXPECT_TRUE(classify(kMy, "SELECT GET_LOCK('a', 1)")->touches_session);
  EXPECT_FALSE(classify(kMy, "SELECT 'a@b.c', LAST_INSERT_ID()")->touches_session);
  EXPECT_TRUE(classify(kPg, "SELECT set_config('a.b', 'c', false)")->touches_session);
  EXPECT_TRUE(classify(kPg, "SELECT pg_advisory_lock(1)")->touches_session);
  EXPECT_TRUE(classify(kPg, "CREATE TEMP TABLE t (a int)")->touches_session);
  EXPECT_FALSE(classify(kPg, "UPDATE t SET a = 1")->touches_session);
}

TEST(Placeholders, AreCountedWhereTheDatabaseWouldSeeThem) {
  struct Count {
    DatabaseKind kind;
    std::string_view sql;
    std::uint32_t expected;
  };
  const Count cases[] = {
      {kPg, "SELECT $1, $2, $1", 2},
      {kPg, "SELECT '$1', \"$2\", $$ $3 $$, $a$ $4 $a$ -- $5\n /* $6 */", 0},
      {kPg, "SELECT a$1 FROM t", 0},
      {kPg, "SELECT data ? 'key', $1", 1},
      {kPg, "SELECT $12", 12},
      {kPg, "SELECT E'it\\'s $1', $1", 1},
      {kPg, "SELECT 'it''s', $1", 1},
      {kPg, "SELECT x'1f', $1::int[]", 1},
      {kMy, "SELECT ?, ?", 2},
      {kMy, "SELECT '?', \"?\", `?`, ? -- ?\n # ?\n /* ? */", 1},
      {kMy, "SELECT 'it\\'s ?', ?", 1},
      {kMy, "SELECT 1--?", 1},
      {kMy, "SELECT @'a?b', ?", 1},
      {kMa, "INSERT INTO t VALUES (?, ?, 'a''?')", 2},
  };
  for (const auto& [kind, sql, expected] : cases) {
    const auto what = classify(kind, sql);
    ASSERT_TRUE(what) << sql << ": " << what.error().message;
    EXPECT_EQ(what->placeholders, expected) << name_of(kind) << ": " << sql;
  }
  EXPECT_EQ(kind_of(kPg, "SELECT $0"), "forbidden");
  EXPECT_EQ(kind_of(kPg, "SELECT $99999999999"), "forbidden");
}

TEST(Statements, ParametersMustFitThePlaceholders) {
  const Statement statement{"SELECT $1", {}, std::nullopt};
  const auto refused = check_statements(kPg, {Statement{"SELECT 1", {}, std::nullopt}, statement});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().statement, 2U);
  EXPECT_EQ(refused.error().effect, Effect::kNone);
  EXPECT_TRUE(check_statements(kPg, {Statement{"SELECT $1", {Value{std::int64_t{1}}}, std::nullopt}}));
  EXPECT_FALSE(check_statements(kMy, {Statement{"SELECT ?", {Value{Array{}}}, std::nullopt}}));
  EXPECT_FALSE(check_statements(kPg, {}));
  EXPECT_FALSE(check_statements(kPg, {Statement{"SELECT '\xff'", {}, std::nullopt}}));
  EXPECT_FALSE(
      check_statements(kPg, {Statement{"SELECT 1" + std::string(kMaxSqlBytes, ' '), {}, std::nullopt}}));
}

TEST(Statements, AMissedExpectationIsARefusal) {
  Statement statement{"UPDATE t SET a = 1", {}, ExpectRows{ExpectRows::Rule::kExactly, 1}};
  EXPECT_TRUE(check_expectation(statement, 1, StatementResult{{}, {}, 1, std::nullopt}));
  const auto missed = check_expectation(statement, 1, StatementResult{{}, {}, 0, std::nullopt});
  ASSERT_FALSE(missed);
  EXPECT_EQ(missed.error().code, ErrorCode::kExpectationMissed);
  statement.expect_rows = ExpectRows{ExpectRows::Rule::kAtLeast, 2};
  EXPECT_TRUE(check_expectation(statement, 1, StatementResult{{}, {}, 3, std::nullopt}));
  EXPECT_FALSE(check_expectation(statement, 1, StatementResult{{{"a", "int"}}, {{Value{}}}, 9, std::nullopt}))
      << "a read counts the rows it returned";
}

// Attack 63: plain reads need neither marker nor second phase.
TEST(WorkPlan, PlainReadsRunReadOnly) {
  Work work;
  work.statements = {Statement{"SELECT 1", {}, std::nullopt}};
  work.announced_statements = 1;
  EXPECT_EQ(*plan_work(kPg, work), (WorkPlan{true, false, true}));
  work.isolation = Isolation::kSerializable;
  EXPECT_EQ(*plan_work(kPg, work), (WorkPlan{true, true, true}));
  work.declared_read_only = true;
  EXPECT_EQ(*plan_work(kPg, work), (WorkPlan{true, true, false}));
  work.statements[0].sql = "SELECT 1 FROM t FOR UPDATE";
  EXPECT_EQ(plan_work(kPg, work).error().code, ErrorCode::kForbiddenStatement);
  work.declared_read_only = false;
  EXPECT_EQ(*plan_work(kPg, work), (WorkPlan{}));
}

// [T12] Prepare names the count.
TEST(WorkPlan, AnotherCountOfStatementsIsRefused) {
  Work work;
  work.statements = {Statement{"SELECT 1", {}, std::nullopt}};
  work.announced_statements = 2;
  EXPECT_EQ(plan_work(kPg, work).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace troth::agent
