// bench/runtime/postgres_session.h
//
// One Postgres session of the hand-coded side: prepared statement, two-phase commit in its own words.
#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>

#include "base/result.h"
#include "bench/runtime/stage.h"
#include "bench/transfer.h"

namespace troth::bench {

// Its methods throw what the driver throws, except where a conflict is expected. Not for several threads.
class PostgresSession {
 public:
  explicit PostgresSession(const DatabaseAddress& address);

  // BEGIN; UPDATE; PREPARE TRANSACTION.
  [[nodiscard]] BranchWork prepare(const std::string& gid, AccountNumber account, std::int64_t amount);
  void commit_prepared(const std::string& gid);
  void rollback_prepared(const std::string& gid);

  // The first column of the first row, as text.
  [[nodiscard]] std::string value(const std::string& query);

 private:
  pqxx::connection connection_;
};

}  // namespace troth::bench
