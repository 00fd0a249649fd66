// A resource of its own for one test: a database (Postgres) or schema (MySQL, MariaDB) with Troth installed,
// a role that nobody else uses, and a table of accounts. It is on the servers that the file named by
// TROTH_TEST_DATABASES lists (deploy/databases.py writes it), and goes with the test.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "participant_agent/runtime/database_connection.h"
#include "tests/support/holds_within.h"

namespace troth::agent {

class TestResource {
 public:
  // Null: TROTH_TEST_DATABASES names no server of this kind.
  static std::unique_ptr<TestResource> create(DatabaseKind kind);
  // On the server of this kind in this file, which deploy/databases.py wrote.
  static std::unique_ptr<TestResource> create(DatabaseKind kind, const std::string& servers);
  ~TestResource();

  [[nodiscard]] DatabaseKind kind() const { return kind_; }
  [[nodiscard]] const ConnectOptions& options() const { return options_; }
  [[nodiscard]] const OwnerRow& owner() const { return owner_; }
  [[nodiscard]] const std::string& role() const { return name_; }
  // The server's Unix socket; for Postgres the directory that holds it.
  [[nodiscard]] const std::string& socket() const { return administrator_options_.socket; }

  // The server was started anew.
  void connect_administrator();
  // As the administrator, outside of every branch.
  void run(const std::string& sql);
  TextRows rows(const std::string& sql);
  std::string value(const std::string& sql);
  std::string balance(int account);
  // The agent's sessions that the server knows.
  std::size_t sessions();
  // Ends a session of the agent, as a DBA or a crash would, and waits until it is gone.
  void kill(const SessionIdentity& session);

  // Waits until the session waits for a lock; fails the test if it never does.
  [[nodiscard]] bool waits_for_lock(const SessionIdentity& session);
  void wait_until_blocked(const SessionIdentity& session);
  // Waits until the session sleeps, in pg_sleep or SLEEP.
  void wait_until_asleep(const SessionIdentity& session);
  // The agent's session that sleeps, once it does; the test fails if none ever does.
  [[nodiscard]] SessionIdentity sleeper();

  [[nodiscard]] std::unique_ptr<DatabaseConnection> connect() const;
  [[nodiscard]] std::unique_ptr<DatabaseConnection> connect(const ConnectOptions& options) const;

  // A branch of a new transaction.
  [[nodiscard]] BranchWork work(std::vector<Statement> statements,
                                BranchEnding ending = BranchEnding::kPrepare);
  [[nodiscard]] BranchWork transfer(int account, std::int64_t amount,
                                    BranchEnding ending = BranchEnding::kPrepare);
  // With the database's own placeholders for the `?` of `sql`.
  [[nodiscard]] Statement statement(const std::string& sql, std::vector<Value> parameters = {}) const;
  // The state of the marker at the branch's key as everybody sees it; empty: none.
  std::string marker(const BranchId& branch);
  // Of this process' tests: XIDs are the server's.
  [[nodiscard]] static std::size_t prepared_here(const PreparedList& list);
  [[nodiscard]] bool is_postgres() const { return kind_ == DatabaseKind::kPostgres; }
  // The branches made from here on go step by step, also where one trip would do.
  void step_by_step() { one_trip_ = false; }
  // For sessions from here on. A busy machine's begin takes longer than 20 ms, too, and such a branch goes step by step.
  void takes_for_a_wait(std::chrono::milliseconds time) { options_.settings.begin_had_to_wait = time; }

 private:
  struct Administrator;

  [[nodiscard]] std::string sleepers() const;

  TestResource(DatabaseKind kind, ConnectOptions administrator, std::string name);
  void administrate(const std::string& database);
  void install();

  const DatabaseKind kind_;
  const std::string name_;
  ConnectOptions administrator_options_;
  ConnectOptions options_;
  OwnerRow owner_;
  std::uint64_t last_sequence_ = 0;
  bool one_trip_ = true;
  std::unique_ptr<Administrator> administrator_;
};

// Runs a test against one kind of database, or skips it with the reason.
class DatabaseTest : public testing::TestWithParam<DatabaseKind> {
 protected:
  void SetUp() override {
    resource_ = TestResource::create(GetParam());
    if (resource_ == nullptr) {
      GTEST_SKIP() << "no " << name_of(GetParam())
                   << " server: start some with deploy/databases.py and name their databases.json in "
                      "TROTH_TEST_DATABASES (tests/run.sh database does both)";
    }
    const std::string suite = testing::UnitTest::GetInstance()->current_test_info()->test_suite_name();
    if (suite.starts_with("StepByStep/")) resource_->step_by_step();
  }

  [[nodiscard]] TestResource& resource() { return *resource_; }

  std::unique_ptr<TestResource> resource_;
};

// GoogleTest prints a parameter with this.
inline void PrintTo(DatabaseKind kind, std::ostream* out) {
  *out << name_of(kind);
}
inline std::string kind_name(const testing::TestParamInfo<DatabaseKind>& info) {
  return std::string(name_of(info.param));
}

#define TROTH_FOR_EVERY_DATABASE(suite) \
  INSTANTIATE_TEST_SUITE_P(             \
      Databases, suite,                 \
      testing::Values(DatabaseKind::kPostgres, DatabaseKind::kMysql, DatabaseKind::kMariadb), kind_name)

// Of what a branch does: in one trip where that can be, and with its steps apart.
#define TROTH_BOTH_WAYS_FOR_EVERY_DATABASE(suite) \
  TROTH_FOR_EVERY_DATABASE(suite);                \
  INSTANTIATE_TEST_SUITE_P(                       \
      StepByStep, suite,                          \
      testing::Values(DatabaseKind::kPostgres, DatabaseKind::kMysql, DatabaseKind::kMariadb), kind_name)

// What only Postgres can do, or only the InnoDB servers; suites of their own, so that nothing is skipped.
#define TROTH_FOR_POSTGRES(suite) \
  INSTANTIATE_TEST_SUITE_P(Databases, suite, testing::Values(DatabaseKind::kPostgres), kind_name)
#define TROTH_FOR_INNODB(suite)                                                                             \
  INSTANTIATE_TEST_SUITE_P(Databases, suite, testing::Values(DatabaseKind::kMysql, DatabaseKind::kMariadb), \
                           kind_name)

// What a result came to, for messages: "prepared", "refused: ...".
[[nodiscard]] std::string describe(const WorkResult& result);

template <typename Outcome>
[[nodiscard]] testing::AssertionResult ended_as(const WorkResult& result) {
  if (std::holds_alternative<Outcome>(result.outcome)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << describe(result);
}

// The error of a refusal; a code of kInternal where the result is none.
[[nodiscard]] Error refusal_of(const WorkResult& result);

}  // namespace troth::agent
