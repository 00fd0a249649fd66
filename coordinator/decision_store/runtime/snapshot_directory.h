// coordinator/decision_store/runtime/snapshot_directory.h
//
// The files of one replica's snapshots: 000000000042.snapshot is the state at slot 42, what ends in ".new" is being written,
// LOCK is held by who uses them. A file gets its name when it is whole and durable, and the one before goes only after that.
// So one whole snapshot is there at any time, from the first one on; of several the newest counts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "coordinator/consensus/ballot.h"
#include "txlog/runtime/files.h"

namespace troth::coordinator::store {

class SnapshotDirectory {
 public:
  SnapshotDirectory(txlog::Files& files, std::string path) : files_(files), path_(std::move(path)) {}

  [[nodiscard]] txlog::Files& files() const { return files_; }
  [[nodiscard]] std::string path_of(consensus::Slot slot) const;
  // Of the own table, and of what comes from another replica: one of each at a time.
  [[nodiscard]] std::string taken_path() const { return path_ + "/taken.new"; }
  [[nodiscard]] std::string received_path() const { return path_ + "/received.new"; }

  // Makes it, and takes it, or refuses (kNotOwner) naming who has it.
  [[nodiscard]] Result<std::unique_ptr<txlog::DirectoryLock>> lock() const;
  // Its name is durable: who gave it may have been killed before it was, and a log is cut for what is found here.
  [[nodiscard]] Result<std::optional<consensus::Slot>> newest() const;
  // What is at `unfinished`, every byte of it durable, is the snapshot of `slot` from here.
  [[nodiscard]] Status publish(const std::string& unfinished, consensus::Slot slot) const;
  // Older ones. `unfinished`: also what nobody will finish.
  [[nodiscard]] Status remove_older(consensus::Slot kept, bool unfinished) const;

 private:
  txlog::Files& files_;
  std::string path_;
};

// "000000000042.snapshot" and back; nothing for any other name.
[[nodiscard]] std::string snapshot_file_name(consensus::Slot slot);
[[nodiscard]] std::optional<consensus::Slot> parse_snapshot_file_name(std::string_view name);

}  // namespace troth::coordinator::store
