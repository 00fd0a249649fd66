// What the drivers' text forms need beside the drivers; pure.
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "participant_agent/runtime/mysql_values.h"
#include "participant_agent/runtime/mysql_whole.h"
#include "participant_agent/runtime/postgres_values.h"
#include "participant_agent/runtime/statement_cache.h"

namespace troth::agent {
namespace {

TEST(PostgresValues, ParametersAreWrittenAsPostgresReadsThem) {
  EXPECT_EQ(to_postgres({Null{}}), std::nullopt);
  EXPECT_EQ(to_postgres({true}), "t");
  EXPECT_EQ(to_postgres({0.1}), "0.1");
  EXPECT_EQ(to_postgres({-std::numeric_limits<double>::infinity()}), "-Infinity");
  EXPECT_EQ(to_postgres({Bytes{std::string("\0\xff", 2)}}), "\\x00ff");
  EXPECT_EQ(to_postgres({Array{{{Text{"a\"\\b"}}, {Null{}}}}}), "{\"a\\\"\\\\b\",NULL}");
}

TEST(PostgresValues, WhatHasNoFormInTheContractIsTextAsItStands) {
  constexpr std::uint32_t kDate = 1082;
  constexpr std::uint32_t kIntArray = 1007;
  EXPECT_EQ(from_postgres(kDate, "2026-11-23"), Value{Date{"2026-11-23"}});
  EXPECT_EQ(from_postgres(kDate, "infinity"), Value{Text{"infinity"}});
  EXPECT_EQ(from_postgres(kDate, "0044-03-15 BC"), Value{Text{"0044-03-15 BC"}});
  EXPECT_EQ(from_postgres(kDate, "12026-01-01"), Value{Text{"12026-01-01"}});
  EXPECT_EQ(from_postgres(kIntArray, "{{1,2},{3,NULL}}"),
            (Value{Array{
                {{Array{{{std::int64_t{1}}, {std::int64_t{2}}}}}, {Array{{{std::int64_t{3}}, {Null{}}}}}}}}));
  for (const char* broken : {"{1", "{1,2}}", "{{1,2}", "{\"a", "1,2", ""})
    EXPECT_EQ(from_postgres(kIntArray, broken), Value{Text{broken}}) << broken;
  EXPECT_EQ(from_postgres(kIntArray, "[2:3]={1,2}"), Value{Text{"[2:3]={1,2}"}});
  EXPECT_EQ(from_postgres(kIntArray, "{1,NULL}"), (Value{Array{{{std::int64_t{1}}, {Null{}}}}}));
  EXPECT_EQ(from_postgres(99'999, "anything"), Value{Text{"anything"}});
}

TEST(MysqlWhole, LiteralsHoldNothingThatAClientWrote) {
  for (const DatabaseKind kind : {DatabaseKind::kMysql, DatabaseKind::kMariadb}) {
    EXPECT_EQ(literal_of(kind, {Null{}}), "NULL");
    EXPECT_EQ(literal_of(kind, {true}), "1");
    EXPECT_EQ(literal_of(kind, {std::numeric_limits<std::int64_t>::min()}), "(-9223372036854775808)");
    EXPECT_EQ(literal_of(kind, {std::int64_t{7}}), "7");
    EXPECT_EQ(literal_of(kind, {std::uint64_t{5}}), "CAST(5 AS UNSIGNED)");
    EXPECT_EQ(literal_of(kind, {0.1}), "1.0000000000000001e-01");
    EXPECT_EQ(literal_of(kind, {-0.0}), "(-0.0000000000000000e+00)");
    EXPECT_EQ(literal_of(kind, {Text{"a'"}}), "_utf8mb4 X'6127'");
    EXPECT_EQ(literal_of(kind, {Text{""}}), "''");
    EXPECT_EQ(literal_of(kind, {Bytes{std::string("\0\xff", 2)}}), "_binary X'00ff'");
    EXPECT_EQ(literal_of(kind, {Decimal{"1.5"}}), "_utf8mb4 X'312e35'");
    EXPECT_EQ(literal_of(kind, {TimestampTz{"2026-11-27 01:00:00+01"}}),
              "_utf8mb4 X'323032362d31312d32372030303a30303a3030'");
    EXPECT_EQ(literal_of(kind, {Array{}}), std::nullopt);
  }
}

// The order in which a session reads the answers.
TEST(MysqlWhole, TextsAreCountedByTheirPart) {
  const std::vector<WholeStatement> statements{
      {.number = 1, .literals = {"5", "''"}, .may_generate_key = true},
      {.number = 7},
      {.written = "UPDATE t SET a = 5 "},
      {.written = "INSERT INTO t VALUES (1)", .may_generate_key = true}};
  const WholeTexts mysql = whole_texts(DatabaseKind::kMysql, {"b1", "b2"}, statements, {"e"}, 3);
  EXPECT_EQ(
      mysql.texts,
      (Texts{"b1", "b2", "SET @troth_p1 = 5, @troth_p2 = ''", "EXECUTE troth_s1 USING @troth_p1, @troth_p2",
             "EXECUTE troth_s7", "UPDATE t SET a = 5 ", "INSERT INTO t VALUES (1)",
             "SET @troth_p1 = NULL, @troth_p2 = NULL, @troth_p3 = NULL", "EXECUTE troth_check", "e"}));
  EXPECT_EQ(mysql.begins, 2U);
  std::vector<std::size_t> before;
  for (const WholeTexts::Step& step : mysql.steps)
    before.push_back(step.before);
  EXPECT_EQ(before, (std::vector<std::size_t>{1, 0, 0, 0}));
  EXPECT_EQ(mysql.forgets, 1U);
  EXPECT_EQ(mysql.ends, 1U);
  const WholeTexts mariadb = whole_texts(DatabaseKind::kMariadb, {"b1", "b2"}, statements, {"e"}, 3);
  EXPECT_EQ(mariadb.texts,
            (Texts{"b1", "b2", "EXECUTE troth_s1 USING 5, ''", "EXECUTE troth_s7", "UPDATE t SET a = 5 ",
                   "INSERT INTO t VALUES (1)", "EXECUTE troth_check", "e"}));
  EXPECT_EQ(mariadb.steps.at(0).before, 0U);
  EXPECT_EQ(mariadb.forgets, 0U);
}

TEST(MysqlValues, DecimalPlaceholdersAreCastAndNothingElseIs) {
  const std::vector<Value> parameters{{Decimal{"0.01"}}, {std::int64_t{1}}, {Decimal{"5"}}};
  EXPECT_EQ(cast_decimals(DatabaseKind::kMysql,
                          "UPDATE t SET a = a - ?, b = '?' /* ? */ WHERE id = ? AND c > ?", parameters),
            "UPDATE t SET a = a - CAST(? AS DECIMAL(65,2)), b = '?' /* ? */ WHERE id = ? AND c > "
            "CAST(? AS DECIMAL(65,0))");
  EXPECT_EQ(cast_decimals(DatabaseKind::kMysql, "SELECT ?", {{Text{"1.5"}}}), "SELECT ?");
}

TEST(MysqlValues, TimestampsWithAZoneBecomeUtc) {
  EXPECT_EQ(timestamp_in_utc("2026-11-23 13:37:00Z"), "2026-11-23 13:37:00");
  EXPECT_EQ(timestamp_in_utc("2026-01-01 00:30:00.25+02"), "2025-12-31 22:30:00.25");
  EXPECT_EQ(timestamp_in_utc("2024-02-28 23:30:00-05:30"), "2024-02-29 05:00:00");
  EXPECT_EQ(timestamp_in_utc("2026-11-23 13:37:00"), std::nullopt);
  EXPECT_EQ(timestamp_in_utc("2026-13-23 13:37:00Z"), std::nullopt);
}

TEST(StatementCache, LongestUnusedStatementGoesFirst) {
  StatementCache<int> cache(2);
  EXPECT_FALSE(cache.insert("a", 1).has_value());
  EXPECT_FALSE(cache.insert("b", 2).has_value());
  const int* used = cache.find("a");
  ASSERT_NE(used, nullptr);
  EXPECT_EQ(*used, 1);
  EXPECT_EQ(cache.insert("c", 3), 2);
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_NE(cache.find("a"), nullptr);
  EXPECT_EQ(cache.size(), 2U);
}

}  // namespace
}  // namespace troth::agent
