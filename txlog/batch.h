// txlog/batch.h
//
// Builds the bytes of one batch: everything that one sync makes durable, or loses, together.
// The buffer is kept when a builder is cleared, so that a busy log appends without allocating.
#pragma once

#include <vector>

#include "txlog/format.h"

namespace troth::txlog {

class BatchBuilder {
 public:
  BatchBuilder() { clear(); }

  // `sequence` follows the one before it; the payload is copied.
  void add(RecordSequence sequence, RecordType type, Bytes payload);

  [[nodiscard]] bool empty() const { return records_ == 0; }
  [[nodiscard]] std::uint32_t records() const { return records_; }
  // Frame and records, before the zeros that fill the last block.
  [[nodiscard]] std::size_t bytes() const { return buffer_.size(); }
  [[nodiscard]] std::size_t sealed_bytes() const { return round_up(buffer_.size(), kBlockBytes); }
  // Of the first record added; meaningless while empty.
  [[nodiscard]] RecordSequence first_sequence() const { return first_sequence_; }

  // Fills the last block with zeros, completes `frame` (bytes, records, body_crc; first_sequence stays as
  // given in an empty batch) and puts it in front. The view lasts until the builder changes.
  [[nodiscard]] Bytes seal(BatchFrame frame);

  void clear();

 private:
  std::vector<std::byte> buffer_;
  std::uint32_t records_ = 0;
  RecordSequence first_sequence_;
};

}  // namespace troth::txlog
