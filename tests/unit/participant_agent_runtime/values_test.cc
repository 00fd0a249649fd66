// Every type goes in as a bound parameter and comes back as it is stored.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

struct Case {
  std::string type;  // of the column
  Value stored;
  Value read;
};

Case same(std::string type, Value value) {
  return {std::move(type), value, value};
}

std::vector<Case> cases_of(DatabaseKind kind) {
  const std::string octets("\0\xff\x01'\\\"%", 7);
  const std::string letters = "h\xc3\xa9llo \xf0\x9f\x92\x8d 'quoted' \"twice\" \\n %s ?";
  std::vector<Case> cases{
      same("BIGINT", {std::numeric_limits<std::int64_t>::min()}),
      same("BIGINT", {std::numeric_limits<std::int64_t>::max()}),
      same("SMALLINT", {std::int64_t{-7}}),
      same("DECIMAL(38,10)", {Decimal{"1234567890123456789012345678.0123456789"}}),
      {"DECIMAL(10,2)", {Decimal{"-12.5"}}, {Decimal{"-12.50"}}},
      same("VARCHAR(100)", {Text{letters}}),
      same("VARCHAR(100)", {Text{""}}),
      same("TEXT", {Text{letters}}),
      same("DATE", {Date{"2026-11-23"}}),
      same("VARCHAR(10)", {Null{}}),
  };
  const auto add = [&](Case one) { cases.push_back(std::move(one)); };
  if (kind == DatabaseKind::kPostgres) {
    add(same("boolean", {true}));
    add(same("boolean", {false}));
    add(same("double precision", {0.1}));
    add(same("double precision", {-1.7976931348623157e308}));
    add(same("double precision", {std::numeric_limits<double>::infinity()}));
    add(same("numeric(20,0)", {Decimal{"18446744073709551615"}}));
    add(same("bytea", {Bytes{octets}}));
    add(same("bytea", {Bytes{""}}));
    add(same("time", {Time{"13:37:00.123456"}}));
    add(same("timestamp", {Timestamp{"2026-11-23 13:37:00.123456"}}));
    add({"timestamptz",
         {TimestampTz{"2026-11-23 13:37:00.5+02:00"}},
         {TimestampTz{"2026-11-23 11:37:00.5+00"}}});
    add(same("json", {Json{"{\"b\":1,  \"a\":[true,null]}"}}));
    add({"jsonb", {Json{"{\"b\":1,  \"a\":2}"}}, {Json{"{\"a\": 2, \"b\": 1}"}}});
    add(same("uuid", {Uuid{"01890a5d-ac96-774b-bcce-b302099a8057"}}));
    add(same("bigint[]", {Array{{{std::int64_t{1}}, {Null{}}, {std::int64_t{-3}}}}}));
    add(same("text[]", {Array{{{Text{"a,b"}}, {Text{"\"q\" \\ {x}"}}, {Text{"NULL"}}, {Text{""}}}}}));
    add(same("text[]", {Array{}}));
    add({"inet", {Text{"10.0.0.1"}}, {Text{"10.0.0.1"}}});
    add({"date", {Text{"infinity"}}, {Text{"infinity"}}});
    add({"numeric(20,0)", {std::numeric_limits<std::uint64_t>::max()}, {Decimal{"18446744073709551615"}}});
  } else {
    add(same("BIGINT UNSIGNED", {std::numeric_limits<std::uint64_t>::max()}));
    add({"BOOLEAN", {true}, {std::int64_t{1}}});
    add(same("DOUBLE", {0.1}));
    add(same("DOUBLE", {-1.7976931348623157e308}));
    add(same("VARBINARY(20)", {Bytes{octets}}));
    add(same("BLOB", {Bytes{octets}}));
    add(same("BLOB", {Bytes{""}}));
    add({"BIT(12)", {std::uint64_t{2730}}, {std::uint64_t{2730}}});
    add({"YEAR", {std::int64_t{2026}}, {std::int64_t{2026}}});
    add(same("TIME(6)", {Time{"13:37:00.123456"}}));
    add(same("TIME", {Time{"-13:37:00"}}));
    add(same("DATETIME(6)", {Timestamp{"2026-11-23 13:37:00.123456"}}));
    add({"DATETIME(3)", {Timestamp{"2026-11-23 13:37:00"}}, {Timestamp{"2026-11-23 13:37:00.000"}}});
    add({"TIMESTAMP(1)",
         {TimestampTz{"2026-11-23 13:37:00.5+02:00"}},
         {TimestampTz{"2026-11-23 11:37:00.5+00"}}});
    add({"ENUM('a','b')", {Text{"b"}}, {Text{"b"}}});
    const std::string json = "{\"a\": [true, null], \"b\": \"\xc3\xa9\"}";
    add({"JSON", {Json{json}}, kind == DatabaseKind::kMysql ? Value{Json{json}} : Value{Text{json}}});
  }
  return cases;
}

