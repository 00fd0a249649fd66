#include "bench/runtime/mysql_session.h"

#include <mutex>

#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <fmt/format.h>

namespace troth::bench {
namespace {

// The driver makes its only instance at the first call and does not guard that.
sql::Driver& driver() {
  static std::mutex first_call;
  const std::lock_guard guard(first_call);
  return *get_driver_instance();
}

// What innodb_lock_wait_timeout ends. A branch here locks one row, so there is no deadlock to lose.
bool is_conflict(const sql::SQLException& error) {
  constexpr int kLockWaitTimeout = 1205;
  return error.getErrorCode() == kLockWaitTimeout;
}

std::unique_ptr<sql::Connection> connect(const DatabaseAddress& address) {
  sql::ConnectOptionsMap options;
  options["hostName"] = fmt::format("tcp://{}:{}", address.host, address.port);
  options["userName"] = address.user;
  options["password"] = address.password;
  options["schema"] = address.database;
  return std::unique_ptr<sql::Connection>(driver().connect(options));
}

}  // namespace

MysqlSession::MysqlSession(const DatabaseAddress& address) {
  driver().threadInit();
  connection_ = connect(address);
  statement_.reset(connection_->createStatement());
  // As Troth's branches run; REPEATABLE READ would add gap locks that nobody needs here.
  statement_->execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  statement_->execute("SET SESSION innodb_lock_wait_timeout = 2");
  move_.reset(connection_->prepareStatement("UPDATE account SET balance = balance + ? WHERE id = ?"));
}

MysqlSession::~MysqlSession() {
  move_.reset();
  statement_.reset();
  connection_.reset();
  driver().threadEnd();
}

BranchWork MysqlSession::prepare(const std::string& gtrid, AccountNumber account, std::int64_t amount) {
  statement_->execute(fmt::format("XA START '{}'", gtrid));
  try {
    move_->setInt64(1, amount);
    move_->setInt64(2, account);
    if (move_->executeUpdate() != 1) throw sql::SQLException(fmt::format("there is no account {}", account));
  } catch (const sql::SQLException& error) {
    if (!is_conflict(error)) throw;
    statement_->execute(fmt::format("XA END '{}'", gtrid));
    rollback_prepared(gtrid);
    return BranchWork::kConflict;
  }
  statement_->execute(fmt::format("XA END '{}'", gtrid));
  statement_->execute(fmt::format("XA PREPARE '{}'", gtrid));
  return BranchWork::kPrepared;
}

void MysqlSession::commit_prepared(const std::string& gtrid) {
  statement_->execute(fmt::format("XA COMMIT '{}'", gtrid));
}

void MysqlSession::rollback_prepared(const std::string& gtrid) {
  statement_->execute(fmt::format("XA ROLLBACK '{}'", gtrid));
}

std::string MysqlSession::value(const std::string& query) {
  const std::unique_ptr<sql::ResultSet> rows(statement_->executeQuery(query));
  if (!rows->next()) throw sql::SQLException(fmt::format("no row came back from: {}", query));
  return rows->getString(1).asStdString();
}

std::size_t MysqlSession::count_rows(const std::string& query) {
  const std::unique_ptr<sql::ResultSet> rows(statement_->executeQuery(query));
  std::size_t count = 0;
  while (rows->next())
    ++count;
  return count;
}

}  // namespace troth::bench
