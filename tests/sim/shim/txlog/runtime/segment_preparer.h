// tests/sim/shim/txlog/runtime/segment_preparer.h
//
// Stands in for the file of that name: the next segment is made in a turn of its own instead of on a thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "txlog/runtime/segment_directory.h"

namespace troth::txlog {

struct PreparedSegment {
  SegmentHeader header;
  std::unique_ptr<File> file;
};

class SegmentPreparer {
 public:
  SegmentPreparer(const SegmentDirectory& directory, std::function<void(const Error&)> warn);

  void prepare(const SegmentHeader& header);
  [[nodiscard]] Result<PreparedSegment> take();

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace troth::txlog
