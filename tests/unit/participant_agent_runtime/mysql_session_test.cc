// How a session of MySQL or MariaDB is opened, lost and closed through libmariadb: descriptors, and what it reports where.
#include <chrono>
#include <filesystem>
#include <future>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

class MysqlSessionTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    if (resource_ != nullptr) resource().takes_for_a_wait(10s);
  }
  static std::set<int> descriptors() {
    std::set<int> open;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
      open.insert(std::stoi(entry.path().filename().string()));
    // The directory's own is gone by now.
    std::erase_if(open, [](int each) { return ::fcntl(each, F_GETFD) < 0; });
    return open;
  }
  // Knows the statement of `transfer`, and what its branches are checked with.
  std::unique_ptr<DatabaseConnection> ready_session() {
    auto session = resource().connect();
    for (int round = 0; round < 2; ++round) {
      const BranchWork work = resource().transfer(2, 0);
      EXPECT_TRUE(ended_as<Prepared>(session->run_branch(work)));
      EXPECT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
      EXPECT_TRUE(session->clean_up());
    }
    return session;
  }
  static bool has_input(const DatabaseConnection& session) {
    pollfd input{.fd = *session.descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&input, 1, 10'000) > 0;
  }
};
TROTH_FOR_INNODB(MysqlSessionTest);

TEST_P(MysqlSessionTest, NoDescriptorIsLeftBehindOrInherited) {
  const std::set<int> before = descriptors();
  {
    const auto session = resource().connect();
    for (const int each : descriptors()) {
      if (!before.contains(each)) {
        EXPECT_EQ(::fcntl(each, F_GETFD), FD_CLOEXEC) << "a child would keep the session's socket open";
      }
    }
  }
  EXPECT_EQ(descriptors(), before);
  const auto refused = [&](DatabaseKind kind, const ConnectOptions& options) {
    EXPECT_FALSE(connect_to(kind, options).has_value());
    EXPECT_EQ(descriptors(), before);
  };
  ConnectOptions stranger = resource().options();
  stranger.password = std::string("wrong");
  refused(GetParam(), stranger);
  const bool mysql = GetParam() == DatabaseKind::kMysql;
  refused(mysql ? DatabaseKind::kMariadb : DatabaseKind::kMysql, resource().options());
  ConnectOptions nowhere = resource().options();
  nowhere.port = 1;
  refused(GetParam(), nowhere);
  auto lost = resource().connect();
  resource().kill(lost->session_identity());
  EXPECT_FALSE(lost->list_prepared().has_value());
  const std::shared_ptr<Cancellation> kept = lost->cancellation();
  lost.reset();
  EXPECT_EQ(descriptors(), before);
}

// The server says why it closes a session that nobody speaks on, and that is not the answer to what is asked next.
TEST_P(MysqlSessionTest, WordOfAServerThatClosedAnIdleSessionIsNoAnswer) {
  for (const bool carried : {false, true}) {
    const auto session = ready_session();
    ASSERT_TRUE(session->ask_texts({"SET SESSION wait_timeout = 1", "SELECT 1"}).has_value());
    ASSERT_TRUE(has_input(*session)) << "it was not closed";
    const BranchWork work = resource().transfer(1, 5);
    if (carried && session->start_branch(work)) {
      while (session->arrived() == Arrival::kMore)
        ASSERT_TRUE(has_input(*session));
    }
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Lost>(result)) << describe(result);
    EXPECT_EQ(std::get<Lost>(result.outcome).error.code, ErrorCode::kUnavailable);
    EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
    EXPECT_EQ(resource().balance(1), "100");
  }
}

// A trigger may give its refusal any number: also one that a lost connection, or Troth's own texts, are told by.
TEST_P(MysqlSessionTest, WhatATriggerSignalsIsARefusalWhateverItsNumber) {
  for (const int number : {1053, 1062, 1205, 1317, 1397, 1399, 1440, 1927, 3572, 4031, 5000, 5030}) {
    for (const bool one_trip : {false, true}) {
      const auto session = ready_session();
      resource().run(
          fmt::format("CREATE TRIGGER signals BEFORE UPDATE ON accounts FOR EACH ROW SIGNAL SQLSTATE "
                      "'45000' SET MYSQL_ERRNO = {}, MESSAGE_TEXT = 'overdrawn'",
                      number));
      BranchWork work = resource().transfer(1, 5);
      work.one_trip = one_trip;
      const WorkResult result = session->run_branch(work);
      if (!std::holds_alternative<Refused>(result.outcome)) FAIL() << number << ": " << describe(result);
      resource().run("DROP TRIGGER signals");
      const Error error = refusal_of(result);
      EXPECT_EQ(error.code, ErrorCode::kStatementFailed) << number << ": " << describe(result);
      EXPECT_EQ(error.vendor_code, number);
      EXPECT_EQ(error.statement, 1U);
      EXPECT_NE(error.message.find("overdrawn"), std::string::npos) << error.message;
      EXPECT_EQ(error.effect, Effect::kNone) << number;
      EXPECT_TRUE(session->clean_up()) << number;
    }
  }
}

