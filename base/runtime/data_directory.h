// base/runtime/data_directory.h
//
// The directory that a process remembers itself by: who it is (`identity`), that it runs (`lock`) and its log
// (`log/`). Made once by `init`; a process never makes one by itself, because a mistyped path would then be a
// new cluster, or an agent without its journal.
//
//   identity    who this is; text, with a checksum; replaced whole
//   lock        locked while a process has the directory open
//   log/        txlog segments; group/ and group-snapshots/ of a coordinator that belongs to a group
//   audit.log   what operators changed by hand, and why
//
// Durability: init() and record_..() return after file and directory are synced.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/runtime/file_descriptor.h"

namespace troth {

enum class OwnerKind : std::uint8_t { kCoordinator, kAgent };

[[nodiscard]] std::string_view name_of(OwnerKind kind);

inline constexpr std::string_view kToJoin = "to join";

struct Identity {
  OwnerKind kind = OwnerKind::kCoordinator;
  AgentId agent;      // agents only
  ClusterId cluster;  // of an agent: empty until its first registration names it
  // Of a coordinator in a group, from its first start there on; before, of one that `init` made for a cluster that there
  // is, replica 0 and the word kToJoin.
  std::uint32_t replica = 0;
  std::string group;  // by what it began, as its settings have it
  bool operator==(const Identity&) const = default;
};

class DataDirectory {
 public:
  // Makes the directory (mode 0700) with a new identity: `name`, '-' and six random characters. The name is
  // 1 to 12 lower-case letters, digits and '-'. Refuses a directory that holds anything, and a missing
  // parent.
  [[nodiscard]] static Result<Identity> init(const std::string& path, OwnerKind kind, std::string_view name);

  // The same for another coordinator of a cluster that has its name already.
  [[nodiscard]] static Result<Identity> init_coordinator(const std::string& path, const ClusterId& cluster);

  // Refuses, naming path and remedy: not there or never initialised, unreadable, damaged, made for the other
  // kind of process, or in use (not_owner).
  [[nodiscard]] static Result<DataDirectory> open(const std::string& path, OwnerKind kind);

  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string log_path() const { return path_ + "/log"; }
  [[nodiscard]] std::string group_log_path() const { return path_ + "/group"; }
  [[nodiscard]] std::string audit_path() const { return path_ + "/audit.log"; }

  // What an agent learns at its first registration, and then for ever: another cluster is refused
  // (not_owner).
  [[nodiscard]] Status record_cluster(const ClusterId& cluster);

  // Which replica of which group a coordinator is, for ever; 0: it is alone. Refuses (not_owner) the directory of another
  // replica, of a group that began otherwise, of one that is alone, and of one that is not. What is in the directory says it
  // where the identity does not.
  [[nodiscard]] Status record_member(std::uint32_t replica, const std::string& group);
  // The same of a coordinator that was alone, and whose decision log was imported to group_log_path().
  [[nodiscard]] Status record_import(std::uint32_t replica, const std::string& group);

 private:
  DataDirectory(std::string path, Identity identity, FileDescriptor lock)
      : path_(std::move(path)), identity_(std::move(identity)), lock_(std::move(lock)) {}

  [[nodiscard]] static Result<Identity> make(const std::string& path, Identity identity);
  [[nodiscard]] Status replace_identity(const std::function<void(Identity&)>& change);

  std::string path_;
  Identity identity_;
  FileDescriptor lock_;
};

// The identity of a directory without opening it for use: what the tool reads beside a running process.
[[nodiscard]] Result<Identity> read_identity(const std::string& path);

}  // namespace troth
