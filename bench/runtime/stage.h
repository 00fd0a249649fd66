// bench/runtime/stage.h
//
// The servers that a run plays on: transfer.py starts them and writes down where they are; the benchmark
// reads it. Passwords stay in files of their own that only the user can read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace troth::bench {

struct DatabaseAddress {
  std::string host;
  std::uint16_t port = 0;
  std::string database;
  std::string user;
  std::string password;
};

// Where Troth is called, and what it calls the two databases.
struct TrothAddress {
  std::string host;
  std::uint16_t port = 0;
  std::string postgres_resource;
  std::string mysql_resource;
};

// A process whose CPU time is counted, with its children.
struct CountedProcess {
  std::string name;  // postgres, mysql, mariadb, coordinator, agent; two of a kind have a number behind
  std::int64_t pid = 0;
};

struct Stage {
  std::string databases;  // postgres+mysql or postgres+mariadb
  std::int64_t accounts = 0;
  DatabaseAddress postgres;
  DatabaseAddress mysql;              // or MariaDB
  std::optional<TrothAddress> troth;  // absent where only the hand-coded side runs
  std::vector<CountedProcess> processes;
};

// Reads the file and the password files that it names (io or invalid_argument, effect none).
[[nodiscard]] Result<Stage> read_stage(const std::string& path);

}  // namespace troth::bench