// No event loop carries it, and everything else is as over TCP: also the request to stop.
TEST_P(MysqlSessionTest, SessionByItsUnixSocketIsTheThreadsAndIsInterrupted) {
  ConnectOptions by_path = resource().options();
  by_path.socket = resource().socket();
  const auto session = resource().connect(by_path);
  EXPECT_FALSE(session->descriptor().has_value());
  for (int round = 0; round < 3; ++round) {
    const BranchWork work = resource().transfer(1, 5);
    const WorkResult result = session->run_branch(work);
    ASSERT_TRUE(ended_as<Prepared>(result));
    EXPECT_EQ(result.times.ending.has_value(), round == 0);
    ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kCommit).has_value());
    ASSERT_TRUE(session->clean_up());
  }
  EXPECT_EQ(resource().balance(1), "115");
  const auto holder = resource().connect();
  const BranchWork held = resource().transfer(1, 1);
  ASSERT_TRUE(ended_as<Prepared>(holder->run_branch(held)));
  const BranchWork waits = resource().transfer(1, 5);
  auto running = std::async(std::launch::async, [&] { return session->run_branch(waits); });
  resource().wait_until_blocked(session->session_identity());
  session->cancellation()->request();
  session->cancellation()->interrupt();
  EXPECT_EQ(refusal_of(running.get()).code, ErrorCode::kTimeout);
  EXPECT_TRUE(holder->finish_prepared(held.start.id, PreparedEnding::kRollBack).has_value());
}

// [T11] Nobody waits for the answer any more, but it may come.
TEST_P(MysqlSessionTest, AnswerThatTakesLongerThanTheReadTimeoutLosesTheSession) {
  ConnectOptions hasty = resource().options();
  hasty.read_timeout = 1s;
  const auto session = resource().connect(hasty);
  const BranchWork work = resource().work(
      {resource().statement("UPDATE accounts SET balance = balance + SLEEP(3) WHERE id = 1")});
  const WorkResult result = session->run_branch(work);
  ASSERT_TRUE(ended_as<Lost>(result)) << describe(result);
  EXPECT_EQ(session->condition(), ConnectionCondition::kLost);
  EXPECT_FALSE(session->clean_up());
}

// What others generate in the course of it is not the statement's.
TEST_P(MysqlSessionTest, KeysOfTriggersAreNotTheStatements) {
  resource().run("CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what INT) AUTO_INCREMENT = 700");
  resource().run("CREATE TABLE plain (id INT PRIMARY KEY, what INT)");
  resource().run("CREATE TABLE goods (id INT AUTO_INCREMENT PRIMARY KEY, k INT UNIQUE, n INT)");
  resource().run("INSERT INTO goods (k, n) VALUES (1, 1), (2, 2), (3, 3)");
  for (const std::string table : {"plain", "goods"})
    for (const std::string when : {"BEFORE", "AFTER"})
      resource().run(
          fmt::format("CREATE TRIGGER {0}_{1} {1} INSERT ON {0} FOR EACH ROW INSERT INTO log (what) "
                      "VALUES (1)",
                      table, when));
  struct Case {
    std::string sql;
    bool has_key;
  };
  const std::vector<Case> cases{
      {"INSERT INTO plain VALUES (7, ABS(?))", false},
      {"INSERT INTO goods (k, n) VALUES (10, ABS(?))", true},
      {"INSERT INTO goods (k, n) SELECT k + 20, n + ABS(?) FROM goods AS g WHERE n < 4", true},
      {"INSERT INTO goods (k, n) VALUES (1, ABS(?)) ON DUPLICATE KEY UPDATE n = n + 1", true},
      {"REPLACE INTO goods (k, n) VALUES (2, ABS(?))", true},
      {"REPLACE INTO plain VALUES (7, ABS(?))", false},
  };
  for (const Case& each : cases) {
    const auto session = resource().connect();
    for (const bool one_trip : {false, true}) {
      BranchWork work = resource().work({resource().statement(each.sql, {{std::int64_t{3}}})});
      work.one_trip = one_trip;
      const WorkResult result = session->run_branch(work);
      ASSERT_TRUE(ended_as<Prepared>(result)) << each.sql << ": " << describe(result);
      EXPECT_EQ(result.times.ending.has_value(), !one_trip) << each.sql;
      const auto key = result.results.at(0).generated_key;
      EXPECT_EQ(key.has_value(), each.has_key) << each.sql;
      EXPECT_LT(key.value_or(0), 700U) << each.sql;
      ASSERT_TRUE(session->finish_prepared(work.start.id, PreparedEnding::kRollBack).has_value());
      ASSERT_TRUE(session->clean_up());
    }
  }
}

}  // namespace
}  // namespace troth::agent
