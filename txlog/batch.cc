#include "txlog/batch.h"

#include <cstring>

#include "base/check.h"
#include "txlog/crc32c.h"

namespace troth::txlog {

void BatchBuilder::add(RecordSequence sequence, RecordType type, Bytes payload) {
  CHECK(payload.size() <= kMaxPayloadBytes, "payload of {} bytes", payload.size());
  CHECK(records_ == 0 || sequence.value == first_sequence_.value + records_, "sequence {} after {}+{}",
        sequence.value, first_sequence_.value, records_);
  if (records_ == 0) first_sequence_ = sequence;
  const auto at = buffer_.size();
  buffer_.resize(at + record_bytes(payload.size()));  // new bytes are zero, the alignment's too
  const auto whole = std::span(buffer_).subspan(at);
  encode(RecordHeader{static_cast<std::uint32_t>(payload.size()), type, sequence, crc32c(payload)},
         whole.first(kRecordHeaderBytes));
  if (!payload.empty()) std::memcpy(whole.data() + kRecordHeaderBytes, payload.data(), payload.size());
  ++records_;
}

Bytes BatchBuilder::seal(BatchFrame frame) {
  buffer_.resize(sealed_bytes());
  CHECK(buffer_.size() <= kMaxBatchBytes, "batch of {} bytes", buffer_.size());
  frame.bytes = static_cast<std::uint32_t>(buffer_.size());
  frame.records = records_;
  if (records_ > 0) frame.first_sequence = first_sequence_;
  frame.body_crc = crc32c(std::span(buffer_).subspan(kFrameBytes));
  encode(frame, std::span(buffer_).first(kFrameBytes));
  return buffer_;
}

void BatchBuilder::clear() {
  buffer_.clear();
  buffer_.resize(kFrameBytes);
  records_ = 0;
}

}  // namespace troth::txlog
