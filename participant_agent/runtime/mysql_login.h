// participant_agent/runtime/mysql_login.h
//
// Logs in to MySQL or MariaDB, and stops from there what another session does.
#pragma once

#include <atomic>
#include <memory>

#include "participant_agent/runtime/cancellation.h"
#include "participant_agent/runtime/database_connection.h"

namespace sql {
class Connection;
}  // namespace sql

namespace troth::agent {

// Throws what the driver throws.
[[nodiscard]] std::unique_ptr<sql::Connection> log_in_to_mysql(const ConnectOptions& options);

// Of one session: `interrupt` ends its statement. Where the server ran several in one text and was stopped between two of
// them, it says nothing (tried: MySQL 9.7, MariaDB 10.11), and the client would wait for the rest for ever: a session that
// is found idle twice, while somebody waits for it, is ended.
class MysqlCancellation final : public Cancellation {
 public:
  MysqlCancellation(DatabaseKind kind, ConnectOptions options, ConnectionId session);

  void interrupt() noexcept override;
  // The driver shows no socket: its read timeout does it.
  void break_off() noexcept override {}

 private:
  const DatabaseKind kind_;
  ConnectOptions options_;
  const ConnectionId session_;
  std::atomic<int> found_idle_{0};  // one time after the other
};

}  // namespace troth::agent
