// Nothing that a branch leaves in its session is seen by the next one: it is taken away, or the session is
// closed.
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {
namespace {

using HygieneTest = DatabaseTest;
TROTH_BOTH_WAYS_FOR_EVERY_DATABASE(HygieneTest);
using PostgresHygieneTest = DatabaseTest;
TROTH_FOR_POSTGRES(PostgresHygieneTest);
using InnodbHygieneTest = DatabaseTest;
TROTH_FOR_INNODB(InnodbHygieneTest);

class Sessions {
 public:
  explicit Sessions(TestResource& resource) : resource_(resource), session_(resource.connect()) {}

  // Runs the branch, then does what the pool does between two branches; says whether the session was kept.
  bool run(const BranchWork& work) {
    result_ = session_->run_branch(work);
    if (session_->condition() == ConnectionCondition::kTied)
      static_cast<void>(session_->finish_prepared(work.start.id, PreparedEnding::kRollBack));
    if (session_->condition() == ConnectionCondition::kIdle && session_->clean_up()) return true;
    session_ = resource_.connect();
    return false;
  }
  bool run(const std::string& sql, BranchEnding ending = BranchEnding::kCommitOnePhase) {
    return run(resource_.work({resource_.statement(sql)}, ending));
  }

  // The first column of the only row that the next branch sees.
  Value see(const std::string& sql) {
    const BranchWork work = resource_.work({resource_.statement(sql)}, BranchEnding::kReadOnly);
    const WorkResult seen = session_->run_branch(work);
    EXPECT_TRUE(ended_as<ReadOnlyDone>(seen));
    if (seen.results.empty() || seen.results[0].rows.empty()) return {};
    return seen.results[0].rows[0][0];
  }

  [[nodiscard]] const WorkResult& result() const { return result_; }

 private:
  TestResource& resource_;
  std::unique_ptr<DatabaseConnection> session_;
  WorkResult result_;
};

TEST_P(HygieneTest, SessionOfAPlainBranchIsKept) {
  Sessions sessions(resource());
  EXPECT_TRUE(sessions.run(resource().transfer(1, 1, BranchEnding::kCommitOnePhase)));
  EXPECT_TRUE(sessions.run("SELECT balance FROM accounts", BranchEnding::kReadOnly));
  EXPECT_TRUE(sessions.run(resource().transfer(99, 1)));
  EXPECT_TRUE(sessions.run("SELECT no_such_column FROM accounts"));
}

// What only a few columns need (JSON, geometries, the longest decimals) closes the session; an amount of money does not.
TEST_P(HygieneTest, SessionThatReadDecimalsIsKept) {
  resource().run("CREATE TABLE money (id INT PRIMARY KEY, cents DECIMAL(20,2), whole DECIMAL(60,0))");
  resource().run("INSERT INTO money VALUES (1, 12.50, -5)");
  if (resource().is_postgres()) resource().run("GRANT ALL ON money TO " + resource().options().user);
  Sessions sessions(resource());
  EXPECT_TRUE(sessions.run("SELECT cents, whole, SUM(cents) OVER () FROM money", BranchEnding::kReadOnly));
  EXPECT_EQ(sessions.see("SELECT cents FROM money"), Value{Decimal{"12.50"}});
  EXPECT_EQ(sessions.see("SELECT whole FROM money"), Value{Decimal{"-5"}});
}

// Cleaning costs the databases as much as a statement, so who only ended prepared branches is spared it.
TEST_P(HygieneTest, SessionThatRanNoClientsStatementCostsNoCleaning) {
  const auto session = resource().connect();
  const bool postgres = resource().is_postgres();
  ASSERT_TRUE(session->run_texts({postgres ? "SET troth_test.trace = 'seen'" : "SET @trace = 'seen'"}));
  EXPECT_TRUE(session->clean_up());
  const std::string look = postgres ? "SELECT current_setting('troth_test.trace', true)" : "SELECT 'seen'";
  const WorkResult read =
      session->run_branch(resource().work({resource().statement(look)}, BranchEnding::kReadOnly));
  ASSERT_TRUE(ended_as<ReadOnlyDone>(read));
  EXPECT_EQ(read.results.at(0).rows.at(0).at(0), Value{Text{"seen"}});
  const bool kept = session->clean_up();
  EXPECT_EQ(kept, postgres);  // a user variable cannot be dropped: the session goes
}

TEST_P(HygieneTest, LocksThatABranchTookByNameAreFreed) {
  Sessions sessions(resource());
  if (resource().is_postgres()) {
    sessions.run("SELECT pg_advisory_lock(4711)");
    EXPECT_EQ(resource().value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                               "(SELECT oid FROM pg_database WHERE datname = current_database())"),
              "0");
  } else {
    const std::string name = resource().options().user;
    EXPECT_FALSE(sessions.run(fmt::format("SELECT GET_LOCK('{}', 1)", name)));
    EXPECT_TRUE(holds_within(std::chrono::seconds(5), [&] {
      return resource().value(fmt::format("SELECT IS_FREE_LOCK('{}')", name)) == "1";
    }));
  }
}

TEST_P(HygieneTest, VariablesOfABranchAreGone) {
  Sessions sessions(resource());
  if (resource().is_postgres()) {
    EXPECT_TRUE(
        sessions.run("SELECT set_config('bank.teller', 'eve', false), set_config('search_path', '', false)"));
    EXPECT_EQ(sessions.see("SELECT coalesce(current_setting('bank.teller', true), '')"), Value{Text{""}});
    EXPECT_EQ(sessions.see("SELECT count(*) FROM accounts"), Value{std::int64_t{3}});
  } else {
    EXPECT_FALSE(sessions.run("SELECT @teller := 'eve'"));
    EXPECT_TRUE(sessions.see("SELECT @teller").is_null());
  }
}

// What the text does not show: a trigger that sets variables.
TEST_P(HygieneTest, VariablesThatATriggerSetAreGone) {
  Sessions sessions(resource());
  if (resource().is_postgres()) {
    resource().run(
        "CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM set_config('bank.teller', 'eve', false); RETURN NEW; END$$");
    resource().run(
        "CREATE TRIGGER remember BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION remember()");
    EXPECT_TRUE(sessions.run(resource().transfer(1, 1, BranchEnding::kCommitOnePhase)));
    EXPECT_EQ(sessions.see("SELECT coalesce(current_setting('bank.teller', true), '')"), Value{Text{""}});
  } else {
    resource().run("CREATE TRIGGER remember BEFORE UPDATE ON accounts FOR EACH ROW SET @teller = 'eve'");
    EXPECT_FALSE(sessions.run(resource().transfer(1, 1, BranchEnding::kCommitOnePhase)));
    EXPECT_TRUE(sessions.see("SELECT @teller").is_null());
  }
}

// Postgres: shown by VariablesThatATriggerSetAreGone.
TEST_P(InnodbHygieneTest, SettingsThatATriggerChangedAreBack) {
  Sessions sessions(resource());
  resource().run(
      "CREATE TRIGGER narrow BEFORE UPDATE ON accounts FOR EACH ROW SET SESSION sql_select_limit = 1");
  EXPECT_FALSE(sessions.run(resource().transfer(1, 1, BranchEnding::kCommitOnePhase)));
  EXPECT_EQ(sessions.see("SELECT @@sql_select_limit > 1"), Value{std::int64_t{1}});
}

TEST_P(HygieneTest, GeneratedKeyOfABranchIsGone) {
  Sessions sessions(resource());
  if (resource().is_postgres()) {
    resource().run("CREATE TABLE orders (id serial PRIMARY KEY, what text)");
    resource().run(fmt::format("GRANT ALL ON orders, orders_id_seq TO {}", resource().options().user));
    EXPECT_TRUE(sessions.run("INSERT INTO orders (what) VALUES ('ring')"));
    const BranchWork work =
        resource().work({resource().statement("SELECT lastval()")}, BranchEnding::kReadOnly);
    EXPECT_FALSE(sessions.run(work) && std::holds_alternative<ReadOnlyDone>(sessions.result().outcome));
  } else {
    resource().run("CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(10))");
    EXPECT_TRUE(sessions.run("INSERT INTO orders (what) VALUES ('ring')"));
    EXPECT_EQ(sessions.see("SELECT CAST(LAST_INSERT_ID() AS SIGNED)"), Value{std::int64_t{0}});
  }
}

// Elsewhere CREATE is refused: it would commit.
TEST_P(PostgresHygieneTest, TemporaryTableOfABranchIsGone) {
  resource().run(fmt::format("GRANT TEMPORARY ON DATABASE {0} TO {0}", resource().options().database));
  Sessions sessions(resource());
  EXPECT_TRUE(sessions.run("CREATE TEMPORARY TABLE scratch (id int)"));
  EXPECT_TRUE(ended_as<CommittedOnePhase>(sessions.result()));
  EXPECT_EQ(sessions.see("SELECT to_regclass('scratch') IS NULL"), Value{true});
  // 0A000: it cannot be prepared, which is a clean no.
  EXPECT_TRUE(sessions.run("CREATE TEMPORARY TABLE scratch (id int)", BranchEnding::kPrepare));
  EXPECT_EQ(refusal_of(sessions.result()).effect, Effect::kNone);
}

// A function that a client calls may take away what Troth prepared in the session: the session goes, and no branch
// is refused for it.
TEST_P(PostgresHygieneTest, PreparedTextsThatWereTakenAwayCostTheSession) {
  resource().run(
      "CREATE FUNCTION take_away() RETURNS int LANGUAGE plpgsql AS "
      "$$BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 1; END$$");
  Sessions sessions(resource());
  EXPECT_TRUE(sessions.run(resource().transfer(1, 1, BranchEnding::kCommitOnePhase)));
  EXPECT_FALSE(sessions.run("SELECT take_away()"));
  EXPECT_TRUE(ended_as<CommittedOnePhase>(sessions.result()));
  EXPECT_TRUE(sessions.run(resource().transfer(1, 1, BranchEnding::kCommitOnePhase)));
  EXPECT_TRUE(ended_as<CommittedOnePhase>(sessions.result()));
}

TEST_P(HygieneTest, IsolationOfABranchIsItsOwn) {
  Sessions sessions(resource());
  BranchWork strict = resource().transfer(1, 1, BranchEnding::kCommitOnePhase);
  strict.start.isolation = Isolation::kSerializable;
  EXPECT_TRUE(sessions.run(strict));
  const std::string level = resource().is_postgres() ? "SELECT current_setting('transaction_isolation')"
                            : resource().kind() == DatabaseKind::kMysql
                                ? "SELECT LOWER(REPLACE(@@transaction_isolation, '-', ' '))"
                                : "SELECT LOWER(REPLACE(@@tx_isolation, '-', ' '))";
  EXPECT_EQ(sessions.see(level), Value{Text{"read committed"}});
}

// The first keyword is refused before a session is used; behind it the session's own state is the guard.
TEST_P(HygieneTest, TransactionControlThatSlipsPastTheKeywordsPreparesNothing) {
  const std::vector<std::string> attempts =
      resource().is_postgres() ? std::vector<std::string>{"ROLLBACK", "ROLLBACK AND CHAIN", "ABORT"}
                               : std::vector<std::string>{"ROLLBACK", "COMMIT", "START TRANSACTION"};
  for (const std::string& attempt : attempts) {
    Sessions sessions(resource());
    BranchWork work = resource().transfer(1, 5);
    work.statements.push_back(resource().statement(attempt));
    work.statements.push_back(resource().transfer(2, 5).statements[0]);
    sessions.run(work);
    EXPECT_EQ(refusal_of(sessions.result()).effect, Effect::kNone) << attempt;
    EXPECT_EQ(resource().balance(1), "100") << attempt;
    EXPECT_EQ(resource().balance(2), "100") << attempt;
    EXPECT_EQ(resource().marker(work.start.id), "") << attempt;
  }
}

// A commit that nobody could prevent is at least never called a rollback.
// Elsewhere it is refused inside XA (1399).
TEST_P(PostgresHygieneTest, CommitThatSlipsPastTheKeywordsIsFoundByItsMarker) {
  for (const std::string attempt : {"COMMIT", "COMMIT AND CHAIN"}) {
    Sessions sessions(resource());
    BranchWork work = resource().transfer(1, 5);
    work.statements.push_back(resource().statement(attempt));
    sessions.run(work);
    EXPECT_TRUE(ended_as<MarkerTaken>(sessions.result())) << attempt;
  }
}

TEST_P(HygieneTest, SeveralStatementsInOneTextAreRefusedByTheServer) {
  Sessions sessions(resource());
  const BranchWork work = resource().work({resource().statement(
      "UPDATE accounts SET balance = 0 WHERE id = 1; UPDATE accounts SET balance = 0")});
  sessions.run(work);
  EXPECT_EQ(refusal_of(sessions.result()).code, ErrorCode::kStatementFailed);
  EXPECT_EQ(resource().balance(1), "100");
}

}  // namespace
}  // namespace troth::agent
