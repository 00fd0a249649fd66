// txlog/runtime/log_opening.h
//
// Opens a log directory:
//
//   lock -> read headers -> link -> scan, replaying -> new segment with the last batch again, synced -> clean
//   up
//
// The last good batch is written again because nobody can tell whether it is on the disk: after a failed sync
// the page cache shows what the disk never got. Everything before it is: the next batch was written only
// after its sync. Nothing is changed in the directory (apart from LOCK) before the owner has taken the whole
// replay.
#pragma once

#include "txlog/chain.h"
#include "txlog/runtime/batch_writer.h"
#include "txlog/runtime/log.h"

namespace troth::txlog {

class LogOpening {
 public:
  // Both outlive the opening.
  LogOpening(const SegmentDirectory& directory, const LogOptions& options)
      : directory_(directory), options_(options) {}

  struct Opened {
    BatchWriter::Start start;
    std::vector<SegmentInfo> segments;
    std::optional<CutTail> cut_tail;
    std::uint64_t records_replayed = 0;
    bool created = false;
  };
  [[nodiscard]] Result<Opened> run(Random& random);

 private:
  [[nodiscard]] Result<SegmentChain> link(const SegmentDirectory::Listing& listing) const;
  [[nodiscard]] Status scan(const SegmentChain& chain);
  [[nodiscard]] Status take(const BatchView& batch, SegmentNumber reported_as);
  void choose_predecessor(const SegmentChain& chain);
  [[nodiscard]] Status remove_unused(SegmentDirectory::Listing& listing) const;
  [[nodiscard]] Result<PreparedSegment> make_segment(Random& random, Bytes& first_batch);
  [[nodiscard]] Status clean_up(const SegmentDirectory::Listing& listing) const;
  [[nodiscard]] Status drop_zeros(SegmentNumber segment) const;

  const SegmentDirectory& directory_;
  const LogOptions& options_;

  SegmentNumber new_number_;
  LogScan scan_;
  // The newest good batch so far: replayed last, and written again.
  std::vector<std::byte> held_bytes_;
  std::optional<BatchView> held_;
  std::vector<SegmentHeader> kept_;  // segments that stay, oldest first
  std::vector<SegmentInfo> infos_;
  std::vector<std::byte> buffer_;
  BatchFrame restated_;  // the frame of the batch that is written again
  BatchBuilder batch_;
  Opened opened_;
};

}  // namespace troth::txlog
