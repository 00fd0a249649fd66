#include "bench/runtime/postgres_session.h"

#include <fmt/format.h>

namespace troth::bench {
namespace {

// Value of a libpq connection string: in quotes, with quote and backslash escaped.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') result += '\\';
    result += letter;
  }
  return result + "'";
}

std::string connection_string(const DatabaseAddress& address) {
  return fmt::format("host={} port={} dbname={} user={} password={} connect_timeout=10 options={}",
                     quoted(address.host), address.port, quoted(address.database), quoted(address.user),
                     quoted(address.password), quoted("-c lock_timeout=2s"));
}

// What lock_timeout ends. A branch here locks one row, so there is no deadlock to lose.
bool is_conflict(const pqxx::sql_error& error) {
  return error.sqlstate() == "55P03";
}

}  // namespace

PostgresSession::PostgresSession(const DatabaseAddress& address) : connection_(connection_string(address)) {
  // A session that came back by itself would run the rest of a transaction outside of it. Deprecated in
  // libpqxx 6.4 without another way: the next version no longer reconnects.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection_.inhibit_reactivation(true);
#pragma GCC diagnostic pop
  connection_.prepare("move", "UPDATE account SET balance = balance + $1 WHERE id = $2");
}

BranchWork PostgresSession::prepare(const std::string& gid, AccountNumber account, std::int64_t amount) {
  pqxx::nontransaction session(connection_);
  session.exec("BEGIN");
  try {
    if (session.exec_prepared("move", amount, account).affected_rows() != 1)
      throw pqxx::usage_error(fmt::format("Postgres has no account {}", account));
  } catch (const pqxx::sql_error& error) {
    if (!is_conflict(error)) throw;
    session.exec("ROLLBACK");
    return BranchWork::kConflict;
  }
  session.exec(fmt::format("PREPARE TRANSACTION '{}'", gid));
  return BranchWork::kPrepared;
}

void PostgresSession::commit_prepared(const std::string& gid) {
  pqxx::nontransaction(connection_).exec(fmt::format("COMMIT PREPARED '{}'", gid));
}

void PostgresSession::rollback_prepared(const std::string& gid) {
  pqxx::nontransaction(connection_).exec(fmt::format("ROLLBACK PREPARED '{}'", gid));
}

std::string PostgresSession::value(const std::string& query) {
  return pqxx::nontransaction(connection_).exec1(query)[0].c_str();
}

}  // namespace troth::bench
