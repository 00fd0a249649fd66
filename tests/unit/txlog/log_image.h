// tests/unit/txlog/log_image.h
//
// A log in memory, built batch by batch, and damaged by the test as it likes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "txlog/batch.h"
#include "txlog/scan.h"

namespace troth::txlog {

struct ImageSegment {
  SegmentHeader header;
  std::vector<std::byte> bytes;
  std::size_t used = kBlockBytes;
  std::optional<BatchNumber> first_batch;
};

class LogImage {
 public:
  // A new log: segment 1 with the empty batch 0.
  explicit LogImage(std::uint64_t segment_bytes = 16 * kBlockBytes) : segment_bytes_(segment_bytes) {
    last_.first_sequence = {1};
    last_.oldest_segment = {1};
    begin_segment(1, SegmentNumber{}, BatchNumber{0});
    BatchBuilder empty;
    put(empty, {0});
  }

  static LogIdentity identity() { return {{"bank-x7k2p9"}, "decision-store"}; }

  // The next batch, in the newest segment or in a new one that continues it.
  void add(const std::vector<std::string>& payloads, RecordType type = {1}) {
    BatchBuilder batch;
    auto sequence = last_.next_sequence();
    for (const auto& payload : payloads) {
      batch.add(sequence, type, bytes_of(payload));
      expected_.push_back(payload);
      sequence.value += 1;
    }
    if (segments.back().used + batch.sealed_bytes() > segment_bytes_) continue_in_new_segment();
    put(batch, {last_.number.value + 1});
  }

  void continue_in_new_segment() {
    const auto number = segments.back().header.number;
    begin_segment(number.value + 1, number, std::nullopt);
  }

  // As an opening does: a new segment that repeats the last batch, whose payloads must be given again.
  // Segments that held nothing else are gone.
  void reopen(const std::vector<std::string>& last_payloads) {
    BatchBuilder batch;
    auto sequence = last_.first_sequence;
    for (const auto& payload : last_payloads) {
      batch.add(sequence, {1}, bytes_of(payload));
      sequence.value += 1;
    }
    const auto number = segments.back().header.number.value + 1;
    while (!segments.empty() && segments.back().first_batch.value_or(last_.number) >= last_.number)
      segments.pop_back();
    begin_segment(number, segments.empty() ? SegmentNumber{} : segments.back().header.number, last_.number);
    oldest_segment = std::max(oldest_segment, segments.front().header.number);
    put(batch, last_.number);
  }

  [[nodiscard]] const std::vector<std::string>& expected() const { return expected_; }
  [[nodiscard]] const BatchFrame& last() const { return last_; }

  std::vector<ImageSegment> segments;
  SegmentNumber oldest_segment{1};

 private:
  void begin_segment(std::uint64_t number, SegmentNumber predecessor, std::optional<BatchNumber> restates) {
    SegmentHeader header;
    header.number = {number};
    header.salt = {0x0123456789abcdef + number - 1};
    header.predecessor = predecessor;
    if (predecessor.value != 0) header.predecessor_salt = segments.back().header.salt;
    header.file_bytes = segment_bytes_;
    header.restates = restates;
    header.identity = identity();
    ImageSegment segment{header, std::vector<std::byte>(segment_bytes_), kBlockBytes, std::nullopt};
    encode(header, std::span(segment.bytes).first(kBlockBytes));
    segments.push_back(std::move(segment));
  }

  void put(BatchBuilder& batch, BatchNumber number) {
    auto& segment = segments.back();
    BatchFrame frame;
    frame.salt = segment.header.salt;
    frame.number = number;
    frame.first_sequence = batch.empty() ? last_.next_sequence() : batch.first_sequence();
    frame.oldest_segment = oldest_segment;
    const auto sealed = batch.seal(frame);
    std::memcpy(segment.bytes.data() + segment.used, sealed.data(), sealed.size());
    segment.used += sealed.size();
    if (!segment.first_batch) segment.first_batch = number;
    last_ = *decode_frame(sealed, frame.salt);
  }

  std::uint64_t segment_bytes_;
  BatchFrame last_;
  std::vector<std::string> expected_;
};

struct ScanResult {
  Verdict verdict;
  std::vector<std::string> payloads;
  std::vector<LogPosition> positions;
  std::optional<LogScan::Tail> tail;
};

// Scans the segments in the order given.
inline ScanResult scan(const std::vector<ImageSegment>& segments) {
  ScanResult result;
  LogScan scan;
  const auto sink = [&result](const BatchView& batch) -> Status {
    RecordCursor records(batch);
    while (const auto record = records.next()) {
      result.payloads.emplace_back(text_of(record->payload));
      result.positions.push_back(record->position);
    }
    return {};
  };
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto* successor = i + 1 < segments.size() ? &segments[i + 1].header : nullptr;
    const auto more = scan.feed(segments[i].header, successor, segments[i].bytes, sink);
    if (!more || !*more) break;
  }
  result.verdict = scan.finish(segments.front().header);
  result.tail = scan.tail();
  return result;
}

}  // namespace troth::txlog
