#include "participant_agent/runtime/mysql_login.h"

#include <exception>
#include <string>
#include <utility>

#include <cppconn/connection.h>
#include <cppconn/driver.h>
#include <cppconn/statement.h>
#include <fmt/format.h>

#include "participant_agent/runtime/mysql_answers.h"

namespace troth::agent {
namespace {

constexpr int kIdleTooOften = 2;

sql::Driver& driver() {
  static sql::Driver* const kDriver = get_driver_instance();
  return *kDriver;
}

// What libmariadb makes of these (tried, 3.3): `sslEnforce` takes TLS where the server offers it, and logs in without
// where it does not: check_encrypted() looks afterwards. `sslVerify` compares the server's certificate with `sslCA` and
// with the host's name, and it alone refuses a server without TLS before the password is sent.
void add_tls(sql::ConnectOptionsMap& map, const DatabaseTls& tls) {
  if (tls.mode == DatabaseTlsMode::kOff) return;
  map["sslEnforce"] = true;
  if (!tls.ca.empty()) map["sslCA"] = sql::SQLString(tls.ca);
  if (tls.mode == DatabaseTlsMode::kVerifyCa || tls.mode == DatabaseTlsMode::kVerifyFull)
    map["sslVerify"] = true;
  if (!tls.certificate.empty()) {
    map["sslCert"] = sql::SQLString(tls.certificate);
    map["sslKey"] = sql::SQLString(tls.key);
  }
}

}  // namespace

std::unique_ptr<sql::Connection> log_in_to_mysql(const ConnectOptions& options) {
  sql::ConnectOptionsMap map;
  map["hostName"] =
      sql::SQLString(options.socket.empty() ? fmt::format("tcp://{}:{}", options.host, options.port)
                                            : fmt::format("unix://{}", options.socket));
  map["userName"] = sql::SQLString(options.user);
  map["password"] = sql::SQLString(options.password.value());
  map["schema"] = sql::SQLString(options.database);
  map["OPT_CONNECT_TIMEOUT"] = static_cast<int>(options.connect_timeout.count());
  map["OPT_READ_TIMEOUT"] = static_cast<int>(options.read_timeout.count());
  map["OPT_WRITE_TIMEOUT"] = static_cast<int>(options.read_timeout.count());
  map["OPT_CHARSET_NAME"] = sql::SQLString("utf8mb4");
  map["OPT_RECONNECT"] = false;  // [T12]
  map["CLIENT_MULTI_STATEMENTS"] = true;
  // A write counts the rows that it matched, as Postgres does: an update to the same value is no missed row.
  map["CLIENT_FOUND_ROWS"] = true;
  add_tls(map, options.tls);
  return std::unique_ptr<sql::Connection>(driver().connect(map));
}

MysqlCancellation::MysqlCancellation(DatabaseKind kind, ConnectOptions options, ConnectionId session)
    : kind_(kind), options_(std::move(options)), session_(session) {
  options_.read_timeout = options_.connect_timeout;
}

void MysqlCancellation::interrupt() noexcept {
  try {
    const DriverThread driver_thread;
    const Dialect& dialect = dialect_of(kind_);
    const auto connection = log_in_to_mysql(options_);
    const std::unique_ptr<sql::Statement> statement(connection->createStatement());
    bool is_idle = false;
    for (const TextRow& row : Answers(*statement, dialect.list_role_sessions()).next())
      is_idle = is_idle || (row.at(0) == std::to_string(session_.value) && row.at(1) == "Sleep");
    found_idle_ = is_idle ? found_idle_ + 1 : 0;
    const bool waits_for_nothing = found_idle_ >= kIdleTooOften;
    for (const std::string& text :
         waits_for_nothing ? dialect.end_session(session_) : dialect.cancel_statement(session_))
      statement->execute(text);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
    // Nothing follows from a failure: the request is repeated.
  }
}

DriverThread::DriverThread() {
  driver().threadInit();
}

DriverThread::~DriverThread() {
  driver().threadEnd();
}

}  // namespace troth::agent
