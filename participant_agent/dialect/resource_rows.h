// participant_agent/dialect/resource_rows.h
//
// What the agent reads out of a resource, in its own words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace troth::agent {

// A row as text, NULL as nullopt, columns by position.
using TextRow = std::vector<std::optional<std::string>>;
using TextRows = std::vector<TextRow>;

// A session's number inside its server; reused after the server's restart.
using ConnectionId = Named<struct ConnectionTag, std::uint64_t>;
// When the server was started, in seconds since 1970 as the server itself counts.
using ServerStart = Named<struct ServerStartTag, std::int64_t>;

// MySQL and MariaDB tell only whole seconds of uptime: starts this close together are one.
inline constexpr std::int64_t kServerStartToleranceSeconds = 2;

[[nodiscard]] inline bool same_start(ServerStart a, ServerStart b) {
  const std::int64_t apart = a.value > b.value ? a.value - b.value : b.value - a.value;
  return apart <= kServerStartToleranceSeconds;
}

// Who may run branches in a resource: the row of `troth_owner`. An empty agent: nobody yet.
struct OwnerRow {
  AgentId agent;
  Incarnation incarnation;
  Nonce nonce;
  std::uint64_t counter = 0;  // raised every second by the running agent; shows a set-back server

  // The counter moves all the time and names nobody.
  [[nodiscard]] bool same_owner(const OwnerRow& other) const {
    return agent == other.agent && incarnation == other.incarnation && nonce == other.nonce;
  }
  auto operator<=>(const OwnerRow&) const = default;
};

// Below these, things have been forgotten on purpose.
struct Floors {
  Position position;             // transactions
  std::uint64_t request_ms = 0;  // request_ids, by their own timestamp
  auto operator<=>(const Floors&) const = default;
};

// What a branch reads right behind its marker insert, without a lock.
struct GuardRow {
  OwnerRow owner;
  Floors floors;            // of the branch's cluster; zero: never raised
  std::string not_durable;  // empty: the server keeps what it acknowledges; else the setting that does not
};

// The state of a row in `troth_branch` [T9].
enum class MarkerState : std::uint8_t {
  kCommitted,  // written by the branch itself, so it is true once visible
  kLocal,      // undo mode: committed locally, undecided
  kUndone,     // undo mode: taken back
  kBarred,     // a barrier: the branch can never happen
  kRepaired,   // redone after a restore had lost it
  kResolved,   // committed, and by an operator's word: it proves this branch, and nothing of its transaction
};

[[nodiscard]] std::string_view name_of(MarkerState state);
[[nodiscard]] std::optional<MarkerState> marker_state_of(std::string_view name);

struct MarkerRow {
  std::string transaction;  // as stored; a request's barrier has a name of its own here
  BranchNumber branch;
  MarkerState state = MarkerState::kCommitted;
  std::optional<RequestKey> request;
  std::optional<Digest> digest;
  EpochNumber epoch;
  bool operator==(const MarkerRow&) const = default;
};

// A prepared branch of Troth's, of any cluster.
struct PreparedRow {
  BranchId branch;
  std::optional<std::int64_t> age_seconds;  // Postgres knows
  auto operator<=>(const PreparedRow&) const = default;
};

struct SessionIdentity {
  ConnectionId connection;
  ServerStart server_start;
  auto operator<=>(const SessionIdentity&) const = default;
};

struct RoleSession {
  ConnectionId connection;
  std::string state;  // as the server calls it; for messages
  auto operator<=>(const RoleSession&) const = default;
};

// Everything about a server that tells it from another one, and from its own past.
struct ServerRow {
  std::string server;  // Postgres system_identifier, MySQL server_uuid, MariaDB server_uid or server_id
  std::uint64_t timeline = 0;  // Postgres; rises with each promotion or point-in-time restore
  std::string gtid;  // MySQL gtid_executed, MariaDB gtid_binlog_pos; empty: none, or too long to keep
  std::optional<bool> holds_known_gtid;  // MySQL: is the journalled set still a part of it?
  bool read_only = false;                // in recovery, or refusing writes
  ServerStart started;
  std::string version;
  std::string installation;  // made by `troth install`, different in every installation
  std::uint32_t schema_version = 0;
  std::string cannot_prepare;  // empty: mode xa works; else the reason and the remedy
  std::string not_durable;     // as in GuardRow
  OwnerRow owner;
};

// A row that does not read as it should is corrupt, effect none.
[[nodiscard]] Result<GuardRow> parse_guard(const TextRow& row);
[[nodiscard]] Result<MarkerRow> parse_marker(const TextRow& row);
[[nodiscard]] Result<ServerRow> parse_server(const TextRow& row);
[[nodiscard]] Result<SessionIdentity> parse_session_identity(const TextRow& row);
[[nodiscard]] Result<RoleSession> parse_session(const TextRow& row);

}  // namespace troth::agent
