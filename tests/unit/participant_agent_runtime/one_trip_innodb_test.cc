// A branch of MySQL or MariaDB that goes in one trip: the same outcomes as step by step, whatever fails in it, and
// nothing left behind.
#include <array>
#include <chrono>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/deadline_watch.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

// Steps are timed apart; a branch that was sent whole has no time of its end, and those of its begin and its
// statements only together.
bool went_whole(const WorkResult& result) {
  const WorkTimes& times = result.times;
  return !times.ending.has_value() && times.begin.has_value() == times.statements.has_value();
}
bool was_taken_back(const WorkResult& result) {
  return went_whole(result) && result.times.begin.has_value();
}

std::future<WorkResult> start(DatabaseConnection& session, const BranchWork& work) {
  return std::async(std::launch::async, [&session, work] {
    return session.run_branch(work);
  });
}

class OneTripInnodbTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    if (resource_ != nullptr) resource().takes_for_a_wait(std::chrono::seconds(10));
  }

  void finish(DatabaseConnection& session, const BranchWork& work, PreparedEnding ending) {
    const Answer<void> finished = session.finish_prepared(work.start.id, ending);
    ASSERT_TRUE(finished.has_value()) << finished.error().error.message;
  }

  // A session that knows these statements: a branch of them ran step by step, and went.
  std::unique_ptr<DatabaseConnection> warmed(const std::vector<Statement>& statements) {
    auto session = resource().connect();
    const BranchWork work = resource().work(statements);
    const WorkResult result = session->run_branch(work);
    EXPECT_TRUE(ended_as<Prepared>(result));
    EXPECT_FALSE(went_whole(result));
    finish(*session, work, PreparedEnding::kRollBack);
    EXPECT_TRUE(session->clean_up());
    return session;
  }

  std::vector<Statement> transfer(int account, std::int64_t amount) {
    return resource().transfer(account, amount).statements;
  }

  // As a transfer of 5, but its value stands where it may not be written out: on MySQL it goes into a variable.
  std::vector<Statement> add_by_number() {
    return {resource().statement("UPDATE accounts SET balance = balance + ABS(?) WHERE id = 1",
                                 {{std::int64_t{5}}})};
  }

  // Nothing of the branch stands, and the session is as good as new.
  void left_nothing(DatabaseConnection& session, const BranchWork& work) {
    const auto listed = session.list_prepared();
    ASSERT_TRUE(listed.has_value());
    for (const PreparedRow& row : listed->branches)
      EXPECT_FALSE(row.branch == work.start.id);
    EXPECT_EQ(resource().marker(work.start.id), "");
    EXPECT_EQ(session.condition(), ConnectionCondition::kIdle);
    EXPECT_TRUE(session.clean_up());
    const BranchWork next = resource().work(transfer(3, 1));
    EXPECT_TRUE(ended_as<Prepared>(session.run_branch(next)));
    finish(session, next, PreparedEnding::kRollBack);
    EXPECT_EQ(resource().balance(1), "100");
    EXPECT_EQ(resource().balance(2), "100");
  }

  // Of the session itself; Troth's own texts count too.
  std::uint64_t status(DatabaseConnection& session, const std::string& name) {
    const auto rows = session.ask_texts({fmt::format("SHOW SESSION STATUS LIKE '{}'", name)});
    EXPECT_TRUE(rows.has_value() && rows->size() == 1);
    return std::stoull(rows->at(0).at(1).value_or("0"));
  }
};
TROTH_FOR_INNODB(OneTripInnodbTest);

TEST_P(OneTripInnodbTest, BranchOfKnownStatementsGoesInOneTrip) {
  const auto session = warmed(transfer(1, 5));
  for (int i = 1; i <= 3; ++i) {
    const BranchWork work = resource().work(transfer(1, 5));
    const auto executed = status(*session, "Com_stmt_execute") - status(*session, "Com_execute_sql");
    const auto prepared = status(*session, "Com_xa_prepare");
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result));
    EXPECT_TRUE(went_whole(result));
    ASSERT_EQ(result.results.size(), 1U);
    EXPECT_EQ(result.results[0].affected, 1U);
    EXPECT_EQ(resource().balance(1), std::to_string(100 + 5 * (i - 1)));
    EXPECT_EQ(resource().marker(work.start.id), "");
    const bool tied = GetParam() == DatabaseKind::kMariadb;
    EXPECT_EQ(std::get<Prepared>(result.outcome).tied, tied);
    EXPECT_EQ(session->condition(), tied ? ConnectionCondition::kTied : ConnectionCondition::kIdle);
    finish(*session, work, PreparedEnding::kCommit);
    EXPECT_EQ(session->condition(), ConnectionCondition::kIdle);
    EXPECT_TRUE(session->clean_up());
    EXPECT_EQ(resource().balance(1), std::to_string(100 + 5 * i));
    EXPECT_EQ(resource().marker(work.start.id), "committed");
    // The first counts the second too: none was bound by the driver, in a trip of its own.
    EXPECT_EQ(status(*session, "Com_stmt_execute") - status(*session, "Com_execute_sql"), executed);
    EXPECT_EQ(status(*session, "Com_xa_prepare"), prepared + 1);
  }
}

