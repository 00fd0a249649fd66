// What a column would change is refused before it is sent, and read off the statement's own text.
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "participant_agent/dialect/assignments.h"
#include "participant_agent/dialect/catalogue.h"
#include "participant_agent/dialect/decimal_digits.h"

namespace troth::agent {
namespace {

using Form = ColumnShape::Form;

Assignments into(std::string schema, std::string table, std::vector<Assignment> assigned) {
  return {{std::move(schema), std::move(table)}, std::move(assigned)};
}

TEST(Assignments, AreReadOffAnInsert) {
  EXPECT_EQ(
      assignments_of(DatabaseKind::kPostgres, "INSERT INTO Bank.\"Account\" (Id, \"Cents\") VALUES ($1, $2)"),
      into("bank", "Account", {{1, "id", 0}, {2, "Cents", 0}}));
  EXPECT_EQ(assignments_of(DatabaseKind::kMysql, "insert into Account values (?, now(), ?), (?, ?, 1 + ?)"),
            into("", "Account", {{1, "", 0}, {2, "", 2}, {3, "", 0}, {4, "", 1}}));
  EXPECT_EQ(assignments_of(DatabaseKind::kMariadb, "REPLACE `a` (`x`) VALUES (?) "),
            into("", "a", {{1, "x", 0}}));
  EXPECT_EQ(assignments_of(DatabaseKind::kMysql, "INSERT INTO a SET x = ?, y = f(?, 1), z = ?"),
            into("", "a", {{1, "x", 0}, {3, "z", 0}}));
  EXPECT_EQ(assignments_of(DatabaseKind::kMysql,
                           "INSERT IGNORE INTO a (x) VALUES (?) ON DUPLICATE KEY UPDATE y = ?, z = z + ?"),
            into("", "a", {{1, "x", 0}, {2, "y", 0}}));
  EXPECT_EQ(assignments_of(
                DatabaseKind::kPostgres,
                "INSERT INTO a AS b (x) VALUES ($1) ON CONFLICT (x) DO UPDATE SET y = $2 WHERE b.y < $2"),
            into("", "a", {{1, "x", 0}, {2, "y", 0}}));
}

TEST(Assignments, AreReadOffAnUpdate) {
  EXPECT_EQ(assignments_of(DatabaseKind::kMysql, "UPDATE a SET x = ?, a.y = ? WHERE z = ?"),
            into("", "a", {{1, "x", 0}, {2, "y", 0}}));
  EXPECT_EQ(assignments_of(DatabaseKind::kPostgres, "UPDATE ONLY a SET x = $2, y = y - $1 RETURNING x"),
            into("", "a", {{2, "x", 0}}));
  EXPECT_EQ(assignments_of(DatabaseKind::kMysql, "UPDATE a SET x = x + ? WHERE y = ?"), std::nullopt);
}

TEST(Assignments, WhatComputesIsLeftOut) {
  for (const char* sql : {"SELECT ?", "INSERT INTO a SELECT ?, 1", "DELETE FROM a WHERE x = ?",
                          "INSERT INTO a (x) VALUES (CAST(? AS DATE))", "INSERT INTO", "INSERT INTO a (",
                          "UPDATE a", "UPDATE a SET x", "UPDATE a SET x =", "INSERT INTO a VALUES (?"})
    EXPECT_FALSE(assignments_of(DatabaseKind::kMysql, sql).has_value() &&
                 std::string(sql) != "INSERT INTO a VALUES (?")
        << sql;
  EXPECT_EQ(assignments_of(DatabaseKind::kPostgres, "INSERT INTO a (x) VALUES ($1::numeric(10,2))"),
            std::nullopt);
}

RC_GTEST_PROP(Assignments, NoTextCrashesTheReader, (const std::string& text)) {
  for (const DatabaseKind kind : {DatabaseKind::kPostgres, DatabaseKind::kMysql})
    for (const char* start : {"", "INSERT INTO a ", "UPDATE a SET ", "INSERT INTO a (x) VALUES (?"})
      static_cast<void>(assignments_of(kind, start + text));
}

TEST(ColumnShape, ModifiersOfPostgresAreScalesAndLengths) {
  constexpr std::int32_t kTenTwo = (10 << 16 | 2) + 4;
  EXPECT_EQ(shape_of_postgres_type(1700, kTenTwo).scale, 2U);
  EXPECT_EQ(shape_of_postgres_type(1700, -1).scale, std::nullopt);
  EXPECT_EQ(shape_of_postgres_type(1043, 14).length, 10U);
  EXPECT_EQ(shape_of_postgres_type(1114, 3).scale, 3U);
  EXPECT_TRUE(shape_of_postgres_type(1231, kTenTwo).is_array);
  EXPECT_EQ(shape_of_postgres_type(1231, kTenTwo).scale, 2U);
  EXPECT_EQ(shape_of_postgres_type(99'999, -1).form, Form::kParsed);
}

TEST(ColumnShape, RefusalNamesParameterColumnAndRemedy) {
  ColumnShape cents{.name = "cents", .type = "decimal", .form = Form::kDecimal, .scale = 2};
  const Status refused = check_parameters({{std::int64_t{1}}, {Decimal{"0.005"}}}, {{2, cents}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().effect, Effect::kNone);
  EXPECT_EQ(
      refused.error().message,
      "parameter 2: column cents (decimal) cannot hold a decimal with 3 digits behind the point as it is: it "
      "has 2; round the value before it is sent, or ROUND it in the statement");
  EXPECT_TRUE(check_parameters({{std::int64_t{1}}, {Decimal{"0.500"}}}, {{2, cents}}).has_value());
}

RC_GTEST_PROP(DecimalDigits, PlainTextIsTheSameNumber, (const std::string& digits_seed)) {
  std::string digits = "1";
  for (const char c : digits_seed)
    digits += static_cast<char>('0' + static_cast<unsigned char>(c) % 10);
  const int exponent = *rc::gen::inRange(-40, 40);
  const auto number = digits_of(digits + "e" + std::to_string(exponent));
  RC_ASSERT(number.has_value());
  const std::string plain = plain_text(*number, 0);
  RC_ASSERT(digits_of(plain) == number);
  RC_ASSERT(plain.find('e') == std::string::npos);
  RC_ASSERT(digits_of("-" + plain)->negative);
}

RC_GTEST_PROP(DecimalDigits, EveryFloatStandsForItself, (std::uint32_t bits)) {
  const auto number = std::bit_cast<float>(bits);
  RC_PRE(std::isfinite(number));
  RC_ASSERT(as_float(widened(number)) == number);
  RC_ASSERT(as_float(static_cast<double>(number)) == number);
}

}  // namespace
}  // namespace troth::agent
