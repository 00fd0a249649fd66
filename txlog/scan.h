// txlog/scan.h
//
// Reads a log: segments' bytes in, whole batches and a verdict out. The same code replays at a start,
// verifies for the tool, and is fuzzed.
//
// Batch k+1 is written only after batch k was synced. So a bad batch with any trace of a later one behind it
// was once durable: that is damage, and the log is refused. A bad batch with nothing behind it is ambiguous:
// never synced, or rotted since. It is cut, and the owner is told.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "txlog/format.h"
#include "txlog/verdict.h"

namespace troth::txlog {

struct RecordView {
  LogPosition position;
  RecordType type;
  Bytes payload;
};

// A batch whose every byte was checked. `bytes` includes the frame.
struct BatchView {
  SegmentNumber segment;
  std::uint64_t offset = 0;
  BatchFrame frame;
  Bytes bytes;
};

// Walks a checked batch's records.
class RecordCursor {
 public:
  explicit RecordCursor(const BatchView& batch);
  [[nodiscard]] std::optional<RecordView> next();
  // Of the record that next() returned last, inside its segment.
  [[nodiscard]] std::uint64_t offset() const { return batch_.offset + record_at_; }

 private:
  BatchView batch_;
  std::size_t at_ = kFrameBytes;
  std::size_t record_at_ = 0;
  std::uint32_t left_;
};

// What lies at one place of a segment.
struct BatchCheck {
  std::optional<BatchFrame> frame;  // set when the frame itself is valid
  std::string_view problem;         // empty: the batch is whole
};
[[nodiscard]] BatchCheck check_batch(Bytes segment, std::uint64_t offset, Salt salt);

class LogScan {
 public:
  // Returns an error to stop the scan; feed() passes it on.
  using Sink = std::function<Status(const BatchView&)>;

  // `bytes` is the whole file of `segment`; `successor` is the next one in the chain, null for the newest.
  // False: nothing more needs to be fed. Oldest segment first.
  [[nodiscard]] Result<bool> feed(const SegmentHeader& segment, const SegmentHeader* successor, Bytes bytes,
                                  const Sink& sink);

  // After the last feed. `oldest`: the first segment of the chain.
  [[nodiscard]] Verdict finish(const SegmentHeader& oldest) const;

  // The last good batch: which, where, and whether it is the first of its segment. Nothing before the first.
  struct Tail {
    BatchFrame frame;
    SegmentNumber segment;
    bool first_of_segment = false;
  };
  [[nodiscard]] const std::optional<Tail>& tail() const { return tail_; }

 private:
  struct Place {
    const SegmentHeader& segment;
    const SegmentHeader* successor;
    Bytes bytes;
  };
  [[nodiscard]] std::optional<std::string> length_problem(const Place& place) const;
  [[nodiscard]] std::optional<std::string> order_problem(const Place& place, const BatchFrame& frame,
                                                         bool first) const;
  [[nodiscard]] bool reaches_successor(const Place& place) const;
  void judge(const Place& place, std::uint64_t offset, const BatchCheck& check, bool first);
  bool refuse(SegmentNumber segment, std::uint64_t offset, std::string what);

  std::optional<Tail> tail_;
  std::optional<SegmentNumber> empty_;  // a segment without any batch: those behind it must be empty, too
  std::optional<CutTail> suspect_;
  std::optional<Refusal> refusal_;
};

}  // namespace troth::txlog
