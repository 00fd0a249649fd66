// txlog/verdict.h
//
// What reading a log came to. Three ends that an owner must never mix up:
//
//   clean end    the last batch is whole and nothing lies behind it
//   cut tail     the *last* batch is bad: it was never synced, or it rotted after; nobody can tell. It is
//   cut,
//                and the owner is told, because it may have promised something in it.
//   refusal      anything else that is wrong. The log is not opened; nothing on disk is changed.
#pragma once

#include <string>
#include <variant>

#include "txlog/position.h"

namespace troth::txlog {

struct CleanEnd {
  bool operator==(const CleanEnd&) const = default;
};

struct CutTail {
  SegmentNumber segment;
  std::uint64_t offset = 0;  // where the bad batch begins
  BatchNumber batch;
  RecordSequence first_lost;  // records from here on may have been in it; new records take these sequences
  std::string what;
  bool operator==(const CutTail&) const = default;
};

enum class RefusalReason : std::uint8_t {
  kDamage,          // bytes that were once synced are not what was written
  kMissingSegment,  // a segment file that must be there is not
  kOtherCluster,
  kOtherOwner,
  kNewerFormat,
};

struct Refusal {
  RefusalReason reason = RefusalReason::kDamage;
  SegmentNumber segment;
  std::uint64_t offset = 0;
  std::string what;
  bool operator==(const Refusal&) const = default;
};

using Verdict = std::variant<CleanEnd, CutTail, Refusal>;

}  // namespace troth::txlog
