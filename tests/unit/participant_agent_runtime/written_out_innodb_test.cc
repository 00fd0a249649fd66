// Branches of MySQL and MariaDB in one trip whose values are written out: six statements, and they do what bound values do.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/stored_values.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

class WrittenOutTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    if (resource_ != nullptr) resource().takes_for_a_wait(std::chrono::seconds(10));
  }

  struct Ran {
    WorkResult result;
    std::uint64_t executed =
        0;  // EXECUTE statements: the check is one, each statement that goes by its number another
    std::string outcome;  // in words, with the rows that were counted
    bool changed = false;
  };

  // Of the session itself; the question counts as one.
  std::uint64_t status(DatabaseConnection& session, const std::string& name) {
    const auto rows = session.ask_texts({fmt::format("SHOW SESSION STATUS LIKE '{}'", name)});
    EXPECT_TRUE(rows.has_value() && rows->size() == 1);
    return std::stoull(rows->at(0).at(1).value_or("0"));
  }

  Ran run(DatabaseConnection& session, const std::vector<Statement>& statements, bool one_trip,
          PreparedEnding ending = PreparedEnding::kRollBack) {
    BranchWork work = resource().work(statements);
    work.one_trip = one_trip;
    const auto executed = status(session, "Com_execute_sql");
    Ran ran{.result = session.run_branch(work)};
    if (const auto* refused = std::get_if<Refused>(&ran.result.outcome)) {
      // What is out of range is told with the whole expression, and how its operands are written.
      constexpr int kOutOfRange = 1690;
      ran.outcome = refused->error.vendor_code == kOutOfRange ? "out of range" : refused->error.message;
    } else {
      EXPECT_TRUE(ended_as<Prepared>(ran.result));
      ran.changed = true;
      for (const StatementResult& result : ran.result.results)
        ran.outcome += fmt::format("{} rows ", result.affected);
      EXPECT_TRUE(session.finish_prepared(work.start.id, ending).has_value());
    }
    ran.executed = status(session, "Com_execute_sql") - executed;
    EXPECT_EQ(session.condition(), ConnectionCondition::kIdle) << statements.front().sql;
    EXPECT_TRUE(session.clean_up());
    return ran;
  }

  static bool went_whole(const WorkResult& result) {
    return result.times.begin.has_value() && !result.times.ending.has_value();
  }
};
TROTH_FOR_INNODB(WrittenOutTest);

// XA START, the marker, the client's statement, the check, XA END, XA PREPARE.
TEST_P(WrittenOutTest, BranchOfOneStatementIsSixStatementsAndItsSessionIsKnownToBeClean) {
  const auto session = resource().connect();
  const std::vector<Statement> transfer = resource().transfer(1, 5).statements;
  for (int i = 0; i < 2; ++i)
    static_cast<void>(run(*session, transfer, true));
  for (const std::int64_t amount : {std::int64_t{5}, std::int64_t{-5}}) {
    const BranchWork work = resource().transfer(1, amount);
    const auto questions = status(*session, "Questions");
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result));
    EXPECT_TRUE(went_whole(result));
    EXPECT_EQ(result.results.at(0).affected, 1U);
    ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
    EXPECT_TRUE(session->clean_up());
    // The commit, and the last question itself.
    EXPECT_EQ(status(*session, "Questions") - questions, 6U + 2U);
    EXPECT_EQ(resource().balance(1), amount > 0 ? "105" : "100");
  }
  const Ran again = run(*session, transfer, true);
  EXPECT_EQ(again.executed, 1U) << "the check, and nothing else";
}

