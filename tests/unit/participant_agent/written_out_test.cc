// Which of a client's texts may stand with their values among other statements; and the answer to the check behind them.
#include "participant_agent/dialect/written_out.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "participant_agent/dialect/branch_check.h"
#include "participant_agent/dialect/innodb_dialect.h"

namespace troth::agent {
namespace {

using Form = ColumnShape::Form;

ColumnShape column(const std::string& name, Form form, const std::string& type = "any") {
  return {.name = name, .type = type, .form = form};
}

const std::vector<ColumnShape> kColumns{
    column("id", Form::kInteger, "bigint"),
    column("balance", Form::kInteger, "bigint"),
    column("cents", Form::kDecimal),
    column("weight", Form::kDouble),
    column("ratio", Form::kFloat),
    column("name", Form::kText),
    column("raw", Form::kBytes),
    column("born", Form::kDate),
    column("at", Form::kTimestamp),
    column("until", Form::kTimestampTz),
    column("hour", Form::kTime),
    column("made", Form::kInteger, "year"),
    column("doc", Form::kParsed),
    column("bits", Form::kOther),
};

// As a session learns it; nullopt: it goes by its number. `uncast`: as the client wrote it, where that differs.
std::optional<WritableText> learned(const std::string& sql, const std::string& uncast = {}) {
  std::optional<WritableText> text = WritableText::of(sql);
  if (!text.has_value() || !text->table().has_value()) return text;
  const auto assignments = assignments_of(DatabaseKind::kMysql, uncast.empty() ? sql : uncast);
  const ParameterShapes assigned =
      assignments.has_value() ? shapes_of(*assignments, kColumns) : ParameterShapes{};
  if (!text->learn(kColumns, assigned)) return std::nullopt;
  return text;
}

TEST(WritableText, ValuesStandInThePlaceOfTheirMarks) {
  const auto text = learned("UPDATE accounts SET balance = balance + ?,name=?WHERE id=?");
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(text->table(), (TableName{"", "accounts"}));
  EXPECT_EQ(text->with({"(-5)", "_utf8mb4 X'6127'", "7"}),
            "UPDATE accounts SET balance = balance +  (-5) ,name= _utf8mb4 X'6127' WHERE id= 7 ");
  const auto none = learned("DELETE FROM accounts ORDER BY id LIMIT 1");
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(none->parameters(), 0U);
  EXPECT_FALSE(none->table().has_value());
  EXPECT_EQ(none->with({}), "DELETE FROM accounts ORDER BY id LIMIT 1");
}

TEST(WritableText, SimpleWritesAreWritable) {
  for (const std::string sql : {
           "UPDATE accounts SET balance = balance - ? WHERE id = ? AND balance >= ?",
           "update bank.accounts set balance = ?, cents = cents + ? where accounts.id <> ? or id != ? limit "
           "1",
           "UPDATE accounts SET balance = id - ? WHERE balance < id + ?",
           "DELETE FROM accounts\n\tWHERE (id = ?) AND name <=> ? ORDER BY id LIMIT 5",
           "INSERT INTO accounts VALUES (?, ?, ?)",
           "INSERT INTO accounts (id, name) VALUES (?, ?), (?, ?), (7, ?)",
           "INSERT INTO accounts (id, name) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name), "
           "balance = balance + ?",
           "REPLACE INTO accounts SET id = ?, name = ?",
           "UPDATE accounts SET balance = 0 WHERE id IN (?, ?) AND name NOT IN (?)",
           "UPDATE accounts SET cents = cents - CAST(? AS DECIMAL(65,2)) WHERE cents > CAST(? AS "
           "DECIMAL(65,0))",
       })
    EXPECT_TRUE(learned(sql).has_value()) << sql;
  EXPECT_TRUE(learned("INSERT INTO accounts (cents) VALUES (CAST(? AS DECIMAL(65,2)))",
                      "INSERT INTO accounts (cents) VALUES (?)")
                  .has_value());
}

// What could swallow the rest of the text, end its statement, or hide a mark.
TEST(WritableText, NothingThatCouldBecomeOtherTextIsWritable) {
  const std::string good = "UPDATE accounts SET balance = 1";
  ASSERT_TRUE(WritableText::of(good).has_value());
  for (const char c : std::string("'\"`\\#;@:$&|^~[]{}\0\f\v\x1a\x7f", 21)) {
    std::string bad = good;
    bad.insert(8, 1, c);
    EXPECT_FALSE(WritableText::of(bad).has_value()) << "character " << static_cast<int>(c);
  }
  for (const std::string part : {"--", "/*", "/*!", "->", "<<", ">>", "\xc3\xa4", "\xe3\x80\x80", "\xbf"})
    EXPECT_FALSE(WritableText::of(good + " " + part + " 1").has_value()) << part;
}

RC_GTEST_PROP(WritableText, AnyTextThatIsTakenHasNothingButItsFewCharacters, (const std::string& noise)) {
  const std::string sql = "UPDATE accounts SET balance = 1 WHERE id = 1 " + noise;
  if (!WritableText::of(sql).has_value()) return;
  for (const char c : noise) {
    const bool is_word = (std::isalnum(static_cast<unsigned char>(c)) != 0 && c > 0) || c == '_';
    RC_ASSERT(is_word || std::string(" \t\r\n.,()=<>!+-*/%?").find(c) != std::string::npos);
  }
  RC_ASSERT(sql.find("--") == std::string::npos);
  RC_ASSERT(sql.find("/*") == std::string::npos);
}

// A parameter is a value there; a literal may be a column's number, a length, or of another type.
TEST(WritableText, MarkThatIsNoOperandOfItsColumnIsNotWritable) {
  for (const std::string sql : {
           "UPDATE accounts SET balance = 0 ORDER BY ?",
           "UPDATE accounts SET balance = 0 ORDER BY +?",
           "UPDATE accounts SET balance = 0 ORDER BY id, ?",
           "UPDATE accounts SET balance = 0 ORDER BY (?)",
           "UPDATE accounts SET balance = 0 LIMIT ?",
           "UPDATE accounts SET balance = 0 WHERE name LIKE ?",
           "UPDATE accounts SET balance = 0 WHERE id BETWEEN 1 AND balance = ?",
           "UPDATE accounts SET balance = 0 WHERE ? = id",
           "UPDATE accounts SET balance = 0 WHERE NOT id = ?",
           "UPDATE accounts SET balance = 0 WHERE id = -?",
           "UPDATE accounts SET balance = 0 WHERE id + balance = ?",
           "UPDATE accounts SET balance = 0 WHERE id = ? + 1",
           "UPDATE accounts SET balance = 0 WHERE id = ? = 1",
           "UPDATE accounts SET balance = 0 WHERE id = ? IS NULL",
           "UPDATE accounts SET balance = 0 WHERE 1 = ?",
           "UPDATE accounts SET balance = 0 WHERE (id, balance) = (?, ?)",
           "UPDATE accounts SET balance = 0 WHERE (id, balance) IN ((?, ?))",
           "UPDATE accounts SET balance = 0 WHERE id + 1 IN (?)",
           "UPDATE accounts SET balance = 0 WHERE id IN (? + 1)",
           "UPDATE accounts SET balance = 0 WHERE bank.in(?)",
           "UPDATE accounts SET balance = 0 WHERE name = CAST(? AS CHAR)",
           "UPDATE accounts SET balance = 0 WHERE cents = CAST(? AS DECIMAL)",
           "UPDATE accounts SET balance = 0 WHERE born = born + INTERVAL ? DAY",
           "UPDATE accounts SET balance = ABS(?)",
           "UPDATE accounts SET balance = ? / 3",
           "UPDATE accounts SET balance = balance * ?",
           "UPDATE accounts SET balance = 2 * balance + ?",
           "UPDATE accounts SET balance = balance + ? + ?",
           "UPDATE accounts SET balance = balance DIV id = ?",
           "INSERT INTO accounts (id) VALUES (? + 1)",
           "INSERT INTO accounts (id) VALUES (ABS(?))",
           "INSERT INTO accounts (id) VALUES ROW(?)",
           "INSERT INTO accounts (id) SELECT id + ? FROM accounts",
           "DELETE FROM accounts WHERE id = (SELECT balance + ? FROM accounts)",
           "UPDATE accounts SET balance = 0 WHERE unknown = ?",
           "UPDATE accounts AS a SET balance = ?",
           "UPDATE accounts, others SET balance = ?",
           "UPDATE accounts JOIN others SET balance = ?",
           "DELETE accounts FROM accounts WHERE id = ?",
           "DELETE FROM accounts USING others WHERE id = ?",
           "INSERT IGNORE INTO accounts (id) VALUES (?)",
           "WITH x AS (TABLE y) UPDATE accounts SET balance = ?",
           "UPDATE accounts SET balance = 0) WHERE id = ?",
       })
    EXPECT_FALSE(learned(sql).has_value()) << sql;
}

// MySQL makes of a parameter what its column is; of a literal it makes what both can be compared as.
TEST(WritableText, ValueOfAnotherTypeThanItsColumnsIsNotTaken) {
  const std::vector<Value> values{{true},
                                  {std::int64_t{-7}},
                                  {std::uint64_t{7}},
                                  {7.5},
                                  {Decimal{"7.5"}},
                                  {Text{"7"}},
                                  {Bytes{"7"}},
                                  {Date{"2026-11-27"}},
                                  {Time{"01:02:03"}},
                                  {Timestamp{"2026-11-27 01:02:03"}},
                                  {TimestampTz{"2026-11-27 01:02:03Z"}},
                                  {Json{"7"}},
                                  {Uuid{"01890a5d-ac96-774b-bcce-b302099a8057"}}};
  const auto taken = [&](const std::string& column, const std::string& sql) {
    std::string types;
    for (const Value& value : values) {
      const bool decimal = std::holds_alternative<Decimal>(value.is);
      const auto text = learned(decimal ? sql + "CAST(? AS DECIMAL(65,1))" : sql + "?");
      EXPECT_TRUE(text.has_value()) << column;
      if (text.has_value() && text->takes({value})) types += std::string(type_name(value)) + " ";
    }
    const auto text = learned(sql + "?");
    EXPECT_TRUE(text.has_value() && text->takes({Value{Null{}}})) << column;
    return types;
  };
  const auto compared = [&](const std::string& column) {
    return taken(column, "UPDATE accounts SET balance = 0 WHERE " + column + " = ");
  };
  EXPECT_EQ(compared("id"), "bool int64 uint64 decimal ");
  EXPECT_EQ(compared("CENTS"), "bool int64 uint64 decimal ");
  EXPECT_EQ(compared("weight"), "double ");
  EXPECT_EQ(compared("name"), "text ");
  EXPECT_EQ(compared("raw"), "bytes ");
  const auto named = learned("UPDATE accounts SET name = ?");
  ASSERT_TRUE(named.has_value());
  EXPECT_TRUE(named->takes({{Text{"a'\\"}}}));
  EXPECT_FALSE(named->takes({{Text{"\xc3\xa4"}}})) << "the column's character set may not have it";
  EXPECT_EQ(compared("born"), "date ");
  EXPECT_EQ(compared("hour"), "time ");
  for (const std::string other : {"at", "until", "ratio", "made", "doc", "bits"}) {
    const auto text = learned("UPDATE accounts SET balance = 0 WHERE " + other + " = ?");
    ASSERT_TRUE(text.has_value());
    for (const Value& value : values)
      EXPECT_FALSE(text->takes({value})) << other << " " << type_name(value);
  }
  const auto added = [&](const std::string& column) {
    return taken(column, "UPDATE accounts SET balance = " + column + " + ");
  };
  EXPECT_EQ(added("id"), "bool int64 uint64 decimal ");
  EXPECT_EQ(added("cents"), "bool int64 uint64 decimal ");
  EXPECT_EQ(added("weight"), "");
  EXPECT_EQ(added("name"), "");
  EXPECT_EQ(added("born"), "");
}

TEST(BranchCheck, TextHoldsTheGuardAndTheLookAndReadsBack) {
  const std::string prepare = prepare_check({"bank-x7k2p9"}, "LOOK()", "a'b");
  EXPECT_NE(prepare.find("LOOK() <=> X''612762''"), std::string::npos) << prepare;
  EXPECT_NE(prepare.find("f.cluster = ''bank-x7k2p9''"), std::string::npos);
  EXPECT_NE(prepare.find("@@GLOBAL.innodb_flush_log_at_trx_commit <> 1"), std::string::npos);
  EXPECT_TRUE(prepare.ends_with("LIMIT 1'"));

  const auto check = parse_check({"1,3,00000000000000ff,9,5,4,1000,,agent,a"});
  ASSERT_TRUE(check.has_value()) << check.error().message;
  EXPECT_TRUE(check->clean);
  const auto guard = parse_guard(check->guard);
  ASSERT_TRUE(guard.has_value()) << guard.error().message;
  EXPECT_EQ(guard->owner, (OwnerRow{{"agent,a"}, {3}, {255}, 9}));
  EXPECT_EQ(guard->floors, (Floors{{{5}, {4}}, 1000}));
  EXPECT_EQ(guard->not_durable, "");
  const auto not_durable = parse_check({"0,3,00000000000000ff,9,5,4,1000,sync_binlog is not 1,a"});
  ASSERT_TRUE(not_durable.has_value());
  EXPECT_FALSE(not_durable->clean);
  EXPECT_EQ(parse_guard(not_durable->guard)->not_durable, "sync_binlog is not 1");
}

// As with EMPTY_STRING_IS_NULL, where a field is left out.
TEST(BranchCheck, RowThatLacksAFieldIsRefused) {
  for (const TextRow& row :
       {TextRow{}, TextRow{std::nullopt}, TextRow{""}, TextRow{"1,3,00000000000000ff,9,5,4,1000,agent"},
        TextRow{"-1,3,ff,9,5,4,1000,,a"}, TextRow{"2,3,ff,9,5,4,1000,,a"},
        TextRow{"1,3,ff,9,5,4,1000,,a", "more"}}) {
    const auto check = parse_check(row);
    ASSERT_FALSE(check.has_value());
    EXPECT_EQ(check.error().code, ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace troth::agent
