// participant_agent/runtime/mysql_login.h
//
// How a session of MySQL or MariaDB is opened, stopped and broken off.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include <mysql.h>

#include "participant_agent/dialect/database_error.h"
#include "participant_agent/runtime/cancellation.h"
#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

struct CloseMysql {
  void operator()(MYSQL* connection) const { mysql_close(connection); }
};
using MysqlHandle = std::unique_ptr<MYSQL, CloseMysql>;

// kUnavailable, effect none, and the driver's words.
[[nodiscard]] Result<MysqlHandle> log_in_to_mysql(const ConnectOptions& options);

// As libmariadb and the server report errors. From 2000 on they are the library's own: whatever they are, the session is
// not understood any more.
[[nodiscard]] DatabaseError mysql_error(unsigned code, const char* sqlstate, const char* message);
[[nodiscard]] DatabaseError last_error_of(MYSQL& connection);
[[nodiscard]] DatabaseError last_error_of(MYSQL_STMT& statement);

// Of one session: `interrupt` ends its statement. Where the server ran several in one text and was stopped between two of
// them, it says nothing (tried: MySQL 9.7, MariaDB 10.11), and the client would wait for the rest for ever: a session that
// is found idle twice, while somebody waits for it, is ended.
class MysqlCancellation final : public Cancellation {
 public:
  // `connection`: the session's own, whose socket is broken off.
  MysqlCancellation(DatabaseKind kind, ConnectOptions options, ConnectionId session, MYSQL& connection);
  ~MysqlCancellation() override;

  void interrupt() noexcept override;
  void break_off() noexcept override;

  // Another name of the session's socket, which nobody else closes: libmariadb closes its own at a loss, and the number
  // is a stranger's then. Negative: there is none.
  [[nodiscard]] int socket() const { return socket_; }
  // The session is gone: the server is to see that.
  void forget_socket();

 private:
  const DatabaseKind kind_;
  ConnectOptions options_;
  const ConnectionId session_;
  std::atomic<int> found_idle_{0};  // one time after the other
  std::mutex mutex_;
  int socket_;
};

}  // namespace troth::agent