TEST_P(OneTripInnodbTest, StepByStepWhereThatIsAskedForOrNeeded) {
  const auto session = warmed(transfer(1, 5));
  const auto in_steps = [&](BranchWork work, const std::string& why) {
    const WorkResult result = session->run_branch(work);
    EXPECT_TRUE(ended_as<Prepared>(result)) << why;
    EXPECT_FALSE(went_whole(result)) << why;
    finish(*session, work, PreparedEnding::kRollBack);
    EXPECT_TRUE(session->clean_up()) << why;
  };
  BranchWork asked = resource().work(transfer(1, 5));
  asked.one_trip = false;
  in_steps(asked, "one_trip");
  BranchWork strict = resource().work(transfer(1, 5));
  strict.start.isolation = Isolation::kSerializable;
  in_steps(strict, "isolation");
  BranchWork named = resource().work(transfer(1, 5));
  named.comment = "/* a branch */ ";
  in_steps(named, "comment");
  const Statement read = resource().statement("SELECT balance FROM accounts WHERE id = 1");
  for (int i = 0; i < 2; ++i)
    in_steps(resource().work({read}), "it reads");
  const Statement ignores = resource().statement("UPDATE IGNORE accounts SET balance = 1 WHERE id = 1");
  for (int i = 0; i < 2; ++i)
    in_steps(resource().work({ignores}), "IGNORE");
  std::vector<Statement> many;
  for (int i = 0; i < 40; ++i)
    many.push_back(transfer(1, 1).front());
  in_steps(resource().work(many), "many statements");
  Statement large = resource().statement("UPDATE accounts SET balance = LENGTH(?) WHERE id = 1",
                                         {{Text{std::string(100'000, 'x')}}});
  for (int i = 0; i < 2; ++i)
    in_steps(resource().work({large}), "large parameters");
}

TEST_P(OneTripInnodbTest, EachStatementCountsItsOwnRowsAndKeys) {
  resource().run("CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(10))");
  resource().run(
      "CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(10)) AUTO_INCREMENT = 500");
  const std::vector<Statement> statements{
      resource().statement("UPDATE accounts SET balance = balance WHERE id = ?", {{std::int64_t{1}}}),
      resource().statement("INSERT INTO orders (what) VALUES (?), ('ring')", {{Text{"cup"}}}),
      resource().statement("UPDATE accounts SET balance = 7 WHERE id = 99"),
      resource().statement("INSERT INTO items (what) VALUES (?)", {{Text{"lid"}}}),
      resource().statement("UPDATE accounts SET balance = balance + ?", {{std::int64_t{0}}}),
      resource().statement("DELETE FROM orders WHERE what = ?", {{Text{"ring"}}}),
  };
  auto session = warmed(statements);
  BranchWork whole = resource().work(statements);
  const WorkResult one = session->run_branch(whole);
  ASSERT_TRUE(ended_as<Prepared>(one));
  EXPECT_TRUE(went_whole(one));
  finish(*session, whole, PreparedEnding::kRollBack);
  ASSERT_TRUE(session->clean_up());
  std::vector<std::uint64_t> counts;
  for (const StatementResult& result : one.results)
    counts.push_back(result.affected);
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{1, 2, 0, 1, 3, 1}));
  // The first branch took 1, 2 and 500.
  EXPECT_EQ(one.results.at(1).generated_key, 3U);
  EXPECT_EQ(one.results.at(3).generated_key, 501U);
  EXPECT_FALSE(one.results.at(0).generated_key.has_value());
  EXPECT_FALSE(one.results.at(4).generated_key.has_value());
}

TEST_P(OneTripInnodbTest, EveryKindOfWriteCountsAsItDoesStepByStep) {
  resource().run("CREATE TABLE goods (id INT AUTO_INCREMENT PRIMARY KEY, k INT UNIQUE, n INT NOT NULL)");
  resource().run("INSERT INTO goods (k, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4)");
  const std::vector<std::string> writes{
      "INSERT INTO goods (k, n) VALUES (?, 9)",
      "INSERT INTO goods (id, k, n) VALUES (77, ? + 10, 9)",
      "INSERT INTO goods (k, n) VALUES (1, ?) ON DUPLICATE KEY UPDATE n = VALUES(n)",
      "INSERT INTO goods (k, n) VALUES (1, ?) ON DUPLICATE KEY UPDATE n = n",
      "INSERT INTO goods (k, n) SELECT k + ?, n FROM goods AS g WHERE n > 2",
      "REPLACE INTO goods (k, n) VALUES (?, 9), (2, 9)",
      "UPDATE goods SET n = n WHERE n < ?",
      "UPDATE goods SET n = n + 1 ORDER BY k DESC LIMIT ?",
      "UPDATE goods g JOIN accounts a ON a.id = g.k SET g.n = g.n + ?, a.balance = a.balance",
      "DELETE FROM goods WHERE n > 1 LIMIT ?",
      "DELETE g FROM goods g JOIN accounts a ON a.id = g.k WHERE a.id < ?",
      "DELETE FROM goods WHERE n > ? * 1000",
  };
  for (const std::string& sql : writes) {
    const std::vector<Statement> statements{resource().statement(sql, {{std::int64_t{5}}})};
    const auto session = warmed(statements);
    std::vector<StatementResult> results;
    for (const bool one_trip : {true, false}) {
      BranchWork work = resource().work(statements);
      work.one_trip = one_trip;
      const WorkResult result = session->run_branch(work);
      ASSERT_TRUE(ended_as<Prepared>(result)) << sql;
      EXPECT_EQ(went_whole(result), one_trip) << sql;
      results.push_back(result.results.at(0));
      finish(*session, work, PreparedEnding::kRollBack);
      ASSERT_TRUE(session->clean_up());
    }
    EXPECT_EQ(results[0].affected, results[1].affected) << sql;
    EXPECT_EQ(results[0].generated_key.has_value(), results[1].generated_key.has_value()) << sql;
  }
}

TEST_P(OneTripInnodbTest, FailingStatementIsToldByItsNumber) {
  resource().run("CREATE TABLE entries (id INT PRIMARY KEY, what VARCHAR(10))");
  resource().run("INSERT INTO entries VALUES (1, 'old')");
  const auto insert = [&](int id) {
    return resource().statement("INSERT INTO entries VALUES (?, ?)", {{std::int64_t{id}}, {Text{"new"}}});
  };
  const std::vector<std::pair<Statement, std::string>> failing{{insert(1), "duplicate key"},
                                                               {transfer(1, -500).front(), "never_negative"}};
  for (const auto& [statement, word] : failing) {
    for (std::uint32_t at = 1; at <= 3; ++at) {
      std::vector<Statement> good{transfer(1, 5).front(), insert(7), transfer(2, 5).front()};
      const auto session = warmed(good);
      good[at - 1] = statement;
      BranchWork work = resource().work(good);
      const WorkResult result = session->run_branch(work);
      EXPECT_TRUE(went_whole(result));
      const Error error = refusal_of(result);
      EXPECT_EQ(error.code, ErrorCode::kStatementFailed) << word;
      EXPECT_EQ(error.statement, at) << word;
      EXPECT_EQ(error.branch, 1U);
      EXPECT_EQ(error.effect, Effect::kNone);
      EXPECT_NE(error.message.find(word), std::string::npos) << error.message;
      left_nothing(*session, work);
      work = resource().work(good);
      work.one_trip = false;
      const Error in_steps = refusal_of(session->run_branch(work));
      EXPECT_EQ(error.vendor_code, in_steps.vendor_code);
      EXPECT_EQ(error.sqlstate, in_steps.sqlstate);
      EXPECT_EQ(error.message, in_steps.message);
      EXPECT_EQ(error.constraint, in_steps.constraint);
      EXPECT_EQ(error.retryable, in_steps.retryable);
    }
  }
}

// It was prepared before that was known.
TEST_P(OneTripInnodbTest, MissedExpectationIsTakenBack) {
  const auto session = warmed({transfer(1, 5).front(), transfer(2, 5).front()});
  const BranchWork work = resource().work({transfer(1, 5).front(), transfer(99, 5).front()});
  const WorkResult result = session->run_branch(work);
  const Error error = refusal_of(result);
  EXPECT_TRUE(was_taken_back(result));
  EXPECT_EQ(error.code, ErrorCode::kExpectationMissed);
  EXPECT_EQ(error.statement, 2U);
  EXPECT_EQ(error.effect, Effect::kNone);
  left_nothing(*session, work);
}

TEST_P(OneTripInnodbTest, DuplicateMarkerIsReadAndNothingRuns) {
  const auto session = warmed(transfer(1, 5));
  const BranchWork work = resource().work(transfer(1, 5));
  ASSERT_TRUE(ended_as<Prepared>(session->run_branch(work)));
  finish(*session, work, PreparedEnding::kCommit);
  ASSERT_TRUE(session->clean_up());
  const WorkResult again = session->run_branch(work);
  ASSERT_TRUE(ended_as<MarkerTaken>(again));
  ASSERT_EQ(std::get<MarkerTaken>(again.outcome).rows.size(), 1U);
  EXPECT_EQ(std::get<MarkerTaken>(again.outcome).rows[0].state, MarkerState::kCommitted);
  EXPECT_EQ(resource().balance(1), "105");
  EXPECT_TRUE(session->clean_up());
}

// [T12] Attack 30.
TEST_P(OneTripInnodbTest, BranchOfAFormerOwnerIsTakenBack) {
  const auto session = warmed(transfer(1, 5));
  OwnerRow next = resource().owner();
  next.incarnation.value += 1;
  next.nonce.value = 8;
  ASSERT_TRUE(session->claim_owner(resource().owner(), next).value_or(false));
  const BranchWork work = resource().work(transfer(1, 5));
  const WorkResult result = session->run_branch(work);
  EXPECT_TRUE(was_taken_back(result));
  EXPECT_EQ(refusal_of(result).code, ErrorCode::kNotOwner);
  EXPECT_EQ(resource().marker(work.start.id), "");
  EXPECT_EQ(resource().balance(1), "100");
  ASSERT_TRUE(session->claim_owner(next, resource().owner()).value_or(false));
  left_nothing(*session, work);
}

// The guard is read before the client's statements: what a trigger does to the session does not bend it.
TEST_P(OneTripInnodbTest, TriggerThatSpoilsTheSessionSpoilsNoAnswerOfTroths) {
  const auto session = warmed(transfer(1, 5));
  resource().run(
      "CREATE TRIGGER spoil BEFORE UPDATE ON accounts FOR EACH ROW BEGIN SET SESSION sql_select_limit = 0; "
      "SET character_set_results = 'utf16'; END");
  const BranchWork work = resource().work({transfer(1, 5).front(), transfer(2, 5).front()});
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_TRUE(went_whole(result));
  ASSERT_EQ(result.results.size(), 2U);
  EXPECT_EQ(result.results[0].affected, 1U);
  EXPECT_EQ(result.results[1].affected, 1U);
  finish(*session, work, PreparedEnding::kRollBack);
  EXPECT_FALSE(session->clean_up());
}

// Attack 42.
TEST_P(OneTripInnodbTest, BranchBelowTheFloorIsTakenBack) {
  const auto session = warmed(transfer(1, 5));
  const BranchWork late = resource().work(transfer(1, 5));
  const BranchWork young = resource().work(transfer(1, 5));
  const Floors floors{.position = position_of(young.start.id.transaction), .request_ms = 0};
  ASSERT_TRUE(session->raise_floors(young.start.id.transaction.cluster, floors).has_value());
  const WorkResult result = session->run_branch(late);
  EXPECT_TRUE(was_taken_back(result));
  EXPECT_EQ(refusal_of(result).code, ErrorCode::kTooOld);
  left_nothing(*session, late);
}

// Attack 50: prepared behind a marker that had to wait, it is taken back, and goes step by step.
TEST_P(OneTripInnodbTest, MarkerThatWaitedIsBegunAgain) {
  resource().takes_for_a_wait(SessionSettings().begin_had_to_wait);
  const RequestKey key{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  const RequestKey next{.client = "bank", .id = *RequestId::parse("01890a5d-ac96-774b-bcce-b302099a8058")};
  const auto holder = resource().connect();
  const auto waiter = warmed(transfer(2, 5));
  const auto third = resource().connect();
  BranchWork held = resource().transfer(1, 5);
  held.start.request = key;
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  BranchWork waits = resource().transfer(2, 5);
  waits.start.request = key;
  auto waited = start(*waiter, waits);
  resource().wait_until_blocked(waiter->session_identity());
  // Longer than what is taken for a wait.
  const auto blocked = std::chrono::steady_clock::now();
  EXPECT_TRUE(holds_within(5s, [&] { return std::chrono::steady_clock::now() - blocked > 50ms; }));
  finish(*holder, held, PreparedEnding::kRollBack);
  const WorkResult result = waited.get();
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_FALSE(went_whole(result));
  BranchWork other = resource().transfer(3, 5);
  other.start.request = next;
  EXPECT_TRUE(ended_as<Prepared>(third->run_branch(other)));
  finish(*waiter, waits, PreparedEnding::kCommit);
  finish(*third, other, PreparedEnding::kCommit);
  EXPECT_EQ(resource().balance(2), "105");
}

// A statement that takes its time in a trigger, where no text shows it.
class SlowInnodbTest : public OneTripInnodbTest {
 protected:
  void SetUp() override {
    OneTripInnodbTest::SetUp();
    if (resource_ == nullptr) return;
    resource().run("CREATE TABLE beds (id INT PRIMARY KEY, seconds DOUBLE)");
    resource().run("INSERT INTO beds VALUES (1, 0)");
    // With the role's own rights: the servers let nobody stop what runs with another's.
    resource().run(fmt::format(
        "CREATE DEFINER = '{}'@'%' TRIGGER rest BEFORE UPDATE ON beds FOR EACH ROW DO SLEEP(NEW.seconds)",
        resource().options().user));
  }

  Statement slow(double seconds) {
    return resource().statement("UPDATE beds SET seconds = ? WHERE id = 1", {{seconds}});
  }
};
TROTH_FOR_INNODB(SlowInnodbTest);

TEST_P(SlowInnodbTest, StatementPastItsTimeoutIsRefused) {
  DeadlineWatch watch({.repeat_after = 50ms});
  const auto session = warmed({transfer(1, 5).front(), slow(0), transfer(1, 5).front()});
  BranchWork work = resource().work({transfer(1, 5).front(), slow(30), transfer(1, 5).front()});
  work.start.statement_timeout = 200ms;
  work.watch = &watch;
  const auto begun = std::chrono::steady_clock::now();
  const WorkResult result = session->run_branch(work);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  EXPECT_TRUE(went_whole(result));
  // A request to stop may still be under way and meet the rollback: then the session's end is waited for.
  if (const auto* lost = std::get_if<Lost>(&result.outcome)) {
    EXPECT_EQ(lost->error.code, ErrorCode::kTimeout) << lost->error.message;
    EXPECT_TRUE(holds_within(
        5s, [&] { return resource().connect()->end_session(session->session_identity()).value_or(false); }));
  } else {
    const Error error = refusal_of(result);
    EXPECT_EQ(error.code, ErrorCode::kTimeout) << error.message;
    EXPECT_EQ(error.statement, 2U);
    EXPECT_EQ(error.effect, Effect::kNone);
  }
  EXPECT_TRUE(session->cancellation()->requested());
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().marker(work.start.id), "");
}

// A request to stop that meets the server between two statements of a text ends the text, and the server tells nobody:
// who waits for the rest is let go all the same, and what became of the branch is told rightly.
TEST_P(SlowInnodbTest, RequestsToStopAtAnyMomentLeaveNobodyWaiting) {
  DeadlineWatch watch({.repeat_after = 20ms});
  auto session = warmed({slow(0), transfer(1, 0).front()});
  int whole = 0;
  for (int i = 0; i < 60; ++i) {
    BranchWork work = resource().work(
        {slow(0), transfer(1, 0).front(), slow(0), transfer(2, 0).front(), slow(0), transfer(1, 0).front()});
    const DeadlineWatch::Ticket ticket =
        watch.watch(boot_now() + std::chrono::microseconds(50 * i), session->cancellation());
    const auto begun = std::chrono::steady_clock::now();
    const WorkResult result = session->run_branch(work);
    watch.forget(ticket);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
    whole += went_whole(result) ? 1 : 0;
    // Whatever it came to, the session is closed behind it.
    const auto control = resource().connect();
    EXPECT_TRUE(
        holds_within(5s, [&] { return control->end_session(session->session_identity()).value_or(false); }));
    const bool prepared = std::holds_alternative<Prepared>(result.outcome);
    const bool lost = std::holds_alternative<Lost>(result.outcome);
    const Answer<void> ended = control->finish_prepared(work.start.id, PreparedEnding::kRollBack);
    ASSERT_TRUE(lost || ended.has_value() == prepared) << describe(result);
    session = warmed({slow(0), transfer(1, 0).front()});
  }
  EXPECT_GT(whole, 20);
}

// Seen idle twice, it waits for what will not come: only the end of its session ends that.
TEST_P(SlowInnodbTest, SessionFoundIdleTwiceWhileItIsToStopIsEnded) {
  const auto session = resource().connect();
  session->cancellation()->interrupt();
  EXPECT_TRUE(session->list_prepared().has_value());
  session->cancellation()->interrupt();
  EXPECT_FALSE(session->list_prepared().has_value());
  EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
}

// Each statement has its time: together they may take longer.
TEST_P(SlowInnodbTest, StatementsHaveTheirTimeoutEach) {
  DeadlineWatch watch({.repeat_after = 50ms});
  const std::vector<Statement> quick{slow(0), slow(0), slow(0)};
  const auto session = warmed(quick);
  BranchWork work = resource().work({slow(0.4), slow(0.4), slow(0.4)});
  work.start.statement_timeout = 800ms;
  work.watch = &watch;
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_TRUE(went_whole(result));
  finish(*session, work, PreparedEnding::kCommit);
}

TEST_P(SlowInnodbTest, CancelledAtWorkIsRefused) {
  const auto session = warmed({slow(0), transfer(1, 5).front()});
  const BranchWork work = resource().work({slow(30), transfer(1, 5).front()});
  auto running = start(*session, work);
  resource().wait_until_asleep(session->session_identity());
  session->cancellation()->request();
  session->cancellation()->interrupt();
  const WorkResult result = running.get();
  EXPECT_TRUE(went_whole(result));
  const Error error = refusal_of(result);
  EXPECT_EQ(error.code, ErrorCode::kTimeout);
  EXPECT_EQ(error.effect, Effect::kNone);
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().marker(work.start.id), "");
}

// [T11] Nobody knows which step it was, so it may be prepared: the agent looks.
TEST_P(SlowInnodbTest, SessionKilledAtWorkIsLostWithItsEndingSent) {
  const auto session = warmed({slow(0), transfer(1, 5).front()});
  const BranchWork work = resource().work({slow(30), transfer(1, 5).front()});
  auto running = start(*session, work);
  resource().wait_until_asleep(session->session_identity());
  resource().kill(session->session_identity());
  const WorkResult result = running.get();
  ASSERT_TRUE(ended_as<Lost>(result));
  EXPECT_TRUE(std::get<Lost>(result.outcome).ending_sent);
  EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
  EXPECT_EQ(resource().balance(1), "100");
  EXPECT_EQ(resource().marker(work.start.id), "");
}

// Nothing of a client's text is read as anything but one statement and its values.
TEST_P(OneTripInnodbTest, TextsAndValuesAreNeverMoreThanThat) {
  resource().run("CREATE TABLE words (id INT AUTO_INCREMENT PRIMARY KEY, w VARCHAR(200), x VARCHAR(200))");
  const std::vector<std::string> evil{"'; UPDATE accounts SET balance = 0; --",
                                      "\\'; UPDATE accounts SET balance = 0; -- ",
                                      "\\",
                                      "''",
                                      std::string("nul\0nul", 7),
                                      "\"` @troth_p1 ${x} \n\r\t\x1a",
                                      "\xf0\x9f\x92\xb6 \xc3\xa4"};
  const auto insert = [&](const std::string& word) {
    return resource().statement(
        "INSERT INTO words (w, x) VALUES (?, 'it''s; \"one\" -- statement\xc3\xa4') -- ' ; DROP TABLE words",
        {{Text{word}}});
  };
  const auto session = warmed({insert("x")});
  resource().run("DELETE FROM words");
  for (const std::string& word : evil) {
    const BranchWork work = resource().work({insert(word)});
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result));
    EXPECT_TRUE(went_whole(result));
    finish(*session, work, PreparedEnding::kCommit);
    ASSERT_TRUE(session->clean_up());
  }
  const TextRows rows = resource().rows("SELECT HEX(CAST(w AS BINARY)), x FROM words ORDER BY id");
  ASSERT_EQ(rows.size(), evil.size());
  for (std::size_t i = 0; i < evil.size(); ++i) {
    std::string hex;
    for (const char c : evil[i])
      hex += fmt::format("{:02X}", static_cast<unsigned char>(c));
    EXPECT_EQ(rows[i].at(0), hex);
    EXPECT_EQ(rows[i].at(1), rows[0].at(1));
  }
  EXPECT_EQ(resource().balance(1), "100");
}

