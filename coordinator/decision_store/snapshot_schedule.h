// coordinator/decision_store/snapshot_schedule.h
//
// When a replica takes a snapshot of its table: when as many bytes were logged since the last one began as that one was
// large, and at least `least_bytes`. Let L be the larger of the two.
//
// What it costs: a snapshot has at most what the last one had and what was logged since. So over any time snapshots write
// at most twice what the log writes (where nothing of it ever dies; where the live part keeps its size, as much again),
// and the last one besides.
// What it takes: a snapshot is begun with L logged, and cut is when it is durable. So the log holds, besides whole
// segments, at most 2 L and what is logged while one is written; beside it lie two snapshots, the last and the next.
//
// Both are counted as they lie on the disk.
//
// One that could not be written is tried again after a quarter of that.
#pragma once

#include <algorithm>
#include <cstdint>

namespace troth::coordinator::store {

class SnapshotSchedule {
 public:
  explicit SnapshotSchedule(std::uint64_t least_bytes) : least_bytes_(least_bytes) {}

  void logged(std::uint64_t bytes) { since_ += bytes; }
  [[nodiscard]] bool is_due() const { return since_ >= wait_; }

  void begun() { since_ = 0; }
  void taken(std::uint64_t snapshot_bytes) { wait_ = std::max(least_bytes_, snapshot_bytes); }
  void failed() { wait_ = std::max(least_bytes_, wait_) / 4; }

 private:
  std::uint64_t least_bytes_;
  std::uint64_t wait_ = least_bytes_;
  std::uint64_t since_ = 0;
};

}  // namespace troth::coordinator::store
