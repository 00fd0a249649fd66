// The hand-coded side on real servers: what Troth is compared with must itself be right.
#include <cstdlib>
#include <fstream>

#include <cppconn/driver.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/check.h"
#include "bench/runtime/bank.h"
#include "bench/runtime/handcoded_teller.h"
#include "bench/runtime/load.h"
#include "bench/runtime/mysql_session.h"
#include "bench/runtime/postgres_session.h"
#include "bench/runtime/transfer_run.h"
#include "tests/unit/bench/fake_troth.h"

namespace troth::bench {
namespace {

using testing::HasSubstr;

constexpr int kAccounts = 3;
constexpr auto kTable = "CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)";
constexpr auto kRows = "INSERT INTO account (id, balance) VALUES (0, 1000), (1, 1000), (2, 1000)";
constexpr Totals kOpening{.postgres = 3000, .mysql = 3000};
// XA RECOVER lists the branches of other tests too, which come and go.
constexpr auto kBound = std::chrono::seconds(60);

void run_postgres(const DatabaseAddress& address, const std::string& sql) {
  pqxx::connection connection(fmt::format("host={} port={} dbname={} user={} password={}", address.host,
                                          address.port, address.database, address.user, address.password));
  pqxx::nontransaction(connection).exec(sql);
}

void run_mysql(const DatabaseAddress& address, const std::vector<std::string>& statements) {
  const std::unique_ptr<sql::Connection> connection(get_driver_instance()->connect(
      fmt::format("tcp://{}:{}", address.host, address.port), address.user, address.password));
  const std::unique_ptr<sql::Statement> statement(connection->createStatement());
  for (const auto& sql : statements)
    statement->execute(sql);
}

// One of the servers that tests/run.sh database started, as its administrator.
DatabaseAddress server_of(const std::string& kind) {
  const auto* path = std::getenv("TROTH_TEST_DATABASES");
  CHECK(path != nullptr, "TROTH_TEST_DATABASES is not set: run tests/run.sh database");
  std::ifstream file(path);
  const auto fleet = nlohmann::json::parse(file);
  for (const auto& server : fleet.at("servers")) {
    if (server.at("kind") != kind) continue;
    DatabaseAddress address{.host = server.at("host"),
                            .port = server.at("port"),
                            .database = server.at("database"),
                            .user = server.at("admin"),
                            .password = {}};
    std::ifstream(server.at("password_file").get<std::string>()) >> address.password;
    return address;
  }
  CHECK(false, "{} names no {} server", path, kind);
}

// The parameter is the kind of the other server. A database of the test's own in each, gone afterwards.
class Handcoded : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    database_ = fmt::format("handcoded_{}_{}", GetParam(), ::getpid());
    stage_.databases = "postgres+" + GetParam();
    stage_.accounts = kAccounts;
    stage_.postgres = server_of("postgres");
    stage_.mysql = server_of(GetParam());
    run_postgres(stage_.postgres, "CREATE DATABASE " + database_);
    run_mysql(stage_.mysql, {"CREATE DATABASE " + database_, "USE " + database_, kTable, kRows});
    stage_.postgres.database = database_;
    stage_.mysql.database = database_;
    run_postgres(stage_.postgres, kTable);
    run_postgres(stage_.postgres, kRows);
    auto bank = Bank::open(stage_);
    ASSERT_TRUE(bank) << bank.error().message;
    bank_ = std::move(*bank);
  }

  void TearDown() override {
    bank_.reset();
    run_mysql(stage_.mysql, {"DROP DATABASE " + database_});
    run_postgres(server_of("postgres"), fmt::format("DROP DATABASE {} WITH (FORCE)", database_));
  }

  Totals totals() {
    const auto totals = bank_->totals();
    CHECK(totals, "{}", totals.error().message);
    return *totals;
  }

  std::string id(int number) const { return fmt::format("{}-{}", database_, number); }

  std::string database_;
  Stage stage_;
  std::unique_ptr<Bank> bank_;
};

TEST_P(Handcoded, ATransferMovesMoneyFromOneDatabaseToTheOther) {
  auto teller = open_handcoded_teller(stage_, 1, 1);
  ASSERT_TRUE(teller) << teller.error().message;
  const auto conflicts = (*teller)->transfer({.postgres_account = 0, .mysql_account = 2, .amount = 7});
  ASSERT_TRUE(conflicts) << conflicts.error().message;
  EXPECT_EQ(*conflicts, 0);
  EXPECT_EQ(totals(), (Totals{.postgres = 3007, .mysql = 2993}));
}