// What is bound step by step, and what is written out, come to the same: rows, errors, and what stands in the table.
TEST_P(WrittenOutTest, ValuesWrittenOutDoWhatBoundOnesDo) {
  struct Type {
    std::string sql;
    std::vector<std::string> before;  // the column's values, as literals
    std::vector<Value> values;
    bool sums = false;
  };
  const auto whole = [](std::int64_t n) { return Value{n}; };
  const std::vector<Value> numbers{whole(7),
                                   whole(-7),
                                   whole(0),
                                   whole(127),
                                   whole(std::numeric_limits<std::int64_t>::min()),
                                   whole(std::numeric_limits<std::int64_t>::max()),
                                   {std::uint64_t{7}},
                                   {std::numeric_limits<std::uint64_t>::max()},
                                   {true},
                                   {Null{}},
                                   {Decimal{"7"}},
                                   {Decimal{"-7.5"}},
                                   {Decimal{"7.5000"}}};
  const std::vector<Value> few_numbers{whole(-7), {std::uint64_t{7}}, whole(128), {Decimal{"7.50"}}};
  const std::vector<Value> few_texts{{Text{"b"}}, {Text{"B "}}, {Text{""}}};
  const std::vector<Value> texts{{Text{"b"}},  {Text{"B"}},   {Text{"b "}}, {Text{""}},
                                 {Text{"07"}}, {Text{"'\\"}}, {Null{}},     {Text{std::string("a\0b", 3)}}};
  const std::vector<Type> types{
      {.sql = "TINYINT", .before = {"7", "-7", "0", "NULL", "127"}, .values = few_numbers, .sums = true},
      {.sql = "INT UNSIGNED",
       .before = {"7", "0", "NULL", "4294967295"},
       .values = few_numbers,
       .sums = true},
      {.sql = "BIGINT",
       .before = {"7", "-7", "0", "NULL", "9223372036854775807", "-9223372036854775808"},
       .values = numbers,
       .sums = true},
      {.sql = "BIGINT UNSIGNED",
       .before = {"7", "0", "NULL", "18446744073709551615"},
       .values = few_numbers,
       .sums = true},
      {.sql = "DECIMAL(30,4)",
       .before = {"7", "-7.5", "7.5", "0", "NULL"},
       .values = few_numbers,
       .sums = true},
      {.sql = "DOUBLE",
       .before = {"7.5", "0.1", "-0e0", "1e300", "NULL"},
       .values = {{7.5}, {0.1}, {-0.0}, {-7.5}, {1e300}, {5e-324}, {Null{}}}},
      {.sql = "VARCHAR(20)",
       .before = {"'b'", "'07'", "'7'", "''", "NULL", "_utf8mb4 X'c3a4'"},
       .values = texts},
      {.sql = "VARCHAR(3) CHARACTER SET latin1 COLLATE latin1_german1_ci",
       .before = {"'b'", "''", "NULL", "_utf8mb4 X'c3a4'"},
       .values = few_texts},
      {.sql = "CHAR(5) COLLATE utf8mb4_bin", .before = {"'b'", "'B'", "''", "NULL"}, .values = few_texts},
      {.sql = "TEXT", .before = {"'b'", "''", "NULL"}, .values = few_texts},
      {.sql = "VARBINARY(20)",
       .before = {"X'07'", "X'00'", "''", "'7'", "NULL"},
       .values = {{Bytes{"\x07"}},
                  {Bytes{std::string("\0", 1)}},
                  {Bytes{""}},
                  {Bytes{"7"}},
                  {Bytes{"\xff\xfe"}},
                  {Null{}}}},
      {.sql = "DATE",
       .before = {"'2026-11-27'", "'0999-01-01'", "NULL"},
       .values = {{Date{"2026-11-27"}}, {Date{"0999-01-01"}}, {Date{"9999-12-31"}}, {Null{}}}},
      {.sql = "TIME(3)",
       .before = {"'01:02:03.5'", "'-01:00:00'", "NULL"},
       .values = {{Time{"01:02:03.5"}}, {Time{"-01:00:00"}}, {Null{}}}},
  };
  int written = 0;
  int failed = 0;
  for (const Type& type : types) {
    resource().run("DROP TABLE IF EXISTS things");
    resource().run(
        fmt::format("CREATE TABLE things (id INT AUTO_INCREMENT PRIMARY KEY, c {}, n BIGINT NOT NULL DEFAULT "
                    "0, KEY (c{}))",
                    type.sql, type.sql == "TEXT" ? "(9)" : ""));
    std::string rows;
    for (std::size_t i = 0; i < type.before.size(); ++i)
      rows += fmt::format("{}({}, {})", i == 0 ? "" : ", ", i + 1, type.before[i]);
    const auto refill = [&] {
      resource().run("DELETE FROM things");
      resource().run("INSERT INTO things (id, c) VALUES " + rows);
    };
    std::vector<std::string> compares{"c = ?",  "c <> ?",      "c <=> ?",
                                      "c >= ?", "c IN (?, ?)", "c NOT IN (?, ?)"};
    std::vector<std::string> writes{"UPDATE things SET c = ? WHERE id < 3",
                                    "INSERT INTO things (c) VALUES (?), (?)",
                                    "INSERT INTO things VALUES (2, ?, 9) ON DUPLICATE KEY UPDATE c = ?"};
    if (type.sums) {
      compares.insert(compares.end(), {"c < c + ?", "n <> c - ?"});
      writes.insert(writes.end(),
                    {"UPDATE things SET c = c + ? WHERE id = 1", "UPDATE things SET c = c - ? WHERE id < 3"});
    }
    for (std::string& compare : compares)
      compare = "UPDATE things SET n = n + 1 WHERE " + compare;
    const auto session = resource().connect();
    refill();
    for (const bool changes : {false, true}) {
      for (const std::string& sql : changes ? writes : compares) {
        for (const Value& value : type.values) {
          const std::vector<Statement> statements{resource().statement(
              sql, std::vector<Value>(static_cast<std::size_t>(std::ranges::count(sql, '?')), value))};
          const auto ending = changes ? PreparedEnding::kCommit : PreparedEnding::kRollBack;
          std::string came_to;
          std::string stands;
          for (const bool one_trip : {false, true}) {
            const Ran ran = run(*session, statements, one_trip, ending);
            std::string now;
            if (changes) {
              for (const TextRow& row : resource().rows("SELECT HEX(c), c, n FROM things ORDER BY id"))
                for (const auto& field : row)
                  now += field.value_or("null") + " ";
              if (ran.changed) refill();
            }
            if (!one_trip) {
              came_to = ran.outcome;
              stands = now;
              continue;
            }
            const bool refused = std::holds_alternative<Refused>(ran.result.outcome);
            EXPECT_EQ(ran.outcome, came_to) << type.sql << ": " << sql << " of " << show(value);
            EXPECT_EQ(now, stands) << type.sql << ": " << sql << " of " << show(value);
            if (refused) {
              ++failed;
              continue;
            }
            // One whose marker took its time went step by step in the end.
            if (!went_whole(ran.result)) continue;
            EXPECT_EQ(ran.executed, 1U)
                << "not written out: " << type.sql << ": " << sql << " of " << show(value);
            ++written;
          }
        }
      }
    }
  }
  EXPECT_GT(written, 300);
  EXPECT_GT(failed, 10);
}

