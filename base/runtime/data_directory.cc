#include "base/runtime/data_directory.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime/digest.h"
#include "base/runtime/durable_file.h"
#include "base/runtime/entropy.h"

namespace troth {
namespace {

constexpr std::string_view kFirstLine = "troth-data-directory 1";
constexpr std::string_view kRandomLetters = "abcdefghijkmnpqrstuvwxyz23456789";  // none that look alike
constexpr std::size_t kRandomLength = 6;
constexpr std::size_t kMaxNameLength = kMaxClusterLength - kRandomLength - 1;
constexpr std::size_t kMaxIdentityBytes = 4096;

std::string identity_path(const std::string& directory) {
  return directory + "/identity";
}

std::string_view program_of(OwnerKind kind) {
  return kind == OwnerKind::kCoordinator ? "troth-coordinator" : "troth-agent";
}

std::string body_of(const Identity& identity) {
  std::string body = fmt::format("{}\nkind {}\n", kFirstLine, name_of(identity.kind));
  if (identity.kind == OwnerKind::kAgent) body += fmt::format("agent {}\n", identity.agent.value);
  if (!identity.cluster.value.empty()) body += fmt::format("cluster {}\n", identity.cluster.value);
  if (!identity.group.empty())
    body += fmt::format("replica {}\ngroup {}\n", identity.replica, identity.group);
  return body;
}

std::string text_of(const Identity& identity) {
  const auto body = body_of(identity);
  return fmt::format("{}checksum {}\n", body, sha256(body).hex());
}

// The reverse of text_of(); nothing when a byte of it is wrong.
std::optional<Identity> parse_identity(std::string_view text) {
  Identity identity;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const auto key = line.substr(0, space);
    const auto value = line.substr(space + 1);
    if (key == "kind") identity.kind = value == "agent" ? OwnerKind::kAgent : OwnerKind::kCoordinator;
    if (key == "agent") identity.agent.value = value;
    if (key == "cluster") identity.cluster.value = value;
    if (key == "replica") std::from_chars(value.data(), value.data() + value.size(), identity.replica);
    if (key == "group") identity.group = value;
  }
  // Whatever was misread above is not what would have been written.
  if (text_of(identity) != text) return std::nullopt;
  return identity;
}

Status check_name(std::string_view name) {
  const bool fits = name.size() <= kMaxNameLength && parse_cluster_id(name).has_value();
  if (fits) return {};
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("'{}' is not a name for init: expected 1 to {} lower-case letters, digits and '-'",
                          name.substr(0, 80), kMaxNameLength));
}

// The first thing in the directory that init did not leave there itself when it was cut short.
Result<std::optional<std::string>> first_content(const std::string& path) {
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) {
    return fail(ErrorCode::kIo, Effect::kNone,
                fmt::format("cannot read the directory {}: {}", path, std::strerror(errno)));
  }
  std::optional<std::string> content;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != "identity.new") content = std::string(name);
  }
  ::closedir(directory);
  return content;
}

Result<FileDescriptor> lock_directory(const std::string& path) {
  const auto lock_path = path + "/lock";
  FileDescriptor lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.is_open()) {
    return fail(ErrorCode::kIo, Effect::kNone,
                fmt::format("cannot open {}: {}", lock_path, std::strerror(errno)));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::kNotOwner, Effect::kNone,
                fmt::format("the data directory {} is in use by another process: stop that one first, or "
                            "configure another data_directory",
                            path));
  }
  return lock;
}

}  // namespace

std::string_view name_of(OwnerKind kind) {
  return kind == OwnerKind::kCoordinator ? "coordinator" : "agent";
}

Result<Identity> read_identity(const std::string& path) {
  const auto file = identity_path(path);
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0 && errno == ENOENT) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("{} is not a data directory of Troth: check data_directory, or make it with "
                            "`troth-coordinator init` or `troth-agent init`",
                            path));
  }
  const auto text = read_file(file, kMaxIdentityBytes);
  if (!text) return std::unexpected(text.error());
  auto identity = parse_identity(*text);
  if (!identity) {
    return fail(
        ErrorCode::kCorrupt, Effect::kNone,
        fmt::format("{} is damaged, or of a later version: restore this file from a backup; do not run "
                    "init again, the log beside it belongs to this identity",
                    file));
  }
  return std::move(*identity);
}

Result<Identity> DataDirectory::init(const std::string& path, OwnerKind kind, std::string_view name) {
  if (auto fits = check_name(name); !fits) return std::unexpected(fits.error());
  const auto id = fmt::format("{}-{}", name, random_text(kRandomLength, kRandomLetters));
  Identity identity{.kind = kind, .agent = {}, .cluster = {}};
  if (kind == OwnerKind::kAgent) {
    identity.agent.value = id;
  } else {
    identity.cluster.value = id;
  }
  return make(path, std::move(identity));
}

