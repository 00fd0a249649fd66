// recovery/runtime/commands.h
//
// What the command line can ask for, as values: made by command_line.h, done by one file per command.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/settings.h"
#include "recovery/exit_code.h"
#include "recovery/group_change.h"
#include "recovery/resolution.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/tls_files.h"

namespace troth::recovery {

class Console;

// Given once, for every command.
struct Surroundings {
  std::string coordinator;  // host:port; several of a group, with commas between them
  std::string operator_name;
  rpc::TlsFiles tls_files;
  rpc::TlsPointer tls;  // of them; null: plain, to this machine only

  // A request's client_name: as given, else the name in our certificate.
  [[nodiscard]] std::string client_name(const std::string& given) const;
};

// troth execute
struct StatementSpec {
  std::string sql;
  std::vector<std::string> parameters;  // "int:10"
  std::optional<std::int64_t> expect_rows;
  std::optional<std::int64_t> expect_at_least;
};
struct BranchSpec {
  std::string resource;
  bool read_only = false;
  std::vector<StatementSpec> statements;
};
enum class Acknowledge : std::uint8_t { kApplied, kDecided };
enum class IsolationWish : std::uint8_t { kServer, kReadCommitted, kRepeatableRead, kSerializable };
struct ExecuteCommand {
  std::vector<BranchSpec> branches;
  std::string client_name;  // empty: see Surroundings
  std::string request_id;   // empty: a new one
  std::string label;
  Acknowledge acknowledge = Acknowledge::kApplied;
  IsolationWish isolation = IsolationWish::kServer;
  std::optional<std::int64_t> timeout_ms;
  std::optional<std::int64_t> statement_timeout_ms;
  std::optional<std::int64_t> max_rows;
};

// troth shell
struct ShellCommand {
  std::string client_name;  // empty: see Surroundings
  IsolationWish isolation = IsolationWish::kServer;
  bool read_only = false;
  std::optional<std::int64_t> timeout_ms;
  std::optional<std::int64_t> idle_timeout_ms;
  std::string on;  // the resource that is chosen at first; may be empty
  bool keep_going = false;
  bool history = true;
};

// troth status
struct StatusCommand {
  std::string transaction;  // or:
  std::string request_id;
  std::string client_name;  // empty: see Surroundings
  bool bar = false;
  std::vector<std::string> bar_resources;
  std::optional<std::int64_t> timeout_ms;
};

// troth in-doubt
struct InDoubtCommand {
  std::int64_t older_than_ms = 0;
};

// troth resources
struct ResourcesCommand {};

// troth resolve
struct ResolveCommand {
  std::string transaction;
  std::uint32_t branch = 0;
  std::string resource;  // empty: found out
  std::string agent;     // host:port; empty: through the coordinator
  Wish wish = Wish::kRollback;
  bool against_decision = false;
  std::string reason;
};

// troth resource take-over
struct TakeOverCommand {
  std::string resource;
  std::string agent;  // host:port of the agent that is to own it
  std::string reason;
};

// troth cluster new-reign
struct NewReignCommand {
  std::string data_directory;
  std::uint32_t above = 0;          // and above what these agents have seen:
  std::vector<std::string> agents;  // host:port
  bool roll_back_undecided = false;
  std::string reason;
};

// troth cluster status
struct ClusterStatusCommand {
  bool watch = false;
  std::chrono::milliseconds interval{1000};
  std::uint64_t count = 0;  // of looks, with watch; 0: until it is interrupted
};

// troth cluster add, remove, replace
struct ChangeClusterCommand {
  GroupWish wish;
  std::chrono::seconds timeout{600};
  bool may_become_majorities = false;  // quorums of other sizes
  std::string reason;
};

// troth cluster transfer
struct TransferLeadCommand {
  std::uint32_t to = 0;
  std::string reason;
};

// troth cluster init
struct InitClusterCommand {
  std::string config;       // of a coordinator
  std::string name;         // of a new cluster, or:
  std::string cluster;      // one that there is, or:
  bool from_local = false;  // the data directory has one that is alone
};

// troth log dump, troth log verify
struct LogCommand {
  enum class What : std::uint8_t { kDump, kVerify };
  What what = What::kVerify;
  std::string directory;
};

// troth install, troth uninstall
struct InstallCommand {
  bool uninstall = false;
  bool print = false;
  std::string reason;  // for the audit trail
  std::string resource;
  std::string agent_config;
  std::string role_host = "%";  // MySQL and MariaDB: the host part of the agent's account
  std::string admin_user;
  SecretSource admin_password;
};

// troth doctor
struct DoctorCommand {
  std::string config;                  // an agent's or a coordinator's
  std::vector<std::string> resources;  // of an agent's; none: all
  std::string log;                     // a log directory, without a configuration
  std::int64_t older_than_ms = 60'000;
  bool list = false;  // print what can be found at all
};

using Command =
    std::variant<ExecuteCommand, ShellCommand, StatusCommand, InDoubtCommand, ResourcesCommand,
                 ResolveCommand, TakeOverCommand, NewReignCommand, ClusterStatusCommand, ChangeClusterCommand,
                 TransferLeadCommand, InitClusterCommand, LogCommand, InstallCommand, DoctorCommand>;

[[nodiscard]] ExitCode run(const ExecuteCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const ShellCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const StatusCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const InDoubtCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const ResourcesCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const ResolveCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const TakeOverCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const NewReignCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const ClusterStatusCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const ChangeClusterCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const TransferLeadCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const InitClusterCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const LogCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const InstallCommand& command, const Surroundings& around, Console& console);
[[nodiscard]] ExitCode run(const DoctorCommand& command, const Surroundings& around, Console& console);

}  // namespace troth::recovery
