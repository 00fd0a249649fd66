// recovery/doctor_facts.h
//
// What `troth doctor` has seen, before anybody judges it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "participant_agent/dialect/database_kind.h"

namespace troth::recovery {

// ---- a resource

// What the agent's configuration says of it.
struct ConfiguredResource {
  std::string name;
  agent::DatabaseKind kind = agent::DatabaseKind::kPostgres;
  std::string config;  // the file
  std::string role;
  std::string database;
  std::int64_t sessions = 0;     // that run branches
  std::int64_t connections = 0;  // that the agent opens at most
};

struct PreparedSeen {
  std::string name;  // as the server lists it
  std::string owner;
  std::optional<std::int64_t> age_s;  // Postgres knows
  bool troths = false;
  std::string ending;  // what an administrator may run
};

// What is missing on one table, or schema or sequence: "INSERT, UPDATE".
struct MissingRight {
  std::string object;
  std::string rights;
  bool troths = false;
};

// A table, trigger or constraint, and the statement that mends it.
struct Flaw {
  std::string name;
  std::string statement;
};

using ServerSettings = std::map<std::string, std::string, std::less<>>;

struct PostgresFacts {
  std::int64_t version = 0;  // 150018
  ServerSettings settings;   // as a session of the role has them
  bool standby = false;
  bool superuser = false;
  std::int64_t role_connections = -1;  // -1: no limit
  std::int64_t database_connections = -1;
  std::vector<PreparedSeen> prepared;
  std::vector<MissingRight> missing;
  std::vector<Flaw> without_key;
  std::vector<Flaw> deferred;
};

struct InnodbTable {
  std::string name;
  std::string engine;
  std::string first_column;
  bool has_key = false;
  bool troths = false;
};

struct InnodbTrigger {
  std::string name;
  std::string table;
  std::string text;
};

struct InnodbFacts {
  std::string version;
  std::string account;                // `user`@`host`, as the server knows the role
  ServerSettings settings;            // global
  std::int64_t user_connections = 0;  // of the account; 0: no limit
  std::string character_set;          // of the schema
  bool time_zones = true;             // named ones are known
  bool super = false;
  bool lists_prepared = true;
  bool sees_variables = true;
  std::vector<PreparedSeen> prepared;
  std::vector<InnodbTable> tables;
  std::vector<InnodbTrigger> triggers;
  std::vector<MissingRight> missing;
};

// What an experiment with sessions of the role came to.
struct SessionFacts {
  std::string transaction_refused;        // BEGIN, or what came after it: why
  std::string moved;                      // how it was seen that one session has several backends
  std::vector<std::string> lost;          // of a session's state: "a setting", "a prepared statement", ...
  std::string kept;                       // how it was seen that a backend outlives its client
  std::string renamed;                    // the number the session was told, and the server's own
  std::string console;                    // a pooler's own console answered
  std::optional<std::string> cannot_end;  // empty: it ended another session of its own; nothing: not tried
};

struct NotReached {
  std::string message;
};

struct Unanswered {
  std::string about;
  std::string reason;
};

struct ResourceFacts {
  ConfiguredResource configured;
  std::variant<NotReached, PostgresFacts, InnodbFacts> server;
  SessionFacts sessions;
  bool installed = true;
  std::optional<std::int64_t> schema_version;
  std::optional<std::int64_t> clock_ahead_ms;  // of this machine's
  std::vector<Unanswered> unanswered;
};

// ---- a directory, and this machine

enum class LogVerdict : std::uint8_t { kWhole, kCutTail, kDamaged, kUnseen };

struct DirectoryFacts {
  std::string path;  // the data directory, or with --log the log's
  std::string log;   // the log directory
  std::string program;
  std::string config;
  std::string size_setting;     // "journal_bytes"
  std::uint64_t log_bytes = 0;  // configured; 0: not known
  std::uint64_t segment_bytes = 0;
  std::string missing;  // why it cannot be used at all
  std::string file_system;
  std::string mount;
  std::optional<std::int64_t> sync_median_us;
  std::int64_t sync_99th_us = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint32_t mode = 0700;
  std::string owner;
  std::vector<std::string> foreign;  // files of other users
  bool live = false;
  LogVerdict verdict = LogVerdict::kWhole;
  std::string verdict_text;
  std::vector<Unanswered> unseen;
};

struct MachineFacts {
  std::optional<bool> clock_synchronised;
};

// ---- the cluster

struct ClusterResource {
  std::string name;
  std::string agent;
  std::string address;
  bool connected = false;
  std::string state;
  std::string detail;
  std::string remedy;
  std::int64_t in_doubt = 0;
  std::int64_t oldest_in_doubt_ms = 0;
};

struct ClusterFacts {
  std::string address;
  std::string not_reached;  // why
  std::string version;
  std::string tool_version;
  std::optional<std::int64_t> clock_ahead_ms;
  std::vector<ClusterResource> resources;
};

}  // namespace troth::recovery
