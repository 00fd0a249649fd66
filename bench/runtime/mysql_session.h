// bench/runtime/mysql_session.h
//
// One MySQL or MariaDB session of the hand-coded side: prepared statement, XA in its own words.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <cppconn/connection.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/statement.h>

#include "bench/runtime/stage.h"
#include "bench/transfer.h"

namespace troth::bench {

// Its methods throw what the driver throws, except where a conflict is expected. Belongs to one thread, which
// the driver wants to be told of. MariaDB commits a prepared branch only on the session that prepared it, so
// a branch begins and ends here.
class MysqlSession {
 public:
  explicit MysqlSession(const DatabaseAddress& address);
  MysqlSession(const MysqlSession&) = delete;
  MysqlSession& operator=(const MysqlSession&) = delete;
  ~MysqlSession();

  // XA START; UPDATE; XA END; XA PREPARE.
  [[nodiscard]] BranchWork prepare(const std::string& gtrid, AccountNumber account, std::int64_t amount);
  void commit_prepared(const std::string& gtrid);
  void rollback_prepared(const std::string& gtrid);

  // The first column of the first row, as text.
  [[nodiscard]] std::string value(const std::string& query);
  [[nodiscard]] std::size_t count_rows(const std::string& query);

 private:
  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> statement_;
  std::unique_ptr<sql::PreparedStatement> move_;
};

}  // namespace troth::bench
