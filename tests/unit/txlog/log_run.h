// tests/unit/txlog/log_run.h
//
// One run of a log's owner in a test: opens, appends, and keeps book of what it was told.
#pragma once

#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "txlog/runtime/log.h"

namespace troth::txlog {

class LogRun {
 public:
  struct Config {
    std::string directory = "/log";
    Files* files = nullptr;
    std::uint64_t segment_bytes = 8 * kBlockBytes;
    std::string owner = "decision-store";
    std::string cluster = "bank-x7k2p9";
    std::uint64_t max_pending_bytes = std::uint64_t{64} << 20;
  };

  explicit LogRun(const Config& config) {
    auto opened = Log::open({.directory = config.directory,
                             .identity = {{config.cluster}, config.owner},
                             .segment_bytes = config.segment_bytes,
                             .max_pending_bytes = config.max_pending_bytes,
                             .replay = [this](const RecordView& record) -> Status {
                               replayed.emplace_back(text_of(record.payload));
                               positions.push_back(record.position);
                               return {};
                             },
                             .on_failure =
                                 [this](const Error& error) {
                                   const std::lock_guard lock(mutex_);
                                   failures_.push_back(error);
                                 },
                             .on_warning =
                                 [this](const Error& error) {
                                   const std::lock_guard lock(mutex_);
                                   warnings_.push_back(error);
                                   warned_.notify_all();
                                 },
                             .files = config.files,
                             .seed = {}});
    if (!opened) {
      open_error = opened.error();
      return;
    }
    log = std::move(opened->log);
    cut_tail = opened->cut_tail;
    next_sequence = opened->next_sequence;
    created = opened->created;
  }
  LogRun(const LogRun&) = delete;
  LogRun& operator=(const LogRun&) = delete;

  // Appends without waiting. False if refused.
  bool append(const std::string& payload, Urgency urgency = Urgency::kNow) {
    const auto taken = log->append(
        {1}, bytes_of(payload),
        [this, payload](const Result<LogPosition>& result) {
          const std::lock_guard lock(mutex_);
          if (result) {
            acknowledged_.push_back(payload);
          } else {
            refused_.emplace_back(payload, result.error());
          }
        },
        urgency);
    if (!taken) last_refusal = taken.error();
    if (taken) appended.push_back(payload);
    return taken.has_value();
  }

  // Appends and waits until it is durable or has failed.
  Result<LogPosition> append_and_wait(const std::string& payload, Urgency urgency = Urgency::kNow) {
    std::promise<Result<LogPosition>> done;
    auto future = done.get_future();
    const auto taken = log->append(
        {1}, bytes_of(payload), [&done](Result<LogPosition> result) { done.set_value(std::move(result)); },
        urgency);
    if (!taken) return std::unexpected(taken.error());
    auto result = future.get();
    appended.push_back(payload);
    const std::lock_guard lock(mutex_);
    if (result) acknowledged_.push_back(payload);
    return result;
  }

  Result<SegmentNumber> cut_and_wait(RecordSequence below) {
    std::promise<Result<SegmentNumber>> done;
    log->cut_below({below, {}}, [&done](Result<SegmentNumber> result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  }

  Status settle_and_wait() {
    std::promise<Status> done;
    log->settle_cut_tail([&done](Status result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  }

  bool wait_for_warning() {
    std::unique_lock lock(mutex_);
    return warned_.wait_for(lock, std::chrono::seconds(30), [this] { return !warnings_.empty(); });
  }

  std::vector<std::string> acknowledged() {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  std::vector<std::pair<std::string, Error>> refused() {
    const std::lock_guard lock(mutex_);
    return refused_;
  }
  std::vector<Error> failures() {
    const std::lock_guard lock(mutex_);
    return failures_;
  }
  std::vector<Error> warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

  std::optional<Error> open_error;
  std::optional<CutTail> cut_tail;
  RecordSequence next_sequence;
  bool created = false;
  std::vector<std::string> replayed;
  std::vector<LogPosition> positions;
  std::vector<std::string> appended;
  std::optional<Error> last_refusal;

 private:
  std::mutex mutex_;
  std::condition_variable warned_;
  std::vector<std::string> acknowledged_;
  std::vector<std::pair<std::string, Error>> refused_;
  std::vector<Error> failures_;
  std::vector<Error> warnings_;

 public:
  std::unique_ptr<Log> log;  // last: its threads end before what they tell goes
};

}  // namespace troth::txlog
