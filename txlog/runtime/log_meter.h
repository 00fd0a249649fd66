// txlog/runtime/log_meter.h
//
// What a process shows of its write-ahead log: how much, how often it syncs, how long that takes, and how many
// records share one sync.
#pragma once

#include <span>

#include "base/runtime/metrics.h"
#include "txlog/runtime/log.h"

namespace troth::txlog {

extern const std::span<const Metric> kLogMetrics;

class LogMeter {
 public:
  explicit LogMeter(Metrics& metrics);

  // On the log's thread.
  void synced(const SyncedBatch& batch);
  void refresh(const LogCounters& counters, const std::vector<SegmentInfo>& segments);

 private:
  Histogram& sync_;
  Histogram& batch_;
  Counter& records_;
  Counter& syncs_;
  Counter& written_bytes_;
  Counter& segments_deleted_;
  Gauge& segments_;
  Gauge& bytes_;
};

}  // namespace troth::txlog