using ValuesTest = DatabaseTest;
TROTH_FOR_EVERY_DATABASE(ValuesTest);

TEST_P(ValuesTest, EveryTypeComesBackAsItWasStored) {
  const std::vector<Case> cases = cases_of(GetParam());
  std::string columns;
  std::string marks;
  std::vector<Value> parameters{{std::int64_t{1}}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    columns += fmt::format(", c{} {}", i, cases[i].type);
    marks += ", ?";
    parameters.push_back(cases[i].stored);
  }
  resource().run(fmt::format("CREATE TABLE kinds (id INT PRIMARY KEY{})", columns));
  if (resource().is_postgres())
    resource().run(fmt::format("GRANT ALL ON kinds TO {}", resource().options().user));

  const auto session = resource().connect();
  const BranchWork work =
      resource().work({resource().statement(fmt::format("INSERT INTO kinds VALUES (?{})", marks), parameters),
                       resource().statement("SELECT * FROM kinds WHERE id = ?", {{std::int64_t{1}}})},
                      BranchEnding::kCommitOnePhase);
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<CommittedOnePhase>(result));
  ASSERT_EQ(result.results[1].rows.size(), 1U);
  const std::vector<Value>& row = result.results[1].rows[0];
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(row[i + 1], cases[i].read) << cases[i].type << " came back as " << type_name(row[i + 1]);
    EXPECT_FALSE(result.results[1].columns[i + 1].type.empty());
  }
}

// A decimal parameter is a decimal to the server: cents do not go through floating point.
TEST_P(ValuesTest, ArithmeticWithADecimalParameterIsExact) {
  resource().run("CREATE TABLE money (id INT PRIMARY KEY, amount DECIMAL(30,2))");
  resource().run("INSERT INTO money VALUES (1, 1234567890123456789012345.67)");
  if (resource().is_postgres())
    resource().run(fmt::format("GRANT ALL ON money TO {}", resource().options().user));
  const auto session = resource().connect();
  const BranchWork work =
      resource().work({resource().statement(
                           "UPDATE money SET amount = amount - ? WHERE id = ? AND amount > ?",
                           {{Decimal{"0.01"}}, {std::int64_t{1}}, {Decimal{"1234567890123456789012345.66"}}}),
                       resource().statement("SELECT amount FROM money")},
                      BranchEnding::kCommitOnePhase);
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<CommittedOnePhase>(result));
  EXPECT_EQ(result.results[0].affected, 1U);
  EXPECT_EQ(result.results[1].rows.at(0).at(0), Value{Decimal{"1234567890123456789012345.66"}});
}

TEST_P(ValuesTest, ParameterIsNeverReadAsSql) {
  const auto session = resource().connect();
  const std::string evil = "1'; DROP TABLE accounts; -- \\' OR 1=1";
  const BranchWork work = resource().work(
      {resource().statement(resource().is_postgres() ? "SELECT ?::text" : "SELECT ?", {{Text{evil}}})},
      BranchEnding::kReadOnly);
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<ReadOnlyDone>(result));
  EXPECT_EQ(result.results[0].rows.at(0).at(0), Value{Text{evil}});
  EXPECT_EQ(resource().value("SELECT count(*) FROM accounts"), "3");
}

using InnodbValuesTest = DatabaseTest;
TROTH_FOR_INNODB(InnodbValuesTest);

// Postgres has RETURNING.
TEST_P(InnodbValuesTest, GeneratedKeysComeWithTheirInserts) {
  resource().run("CREATE TABLE orders (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, what VARCHAR(10))");
  const auto session = resource().connect();
  const Statement insert = resource().statement("INSERT INTO orders (what) VALUES (?)", {{Text{"ring"}}});
  const WorkResult result =
      session->run_branch(resource().work({insert, resource().transfer(1, 1).statements[0], insert,
                                           resource().statement("SELECT COUNT(*) FROM orders")}));
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_EQ(result.results[0].generated_key, 1U);
  EXPECT_FALSE(result.results[1].generated_key.has_value());
  EXPECT_EQ(result.results[2].generated_key, 2U);
  EXPECT_FALSE(result.results[3].generated_key.has_value());
}

