// txlog/position.h
//
// Where a record is, and what kind of record its owner says it is.
#pragma once

#include <compare>
#include <cstdint>

#include "base/ids.h"

namespace troth::txlog {

// A segment file's number. It rises with every file and is never used twice in one directory.
using SegmentNumber = Named<struct SegmentNumberTag, std::uint64_t>;
// A record's number in the whole log: 1, 2, 3, ... without a hole.
using RecordSequence = Named<struct RecordSequenceTag, std::uint64_t>;
// A batch's number in the whole log; batch 0 is the empty one that a new log begins with.
using BatchNumber = Named<struct BatchNumberTag, std::uint64_t>;
// A segment's random number, never 0: bytes that were written for another file never parse in this one.
using Salt = Named<struct SaltTag, std::uint64_t>;

// A record's place. Positions compare by sequence: a record keeps its sequence for ever, while its segment
// changes when the log is opened again and its tail is rewritten.
struct LogPosition {
  RecordSequence sequence;
  SegmentNumber segment;
  auto operator<=>(const LogPosition&) const = default;
};

// The owner's kind of record. A reader that does not know the number refuses the log if the record is
// mandatory and skips it if it is optional; the log itself only carries both.
struct RecordType {
  std::uint32_t number = 0;  // 1 .. kMaxRecordType
  bool optional = false;
  auto operator<=>(const RecordType&) const = default;
};

inline constexpr std::uint32_t kMaxRecordType = 0x7fffffff;

}  // namespace troth::txlog
