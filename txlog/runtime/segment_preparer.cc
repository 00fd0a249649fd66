#include "txlog/runtime/segment_preparer.h"

#include "base/check.h"

namespace troth::txlog {

SegmentPreparer::SegmentPreparer(const SegmentDirectory& directory, std::function<void(const Error&)> warn)
    : directory_(directory),
      warn_(std::move(warn)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

SegmentPreparer::~SegmentPreparer() = default;  // jthread asks to stop, and joins

void SegmentPreparer::prepare(const SegmentHeader& header) {
  const std::lock_guard lock(mutex_);
  CHECK(!current_, "segment {} was not taken", current_->number.value);
  current_ = header;
  wanted_ = header;
  changed_.notify_all();
}

Result<PreparedSegment> SegmentPreparer::take() {
  std::unique_lock lock(mutex_);
  CHECK(current_);
  changed_.wait(lock, [this] { return finished_.has_value(); });
  auto result = std::move(*finished_);
  const auto header = *current_;
  finished_.reset();
  current_.reset();
  lock.unlock();
  if (!result) result = directory_.make({.header = header, .first_batch = {}, .stop = {}});
  if (!result) return std::unexpected(std::move(result.error()));
  return PreparedSegment{header, std::move(*result)};
}

void SegmentPreparer::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return wanted_.has_value(); })) {
    const auto header = *wanted_;
    wanted_.reset();
    lock.unlock();
    auto result = directory_.make(
        {.header = header, .first_batch = {}, .pace = SegmentDirectory::Pace::kGently, .stop = stop});
    if (!result && !stop.stop_requested() && warn_) warn_(result.error());
    lock.lock();
    finished_ = std::move(result);
    changed_.notify_all();
  }
}

}  // namespace troth::txlog
