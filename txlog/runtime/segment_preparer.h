// txlog/runtime/segment_preparer.h
//
// Makes the next segment while the log still writes into this one, on a thread of its own, so that a full
// segment costs a batch nothing and a full disk is known a whole segment ahead.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "txlog/runtime/segment_directory.h"

namespace troth::txlog {

struct PreparedSegment {
  SegmentHeader header;
  std::unique_ptr<File> file;
};

class SegmentPreparer {
 public:
  // `warn` is called on the preparer's thread when a preparation failed.
  SegmentPreparer(const SegmentDirectory& directory, std::function<void(const Error&)> warn);
  // Gives up a preparation that is under way.
  ~SegmentPreparer();

  // Begins to make the segment. The one before must have been taken.
  void prepare(const SegmentHeader& header);
  // Waits for it. If the preparation failed, tries once more here and now: the warning may have been heeded.
  [[nodiscard]] Result<PreparedSegment> take();

 private:
  void run(const std::stop_token& stop);

  const SegmentDirectory& directory_;
  std::function<void(const Error&)> warn_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<SegmentHeader> wanted_;                    // being made
  std::optional<SegmentHeader> current_;                   // asked for and not yet taken
  std::optional<Result<std::unique_ptr<File>>> finished_;  // what came of `current_`
  std::jthread thread_;
};

}  // namespace troth::txlog