TEST_P(Handcoded, ClientsThatMeetAtFewRowsLoseNoMoneyAndLeaveNothingPrepared) {
  Load load({.clients = 8, .length = std::chrono::milliseconds(300), .accounts = kAccounts, .seed = 1},
            [&](int client) { return open_handcoded_teller(stage_, 1, client); });
  const Status warm = load.warm_up();
  ASSERT_TRUE(warm) << warm.error().message;
  const auto result = load.run();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_GT(result->latencies.size(), 0U);
  const Status settled = bank_->wait_until_settled(kBound);
  EXPECT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(totals(), (Totals{.postgres = 3000 + result->moved, .mysql = 3000 - result->moved}));
}

TEST_P(Handcoded, WhoMeetsALockedRowGivesWayLeavesNothingAndCanGoOn) {
  PostgresSession holder(stage_.postgres);
  PostgresSession waiter(stage_.postgres);
  ASSERT_EQ(holder.prepare(id(1), 1, 5), BranchWork::kPrepared);
  EXPECT_EQ(waiter.prepare(id(2), 1, 5), BranchWork::kConflict);
  EXPECT_EQ(waiter.prepare(id(2), 2, 1), BranchWork::kPrepared);
  holder.rollback_prepared(id(1));
  waiter.commit_prepared(id(2));

  MysqlSession mysql_holder(stage_.mysql);
  MysqlSession mysql_waiter(stage_.mysql);
  ASSERT_EQ(mysql_holder.prepare(id(1), 1, 5), BranchWork::kPrepared);
  EXPECT_EQ(mysql_waiter.prepare(id(2), 1, 5), BranchWork::kConflict);
  EXPECT_EQ(mysql_waiter.prepare(id(2), 2, -1), BranchWork::kPrepared);
  mysql_holder.rollback_prepared(id(1));
  mysql_waiter.commit_prepared(id(2));
  EXPECT_EQ(totals(), (Totals{.postgres = 3001, .mysql = 2999}));
}

TEST_P(Handcoded, AnAccountThatIsNotThereFailsTheTransfer) {
  auto teller = open_handcoded_teller(stage_, 1, 2);
  ASSERT_TRUE(teller) << teller.error().message;
  const auto conflicts =
      (*teller)->transfer({.postgres_account = kAccounts, .mysql_account = 0, .amount = 1});
  ASSERT_FALSE(conflicts);
  EXPECT_THAT(conflicts.error().message, HasSubstr(fmt::format("no account {}", kAccounts)));
  EXPECT_EQ(totals(), kOpening);
}

TEST_P(Handcoded, ABranchThatStaysPreparedIsCountedNotOverlooked) {
  PostgresSession postgres(stage_.postgres);
  ASSERT_EQ(postgres.prepare(id(9), 0, 1), BranchWork::kPrepared);
  const Status settled = bank_->wait_until_settled(std::chrono::milliseconds(1));
  ASSERT_FALSE(settled);
  EXPECT_THAT(settled.error().message, HasSubstr("still prepared: 1 in Postgres"));
  postgres.rollback_prepared(id(9));
}

TEST_P(Handcoded, AServerOfAnotherKindThanAskedForIsRefused) {
  Stage other = stage_;
  other.databases = GetParam() == "mysql" ? "postgres+mariadb" : "postgres+mysql";
  const auto bank = Bank::open(other);
  ASSERT_FALSE(bank);
  EXPECT_THAT(bank.error().message, HasSubstr(other.databases + " was asked for"));
}

TEST_P(Handcoded, MoneyThatTrothSaysItMovedAndDidNotEndsTheRun) {
  const FakeTroth says_yes_does_nothing;
  stage_.troth = says_yes_does_nothing.address();
  std::vector<std::string> told;
  TransferRun run(stage_, *bank_, {.rounds = 1, .round_length = std::chrono::milliseconds(50)},
                  [&](const std::string& line) { told.push_back(line); });
  const auto comparison = run.measure(2, Acknowledgement::kApplied);
  ASSERT_FALSE(comparison);
  EXPECT_THAT(comparison.error().message, HasSubstr("money is wrong"));
  EXPECT_THAT(told, testing::IsEmpty());
}

TEST_P(Handcoded, ARunOfTheHandcodedSideAloneGivesItsHalfOfTheCell) {
  TransferRun run(stage_, *bank_,
                  {.rounds = 2, .round_length = std::chrono::milliseconds(50), .troth = false},
                  [](const std::string&) {});
  const auto cell = run.measure(2, Acknowledgement::kApplied);
  ASSERT_TRUE(cell) << cell.error().message;
  EXPECT_FALSE(cell->troth);
  ASSERT_TRUE(cell->handcoded);
  EXPECT_GT(cell->handcoded->tps, 0);
  EXPECT_EQ(cell->handcoded->tps_of_rounds.size(), 2U);
  EXPECT_EQ(cell->handcoded->cpu_per_transaction.count("load"), 1U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Handcoded, testing::Values("mysql", "mariadb"),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace troth::bench
