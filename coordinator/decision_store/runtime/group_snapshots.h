// coordinator/decision_store/runtime/group_snapshots.h
//
// A replica's snapshots: it takes them of its own table while it serves, keeps the newest, shows it to replicas that lag
// further behind than entries reach, and gets another replica's when it is the one that lags.
//
// Taking: a piece of the table's live records, what was applied meanwhile, the next piece, and so on. A piece takes the
// loop well under a millisecond, and the next one comes when it is in the file: memory holds one, and what is applied
// until then. It is the state at the slot at which the last piece is taken.
//
// Everything is called, and calls, on the owner's event loop; files are worked on by a thread of its own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "coordinator/decision_store/runtime/disk_thread.h"
#include "coordinator/decision_store/runtime/snapshot_directory.h"
#include "coordinator/decision_store/runtime/snapshot_file.h"
#include "coordinator/decision_store/snapshot_pull.h"
#include "coordinator/decision_store/snapshot_schedule.h"

namespace troth::coordinator::store {

struct SnapshotOptions {
  std::string directory;  // its parent must exist
  ClusterId cluster;
  std::uint64_t least_log_bytes = 0;
  std::size_t chunk_bytes = std::size_t{256} << 10;
  std::uint64_t seed = 1;  // of the files' salts: another one for each start of each replica
  SnapshotPull::Timing pull;
  txlog::Files* files = nullptr;  // null: the operating system's

  // On the owner's loop, in the order of posting, unless the owner is gone; called from any thread.
  std::function<void(std::function<void()>)> post;
  std::function<Instant()> now;
  std::function<void(consensus::ReplicaId to, std::string bytes)> send;
  // By which the slots above are counted, as far as what is chosen through it tells.
  std::function<std::vector<consensus::ConfiguredFrom>(consensus::Slot)> configured;
  // The log has accepted what is not known to be chosen.
  std::function<bool()> has_unchosen;
  // The state up to `slot` is durable: of the log nothing up to it is needed any more.
  std::function<void(consensus::Slot)> on_durable;
  // So is this one, of another replica, and the own is behind it: take it.
  std::function<void(ReadSnapshot)> on_received;
  // SnapshotFetched of the replicated log.
  std::function<void(std::optional<consensus::Slot> above)> on_fetched;
  std::function<void(const Error&)> on_warning;
};

struct SnapshotCounters {
  std::uint64_t taken = 0;
  std::uint64_t received = 0;
  std::uint64_t failed = 0;
  std::uint64_t chunks_sent = 0;
  std::uint64_t bytes_written = 0;  // of those that were taken
};

class GroupSnapshots {
 public:
  // `engine` outlives it.
  GroupSnapshots(SnapshotOptions options, GroupEngine& engine);
  // Waits for what the disk is doing.
  ~GroupSnapshots();

  // Before anything else: takes the directory, and reads the newest snapshot, if there is one. Refuses by name one that is
  // damaged, or of another cluster; nothing is changed then.
  [[nodiscard]] Result<std::optional<ReadSnapshot>> open();
  // When the log is read, and before anything is taken: what an earlier start left unfinished goes.
  void opened();

  // The log has so many bytes more on the disk.
  void logged(std::uint64_t bytes) { schedule_.logged(bytes); }
  void applied(std::vector<LogRecord> records);
  // Between two turns: everything that is chosen is applied.
  void proceed();
  void tick();
  [[nodiscard]] Instant wakes_at() const;
  // `to` needs one of `least` or newer.
  void offer(consensus::ReplicaId to, consensus::Slot least);
  [[nodiscard]] Status receive(consensus::ReplicaId from, std::string_view bytes);
  // Nothing more is taken: the owner has failed.
  void stop();
  // It may take long.
  void destroy_elsewhere(AppliedState state);

  [[nodiscard]] consensus::Slot newest() const { return newest_; }
  [[nodiscard]] const SnapshotCounters& counters() const { return counters_; }

 private:
  struct Taking {
    std::uint64_t number = 0;
    RecordTable::CopyCursor cursor;
    std::vector<LogRecord> meanwhile;
    bool ending = false;
  };
  // One that others may ask for; the file may have lost its name by then.
  struct Shown {
    SnapshotName name;
    std::uint64_t bytes = 0;
    std::shared_ptr<txlog::File> file;
    Instant used;
  };

  // group_snapshots_taking.cc
  void begin_taking();
  void take_piece();
  void end_taking(std::vector<LogRecord> records);
  void piece_written(std::uint64_t number, const Status& done);
  void taken(std::uint64_t number, Result<Shown> shown);
  void abandon_taking(const Error& reason);
  [[nodiscard]] bool is_taking(std::uint64_t number) const { return taking_ && taking_->number == number; }

  void became_durable(Shown shown);
  void remove_older();
  [[nodiscard]] static Result<Shown> show(const SnapshotDirectory& directory, const SnapshotName& name);
  void carry_out(SnapshotPull::Effects effects);
  void carry_out(SnapshotPull::Store store);
  void carry_out(const SnapshotPull::Install& install);
  void begin_receiving(const SnapshotName& name);
  void received(const Result<std::shared_ptr<ReadSnapshot>>& read, Result<Shown> shown);
  void send_chunk(consensus::ReplicaId to, const ChunkAsked& asked);
  void withdraw(const SnapshotName& name, consensus::ReplicaId to);
  // What nobody will finish.
  void drop_taken();
  void drop_received();
  void send(consensus::ReplicaId to, const SnapshotMessage& message);
  void warn(const Error& reason, std::string_view what);
  void keep_entries(consensus::Slot above);

  const SnapshotOptions options_;
  SnapshotDirectory directory_;
  GroupEngine& engine_;
  Random random_;
  SnapshotSchedule schedule_;
  SnapshotPull pull_;
  SnapshotCounters counters_;
  std::unique_ptr<txlog::DirectoryLock> lock_;
  consensus::Slot newest_;
  std::vector<Shown> shown_;   // oldest first
  Instant next_replacement_;   // of a newest one that cannot be read
  bool wanted_ = false;        // by somebody that lags
  bool entries_kept_ = false;  // those behind a snapshot that somebody needs, or is about to get
  Instant entries_used_;
  std::map<consensus::ReplicaId, std::size_t> reading_for_;  // chunks, of each
  std::optional<Taking> taking_;
  std::uint64_t takings_ = 0;
  bool stopped_ = false;

  // Of the disk's thread.
  std::unique_ptr<SnapshotWriter> writer_;
  std::unique_ptr<txlog::File> received_;
  std::uint64_t received_unsynced_ = 0;
  DiskThread disk_;  // last: it uses what stands above
};

}  // namespace troth::coordinator::store
