// coordinator/runtime/settings.h
//
// What a coordinator can be told in its configuration file.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/settings.h"
#include "coordinator/consensus/quorum.h"
#include "coordinator/decision_store/group_engine.h"
#include "coordinator/table_limits.h"
#include "thrift/runtime/tls_files.h"

namespace troth::coordinator {

struct ServiceGrant {
  std::string name;                    // in its certificate
  std::vector<std::string> resources;  // "*": all
};

// One coordinator of a group, as every other one's file has it, too.
struct ReplicaSettings {
  std::uint32_t number = 0;
  std::string address;       // where services, agents and the tool call it
  std::string peer_address;  // where the other replicas call it
};

struct GroupSettings {
  std::uint32_t replica = 0;  // which of them this process is; 0: no group
  std::string listen;         // empty: its own peer_address
  std::vector<ReplicaSettings> replicas;
  std::string founders;        // numbers of those that began the group; empty: all that are listed
  consensus::Quorums quorums;  // of the group's beginning; 0: the smallest majority
  std::chrono::milliseconds lease{150};
  std::chrono::milliseconds patience{3000};
  store::BatchLimits batch;  // no setting: of every group, but one that is simulated, whose disks are small

  [[nodiscard]] bool is_set() const { return replica != 0; }
  [[nodiscard]] const ReplicaSettings* find(std::uint32_t number) const;
  // By which the group began. Each replica keeps it for ever (DataDirectory::record_member) and compares it with the others',
  // for it is what their logs take for granted: two beginnings would be two groups.
  [[nodiscard]] consensus::Configuration beginning() const;
};

// "replicas 1, 2, 3: write 2, elect 2, read 2, lease 150 ms"
[[nodiscard]] std::string text_of(const consensus::Configuration& configuration);

struct CoordinatorSettings {
  std::string listen = "127.0.0.1:7710";
  std::string http_listen;  // empty: nothing is shown over HTTP
  rpc::TlsFiles tls;
  std::vector<ServiceGrant> services;
  std::vector<std::string> operator_resources;
  TableLimits table;

  GroupSettings group;

  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  std::uint64_t log_bytes = std::uint64_t{1} << 30;  // past it the oldest segment is cleaned

  std::size_t max_connections = 4096;
  std::size_t max_connections_per_caller = 1024;
  std::size_t max_handshakes = 256;
  std::size_t max_agents = 2000;  // each is called for as long as this process runs
  std::size_t max_calls = 20'000;
  std::size_t max_calls_per_connection = 1024;
  std::uint32_t max_frame_bytes = 32U << 20;

  std::chrono::milliseconds heartbeat_interval{1000};
  std::chrono::milliseconds agent_call_timeout{10'000};  // of heartbeats, commits, settles
  std::chrono::milliseconds shutdown_grace{5000};
  std::chrono::milliseconds handshake_timeout{5000};
  std::chrono::milliseconds slow_transaction{1000};
};

void describe(Schema& schema, CoordinatorSettings& settings);

}  // namespace troth::coordinator
