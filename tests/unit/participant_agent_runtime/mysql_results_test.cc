// What libmariadb makes of results that are not plain: that fail behind their first rows, whose table changed under a
// prepared statement, or whose values are just as long as a buffer.
#include <chrono>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/stored_values.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

class MysqlResultsTest : public DatabaseTest {
 protected:
  WorkResult read(DatabaseConnection& session, const std::string& sql, std::vector<Value> parameters = {}) {
    return session.run_branch(
        resource().work({resource().statement(sql, std::move(parameters))}, BranchEnding::kReadOnly));
  }
};
TROTH_FOR_INNODB(MysqlResultsTest);

// The rows before it have come.
TEST_P(MysqlResultsTest, ErrorBehindTheFirstRowsIsTheServersOwn) {
  const auto session = resource().connect();
  const WorkResult result =
      read(*session, "SELECT a.id, (SELECT b.id FROM accounts b WHERE b.id <= a.id) FROM accounts a");
  const Error error = refusal_of(result);
  EXPECT_EQ(error.code, ErrorCode::kStatementFailed) << describe(result);
  EXPECT_EQ(error.vendor_code, 1242);
  EXPECT_NE(error.message.find("ubquery"), std::string::npos) << error.message;
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
  EXPECT_TRUE(session->clean_up());
}

TEST_P(MysqlResultsTest, LockThatIsNotGrantedBehindTheFirstRowsIsAConflict) {
  ConnectOptions hasty = resource().options();
  hasty.settings.lock_wait_timeout = std::chrono::seconds(1);
  const auto session = resource().connect(hasty);
  const auto holder = resource().connect();
  const BranchWork held = resource().transfer(3, 1);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  const WorkResult result = session->run_branch(
      resource().work({resource().statement("SELECT id, balance FROM accounts FOR UPDATE")}));
  const Error error = refusal_of(result);
  EXPECT_EQ(error.code, ErrorCode::kConflict) << describe(result);
  EXPECT_EQ(error.vendor_code, 1205);
  EXPECT_TRUE(error.retryable);
  EXPECT_TRUE(session->clean_up());
  EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
}

// [T11]
TEST_P(MysqlResultsTest, SessionKilledBehindTheFirstRowsIsLost) {
  const auto session = resource().connect();
  const auto holder = resource().connect();
  const BranchWork held = resource().transfer(3, 1);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  auto running = std::async(std::launch::async, [&] {
    return session->run_branch(
        resource().work({resource().statement("SELECT id, balance FROM accounts FOR UPDATE")}));
  });
  resource().wait_until_blocked(session->session_identity());
  resource().kill(session->session_identity());
  const WorkResult result = running.get();
  ASSERT_TRUE(ended_as<Lost>(result)) << describe(result);
  EXPECT_FALSE(std::get<Lost>(result.outcome).ending_sent);
  EXPECT_EQ(std::get<Lost>(result.outcome).error.code, ErrorCode::kUnavailable) << describe(result);
  EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
}

// As many columns as before, and others.
TEST_P(MysqlResultsTest, ColumnsOfAnAlteredTableHaveTheirNewNames) {
  resource().run("CREATE TABLE parts (id INT PRIMARY KEY, width INT, height INT)");
  resource().run("INSERT INTO parts VALUES (1, 20, 30)");
  const std::vector<std::string> alters{
      "MODIFY height INT AFTER id", "CHANGE width depth INT",
      "DROP COLUMN depth, ADD COLUMN colour VARCHAR(9) DEFAULT 'red' FIRST"};
  const auto session = resource().connect();
  const auto show_all = [&] {
    const WorkResult result = read(*session, "SELECT * FROM parts");
    EXPECT_TRUE(ended_as<ReadOnlyDone>(result));
    EXPECT_TRUE(session->clean_up());
    std::string shown;
    for (std::size_t i = 0; i < result.results.at(0).columns.size(); ++i)
      shown += result.results[0].columns[i].name + " " + show(result.results[0].rows.at(0).at(i)) + "; ";
    return shown;
  };
  EXPECT_EQ(show_all(), "id int64 1; width int64 20; height int64 30; ");
  resource().run("ALTER TABLE parts " + alters[0]);
  EXPECT_EQ(show_all(), "id int64 1; height int64 30; width int64 20; ");
  resource().run("ALTER TABLE parts " + alters[1]);
  EXPECT_EQ(show_all(), "id int64 1; height int64 30; depth int64 20; ");
  resource().run("ALTER TABLE parts " + alters[2]);
  EXPECT_EQ(show_all(), "colour text red; id int64 1; height int64 30; ");
}

// The answer before it, Troth's guard, has as many columns.
TEST_P(MysqlResultsTest, ColumnsHaveTheirOwnNamesInEveryRun) {
  const auto session = resource().connect();
  for (int round = 0; round < 3; ++round) {
    const WorkResult result =
        read(*session, "SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f, 7 AS g, 8 AS h");
    ASSERT_TRUE(ended_as<ReadOnlyDone>(result));
    std::string names;
    for (const auto& column : result.results[0].columns)
      names += column.name;
    EXPECT_EQ(names, "abcdefgh");
    ASSERT_TRUE(session->clean_up());
  }
}

