// txlog/runtime/log.h
//
// A write-ahead log in one directory. One thread owns its writes and syncs; any thread appends.
//
// The owner's duties:
//   1. Act on nothing that replay delivered before open() has returned: until then the tail is not durable.
//   2. Promise nothing to anybody before the completion of the record that backs the promise.
//   3. Completions, on_failure and on_warning run on the log's own threads, the latter possibly before open()
//   has
//      returned: post to your event loop; never block there, and never close the log there.
//   4. After on_failure stop. The log writes no more; a new start finds out what became durable.
//   5. With `cut_tail` set you may have promised something that is gone: find out, then call
//   settle_cut_tail().
//
// Group commit: whatever is appended while one sync runs goes into the next batch. No timer delays a lone
// record, unless its owner says that nobody waits for it: then it goes with the next one that somebody waits for. A failed write or sync is never repeated: the page cache may claim what the disk does not hold.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "txlog/format.h"
#include "txlog/position.h"
#include "txlog/runtime/files.h"
#include "txlog/scan.h"
#include "txlog/verdict.h"

namespace troth::txlog {

struct SyncedBatch {
  std::size_t records = 0;
  Duration took{};  // to write and to sync it
};

struct LogOptions {
  std::string directory;  // made if it is not there; its parent must be
  LogIdentity identity;
  // A segment file's length, whole blocks: kMinSegmentBytes .. kMaxSegmentBytes. It bounds a record, too.
  // Opening writes one such file, and another is always prepared.
  std::uint64_t segment_bytes = std::uint64_t{16} << 20;
  // What may wait for the disk; past it append() answers kOverloaded.
  std::uint64_t max_pending_bytes = std::uint64_t{64} << 20;

  // Each record that is still there, oldest first, on the calling thread. An error ends open() with it, and
  // leaves the directory as it was. Records that were copied forward may come twice.
  std::function<Status(const RecordView&)> replay;
  // Once, when the log has failed for good, after the completions of what was pending.
  std::function<void(const Error&)> on_failure;
  // After each batch that became durable, before its completions: to measure by. Must be quick.
  std::function<void(const SyncedBatch&)> on_synced;
  // The next segment could not be prepared, or a cut one not deleted: the log works on, for now.
  std::function<void(const Error&)> on_warning;

  Files* files = nullptr;             // null: the operating system's
  std::optional<std::uint64_t> seed;  // of the salts; unset: from the system
};

// What the log has done since it was opened; each only rises.
struct LogCounters {
  std::uint64_t records = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t batches = 0;
  std::uint64_t written_bytes = 0;  // batches with frames and the zeros that fill their last block
  std::uint64_t syncs = 0;          // of batches; the preparing of segments is not counted
  std::uint64_t segments_begun = 0;
  std::uint64_t segments_deleted = 0;
};

struct SegmentInfo {
  SegmentNumber number;
  RecordSequence first_sequence;  // no record of this segment has a lower one
  std::uint64_t file_bytes = 0;
};

enum class Urgency : std::uint8_t {
  kNow,
  kUnhurried,  // nobody waits: durable with the next record that is urgent, or after kLongestUnhurried
};
inline constexpr Duration kLongestUnhurried = std::chrono::milliseconds(50);

struct OpenedLog;

class Log {
 public:
  // The record's position once it is durable, or why that is not known (kUnknown) or not so (kNone).
  using Completion = std::move_only_function<void(Result<LogPosition>)>;

  // Refuses by name: a directory in use, unreadable, full, of another cluster or owner, of a newer format,
  // damaged, or with segments missing. Every refusal has effect none.
  [[nodiscard]] static Result<OpenedLog> open(LogOptions options);

  // As close().
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Copies the payload and returns the sequence it will have. Then `done` is called exactly once, in order of
  // sequence. On an error (too large, overloaded, failed, closed; effect none) it is not called.
  [[nodiscard]] Result<RecordSequence> append(RecordType type, Bytes payload, Completion done,
                                              Urgency urgency = Urgency::kNow);
  // From here somebody waits for whatever was appended. An owner that appends several records in one turn of its loop
  // appends them unhurried, and says this once: they share a sync.
  void hurry();
  // The largest payload that append() takes.
  [[nodiscard]] std::size_t max_payload_bytes() const;

  // Deletes every whole segment whose records all come before `position`, once the log itself says durably
  // that they are gone on purpose. `done` (may be empty) gets the new oldest segment.
  void cut_below(LogPosition position, std::move_only_function<void(Result<SegmentNumber>)> done = {});

  // The owner has found out what the cut tail may have held; later starts need not tell it again.
  void settle_cut_tail(std::move_only_function<void(Status)> done = {});

  // Segments that hold records, oldest first; never empty. For copy-forward cleaning: append the live records
  // of the first one again, then cut_below() the second one's first sequence.
  [[nodiscard]] std::vector<SegmentInfo> segments() const;

  [[nodiscard]] LogCounters counters() const;
  [[nodiscard]] std::optional<Error> failure() const;

  // Takes no more, waits until everything that was appended is durable or has failed, and frees the
  // directory.
  void close();

 private:
  friend class LogOpening;
  struct Core;
  explicit Log(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

struct OpenedLog {
  std::unique_ptr<Log> log;
  // The last batch was bad and was cut, now or at an earlier start, and the owner has not settled it yet.
  // Found at an earlier start: only `first_lost` and `what` are still known.
  std::optional<CutTail> cut_tail;
  RecordSequence next_sequence;
  std::uint64_t records_replayed = 0;
  bool created = false;  // the directory held no log before
};

}  // namespace troth::txlog