Result<Identity> DataDirectory::init_coordinator(const std::string& path, const ClusterId& cluster) {
  if (auto valid = parse_cluster_id(cluster.value); !valid) return std::unexpected(std::move(valid.error()));
  return make(
      path,
      {.kind = OwnerKind::kCoordinator, .agent = {}, .cluster = cluster, .group = std::string(kToJoin)});
}

Result<Identity> DataDirectory::make(const std::string& path, Identity identity) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(ErrorCode::kIo, Effect::kNone,
                fmt::format("cannot make the data directory {}: {}", path, std::strerror(errno)));
  }
  const auto content = first_content(path);
  if (!content) return std::unexpected(content.error());
  if (content->has_value()) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("{} is not empty (it holds '{}'): init makes a new data directory and never "
                            "replaces one; name another",
                            path, **content));
  }
  if (::chmod(path.c_str(), 0700) != 0) {
    return fail(ErrorCode::kIo, Effect::kNone,
                fmt::format("cannot make {} private to its owner: {}", path, std::strerror(errno)));
  }
  if (auto written = write_durably(identity_path(path), text_of(identity)); !written)
    return std::unexpected(written.error());
  if (auto synced = sync_directory(path + "/.."); !synced) return std::unexpected(synced.error());
  return identity;
}

Result<DataDirectory> DataDirectory::open(const std::string& path, OwnerKind kind) {
  auto identity = read_identity(path);
  if (!identity) return std::unexpected(identity.error());
  if (identity->kind != kind) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("{} is the data directory of a {}, and this is {}: check data_directory", path,
                            name_of(identity->kind), program_of(kind)));
  }
  auto lock = lock_directory(path);
  if (!lock) return std::unexpected(lock.error());
  return DataDirectory(path, std::move(*identity), std::move(*lock));
}

Status DataDirectory::record_cluster(const ClusterId& cluster) {
  if (identity_.cluster == cluster) return {};
  if (!identity_.cluster.value.empty()) {
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format("{} belongs to the cluster {}, and was told of {}: check the coordinator addresses, or "
                    "init a new data directory for the other cluster",
                    path_, identity_.cluster.value, cluster.value));
  }
  return replace_identity([&](Identity& identity) { identity.cluster = cluster; });
}

Status DataDirectory::record_member(std::uint32_t replica, const std::string& group) {
  const auto refuse = [&](std::string why) {
    return fail(ErrorCode::kNotOwner, Effect::kNone, std::move(why));
  };
  const auto& known = identity_;
  const bool is_member = known.replica != 0;
  const auto holds = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; };
  if (replica == 0 && known.group.empty()) {
    // Beside a log of its own, an import's remains: that log knows what became of it.
    if (holds(log_path()) || !holds(group_log_path())) return {};
    return refuse(fmt::format(
        "{} holds the decision log of a replica of a group, and the configuration has no group: set "
        "group.replica, or configure another data_directory",
        path_));
  }
  if (replica == 0) {
    return refuse(fmt::format(
        "{} is the data directory of a coordinator that belongs to a group of the cluster {}, and the "
        "configuration has no group: set group.replica, or configure another data_directory",
        path_, known.cluster.value));
  }
  if (is_member && known.replica != replica) {
    return refuse(fmt::format(
        "{} is the data directory of replica {}, and group.replica is {}: a replica's number is its "
        "directory's for ever; check group.replica and data_directory",
        path_, known.replica, replica));
  }
  if (is_member && known.group != group) {
    return refuse(
        fmt::format("the group of {} began with {}, and the configuration says {}: that never changes; set "
                    "group.founders and its quorums as they were, and change the group by `troth cluster`",
                    path_, known.group, group));
  }
  if (is_member) return {};
  if (holds(log_path())) {
    return refuse(fmt::format(
        "{} holds the decision log of a coordinator that was alone, and group.replica is {}: make it "
        "the first of a group by `troth cluster init --from-local`, or configure another "
        "data_directory",
        path_, replica));
  }
  return record_import(replica, group);
}

Status DataDirectory::record_import(std::uint32_t replica, const std::string& group) {
  return replace_identity([&](Identity& identity) {
    identity.replica = replica;
    identity.group = group;
  });
}

Status DataDirectory::replace_identity(const std::function<void(Identity&)>& change) {
  Identity changed = identity_;
  change(changed);
  if (auto written = write_durably(identity_path(path_), text_of(changed)); !written) return written;
  identity_ = std::move(changed);
  return {};
}

}  // namespace troth
