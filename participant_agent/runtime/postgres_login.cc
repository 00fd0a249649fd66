#include "participant_agent/runtime/postgres_login.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>

namespace troth::agent {
namespace {

std::string quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

// The dialect's settings once more: RESET ALL between two branches goes back to these.
constexpr std::string_view kStartupSettings =
    "-c standard_conforming_strings=on -c DateStyle=ISO,YMD -c IntervalStyle=iso_8601 -c bytea_output=hex "
    "-c extra_float_digits=1 -c TimeZone=UTC";

const char* sslmode_of(DatabaseTlsMode mode) {
  switch (mode) {
    case DatabaseTlsMode::kOff: return "disable";
    case DatabaseTlsMode::kPrefer: return "prefer";
    case DatabaseTlsMode::kRequire: return "require";
    case DatabaseTlsMode::kVerifyCa: return "verify-ca";
    case DatabaseTlsMode::kVerifyFull: return "verify-full";
  }
  return "verify-full";
}

std::string tls_text(const DatabaseTls& tls) {
  std::string text = fmt::format(" sslmode={}", sslmode_of(tls.mode));
  if (!tls.ca.empty()) text += fmt::format(" sslrootcert={}", quoted(tls.ca));
  if (!tls.certificate.empty())
    text += fmt::format(" sslcert={} sslkey={}", quoted(tls.certificate), quoted(tls.key));
  return text;
}

}  // namespace

void PostgresCancellation::interrupt() noexcept {
  char reason[256];
  // Nothing follows from a failure: the request is repeated.
  static_cast<void>(PQcancel(cancel_.get(), reason, sizeof(reason)));
}

// Once: libpq then closes the socket, when it next looks, and its number becomes another's.
void PostgresCancellation::break_off() noexcept {
  const std::lock_guard lock(mutex_);
  if (socket_ >= 0) ::shutdown(std::exchange(socket_, -1), SHUT_RDWR);
}

void PostgresCancellation::forget_socket() {
  const std::lock_guard lock(mutex_);
  socket_ = -1;
}

// The keepalives find a server whose machine has gone; a server that hangs is broken off by the cancellation.
std::string connection_string(const ConnectOptions& options) {
  std::string text = fmt::format(
      "host={} user={} password={} dbname={} connect_timeout={} client_encoding=UTF8 application_name={} "
      "options={} "
      "keepalives=1 keepalives_idle=10 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=30000",
      quoted(options.socket.empty() ? options.host : options.socket), quoted(options.user),
      quoted(options.password.value()), quoted(options.database), options.connect_timeout.count(),
      quoted(options.settings.application_name), quoted(kStartupSettings));
  if (options.port != 0) text += fmt::format(" port={}", options.port);
  return text + tls_text(options.tls);
}

}  // namespace troth::agent
