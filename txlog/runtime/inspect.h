// txlog/runtime/inspect.h
//
// Looks at a log directory for the operator's tool: read-only, without its lock, and while its owner writes.
// Nothing is created, changed or cut. What a live owner is just writing is told apart by reading again.
#pragma once

#include <functional>
#include <variant>

#include "txlog/runtime/files.h"
#include "txlog/scan.h"

namespace troth::txlog {

struct InspectReport {
  Verdict verdict;  // what opening it would come to
  std::optional<LogIdentity> identity;
  bool live = false;  // somebody held the lock
  std::uint64_t segments = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t payload_bytes = 0;
  SegmentNumber oldest_segment;
  RecordSequence next_sequence;  // 0 if no batch is readable
  RecordSequence unsettled_cut;  // 0 if none
};

// One line of a dump; lines come by segment and offset. A batch's records follow it.
struct SegmentLine {
  enum class State : std::uint8_t {
    kLive,
    kSuperseded,   // void since a later opening
    kLeftBehind,   // cut, and not deleted yet
    kUnconnected,  // the chain of segments could not be told
    kUnreadable,   // no valid header: see `what`
  };
  SegmentNumber number;
  std::string path;
  State state = State::kUnreadable;
  std::optional<SegmentHeader> header;
  std::string what;
};
struct BatchLine {
  SegmentNumber segment;
  std::uint64_t offset = 0;
  BatchFrame frame;
  bool superseded = false;  // written again in the next segment, whose copy counts
};
struct RecordLine {
  SegmentNumber segment;
  std::uint64_t offset = 0;
  RecordSequence sequence;
  RecordType type;
  Bytes payload;                // valid during the call
  bool checksum_holds = false;  // false only in a damaged batch
};
struct DamageLine {
  SegmentNumber segment;
  std::uint64_t offset = 0;
  std::string what;
};
using DumpLine = std::variant<SegmentLine, BatchLine, RecordLine, DamageLine>;
using DumpSink = std::function<void(const DumpLine&)>;

[[nodiscard]] std::string_view name_of(SegmentLine::State state);

// An error only if the directory cannot be read at all, or holds no log; all else is in the report.
// `files` null: the operating system's.
[[nodiscard]] Result<InspectReport> verify(const std::string& directory, Files* files = nullptr);

// Everything that can be read, damaged parts included.
[[nodiscard]] Result<InspectReport> dump(const std::string& directory, const DumpSink& sink,
                                         Files* files = nullptr);

}  // namespace troth::txlog
