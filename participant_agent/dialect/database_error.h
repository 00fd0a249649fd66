// participant_agent/dialect/database_error.h
//
// What a database's refusal means. The same SQLSTATE says different things before, during and after a
// prepare, so this table says only what is known from the code itself; the branch's life cycle draws the
// conclusion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "participant_agent/dialect/database_kind.h"

namespace troth::agent {

// Whose text failed. 42704 is an unknown XID behind the agent's COMMIT PREPARED, and a missing type in a
// client's statement.
enum class Speaker : std::uint8_t { kAgent, kClient };

// MySQL, MariaDB: the class of SQLSTATE that is nobody's but SIGNAL's.
inline constexpr std::string_view kSignalled = "45";

// As the driver reported it.
struct DatabaseError {
  std::string sqlstate;  // empty: the driver gave none
  std::int32_t vendor_code = 0;
  std::string message;
  std::string constraint;        // empty: none named, or to be found in the message
  bool connection_lost = false;  // the driver saw the connection break
};

enum class Meaning : std::uint8_t {
  kStatementRefused,     // constraint, syntax, permission, type: this statement cannot work
  kDuplicateKey,         // 23505, 1062: on the marker insert, somebody holds the key
  kLockTimeout,          // 55P03, 1205: undecided, somebody holds a lock
  kDeadlock,             // 40P01, 1213: the database rolled the branch back
  kSerialization,        // 40001, MariaDB 1020: run again
  kCancelled,            // 57014, 1317, 1969, 3024: the statement was interrupted; the branch lives
  kUnknownXid,           // 42704, 1397: [T9] neither success nor failure
  kDuplicateXid,         // 42710, 1440: a branch of this name is already prepared
  kXidTied,              // Postgres 55000, MySQL 1399 on finishing: busy, or in another state
  kImplicitCommit,       // 1399 on a client's statement: it would have ended the branch
  kDoomed,               // 25P02, 1402, 1613, 1614: the branch can only roll back
  kNotInTransaction,     // 25P01, 25000: the session is not where it should be
  kReadOnlyTransaction,  // 25006, 1792: a statement of a branch run READ ONLY wanted to write
  kReadOnlyServer,       // 1290, 1836: the server takes no writes
  kNotPreparable,        // 0A000 at PREPARE: temporary objects, LISTEN, exported snapshots
  kNoPreparedSlot,       // 53400/55000 with max_prepared_transactions: no slot is free
  kNotInstalled,         // 42P01, 3F000, 1146 on Troth's own tables
  kUnknownSession,       // 1094: the session to end has gone
  kServerBusy,           // 53xxx, 1040, 1203: too many connections, no memory, disk full
  kConnectionLost,       // 08xxx, 57P01, 57P02, 57P03, 1053, 1927, 2006, 2013: outcome unknown, look again
};

[[nodiscard]] std::string_view name_of(Meaning meaning);

struct ClassifiedError {
  Meaning meaning = Meaning::kStatementRefused;
  // `effect` is what is known of the one call that failed: kUnknown when the connection went, else kNone.
  Error error;
};

[[nodiscard]] ClassifiedError classify_error(DatabaseKind kind, Speaker speaker,
                                             const DatabaseError& reported);

// The constraint's or key's name: as reported, or found in MySQL's and MariaDB's messages
// ("... for key 'accounts.PRIMARY'", "CONSTRAINT `positive` failed").
[[nodiscard]] std::string constraint_of(const DatabaseError& reported);

}  // namespace troth::agent