// The server itself prepares what is not as plain, and binds what is of another type.
TEST_P(WrittenOutTest, WhatMayNotBeWrittenOutRunsByItsNumber) {
  resource().run(
      "CREATE TABLE notes (id INT PRIMARY KEY, `odd;name` TEXT, what TEXT, born DATE, at DATETIME)");
  resource().run("INSERT INTO notes VALUES (1, 'a', 'b', '2026-11-27', NULL)");
  const Value seven{std::int64_t{7}};
  const std::vector<Statement> statements{
      resource().statement("UPDATE notes SET what = 'a; DROP TABLE notes' WHERE id = ?", {{std::int64_t{1}}}),
      resource().statement("UPDATE notes SET `odd;name` = ?", {{Text{"x"}}}),
      resource().statement("UPDATE notes SET what = ? -- WHERE\n WHERE id = 1", {{Text{"x"}}}),
      resource().statement("UPDATE notes SET what = ? # WHERE\n WHERE id = 1", {{Text{"x"}}}),
      resource().statement("UPDATE notes SET what = ? /* ? */ WHERE id = 1", {{Text{"x"}}}),
      resource().statement("UPDATE notes SET what = ? /* open \n */", {{Text{"x"}}}),
      resource().statement("UPDATE notes SET what = \"?\" WHERE id = ?", {seven}),
      resource().statement("UPDATE notes SET what = 0x41 WHERE id = ? LIMIT ?", {seven, seven}),
      resource().statement("UPDATE notes SET id = id ORDER BY id + ?", {seven}),
      resource().statement("UPDATE notes SET id = id ;"),
      resource().statement("DELETE FROM notes WHERE what = ?", {seven}),
      resource().statement("DELETE FROM notes WHERE born = ?", {{Timestamp{"2026-11-27 00:00:00"}}}),
      resource().statement("DELETE FROM notes WHERE what = ?", {{Bytes{"b"}}}),
      resource().statement("DELETE FROM notes WHERE what = ?", {{Text{"\xc3\xa4"}}}),
      resource().statement("UPDATE notes SET at = ?", {{Timestamp{"2026-11-27 00:00:00"}}}),
  };
  for (const Statement& statement : statements) {
    const auto session = resource().connect();
    const Ran steps = run(*session, {statement}, false);
    const Ran whole = run(*session, {statement}, true);
    EXPECT_EQ(whole.outcome, steps.outcome) << statement.sql;
    ASSERT_TRUE(went_whole(whole.result)) << statement.sql;
    EXPECT_EQ(whole.executed, 2U) << statement.sql;
  }
  EXPECT_EQ(resource().value("SELECT COUNT(*) FROM notes"), "1");
}

