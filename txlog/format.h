// txlog/format.h
//
// What the bytes of a segment file mean. FORMAT.md tells the same with a worked example; a test compares
// them.
//
//   block 0                 block 1                                  block 1 + n
//   | segment header       | frame | record | record | ... | zeros  | frame | record | ...
//   '---- 4096 bytes ------'---------- one batch, n blocks ---------'
//
// Every batch begins on a block of its own: a torn write of one batch cannot touch a byte of the one before.
// All integers are little-endian. Records are 8-byte aligned. Every byte lies under a CRC32C.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "txlog/bytes.h"
#include "txlog/position.h"

namespace troth::txlog {

inline constexpr std::uint16_t kFormatVersion = 1;
// The oldest reader that understands what this version writes.
inline constexpr std::uint16_t kLeastReaderVersion = 1;

// The unit that a disk is trusted to keep or lose apart from its neighbours.
inline constexpr std::size_t kBlockBytes = 4096;
inline constexpr std::size_t kFrameBytes = 64;
inline constexpr std::size_t kRecordHeaderBytes = 24;

inline constexpr std::size_t kMaxOwnerLength = 63;
inline constexpr std::size_t kMaxPayloadBytes = std::size_t{48} << 20;
// A batch is never longer, so a damaged length is refused before anything is allocated for it.
inline constexpr std::size_t kMaxBatchBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMinSegmentBytes = 4 * kBlockBytes;
inline constexpr std::size_t kMaxSegmentBytes = std::size_t{1} << 30;

[[nodiscard]] constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// A record's share of its batch: header, payload, and zeros up to the next multiple of 8.
[[nodiscard]] constexpr std::size_t record_bytes(std::size_t payload_bytes) {
  return kRecordHeaderBytes + round_up(payload_bytes, 8);
}

// Whose log this is. Opening it under another name is refused.
struct LogIdentity {
  ClusterId cluster;
  std::string owner;  // e.g. "decision-store", "agent/pg-1"; 1..63 printable ASCII bytes
  bool operator==(const LogIdentity&) const = default;
};

struct SegmentHeader {
  std::uint16_t format_version = kFormatVersion;
  std::uint16_t least_reader_version = kLeastReaderVersion;
  SegmentNumber number;
  Salt salt;
  // The segment that this one continues; number 0 for the first of a log.
  SegmentNumber predecessor;
  Salt predecessor_salt;
  std::uint64_t file_bytes = 0;  // the file's length, preallocated
  // Set in a segment that was made while opening: its first batch repeats this one, and it got its name only
  // when that batch was durable. Whatever the predecessor holds from this batch on is void.
  std::optional<BatchNumber> restates;
  LogIdentity identity;
  bool operator==(const SegmentHeader&) const = default;
};

// Opens a batch. A valid frame proves that the batch before it had been synced.
struct BatchFrame {
  Salt salt;
  BatchNumber number;
  RecordSequence first_sequence;  // of its first record; of the next one, if it has none
  SegmentNumber oldest_segment;   // segments from here on must exist; older ones were cut on purpose
  // The sequence of the first record that a cut tail may have lost, until the owner has settled it; 0: none.
  RecordSequence unsettled_cut;
  std::uint32_t bytes = 0;  // of the whole batch, frame and zeros included; whole blocks
  std::uint32_t records = 0;
  std::uint32_t body_crc = 0;  // over everything behind the frame
  bool operator==(const BatchFrame&) const = default;

  [[nodiscard]] RecordSequence next_sequence() const { return {first_sequence.value + records}; }
};

struct RecordHeader {
  std::uint32_t payload_bytes = 0;
  RecordType type;
  RecordSequence sequence;
  std::uint32_t payload_crc = 0;
  bool operator==(const RecordHeader&) const = default;
};

struct HeaderProblem {
  bool newer_format = false;  // else damaged, or no log at all
  std::string what;
};

// `to` is kBlockBytes, kFrameBytes or kRecordHeaderBytes long; every byte of it is written.
void encode(const SegmentHeader& header, std::span<std::byte> to);
void encode(const BatchFrame& frame, std::span<std::byte> to);
void encode(const RecordHeader& header, std::span<std::byte> to);

// Each wants at least the encoded length and looks at nothing behind it.
[[nodiscard]] std::expected<SegmentHeader, HeaderProblem> decode_segment_header(Bytes block);
// Nothing, if the bytes are no whole frame of the segment with this salt.
[[nodiscard]] std::optional<BatchFrame> decode_frame(Bytes bytes, Salt salt);
[[nodiscard]] std::optional<RecordHeader> decode_record_header(Bytes bytes);

}  // namespace troth::txlog