// More statements than a session keeps: what goes gives its number to another.
TEST_P(OneTripInnodbTest, NumbersOfStatementsAreUsedAgain) {
  ConnectOptions few = resource().options();
  few.statement_cache = 2;
  const auto session = resource().connect(few);
  const auto add = [&](int amount) {
    return resource().statement(
        fmt::format("UPDATE accounts SET balance = balance + {} WHERE id = ?", amount), {{std::int64_t{1}}});
  };
  int whole = 0;
  std::int64_t expected = 100;
  for (int round = 0; round < 3; ++round) {
    for (int amount = 1; amount <= 4; ++amount) {
      for (int i = 0; i < 2; ++i) {
        const BranchWork work = resource().work({add(amount)});
        const WorkResult result = session->run_branch(work);
        ASSERT_TRUE(ended_as<Prepared>(result));
        whole += went_whole(result) ? 1 : 0;
        finish(*session, work, PreparedEnding::kCommit);
        ASSERT_TRUE(session->clean_up());
        expected += amount;
        EXPECT_EQ(resource().balance(1), std::to_string(expected));
      }
    }
  }
  EXPECT_EQ(whole, 12);
}

// The look comes with the branch; the next one that runs step by step, and the one after, see a fresh session.
TEST_P(OneTripInnodbTest, NextBranchSeesNoParameters) {
  resource().run(fmt::format("GRANT EXECUTE ON {0}.* TO {0}", resource().options().user));
  resource().run(
      "CREATE FUNCTION seen() RETURNS TEXT DETERMINISTIC READS SQL DATA RETURN CONCAT(COALESCE(@troth_p1, "
      "'-'), COALESCE(@troth_p2, '-'), COALESCE(@troth_sql, '-'), LAST_INSERT_ID())");
  const auto session = warmed({transfer(1, 5).front(), add_by_number().front()});
  const auto see = [&] {
    const WorkResult seen = session->run_branch(
        resource().work({resource().statement("SELECT seen()")}, BranchEnding::kReadOnly));
    EXPECT_TRUE(ended_as<ReadOnlyDone>(seen));
    EXPECT_TRUE(session->clean_up());
    return seen.results.at(0).rows.at(0).at(0);
  };
  for (const std::int64_t amount : {std::int64_t{5}, std::int64_t{-500}}) {
    const BranchWork work = resource().work({add_by_number().front(), transfer(1, amount).front()});
    const WorkResult result = session->run_branch(work);
    EXPECT_TRUE(went_whole(result));
    EXPECT_EQ(std::holds_alternative<Prepared>(result.outcome), amount > 0);
    if (amount > 0) finish(*session, work, PreparedEnding::kRollBack);
    ASSERT_TRUE(session->clean_up());
    EXPECT_EQ(see(), Value{Text{"---0"}});
  }
}