// As a bound value does, octets stand for the digits that they spell; a hexadecimal literal alone is a number.
TEST_P(WrittenOutTest, OctetsInANumbersPlaceAreNoNumber) {
  const auto session = resource().connect();
  for (const std::string sql : {"UPDATE accounts SET balance = balance + ABS(?) WHERE id = 1",
                                "UPDATE accounts SET balance = balance + ? WHERE id = 1"}) {
    const std::vector<Statement> statements{resource().statement(sql, {{Bytes{"7"}}})};
    for (const bool one_trip : {false, true}) {
      const std::int64_t before = std::stoll(resource().balance(1));
      const Ran ran = run(*session, statements, one_trip, PreparedEnding::kCommit);
      EXPECT_EQ(went_whole(ran.result), one_trip);
      EXPECT_EQ(std::stoll(resource().balance(1)), before + 7)
          << sql << (one_trip ? " in one trip" : " in steps");
    }
  }
}

// A text with an end of its own would end the one that it stands in.
TEST_P(WrittenOutTest, TextOfSeveralStatementsIsRefusedByTheServer) {
  const auto session = resource().connect();
  for (const std::string tail : {"; DELETE FROM accounts", "; XA END 'x'", "; SELECT 1 /*"}) {
    const BranchWork work = resource().work({resource().statement("UPDATE accounts SET balance = 0" + tail)});
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(refusal_of(session->run_branch(work)).effect, Effect::kNone);
  }
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().balance(3), "100");
}

