// docs/types.md: values where a server, a role or a table is set to something else than usual.
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/types_fixture.h"

namespace troth::agent {
namespace {

class OtherSettingsTest : public TypesTest {};
using PostgresSettingsTest = OtherSettingsTest;
TROTH_FOR_POSTGRES(PostgresSettingsTest);
using InnodbSettingsTest = OtherSettingsTest;
TROTH_FOR_INNODB(InnodbSettingsTest);

TEST_P(InnodbSettingsTest, IgnoreChangesNoValue) {
  resource().run("CREATE TABLE narrow (n INT PRIMARY KEY, v TINYINT)");
  const Stored clamped = values().read("INSERT IGNORE INTO narrow VALUES (1, ?)", {{std::int64_t{1000}}});
  ASSERT_TRUE(clamped.error.has_value());
  EXPECT_NE(clamped.error->message.find("IGNORE"), std::string::npos) << clamped.error->message;
  EXPECT_EQ(resource().value("SELECT COUNT(*) FROM narrow"), "0");
  resource().run("INSERT INTO narrow VALUES (1, 1)");
  EXPECT_FALSE(
      values().read("INSERT IGNORE INTO narrow VALUES (1, ?)", {{std::int64_t{7}}}).error.has_value());
}

// A session keeps 64 warnings (MariaDB) or 1,024 (MySQL) as shipped, and the one that counts comes last.
TEST_P(InnodbSettingsTest, IgnoreChangesNoValueBehindManyDuplicates) {
  resource().run("CREATE TABLE narrow (n INT PRIMARY KEY, v TINYINT)");
  resource().run("CREATE TABLE numbers (n INT PRIMARY KEY, v INT)");
  std::string rows;
  for (int i = 0; i < 1'500; ++i)
    rows += fmt::format("{}({}, 7)", i == 0 ? "" : ", ", i);
  resource().run("INSERT INTO narrow VALUES " + rows);
  resource().run("INSERT INTO numbers VALUES " + rows);
  const std::string copy = "INSERT IGNORE INTO narrow SELECT n, v FROM numbers ORDER BY n";
  EXPECT_FALSE(values().read(copy + " LIMIT 1000").error.has_value()) << "duplicates are what it is for";
  resource().run("INSERT INTO numbers VALUES (9999, 1000)");
  const Stored clamped = values().read(copy);
  ASSERT_TRUE(clamped.error.has_value());
  EXPECT_NE(clamped.error->message.find("IGNORE"), std::string::npos) << clamped.error->message;
  EXPECT_EQ(clamped.error->effect, Effect::kNone);
}

// Then nobody can tell.
TEST_P(InnodbSettingsTest, IgnoreIsRefusedWhereATriggerHidesWarnings) {
  for (const std::string hides : {"max_error_count = 0", "sql_select_limit = 0"}) {
    resource().run("DROP TABLE IF EXISTS narrow");
    resource().run("CREATE TABLE narrow (n INT PRIMARY KEY, v TINYINT)");
    resource().run("CREATE TRIGGER hides BEFORE INSERT ON narrow FOR EACH ROW SET SESSION " + hides);
    const Stored clamped =
        values().read("INSERT IGNORE INTO narrow VALUES (1, 1), (2, ?)", {{std::int64_t{1000}}});
    ASSERT_TRUE(clamped.error.has_value()) << hides;
    EXPECT_NE(clamped.error->message.find("IGNORE"), std::string::npos) << clamped.error->message;
  }
}

// Troth's sessions are strict, whatever the server is.
TEST_P(InnodbSettingsTest, LaxServers) {
  const GlobalSetting lax(resource(), "sql_mode",
                          is_mysql()
                              ? "'ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,NO_ENGINE_SUBSTITUTION'"
                              : "'NO_ENGINE_SUBSTITUTION'");
  values().is_refused("TINYINT", {std::int64_t{1000}}, kServer, {"Out of range"});
  values().is_refused("ENUM('a')", text("b"), kServer, {"truncated"});
  values().is_refused("VARCHAR(20) CHARACTER SET latin1", text("\xf0\x9f\x92\x8d"), kServer,
                      {is_mysql() ? "parameter 2" : "Incorrect string"});
}

// What such a server makes of a value it makes of it in one trip, too: StoredValues compares.
TEST_P(InnodbSettingsTest, ServersOfOtherModes) {
  const std::vector<std::string> modes =
      is_mysql() ? std::vector<std::string>{"ANSI", "NO_BACKSLASH_ESCAPES", "NO_UNSIGNED_SUBTRACTION"}
                 : std::vector<std::string>{"ANSI", "NO_BACKSLASH_ESCAPES", "ORACLE"};
  for (const std::string& mode : modes) {
    const GlobalSetting other(resource(), "sql_mode", fmt::format("'{}'", mode));
    StoredValues in_mode(resource());
    for (const Value& value : {text(""), text("it's \\ \"so\""), Value{Bytes{""}},
                               Value{Bytes{std::string("\0'\\", 3)}}, Value{Null{}}})
      static_cast<void>(in_mode.store("VARBINARY(40)", {value}));
    for (const Value& value : {text(""), text("it's \\ \"so\"")})
      static_cast<void>(in_mode.store("VARCHAR(40)", {value}));
    static_cast<void>(in_mode.store("BIGINT UNSIGNED", {{std::uint64_t{5}}, {std::int64_t{7}}}));
    static_cast<void>(in_mode.store("DECIMAL(20,2)", {{Decimal{"-12.50"}}}));
    EXPECT_GT(in_mode.in_one_trip(), 5) << mode;
  }
}

// Whatever else the server or its roles set, a session writes and reads in these forms.
TEST_P(PostgresSettingsTest, RolesWithOtherForms) {
  const std::string& role = resource().options().user;
  for (const char* setting :
       {"DateStyle = 'SQL, DMY'", "IntervalStyle = 'postgres_verbose'", "TimeZone = 'Asia/Kolkata'",
        "bytea_output = 'escape'", "extra_float_digits = -15", "client_encoding = 'LATIN1'",
        "standard_conforming_strings = off"})
    resource().run(fmt::format("ALTER ROLE {} SET {}", role, setting));
  StoredValues forms(resource());
  for (int again = 0; again < 2; ++again) {
    forms.come_back("date", {{Date{"2026-11-23"}}});
    forms.come_back("timestamptz", {{TimestampTz{"2026-11-23 13:37:00.5+00"}}});
    forms.come_back("interval", {text("P1DT2H")});
    forms.come_back("bytea", {{Bytes{std::string("\0a\\", 3)}}});
    forms.come_back("double precision", {{0.1}, {1.0 / 3.0}});
    forms.come_back("text", {text("\xf0\x9f\x92\x8d \\")});
  }
}

// There a text may be anything; the server does not send what is not UTF-8.
TEST_P(PostgresSettingsTest, TextsWithoutAnEncoding) {
  resource().run("UPDATE pg_database SET encoding = 0 WHERE datname = current_database()");
  StoredValues ascii(resource());
  ascii.come_back("text", {text("\xf0\x9f\x92\x8d"), text("plain")});
  const Value octets{Bytes{"\xff"}};
  const Stored read = ascii.store("text", octets, "INSERT INTO {} VALUES (1, convert_from(?, 'SQL_ASCII'))",
                                  "SELECT v FROM {}");
  ASSERT_TRUE(read.error.has_value());
  EXPECT_EQ(read.error->code, kServer);
  EXPECT_EQ(read.error->statement, 2U);
  EXPECT_NE(read.error->message.find("invalid byte sequence for encoding \"UTF8\": 0xff"), std::string::npos)
      << read.error->message;
  const Stored as_bytes =
      ascii.store("text", octets, "INSERT INTO {} VALUES (1, convert_from(?, 'SQL_ASCII'))",
                  "SELECT convert_to(v, 'SQL_ASCII') FROM {}");
  ASSERT_EQ(as_bytes.values.size(), 1U);
  EXPECT_EQ(as_bytes.values[0], octets);
}

}  // namespace
}  // namespace troth::agent
