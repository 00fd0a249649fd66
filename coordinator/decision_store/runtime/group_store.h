// coordinator/decision_store/runtime/group_store.h
//
// The decision store of one replica of a group: the replicated log on a write-ahead log of its own, and the engine that
// applies what is chosen. Messages come and go as bytes; who carries them is the owner's business.
//
// Everything but the log's own thread, and that of snapshots' files, runs on the owner's event loop.
//
// Beside the log, in a directory of their own, lie snapshots of the table: one is taken while the store serves, whenever
// as much was logged as the last one is large (snapshot_schedule.h has the bounds), and when it is durable the log's older
// segments go. A start reads the newest snapshot, then the log. A replica that lags further behind than entries reach
// is brought up by another one's snapshot, which it asks for chunk by chunk.
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
#include "coordinator/decision_store/group_engine.h"
#include "coordinator/decision_store/runtime/group_snapshots.h"
#include "txlog/runtime/log.h"

namespace troth::coordinator::store {

struct GroupStoreOptions {
  std::string directory;  // of the log; its parent must exist
  ClusterId cluster;
  // At least least_segment_bytes(batch). Otherwise each replica's own.
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  std::uint64_t max_pending_bytes = std::uint64_t{256} << 20;
  BatchLimits batch;  // of the group, and no setting: every replica has to write what any of them proposes

  std::string snapshot_directory;  // empty: the log's, and "-snapshots"
  // No snapshot is taken before the log has grown by so much since the last; 0: four segments.
  std::uint64_t snapshot_after_bytes = 0;
  std::size_t chunk_bytes = std::size_t{256} << 10;  // of another replica's snapshot, in one message

  consensus::ReplicaId self;
  consensus::Replicas listed;      // ReplicaOptions::listed
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
  // Who leads, as far as this replica knows.
  std::function<void(std::optional<consensus::ReplicaId>)> on_leader;
  // Once: the log can no longer be written, or what was chosen cannot be read. Stop.
  std::function<void(const Error&)> on_failure;
  std::function<void(const txlog::SyncedBatch&)> on_synced;
  std::function<void(const Error&)> on_warning;
  txlog::Files* files = nullptr;  // null: the operating system's
};

// The smallest segments of a log that takes every entry of a group with these limits, in whole blocks. A replica whose segments
// were smaller would stop for ever at the first entry that it cannot write, and every start of it would.
[[nodiscard]] std::uint64_t least_segment_bytes(const BatchLimits& batch);

class GroupStore final : public DecisionStore {
 public:
  // Reads snapshot and log, or makes them. Refuses by name what txlog refuses, a log that contradicts itself, a snapshot
  // that is damaged or of another cluster, one of the two without the other, segments that are too small for the largest entry,
  // and a first configuration that cannot be.
  [[nodiscard]] static Result<std::unique_ptr<GroupStore>> open(GroupStoreOptions options);
  // Waits until what was appended is durable.
  ~GroupStore() override;

  void submit(std::vector<Asked> requests) override;
  // Bytes that replica `from` sent; a chunk of its snapshot among them. What cannot be read is refused (kInvalidArgument), and changes nothing.
  [[nodiscard]] Status receive(consensus::ReplicaId from, std::string_view bytes);
  void peer_lost(consensus::ReplicaId peer);
  void tick();
  // Makes the group another one, one change at a time; `done` comes once, when the change is in effect. Refused, effect none:
  // this replica does not lead, another change is not in effect yet, or check_change says no. Effect unknown: it led no longer.
  void change(consensus::Configuration next, std::function<void(Status)> done);
  // Hands the lead over, and aborts nothing for it. Nothing happens where it does not lead.
  void transfer_to(consensus::ReplicaId successor);

  [[nodiscard]] const consensus::ReplicatedLog& log() const;
  [[nodiscard]] Counts record_counts() const;
  // What is applied here; others may have chosen more.
  [[nodiscard]] Prefix prefix() const;
  // Nobody waits for this lookup any more: it is answered `Unknown`.
  void give_up(Ticket lookup);
  [[nodiscard]] txlog::LogCounters counters() const;
  [[nodiscard]] std::vector<txlog::SegmentInfo> segments() const;
  [[nodiscard]] const SnapshotCounters& snapshot_counters() const;
  [[nodiscard]] consensus::Slot newest_snapshot() const;

 private:
  class Core;
  explicit GroupStore(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace troth::coordinator::store
