#include "bench/runtime/bank.h"

#include <exception>
#include <thread>

#include <fmt/format.h>

#include "bench/runtime/mysql_session.h"
#include "bench/runtime/postgres_session.h"

namespace troth::bench {

struct Bank::Sessions {
  explicit Sessions(const Stage& stage) : postgres(stage.postgres), mysql(stage.mysql) {}
  PostgresSession postgres;
  MysqlSession mysql;
};

namespace {

constexpr auto kLookAgainAfter = std::chrono::milliseconds(1);

std::unexpected<Error> unreachable(const std::exception& error) {
  return fail(ErrorCode::kUnavailable, Effect::kNone,
              fmt::format("cannot look into the databases: {}", error.what()));
}

// Collects "name value" pairs and the first value that is not as it must be.
struct Durability {
  std::string text;
  std::string fault;

  void expect(const std::string& name, const std::string& value, const std::string& wanted) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", name, value);
    if (value != wanted && fault.empty()) fault = fmt::format("{} is {} and must be {}", name, value, wanted);
  }
};

}  // namespace

Bank::Bank(std::unique_ptr<Sessions> sessions, std::string description)
    : sessions_(std::move(sessions)), description_(std::move(description)) {}

Bank::~Bank() = default;

Result<std::unique_ptr<Bank>> Bank::open(const Stage& stage) {
  try {
    auto sessions = std::make_unique<Sessions>(stage);
    const std::string postgres_version = sessions->postgres.value("SELECT version()");
    Durability postgres;
    for (const auto* name : {"fsync", "synchronous_commit", "full_page_writes"})
      postgres.expect(name, sessions->postgres.value(fmt::format("SELECT current_setting('{}')", name)),
                      "on");

    const std::string mysql_version = sessions->mysql.value("SELECT VERSION()");
    const bool is_mariadb = mysql_version.find("MariaDB") != std::string::npos;
    if (is_mariadb != stage.databases.ends_with("mariadb"))
      return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                  fmt::format("{} was asked for, and the server says VERSION() = {}", stage.databases,
                              mysql_version));
    Durability mysql;
    for (const auto* name : {"innodb_flush_log_at_trx_commit", "sync_binlog"})
      mysql.expect(name, sessions->mysql.value(fmt::format("SELECT @@global.{}", name)), "1");

    for (const auto* fault : {&postgres.fault, &mysql.fault})
      if (!fault->empty()) return fail(ErrorCode::kNotDurable, Effect::kNone, *fault);
    const std::string description =
        fmt::format("{} ({})\n{} {} ({}, log_bin = {})\n", postgres_version, postgres.text,
                    is_mariadb ? "MariaDB" : "MySQL", mysql_version, mysql.text,
                    sessions->mysql.value("SELECT @@global.log_bin"));
    return std::unique_ptr<Bank>(new Bank(std::move(sessions), description));
  } catch (const std::exception& error) {
    return unreachable(error);
  }
}

Result<Totals> Bank::totals() {
  constexpr auto kQuery = "SELECT sum(balance) FROM account";
  try {
    return Totals{.postgres = std::stoll(sessions_->postgres.value(kQuery)),
                  .mysql = std::stoll(sessions_->mysql.value(kQuery))};
  } catch (const std::exception& error) {
    return unreachable(error);
  }
}

Status Bank::wait_until_settled(Duration bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  try {
    for (;;) {
      const std::string postgres = sessions_->postgres.value(
          "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()");
      const std::size_t mysql = sessions_->mysql.count_rows("XA RECOVER");
      if (postgres == "0" && mysql == 0) return {};
      if (std::chrono::steady_clock::now() > deadline)
        return fail(
            ErrorCode::kTimeout, Effect::kNone,
            fmt::format("after {} s still prepared: {} in Postgres, {} in MySQL or MariaDB",
                        std::chrono::duration_cast<std::chrono::seconds>(bound).count(), postgres, mysql));
      std::this_thread::sleep_for(kLookAgainAfter);
    }
  } catch (const std::exception& error) {
    return unreachable(error);
  }
}

}  // namespace troth::bench