// Fewer columns: the driver does not follow. The branch is refused or lost, and the next session reads what is there.
TEST_P(MysqlResultsTest, FewerColumnsAreNeverMisread) {
  resource().run("CREATE TABLE parts (id INT PRIMARY KEY, width INT, height INT)");
  resource().run("INSERT INTO parts VALUES (1, 20, 30)");
  const auto session = resource().connect();
  EXPECT_TRUE(ended_as<ReadOnlyDone>(read(*session, "SELECT * FROM parts")));
  EXPECT_TRUE(session->clean_up());
  resource().run("ALTER TABLE parts DROP COLUMN width");
  const WorkResult result = read(*session, "SELECT * FROM parts");
  if (std::holds_alternative<ReadOnlyDone>(result.outcome)) {
    ASSERT_EQ(result.results.at(0).columns.size(), 2U);
    EXPECT_EQ(result.results[0].columns[1].name, "height");
    EXPECT_EQ(result.results[0].rows.at(0).at(1), Value{std::int64_t{30}});
  } else {
    EXPECT_FALSE(session->clean_up());
  }
}

// A buffer holds 256 octets at first, and grows with what does not fit.
TEST_P(MysqlResultsTest, ValuesAboutTheLengthOfABuffer) {
  resource().run("CREATE TABLE letters (id INT PRIMARY KEY, a LONGTEXT, n INT, b LONGBLOB, d DECIMAL(20,2))");
  const std::vector<std::size_t> lengths{0, 1, 255, 256, 257, 0, 300, 256, 65'536, 65'537, 3, 1'048'577, 0};
  const auto session = resource().connect();
  std::vector<Statement> inserts;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const Value a = i % 2 == 0 ? Value{Text{std::string(lengths[i], 'a')}} : Value{Null{}};
    const Value b = i % 3 == 0 ? Value{Null{}} : Value{Bytes{std::string(lengths[i], '\xb0')}};
    inserts.push_back(resource().statement("INSERT INTO letters VALUES (?, ?, ?, ?, ?)",
                                           {{std::int64_t(i)}, a, {std::int64_t(i)}, b, {Decimal{"1.25"}}}));
  }
  const BranchWork work = resource().work(inserts);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  ASSERT_TRUE(session->clean_up());
  for (int round = 0; round < 2; ++round) {
    const WorkResult result = read(*session, "SELECT a, n, b, d, a, b FROM letters ORDER BY id");
    ASSERT_TRUE(ended_as<ReadOnlyDone>(result)) << describe(result);
    ASSERT_EQ(result.results[0].rows.size(), lengths.size());
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const std::vector<Value>& row = result.results[0].rows[i];
      for (const std::size_t at : {0U, 4U})
        EXPECT_EQ(row.at(at), inserts[i].parameters[1]) << i;
      EXPECT_EQ(row.at(1), Value{std::int64_t(i)});
      for (const std::size_t at : {2U, 5U})
        EXPECT_EQ(row.at(at), inserts[i].parameters[3]) << i;
      EXPECT_EQ(row.at(3), Value{Decimal{"1.25"}});
    }
    ASSERT_TRUE(session->clean_up());
  }
}

TEST_P(MysqlResultsTest, ManyColumnsAndNoRows) {
  std::string columns;
  for (int i = 0; i < 900; ++i)
    columns +=
        fmt::format("{}{} AS c{}", i == 0 ? "" : ", ", i % 3 == 0 ? "NULL" : fmt::format("'{}'", i), i);
  const auto session = resource().connect();
  const WorkResult wide = read(*session, "SELECT " + columns);
  ASSERT_TRUE(ended_as<ReadOnlyDone>(wide));
  ASSERT_EQ(wide.results[0].rows.at(0).size(), 900U);
  for (int i = 0; i < 900; ++i)
    EXPECT_EQ(wide.results[0].rows[0][i], i % 3 == 0 ? Value{Null{}} : Value{Text{std::to_string(i)}});
  const WorkResult none = read(*session, "SELECT " + columns + " FROM accounts WHERE id > 1000");
  ASSERT_TRUE(ended_as<ReadOnlyDone>(none));
  EXPECT_EQ(none.results[0].columns.size(), 900U);
  EXPECT_TRUE(none.results[0].rows.empty());
}

// What is left of it is asked to stop; nothing of it meets the next branch.
TEST_P(MysqlResultsTest, LimitInTheMiddleOfALongResultClosesTheSession) {
  const auto session = resource().connect();
  BranchWork work = resource().work(
      {resource().statement(
          "SELECT a.id, REPEAT('x', 1000) FROM accounts a, accounts b, accounts c, accounts d, "
          "accounts e, accounts f, accounts g, accounts h, accounts i, accounts j")},
      BranchEnding::kReadOnly);
  work.limits.rows_per_statement = 700;
  const WorkResult result = session->run_branch(work);
  if (!std::holds_alternative<Lost>(result.outcome)) {
    EXPECT_EQ(refusal_of(result).code, ErrorCode::kInvalidArgument) << describe(result);
  }
  EXPECT_NE(session->condition(), ConnectionCondition::kIdle);
  EXPECT_FALSE(session->clean_up());
}

}  // namespace
}  // namespace troth::agent