// [T12] Whoever lost the resource, and a request that may have been forgotten, leave nothing, and are told why.
TEST_P(WrittenOutTest, BranchThatFailsTheGuardIsTakenBackWithItsReason) {
  const auto session = resource().connect();
  const std::vector<Statement> transfer = resource().transfer(1, 5).statements;
  static_cast<void>(run(*session, transfer, true));
  BranchWork asked = resource().work(transfer);
  asked.start.request =
      RequestKey{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  const auto expect_refusal = [&](const BranchWork& work, ErrorCode code) {
    const WorkResult result = session->run_branch(work);
    EXPECT_EQ(refusal_of(result).code, code) << describe(result);
    EXPECT_EQ(refusal_of(result).effect, Effect::kNone);
    EXPECT_TRUE(went_whole(result));
    EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
    EXPECT_TRUE(session->clean_up());
    // The server lists those of the tests beside it, too.
    const auto listed = session->list_prepared();
    ASSERT_TRUE(listed.has_value());
    EXPECT_EQ(std::ranges::find(listed->branches, work.start.id, &PreparedRow::branch),
              listed->branches.end());
    EXPECT_EQ(resource().balance(1), "100");
    EXPECT_EQ(resource().marker(work.start.id), "");
  };
  BranchWork stranger = resource().work(transfer);
  stranger.mine.nonce = Nonce{stranger.mine.nonce.value + 1};
  expect_refusal(stranger, ErrorCode::kNotOwner);
  stranger = resource().work(transfer);
  stranger.mine.agent.value += "x";
  expect_refusal(stranger, ErrorCode::kNotOwner);
  const ClusterId cluster = asked.start.id.transaction.cluster;
  ASSERT_TRUE(
      session->raise_floors(cluster, {.position = {}, .request_ms = asked.start.request->id.unix_ms() + 1})
          .has_value());
  expect_refusal(asked, ErrorCode::kRequestIdTooOld);
  const BranchWork late = resource().work(transfer);
  const BranchWork young = resource().work(transfer);
  ASSERT_TRUE(
      session->raise_floors(cluster, {.position = position_of(young.start.id.transaction), .request_ms = 0})
          .has_value());
  expect_refusal(late, ErrorCode::kTooOld);
  EXPECT_TRUE(ended_as<Prepared>(session->run_branch(young)));
}

// A check that cannot be asked, as one that a trigger's settings spoil, stops the text in front of its end.
TEST_P(WrittenOutTest, BranchWhoseCheckFailsGoesStepByStep) {
  const auto session = resource().connect();
  const std::vector<Statement> transfer = resource().transfer(1, 5).statements;
  static_cast<void>(run(*session, transfer, true));
  ASSERT_TRUE(went_whole(run(*session, transfer, true).result));
  ASSERT_TRUE(session->ask_texts({"DEALLOCATE PREPARE troth_check"}).has_value());
  const BranchWork work = resource().work(transfer);
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_FALSE(went_whole(result));
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_EQ(session->condition(), ConnectionCondition::kDoubtful) << "what it has prepared may be gone";
}

// As where the server's prepared statements are used up: its sessions go step by step, and do not ask each time.
TEST_P(WrittenOutTest, CheckThatTheServerDoesNotPrepareIsAskedForOnce) {
  const auto session = resource().connect();
  const std::vector<Statement> transfer = resource().transfer(1, 5).statements;
  static_cast<void>(run(*session, transfer, true));
  resource().run("RENAME TABLE troth_floor TO away");
  const auto prepared = status(*session, "Com_prepare_sql");
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(refusal_of(session->run_branch(resource().work(transfer))).code, ErrorCode::kUnavailable);
  EXPECT_EQ(status(*session, "Com_prepare_sql") - prepared, 1U);
  resource().run("RENAME TABLE away TO troth_floor");
  EXPECT_FALSE(went_whole(run(*session, transfer, true).result));
  EXPECT_EQ(status(*session, "Com_prepare_sql") - prepared, 1U);
  const auto fresh = resource().connect();
  static_cast<void>(run(*fresh, transfer, true));
  EXPECT_TRUE(went_whole(run(*fresh, transfer, true).result));
}

// What a trigger leaves is found by the look that comes with the branch: its answer is kept, and nothing is asked again.
TEST_P(WrittenOutTest, SessionThatATriggerSpoiledIsFoundSoByTheCheck) {
  const auto session = resource().connect();
  const std::vector<Statement> transfer = resource().transfer(1, 5).statements;
  static_cast<void>(run(*session, transfer, true));
  std::vector<std::string> traces{"SET @teller = 'eve'", "SET SESSION lock_wait_timeout = 7",
                                  "SET timestamp = 1000", "SELECT 'eve' INTO @teller",
                                  "SET NEW.balance = NEW.balance + 0 * (@teller := 7)"};
  // MySQL tells of most of these itself, as long as nobody tells it not to.
  if (GetParam() == DatabaseKind::kMysql) {
    traces.emplace_back(
        "BEGIN SET SESSION session_track_state_change = OFF; SET SESSION lock_wait_timeout = 7; END");
  }
  for (const std::string& leaves : traces) {
    resource().run("DROP TRIGGER IF EXISTS leave_it");
    resource().run(fmt::format("CREATE TRIGGER leave_it BEFORE UPDATE ON accounts FOR EACH ROW {}", leaves));
    const auto used = resource().connect();
    resource().run("CREATE TABLE IF NOT EXISTS fires (id INT PRIMARY KEY)");
    const std::vector<Statement> quiet{resource().statement(
        "UPDATE accounts SET balance = balance + ? WHERE id = ?", {{std::int64_t{5}}, {std::int64_t{99}}})};
    static_cast<void>(run(*used, quiet, true));
    BranchWork work = resource().work(quiet);
    work.statements[0].parameters[1] = {std::int64_t{1}};
    const WorkResult result = used->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result)) << leaves;
    EXPECT_TRUE(went_whole(result));
    ASSERT_TRUE(used->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
    EXPECT_FALSE(used->clean_up()) << leaves;
  }
  // A lock is freed by it.
  resource().run("DROP TRIGGER leave_it");
  resource().run(
      fmt::format("CREATE TRIGGER leave_it BEFORE UPDATE ON accounts FOR EACH ROW DO GET_LOCK('{}', 1)",
                  resource().options().user));
  const BranchWork work = resource().work(transfer);
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  EXPECT_EQ(
      resource().value(fmt::format("SELECT COALESCE(IS_USED_LOCK('{}'), 'free')", resource().options().user)),
      "free");
  ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
}

