// participant_agent/runtime/settings.h
//
// What an agent can be told in its configuration file.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/settings.h"
#include "participant_agent/dialect/database_kind.h"
#include "participant_agent/dialect/sql_comment.h"
#include "participant_agent/runtime/database_connection.h"
#include "thrift/runtime/tls_files.h"

namespace troth::agent {

struct ResourceSettings {
  std::string name;
  DatabaseKind kind = DatabaseKind::kPostgres;
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string socket;
  std::string database;
  std::string user;
  SecretSource password;
  DatabaseTls tls;
  std::size_t sessions = 32;
  std::size_t tied_sessions = 64;
  std::size_t queue = 1024;
  bool take_over = false;
  bool require_durability = true;
  bool one_trip = true;
  std::chrono::milliseconds lock_timeout{5000};
  std::vector<std::string> comment;  // of CommentParts

  [[nodiscard]] CommentParts comment_parts() const;
};

struct AgentSettings {
  std::string listen = "127.0.0.1:7720";
  rpc::TlsFiles tls;
  std::string http_listen;  // empty: nothing is shown over HTTP
  std::string advertise;    // empty: where it listens
  std::vector<std::string> coordinators{"127.0.0.1:7710"};
  std::vector<ResourceSettings> resources;

  std::size_t branches = 20'000;
  std::size_t branch_bytes = std::size_t{256} << 20;
  std::size_t max_connections = 1024;
  std::size_t max_connections_per_caller = 256;
  std::size_t max_handshakes = 128;
  std::uint32_t max_frame_bytes = 32U << 20;
  std::uint64_t max_rows = 10'000;
  std::uint64_t max_result_bytes = 17U << 20;  // a value of the largest size, and what is beside it

  std::chrono::milliseconds statement_timeout{10'000};
  std::chrono::milliseconds cancel_grace{5000};
  std::chrono::milliseconds first_inquiry{2000};
  std::chrono::milliseconds longest_inquiry{30'000};
  std::chrono::milliseconds list_interval{10'000};
  std::chrono::milliseconds counter_interval{1000};
  std::chrono::milliseconds floor_interval{60'000};
  std::chrono::milliseconds barrier_wait{1000};
  std::chrono::milliseconds shutdown_grace{5000};
  std::chrono::milliseconds handshake_timeout{5000};
  std::chrono::milliseconds slow_branch{1000};
  std::chrono::milliseconds leader_silence{10'000};

  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  std::uint64_t journal_bytes = std::uint64_t{1} << 30;
};

void describe(Schema& schema, AgentSettings& settings);

// Where the resource is, and how a session with it is encrypted; no user, no password.
[[nodiscard]] ConnectOptions connect_options_of(const ResourceSettings& resource);

}  // namespace troth::agent
