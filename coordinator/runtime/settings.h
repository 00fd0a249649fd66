// coordinator/runtime/settings.h
//
// What a coordinator can be told in its configuration file.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/settings.h"
#include "coordinator/table_limits.h"

namespace troth::coordinator {

struct CoordinatorSettings {
  std::string listen = "127.0.0.1:7710";
  std::string http_listen;  // empty: nothing is shown over HTTP
  TableLimits table;

  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  std::uint64_t log_bytes = std::uint64_t{1} << 30;  // past it the oldest segment is cleaned

  std::size_t max_connections = 4096;
  std::size_t max_agents = 2000;  // each is called for as long as this process runs
  std::size_t max_calls = 20'000;
  std::size_t max_calls_per_connection = 1024;
  std::uint32_t max_frame_bytes = 32U << 20;

  std::chrono::milliseconds heartbeat_interval{1000};
  std::chrono::milliseconds agent_call_timeout{10'000};  // of heartbeats, commits, settles
  std::chrono::milliseconds shutdown_grace{5000};
  std::chrono::milliseconds slow_transaction{1000};
};

void describe(Schema& schema, CoordinatorSettings& settings);

}  // namespace troth::coordinator