// A trigger that sets a variable of Troth's name leaves a trace as any other.
TEST_P(OneTripInnodbTest, VariablesOfTrothsNamesThatATriggerSetAreFound) {
  for (const std::string name : {"teller", "troth_p1", "troth_p31", "troth_sql", "troth_x"}) {
    resource().run("DROP TRIGGER IF EXISTS remember");
    const std::vector<Statement> statements = add_by_number();
    const auto session = warmed(statements);
    resource().run(
        fmt::format("CREATE TRIGGER remember BEFORE UPDATE ON accounts FOR EACH ROW SET @{} = 'eve'", name));
    for (const bool one_trip : {true, false}) {
      const auto fresh = one_trip ? nullptr : resource().connect();
      DatabaseConnection& used = one_trip ? *session : *fresh;
      BranchWork work = resource().work(statements);
      work.one_trip = one_trip;
      const WorkResult result = used.run_branch(work);
      ASSERT_TRUE(ended_as<Prepared>(result)) << name;
      EXPECT_EQ(went_whole(result), one_trip);
      finish(used, work, PreparedEnding::kRollBack);
      // What the branch itself takes back is no trace.
      const bool taken_back = one_trip && name == "troth_p1" && GetParam() == DatabaseKind::kMysql;
      EXPECT_EQ(used.clean_up(), taken_back) << name << (one_trip ? " in one trip" : " in steps");
    }
  }
}

