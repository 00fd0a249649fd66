// coordinator/decision_store/runtime/snapshot_file.h
//
// A snapshot as a file: what it is made of stands in thrift/replicas.thrift. Written once from front to end under a name
// that ends in ".new", synced piece by piece so that the log's own syncs never queue behind a big one, and named when every
// byte of it is durable: a named snapshot is whole, or its disk has damaged it.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "coordinator/decision_store/group_engine.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "coordinator/decision_store/runtime/snapshot_codec.h"
#include "txlog/batch.h"
#include "txlog/runtime/files.h"

namespace troth::coordinator::store {

// Used by one thread at a time. After an error it is of no use but to be destroyed.
class SnapshotWriter {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SnapshotWriter>> begin(txlog::Files& files, std::string path,
                                                                     ClusterId cluster, std::uint64_t salt);

  [[nodiscard]] Status add(const std::vector<LogRecord>& records);
  // Then it is whole and durable, under the name that it was begun with.
  [[nodiscard]] Status end(consensus::Slot slot, std::vector<consensus::ConfiguredFrom> configured);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint64_t salt() const { return salt_; }
  [[nodiscard]] std::uint64_t bytes() const { return offset_; }

 private:
  SnapshotWriter(std::unique_ptr<txlog::File> file, std::string path, std::uint64_t salt)
      : file_(std::move(file)), path_(std::move(path)), salt_(salt) {}
  Status write(txlog::RecordType type, txlog::Bytes payload);
  Status write_batch();

  std::unique_ptr<txlog::File> file_;
  std::string path_;
  std::uint64_t salt_;
  std::uint64_t offset_ = 0;
  std::uint64_t unsynced_ = 0;
  std::uint64_t records_ = 0;
  txlog::RecordSequence next_{1};
  txlog::BatchNumber batch_number_;
  txlog::BatchBuilder batch_;
  RecordEncoder encoder_;
};

struct ReadSnapshot {
  AppliedState state;
  std::map<consensus::Slot, consensus::Configuration> configured;
  SnapshotName name;
  std::uint64_t bytes = 0;
};

// The state that a file holds. Refuses by name (kCorrupt) what is torn, damaged or unfinished; (kNotOwner) another cluster's.
[[nodiscard]] Result<ReadSnapshot> read_snapshot(txlog::Files& files, const std::string& path,
                                                 const ClusterId& cluster, const std::stop_token& stop = {});

}  // namespace troth::coordinator::store
