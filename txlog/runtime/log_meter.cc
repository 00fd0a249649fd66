#include "txlog/runtime/log_meter.h"

namespace troth::txlog {
namespace {

constexpr Metric kTable[] = {
    {"troth_txlog_sync_seconds", MetricType::kHistogram, "",
     "How long a batch takes to be written and synced to the disk."},
    {"troth_txlog_batch_records", MetricType::kHistogram, "", "Records that share one sync."},
    {"troth_txlog_records_total", MetricType::kCounter, "", "Records appended to the write-ahead log."},
    {"troth_txlog_syncs_total", MetricType::kCounter, "", "Syncs of batches."},
    {"troth_txlog_written_bytes_total", MetricType::kCounter, "",
     "Bytes written, with frames and what fills a block."},
    {"troth_txlog_segments_deleted_total", MetricType::kCounter, "", "Old segment files that were cleaned."},
    {"troth_txlog_segments", MetricType::kGauge, "", "Segment files that hold records."},
    {"troth_txlog_bytes", MetricType::kGauge, "", "Their length together."},
};

}  // namespace

const std::span<const Metric> kLogMetrics{kTable};

LogMeter::LogMeter(Metrics& metrics)
    : sync_(metrics.histogram("troth_txlog_sync_seconds")),
      batch_(metrics.histogram("troth_txlog_batch_records")),
      records_(metrics.counter("troth_txlog_records_total")),
      syncs_(metrics.counter("troth_txlog_syncs_total")),
      written_bytes_(metrics.counter("troth_txlog_written_bytes_total")),
      segments_deleted_(metrics.counter("troth_txlog_segments_deleted_total")),
      segments_(metrics.gauge("troth_txlog_segments")),
      bytes_(metrics.gauge("troth_txlog_bytes")) {}

void LogMeter::synced(const SyncedBatch& batch) {
  sync_.Observe(seconds_of(batch.took));
  if (batch.records > 0) batch_.Observe(static_cast<double>(batch.records));
}

void LogMeter::refresh(const LogCounters& counters, const std::vector<SegmentInfo>& segments) {
  advance(records_, counters.records);
  advance(syncs_, counters.syncs);
  advance(written_bytes_, counters.written_bytes);
  advance(segments_deleted_, counters.segments_deleted);
  segments_.Set(static_cast<double>(segments.size()));
  double bytes = 0;
  for (const auto& segment : segments)
    bytes += static_cast<double>(segment.file_bytes);
  bytes_.Set(bytes);
}

}  // namespace troth::txlog