// A value finds the rows that it finds when it is bound, by the same index.
TEST_P(OneTripInnodbTest, ComparisonsFindTheSameRowsByTheSameIndex) {
  resource().run(
      "CREATE TABLE people (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(20) CHARACTER SET latin1 COLLATE "
      "latin1_german1_ci, tag VARCHAR(20) COLLATE utf8mb4_bin, cents DECIMAL(20,2), born DATE, at "
      "DATETIME(6), "
      "weight DOUBLE, raw VARBINARY(20), hits INT NOT NULL DEFAULT 0, KEY (name), KEY (tag), KEY (cents), "
      "KEY "
      "(born), KEY (at), KEY (weight), KEY (raw))");
  std::string rows;
  for (int i = 1; i <= 200; ++i)
    rows += fmt::format(
        "{0}({1}, 'name{1}', 'tag{1}', {1}.50, '2026-01-01' + INTERVAL {1} DAY, '2026-01-01' + "
        "INTERVAL {1} HOUR, {1} / 8, X'{1:06}')",
        i == 1 ? "" : ", ", i);
  resource().run("INSERT INTO people (id, name, tag, cents, born, at, weight, raw) VALUES " + rows);
  resource().run("ANALYZE TABLE people");
  const std::vector<Value> values{{std::int64_t{7}},
                                  {std::int64_t{-7}},
                                  {std::uint64_t{7}},
                                  {7.5},
                                  {0.875},
                                  {-0.0},
                                  {true},
                                  {Null{}},
                                  {Decimal{"7.50"}},
                                  {Decimal{"7.5000"}},
                                  {Text{"name7"}},
                                  {Text{"NAME7"}},
                                  {Text{"tag7"}},
                                  {Text{"TAG7"}},
                                  {Text{"n\xc3\xa4me7"}},
                                  {Text{"7"}},
                                  {Text{""}},
                                  {Bytes{std::string("\0\0\x07", 3)}},
                                  {Date{"2026-01-08"}},
                                  {Timestamp{"2026-01-01 07:00:00"}},
                                  {Timestamp{"2026-01-01 07:00:00.000000"}},
                                  {TimestampTz{"2026-01-01 09:00:00+02"}}};
  static constexpr std::array<const char*, 5> kReads{"Handler_read_key", "Handler_read_next",
                                                     "Handler_read_first", "Handler_read_rnd_next",
                                                     "Handler_read_rnd"};
  int found = 0;
  for (const std::string column : {"id", "name", "tag", "cents", "born", "at", "weight", "raw"}) {
    for (const std::string test : {"{} = ?", "{} > ?"}) {
      for (const Value& value : values) {
        const Statement statement =
            resource().statement(fmt::format("UPDATE people SET hits = hits + 1 WHERE {}",
                                             fmt::format(fmt::runtime(test), column)),
                                 {value});
        std::vector<std::string> came_to;
        std::vector<std::vector<std::uint64_t>> read;
        const auto session = resource().connect();
        for (int i = 0; i < 3; ++i) {
          // The first run prepares.
          BranchWork work = resource().work({statement});
          work.one_trip = i == 2;
          std::vector<std::uint64_t> before;
          for (const char* name : kReads)
            before.push_back(status(*session, name));
          const WorkResult result = session->run_branch(work);
          const auto* refused = std::get_if<Refused>(&result.outcome);
          came_to.push_back(refused != nullptr ? refused->error.message
                                               : fmt::format("{} rows", result.results.at(0).affected));
          if (i == 1 && refused == nullptr) found += result.results[0].affected > 0 ? 1 : 0;
          std::vector<std::uint64_t>& reads = read.emplace_back();
          if (refused == nullptr) {
            EXPECT_EQ(went_whole(result), i == 2);
            finish(*session, work, PreparedEnding::kRollBack);
          }
          for (std::size_t n = 0; n < before.size(); ++n)
            reads.push_back(status(*session, kReads[n]) - before[n]);
          ASSERT_TRUE(session->clean_up());
        }
        EXPECT_EQ(came_to[2], came_to[1]) << statement.sql << " of " << type_name(value);
        // What the look reads comes with the branch, or by itself: only what must not be lost is compared.
        EXPECT_LE(read[2][3], read[1][3] + 8) << "a scan: " << statement.sql << " of " << type_name(value);
      }
    }
  }
  EXPECT_GT(found, 50);
}

}  // namespace
}  // namespace troth::agent
