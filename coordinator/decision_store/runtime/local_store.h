// coordinator/decision_store/runtime/local_store.h
//
// The decision store of one coordinator, in one directory: the local engine on its own write-ahead log.
//
// Everything but the log's own thread runs on the owner's event loop: open, submit and the destructor are
// called there, and there the answers come, later, through `on_answers`, never inside submit().
//
// Old segments are cleaned by copying forward: what still lives in the oldest one is written again, and when
// that is durable the segment goes. It begins when the log is well over twice as large as what lives in it,
// so that each byte is copied about once. It goes on when its last step is durable: a slow disk has no more
// waiting for it than that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/decision_store/decision_store.h"
#include "txlog/runtime/log.h"

namespace troth::coordinator::store {

struct LocalStoreOptions {
  std::string directory;  // of the log; its parent must exist
  ClusterId cluster;
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  std::size_t segments_kept = 4;  // cleaning begins with more than these, however little lives in them

  // Runs a function on the owner's loop, in the order of posting; called from any thread. What is posted
  // after the store is gone does nothing.
  std::function<void(std::function<void()>)> post;
  std::function<void(std::vector<Answered>)> on_answers;
  // Once, on the owner's loop: the log can no longer be written. Every answer from then on is `Unknown`;
  // stop, and let a new start find out what became durable.
  std::function<void(const Error&)> on_failure;
  // Of the log's; on its thread.
  std::function<void(const txlog::SyncedBatch&)> on_synced;
  // The log goes on, for now; see txlog.
  std::function<void(const Error&)> on_warning;

  // What may wait for the disk. It is the table's limits that bound it, and cleaning keeps itself far below: a
  // log that takes no more counts as failed.
  std::uint64_t max_pending_bytes = std::uint64_t{256} << 20;

  txlog::Files* files = nullptr;  // null: the operating system's
};

class LocalStore final : public DecisionStore {
 public:
  // Replays the log, or makes it. Refuses by name what txlog refuses, and a log that contradicts itself.
  [[nodiscard]] static Result<std::unique_ptr<LocalStore>> open(LocalStoreOptions options);
  // Waits until what was appended is durable.
  ~LocalStore() override;

  void submit(std::vector<Asked> requests) override;

  // The last batch of the log was bad and was cut: never synced, or rotted since. With one coordinator nobody
  // else can know, so it goes on; tell the operator.
  [[nodiscard]] const std::optional<txlog::CutTail>& cut_tail() const;
  [[nodiscard]] txlog::LogCounters counters() const;
  [[nodiscard]] std::vector<txlog::SegmentInfo> segments() const;
  [[nodiscard]] Counts record_counts() const;

 private:
  class Core;
  explicit LocalStore(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace troth::coordinator::store
