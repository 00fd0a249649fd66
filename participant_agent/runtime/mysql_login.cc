#include "participant_agent/runtime/mysql_login.h"

#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "participant_agent/runtime/mysql_answers.h"

namespace troth::agent {
namespace {

constexpr int kIdleTooOften = 2;
constexpr unsigned kFirstOwnError = 2000;
constexpr unsigned kFirstServerErrorAbove = 3000;
constexpr unsigned kFirstMariadbError = 5000;  // more of libmariadb's own
constexpr unsigned kFirstAboveMariadb = 6000;

void set_number(MYSQL& connection, mysql_option option, unsigned number) {
  CHECK(mysql_options(&connection, option, &number) == 0, "libmariadb has no option {}",
        static_cast<int>(option));
}

void set_flag(MYSQL& connection, mysql_option option, bool flag) {
  const my_bool value = flag ? 1 : 0;
  CHECK(mysql_options(&connection, option, &value) == 0, "libmariadb has no option {}",
        static_cast<int>(option));
}

void set_text(MYSQL& connection, mysql_option option, const std::string& text) {
  CHECK(mysql_options(&connection, option, text.c_str()) == 0, "libmariadb has no option {}",
        static_cast<int>(option));
}

// What libmariadb makes of these (tried, 3.3): `ssl-enforce` takes TLS where the server offers it, and logs in without
// where it does not: check_encrypted() looks afterwards. `ssl-verify-server-cert` compares the server's certificate with
// `ssl-ca` and with the host's name, and it alone refuses a server without TLS before the password is sent.
void set_tls(MYSQL& connection, const DatabaseTls& tls) {
  if (tls.mode == DatabaseTlsMode::kOff) return;
  set_flag(connection, MYSQL_OPT_SSL_ENFORCE, true);
  if (!tls.ca.empty()) set_text(connection, MYSQL_OPT_SSL_CA, tls.ca);
  if (tls.mode == DatabaseTlsMode::kVerifyCa || tls.mode == DatabaseTlsMode::kVerifyFull)
    set_flag(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, true);
  if (!tls.certificate.empty()) {
    set_text(connection, MYSQL_OPT_SSL_CERT, tls.certificate);
    set_text(connection, MYSQL_OPT_SSL_KEY, tls.key);
  }
}

// What a branch in one trip holds goes out at once, also while the server does not read: an event loop sends it. And a child
// process, which libmariadb does not think of, must not keep a session open that was closed here [T11].
void set_up_socket(MYSQL& connection) {
  const int bytes = 131'072;  // the kernel doubles it, for what it keeps beside each octet
  const int socket = mysql_get_socket(&connection);
  static_cast<void>(::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)));
  static_cast<void>(::fcntl(socket, F_SETFD, FD_CLOEXEC));
}

void start_library() {
  static const bool kStarted = mysql_library_init(0, nullptr, nullptr) == 0;
  CHECK(kStarted, "libmariadb cannot be started");
}

}  // namespace

Result<MysqlHandle> log_in_to_mysql(const ConnectOptions& options) {
  start_library();
  MysqlHandle handle(mysql_init(nullptr));
  CHECK(handle != nullptr, "no memory for a connection");
  MYSQL& connection = *handle;
  const bool by_socket = !options.socket.empty();
  set_number(connection, MYSQL_OPT_PROTOCOL, by_socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP);
  set_number(connection, MYSQL_OPT_CONNECT_TIMEOUT, static_cast<unsigned>(options.connect_timeout.count()));
  set_number(connection, MYSQL_OPT_READ_TIMEOUT, static_cast<unsigned>(options.read_timeout.count()));
  set_number(connection, MYSQL_OPT_WRITE_TIMEOUT, static_cast<unsigned>(options.read_timeout.count()));
  set_text(connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  set_flag(connection, MYSQL_OPT_RECONNECT, false);   // [T12]
  set_number(connection, MYSQL_OPT_LOCAL_INFILE, 0);  // no server reads this machine's files
  set_tls(connection, options.tls);
  // A write counts the rows that it matched, as Postgres does: an update to the same value is no missed row.
  constexpr unsigned long kFlags = CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS;
  const MYSQL* const connected =
      mysql_real_connect(&connection, by_socket ? nullptr : options.host.c_str(), options.user.c_str(),
                         options.password.value().c_str(), options.database.c_str(), options.port,
                         by_socket ? options.socket.c_str() : nullptr, kFlags);
  if (connected == nullptr) return fail(ErrorCode::kUnavailable, Effect::kNone, mysql_error(&connection));
  set_up_socket(connection);
  return handle;
}

// A client's trigger may SIGNAL with a number from 5000 on. (With one from 2000 on the library takes the packet for
// malformed, 2027.)
DatabaseError mysql_error(unsigned code, const char* sqlstate, const char* message) {
  const bool own = (code >= kFirstOwnError && code < kFirstServerErrorAbove) ||
                   (code >= kFirstMariadbError && code < kFirstAboveMariadb);
  return {.sqlstate = sqlstate,
          .vendor_code = static_cast<std::int32_t>(code),
          .message = message,
          .constraint = {},
          .connection_lost = own && !std::string_view(sqlstate).starts_with(kSignalled)};
}

DatabaseError last_error_of(MYSQL& connection) {
  return mysql_error(mysql_errno(&connection), mysql_sqlstate(&connection), mysql_error(&connection));
}

// Of a fetch that failed behind other rows only the connection has the error (tried, 3.3).
DatabaseError last_error_of(MYSQL_STMT& statement) {
  if (mysql_stmt_errno(&statement) == 0 && statement.mysql != nullptr) return last_error_of(*statement.mysql);
  return mysql_error(mysql_stmt_errno(&statement), mysql_stmt_sqlstate(&statement),
                     mysql_stmt_error(&statement));
}

MysqlCancellation::MysqlCancellation(DatabaseKind kind, ConnectOptions options, ConnectionId session,
                                     MYSQL& connection)
    : kind_(kind),
      options_(std::move(options)),
      session_(session),
      socket_(::fcntl(mysql_get_socket(&connection), F_DUPFD_CLOEXEC, 0)) {
  options_.read_timeout = options_.connect_timeout;
}

MysqlCancellation::~MysqlCancellation() {
  forget_socket();
}

void MysqlCancellation::interrupt() noexcept {
  // Nothing follows from a failure: the request is repeated.
  const Result<MysqlHandle> other = log_in_to_mysql(options_);
  if (!other.has_value()) return;
  const Dialect& dialect = dialect_of(kind_);
  MysqlAnswers answers(**other, kind_);
  answers.send(dialect.list_role_sessions());
  const auto sessions = answers.next();
  if (!sessions.has_value()) return;
  bool is_idle = false;
  for (const TextRow& row : sessions->rows)
    is_idle = is_idle || (row.at(0) == std::to_string(session_.value) && row.at(1) == "Sleep");
  found_idle_ = is_idle ? found_idle_ + 1 : 0;
  const bool waits_for_nothing = found_idle_ >= kIdleTooOften;
  answers.send(waits_for_nothing ? dialect.end_session(session_) : dialect.cancel_statement(session_));
  static_cast<void>(answers.next());
}

void MysqlCancellation::break_off() noexcept {
  const std::lock_guard lock(mutex_);
  if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
}

void MysqlCancellation::forget_socket() {
  const std::lock_guard lock(mutex_);
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

}  // namespace troth::agent
