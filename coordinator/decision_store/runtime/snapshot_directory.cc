#include "coordinator/decision_store/runtime/snapshot_directory.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace troth::coordinator::store {
namespace {

constexpr std::string_view kSuffix = ".snapshot";
constexpr std::string_view kUnfinishedSuffix = ".new";

}  // namespace

std::string snapshot_file_name(consensus::Slot slot) {
  return fmt::format("{:012}{}", slot.value, kSuffix);
}

std::optional<consensus::Slot> parse_snapshot_file_name(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const auto digits = name.substr(0, name.size() - kSuffix.size());
  consensus::Slot slot;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), slot.value);
  if (problem != std::errc{} || snapshot_file_name(slot) != name) return std::nullopt;
  return slot;
}

std::string SnapshotDirectory::path_of(consensus::Slot slot) const {
  return path_ + "/" + snapshot_file_name(slot);
}

Result<std::unique_ptr<txlog::DirectoryLock>> SnapshotDirectory::lock() const {
  if (auto made = files_.make_directory(path_); !made) return std::unexpected(std::move(made.error()));
  return files_.lock(path_ + "/LOCK");
}

Result<std::optional<consensus::Slot>> SnapshotDirectory::newest() const {
  if (auto done = files_.sync_directory(path_); !done) return std::unexpected(std::move(done.error()));
  const auto names = files_.list(path_);
  if (!names) return std::unexpected(names.error());
  std::optional<consensus::Slot> newest;
  for (const auto& name : *names)
    if (const auto slot = parse_snapshot_file_name(name)) newest = std::max(newest, slot);
  return newest;
}

Status SnapshotDirectory::publish(const std::string& unfinished, consensus::Slot slot) const {
  if (auto done = files_.rename(unfinished, path_of(slot)); !done) return done;
  return files_.sync_directory(path_);
}

Status SnapshotDirectory::remove_older(consensus::Slot kept, bool unfinished) const {
  const auto names = files_.list(path_);
  if (!names) return std::unexpected(names.error());
  bool removed = false;
  for (const auto& name : *names) {
    const auto slot = parse_snapshot_file_name(name);
    if (!(slot && *slot < kept) && !(unfinished && name.ends_with(kUnfinishedSuffix))) continue;
    if (auto done = files_.remove(path_ + "/" + name); !done) return done;
    removed = true;
  }
  return removed ? files_.sync_directory(path_) : Status{};
}

}  // namespace troth::coordinator::store
