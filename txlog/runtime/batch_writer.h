// txlog/runtime/batch_writer.h
//
// Puts batches on the disk, one after the other: seal, write, sync; and goes on in the next segment when one
// is full. Used by the log's one writing thread only.
#pragma once

#include "base/random.h"
#include "txlog/batch.h"
#include "txlog/runtime/segment_preparer.h"

namespace troth::txlog {

class BatchWriter {
 public:
  // Where the log stands; the first batch goes behind what `segment` already holds.
  struct Start {
    PreparedSegment segment;
    std::uint64_t offset = 0;
    BatchFrame last;                  // the last batch that is durable
    std::uint64_t segment_bytes = 0;  // of the segments to come
  };
  // What a frame says beside its records.
  struct Standing {
    SegmentNumber oldest_segment;
    RecordSequence unsettled_cut;
    bool operator==(const Standing&) const = default;
  };

  BatchWriter(Start start, SegmentPreparer& preparer, Random& random);

  // Durable, or an error that says whether anything was written (kUnknown) or not (kNone). After an error it
  // must not be called again.
  [[nodiscard]] Status write(BatchBuilder& batch, const Standing& standing);

  // Of the segment that the last batch went into.
  [[nodiscard]] const SegmentHeader& segment() const { return segment_.header; }
  [[nodiscard]] Standing standing() const { return {last_.oldest_segment, last_.unsettled_cut}; }
  [[nodiscard]] RecordSequence next_sequence() const { return last_.next_sequence(); }

 private:
  void prepare_next();

  PreparedSegment segment_;
  std::uint64_t offset_;
  BatchFrame last_;
  std::uint64_t segment_bytes_;
  SegmentPreparer& preparer_;
  Random& random_;
};

// A random number, never 0.
[[nodiscard]] Salt next_salt(Random& random);

}  // namespace troth::txlog