// Only the last statement's count comes with the check, and only where nothing stands between them.
TEST_P(WrittenOutTest, CountsAndKeysAreEachStatementsOwn) {
  resource().run(
      "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(10)) AUTO_INCREMENT = 500");
  const auto insert = [&](const std::string& value) {
    return resource().statement(fmt::format("INSERT INTO orders (what) VALUES ({}), ('x')", value),
                                {{Text{"cup"}}});
  };
  const Statement plain = resource().statement("INSERT INTO orders (what) VALUES (?), (?), (?)",
                                               {{Text{"a"}}, {Text{"b"}}, {Text{"c"}}});
  const Statement update =
      resource().statement("UPDATE accounts SET balance = balance WHERE id > ?", {{std::int64_t{1}}});
  const std::vector<std::vector<Statement>> works{
      {plain}, {insert("?")}, {update, plain}, {plain, update}, {plain, insert("?")}, {insert("?"), plain}};
  for (const auto& statements : works) {
    const auto session = resource().connect();
    const Ran steps = run(*session, statements, false);
    const Ran whole = run(*session, statements, true);
    EXPECT_TRUE(went_whole(whole.result));
    EXPECT_EQ(whole.outcome, steps.outcome);
    for (std::size_t i = 0; i < statements.size(); ++i)
      EXPECT_EQ(whole.result.results.at(i).generated_key.has_value(),
                steps.result.results.at(i).generated_key.has_value());
  }
}

}  // namespace
}  // namespace troth::agent