// As far as a result tells them.
TEST_P(InnodbValuesTest, ColumnsAreCalledAsInSql) {
  std::vector<std::string> types{"BIT(9)",
                                 "TINYINT",
                                 "TINYINT UNSIGNED",
                                 "SMALLINT",
                                 "MEDIUMINT UNSIGNED",
                                 "INT",
                                 "INT UNSIGNED",
                                 "BIGINT",
                                 "BIGINT UNSIGNED",
                                 "FLOAT",
                                 "DOUBLE",
                                 "DECIMAL(9,2)",
                                 "DATE",
                                 "TIME",
                                 "DATETIME",
                                 "TIMESTAMP",
                                 "YEAR",
                                 "CHAR(3)",
                                 "VARCHAR(9)",
                                 "BINARY(3)",
                                 "VARBINARY(9)",
                                 "TINYTEXT",
                                 "TEXT",
                                 "MEDIUMTEXT",
                                 "LONGTEXT",
                                 "TINYBLOB",
                                 "BLOB",
                                 "MEDIUMBLOB",
                                 "LONGBLOB",
                                 "ENUM('a')",
                                 "SET('a')",
                                 "GEOMETRY"};
  if (GetParam() == DatabaseKind::kMysql) types.insert(types.end(), {"JSON", "VECTOR(3)"});
  std::string columns;
  for (std::size_t i = 0; i < types.size(); ++i)
    columns += fmt::format("{}c{} {} NULL", i == 0 ? "" : ", ", i, types[i]);
  resource().run(fmt::format("CREATE TABLE called ({})", columns));
  const auto session = resource().connect();
  const WorkResult result = session->run_branch(
      resource().work({resource().statement("SELECT * FROM called")}, BranchEnding::kReadOnly));
  ASSERT_TRUE(ended_as<ReadOnlyDone>(result));
  ASSERT_EQ(result.results[0].columns.size(), types.size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    std::string expected = types[i];
    if (const std::size_t open = expected.find('('); open != std::string::npos) expected.resize(open);
    EXPECT_EQ(result.results[0].columns[i].type, expected);
  }
}

// A table that changes under a cached statement is read as it is now, or the branch fails; it is never
// misread.
TEST_P(ValuesTest, AlteredTableUnderACachedStatementIsNotMisread) {
  auto session = resource().connect();
  const auto read = [&] {
    const BranchWork work = resource().work({resource().statement("SELECT * FROM accounts WHERE id = 1")},
                                            BranchEnding::kReadOnly);
    const WorkResult result = session->run_branch(work);
    if (session->condition() != ConnectionCondition::kIdle || !session->clean_up())
      session = resource().connect();
    return result;
  };
  const auto read_at_last = [&] {
    const WorkResult first = read();
    return std::holds_alternative<ReadOnlyDone>(first.outcome) ? first : read();
  };
  ASSERT_TRUE(ended_as<ReadOnlyDone>(read()));
  resource().run("ALTER TABLE accounts ADD COLUMN note VARCHAR(10) DEFAULT 'new'");
  const WorkResult wider = read_at_last();
  ASSERT_TRUE(ended_as<ReadOnlyDone>(wider));
  ASSERT_EQ(wider.results[0].columns.size(), 3U);
  EXPECT_EQ(wider.results[0].rows.at(0).at(2), Value{Text{"new"}});

  resource().run("ALTER TABLE accounts DROP CONSTRAINT never_negative");
  resource().run(resource().is_postgres() ? "ALTER TABLE accounts ALTER COLUMN balance TYPE varchar(20)"
                                          : "ALTER TABLE accounts MODIFY balance VARCHAR(20)");
  const WorkResult retyped = read_at_last();
  ASSERT_TRUE(ended_as<ReadOnlyDone>(retyped));
  EXPECT_EQ(retyped.results[0].rows.at(0).at(1), Value{Text{"100"}});
}

TEST_P(ValuesTest, MoreStatementsThanTheCacheHoldsAllRun) {
  ConnectOptions options = resource().options();
  options.statement_cache = 3;
  const auto session = resource().connect(options);
  std::vector<Statement> statements;
  for (int i = 0; i < 12; ++i)
    statements.push_back(
        resource().statement(fmt::format("SELECT {} + balance FROM accounts WHERE id = 1", i % 5)));
  const WorkResult result = session->run_branch(resource().work(statements, BranchEnding::kReadOnly));
  ASSERT_TRUE(ended_as<ReadOnlyDone>(result));
  EXPECT_EQ(result.results[11].rows.at(0).at(0), Value{std::int64_t{101}});
}

}  // namespace
}  // namespace troth::agent
