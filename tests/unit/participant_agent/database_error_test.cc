#include "participant_agent/dialect/database_error.h"

#include <gtest/gtest.h>

namespace troth::agent {
namespace {

constexpr DatabaseKind kPg = DatabaseKind::kPostgres;
constexpr DatabaseKind kMy = DatabaseKind::kMysql;

ClassifiedError postgres(const std::string& sqlstate, Speaker speaker = Speaker::kAgent) {
  return classify_error(kPg, speaker, {sqlstate, 0, "said", "", false});
}

ClassifiedError mysql(std::int32_t code, Speaker speaker = Speaker::kAgent) {
  return classify_error(kMy, speaker, {"HY000", code, "said", "", false});
}

TEST(DatabaseError, PostgresCodesMeanThis) {
  EXPECT_EQ(postgres("42704").meaning, Meaning::kUnknownXid);
  EXPECT_EQ(postgres("42710").meaning, Meaning::kDuplicateXid);
  EXPECT_EQ(postgres("23505").meaning, Meaning::kDuplicateKey);
  EXPECT_EQ(postgres("55P03").meaning, Meaning::kLockTimeout);
  EXPECT_EQ(postgres("40P01").meaning, Meaning::kDeadlock);
  EXPECT_EQ(postgres("40001").meaning, Meaning::kSerialization);
  EXPECT_EQ(postgres("25P02").meaning, Meaning::kDoomed);
  EXPECT_EQ(postgres("0A000").meaning, Meaning::kNotPreparable);
  EXPECT_EQ(postgres("25006").meaning, Meaning::kReadOnlyTransaction);
  EXPECT_EQ(postgres("42P01").meaning, Meaning::kNotInstalled);
  EXPECT_EQ(postgres("53300").meaning, Meaning::kServerBusy);
  EXPECT_EQ(postgres("23514").meaning, Meaning::kStatementRefused);
}

TEST(DatabaseError, MysqlCodesMeanThis) {
  EXPECT_EQ(mysql(1397).meaning, Meaning::kUnknownXid);
  EXPECT_EQ(mysql(1440).meaning, Meaning::kDuplicateXid);
  EXPECT_EQ(mysql(1062).meaning, Meaning::kDuplicateKey);
  EXPECT_EQ(mysql(1205).meaning, Meaning::kLockTimeout);
  EXPECT_EQ(mysql(1213).meaning, Meaning::kDeadlock);
  EXPECT_EQ(mysql(1399).meaning, Meaning::kXidTied);
  EXPECT_EQ(mysql(1399, Speaker::kClient).meaning, Meaning::kImplicitCommit);
  EXPECT_EQ(mysql(1792).meaning, Meaning::kReadOnlyTransaction);
  EXPECT_EQ(mysql(1094).meaning, Meaning::kUnknownSession);
  EXPECT_EQ(mysql(3819).meaning, Meaning::kStatementRefused);
}

// pgjdbc#4438 took 57P01 during COMMIT PREPARED for final, and lost branches.
TEST(DatabaseError, ALostConnectionLeavesTheEffectUnknown) {
  for (const char* state : {"57P01", "57P02", "57P03", "08000", "08003", "08006", ""}) {
    EXPECT_EQ(postgres(state).meaning, Meaning::kConnectionLost) << state;
    EXPECT_EQ(postgres(state).error.effect, Effect::kUnknown) << state;
    EXPECT_TRUE(postgres(state).error.retryable);
  }
  for (const std::int32_t code : {1053, 1927, 2006, 2013, 2014}) {
    EXPECT_EQ(mysql(code).meaning, Meaning::kConnectionLost) << code;
    EXPECT_EQ(mysql(code).error.effect, Effect::kUnknown) << code;
  }
  const auto seen = classify_error(kPg, Speaker::kClient, {"23505", 0, "said", "", true});
  EXPECT_EQ(seen.meaning, Meaning::kConnectionLost) << "what the driver saw comes first";
}

// SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = ..
TEST(DatabaseError, WhatATriggerSignalsIsARefusalWhateverItsNumber) {
  for (const DatabaseKind kind : {kMy, DatabaseKind::kMariadb}) {
    for (const std::int32_t code : {1053, 1062, 1205, 1397, 1399, 1440, 2013, 2014, 3572}) {
      const auto signalled = classify_error(kind, Speaker::kClient, {"45000", code, "said", "", false});
      EXPECT_EQ(signalled.meaning, Meaning::kStatementRefused) << code;
      EXPECT_EQ(signalled.error.code, ErrorCode::kStatementFailed) << code;
      EXPECT_EQ(signalled.error.effect, Effect::kNone) << code;
      EXPECT_EQ(signalled.error.vendor_code, code);
    }
  }
}

// [T9] Neither success nor failure.
TEST(DatabaseError, AnUnknownXidLeavesTheEffectUnknown) {
  EXPECT_EQ(postgres("42704").error.effect, Effect::kUnknown);
  EXPECT_EQ(mysql(1397).error.effect, Effect::kUnknown);
}

TEST(DatabaseError, AClientsStatementMeansNothingByTheAgentsCodes) {
  for (const char* state : {"42704", "42710", "55000", "0A000", "42P01", "3F000"}) {
    EXPECT_EQ(postgres(state, Speaker::kClient).meaning, Meaning::kStatementRefused) << state;
    EXPECT_EQ(postgres(state, Speaker::kClient).error.code, ErrorCode::kStatementFailed) << state;
    EXPECT_EQ(postgres(state, Speaker::kClient).error.effect, Effect::kNone) << state;
  }
  EXPECT_EQ(mysql(1146, Speaker::kClient).error.code, ErrorCode::kStatementFailed);
}

TEST(DatabaseError, WhatIsWorthARetrySaysSo) {
  for (const char* state : {"40001", "40P01", "55P03"}) {
    EXPECT_EQ(postgres(state, Speaker::kClient).error.code, ErrorCode::kConflict);
    EXPECT_TRUE(postgres(state, Speaker::kClient).error.retryable);
    EXPECT_EQ(postgres(state, Speaker::kClient).error.effect, Effect::kNone);
  }
  EXPECT_FALSE(postgres("23514", Speaker::kClient).error.retryable);
}

TEST(DatabaseError, NoPreparedSlotIsNamed) {
  const auto error =
      classify_error(kPg, Speaker::kAgent, {"55000", 0, "prepared transactions are disabled", "", false});
  EXPECT_EQ(error.meaning, Meaning::kNoPreparedSlot);
}

TEST(DatabaseError, CarriesWhatTheDatabaseSaid) {
  const auto error = mysql(1062, Speaker::kClient).error;
  EXPECT_EQ(error.vendor_code, 1062);
  EXPECT_EQ(error.sqlstate, "HY000");
  EXPECT_NE(error.message.find("said"), std::string::npos);
}

TEST(DatabaseError, ConstraintsAreFoundInMessages) {
  const auto found = [](const std::string& message) { return constraint_of({"", 0, message, "", false}); };
  EXPECT_EQ(found("Duplicate entry '1' for key 'accounts.PRIMARY'"), "accounts.PRIMARY");
  EXPECT_EQ(found("CONSTRAINT `positive` failed for `bank`.`account`"), "positive");
  EXPECT_EQ(found("Check constraint 'positive' is violated."), "positive");
  EXPECT_EQ(found("violates check constraint \"positive\""), "positive");
  EXPECT_EQ(found("syntax error"), "");
  EXPECT_EQ(constraint_of({"", 0, "for key 'a'", "named", false}), "named");
}

}  // namespace
}  // namespace troth::agent
