// participant_agent/runtime/connect_options.h
//
// How a session with a database is opened: where, as whom, and how it is encrypted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/runtime/secret.h"
#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

// How a session with the database is encrypted. Words and meaning are libpq's, for every kind.
enum class DatabaseTlsMode : std::uint8_t {
  kOff,
  kPrefer,      // where the server has it; keeps nobody out who can change what passes
  kRequire,     // encrypted, whoever the server is
  kVerifyCa,    // and its certificate is of `ca`; MySQL and MariaDB: the same as the next
  kVerifyFull,  // and names the host that was called
};

struct DatabaseTls {
  DatabaseTlsMode mode = DatabaseTlsMode::kOff;
  std::string ca;           // PEM; for the verifying modes
  std::string certificate;  // PEM: the role's own, where the server asks for one
  std::string key;
};

struct ConnectOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string socket;  // a Unix socket's path (Postgres: its directory); used instead of host when not empty
  std::string user;
  SharedSecret password;  // as it is when a session is opened
  std::string database;   // MySQL and MariaDB: the schema that is the resource
  DatabaseTls tls;
  SessionSettings settings;
  std::chrono::seconds connect_timeout{5};
  // Longest silence of the server inside one call; must be longer than any branch's deadline. Past it the
  // connection counts as lost.
  std::chrono::seconds read_timeout{300};
  std::size_t statement_cache = 128;  // prepared statements kept per session
};

}  // namespace troth::agent
