// coordinator/decision_store/runtime/group_store.h
//
// The decision store of one replica of a group: the replicated log on a write-ahead log of its own, and the engine that
// applies what is chosen. Messages come and go as bytes; who carries them is the owner's business.
//
// Everything but the log's own thread runs on the owner's event loop.
//
// Not here yet, and the reason why no server opens one: snapshots. Its log is never cut, and a replica that lags further
// behind than what is kept in memory is not brought up.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "coordinator/consensus/replicated_log.h"
#include "coordinator/decision_store/decision_store.h"
#include "txlog/runtime/log.h"

namespace troth::coordinator::store {

struct GroupStoreOptions {
  std::string directory;  // of the log; its parent must exist
  ClusterId cluster;
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  std::uint64_t max_pending_bytes = std::uint64_t{256} << 20;

  consensus::ReplicaId self;
  consensus::Configuration first;  // of a group that begins; a log that knows better is believed
  consensus::Timing timing;
  consensus::GroupLimits limits;
  Nonce start;  // tells this start's requests from those of another
  std::uint64_t seed = 1;

  // Runs a function on the owner's loop, in the order of posting; called from any thread.
  std::function<void(std::function<void()>)> post;
  std::function<Instant()> now;
  // Call tick() at that time, or later; a new one replaces the last.
  std::function<void(Instant)> wake_at;
  // May be lost. Never called inside submit() of another store.
  std::function<void(consensus::ReplicaId to, std::string bytes)> send;
  std::function<void(std::vector<Answered>)> on_answers;
  // It leads from here (true), or no longer.
  std::function<void(bool leads)> on_lead;
  // Once: the log can no longer be written, or what was chosen cannot be read. Stop.
  std::function<void(const Error&)> on_failure;
  std::function<void(const txlog::SyncedBatch&)> on_synced;
  std::function<void(const Error&)> on_warning;
  txlog::Files* files = nullptr;  // null: the operating system's
};

class GroupStore final : public DecisionStore {
 public:
  // Replays the log, or makes it. Refuses by name what txlog refuses, a log that contradicts itself, and a first
  // configuration that cannot be.
  [[nodiscard]] static Result<std::unique_ptr<GroupStore>> open(GroupStoreOptions options);
  // Waits until what was appended is durable.
  ~GroupStore() override;

  void submit(std::vector<Asked> requests) override;
  // Bytes that replica `from` sent. What cannot be read is refused (kInvalidArgument), and changes nothing.
  [[nodiscard]] Status receive(consensus::ReplicaId from, std::string_view bytes);
  void peer_lost(consensus::ReplicaId peer);
  void tick();
  // Hands the lead over, and aborts nothing for it. Nothing happens where it does not lead.
  void transfer_to(consensus::ReplicaId successor);

  [[nodiscard]] const consensus::ReplicatedLog& log() const;
  [[nodiscard]] Counts record_counts() const;
  [[nodiscard]] txlog::LogCounters counters() const;

 private:
  class Core;
  explicit GroupStore(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace troth::coordinator::store
