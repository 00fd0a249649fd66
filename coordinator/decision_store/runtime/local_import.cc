#include "coordinator/decision_store/runtime/local_import.h"

#include <algorithm>
#include <future>
#include <utility>

#include <fmt/format.h>

#include "base/random.h"
#include "coordinator/consensus/runtime/replica_codec.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "coordinator/decision_store/runtime/snapshot_directory.h"
#include "coordinator/decision_store/runtime/snapshot_file.h"
#include "txlog/runtime/log.h"

namespace troth::coordinator::store {
namespace {

constexpr std::size_t kVisitsPerPiece = 4096;

std::unexpected<Error> refuse(ErrorCode code, std::string message) {
  return fail(code, troth::Effect::kNone, std::move(message));
}

bool holds_log(txlog::Files& files, const std::string& directory) {
  const auto names = files.list(directory);
  return names && std::ranges::any_of(*names, [](const auto& name) { return name.ends_with(".txlog"); });
}

// The last of `records` is durable then.
Status append_all(txlog::Log& log, const std::vector<std::pair<txlog::RecordType, std::string>>& records) {
  std::promise<Status> durable;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const bool last = i + 1 == records.size();
    auto appended = log.append(records[i].first, txlog::bytes_of(records[i].second),
                               [&durable, last](Result<txlog::LogPosition> done) {
                                 if (!last) return;
                                 durable.set_value(done ? Status{} : std::unexpected(done.error()));
                               });
    if (!appended) return std::unexpected(std::move(appended.error()));
  }
  return durable.get_future().get();
}

struct LocalState {
  std::unique_ptr<txlog::Log> log;
  AppliedState state;
  std::optional<std::string> superseded_by;
  bool cut_tail = false;
};

Result<LocalState> read_local(const LocalImport& import, txlog::Files& files) {
  if (!holds_log(files, import.local_directory))
    return refuse(
        ErrorCode::kInvalidArgument,
        fmt::format("there is no decision log in {}: there is nothing to import", import.local_directory));
  LocalState local;
  std::uint64_t records = 0;
  txlog::LogOptions options;
  options.directory = import.local_directory;
  options.identity = {import.cluster, kLogOwner};
  options.segment_bytes = import.segment_bytes;
  options.files = &files;
  options.replay = [&](const txlog::RecordView& record) -> Status {
    if (record.type == kSupersededType) {
      auto by = decode_superseded(record.payload);
      if (!by) return std::unexpected(std::move(by.error()));
      local.superseded_by = std::move(*by);
      return {};
    }
    records = record.position.sequence.value;
    const auto decoded = decode(record.type, record.payload);
    if (!decoded) return std::unexpected(decoded.error());
    return local.state.restore(*decoded);
  };
  auto opened = txlog::Log::open(std::move(options));
  if (!opened) return std::unexpected(std::move(opened.error()));
  local.log = std::move(opened->log);
  local.cut_tail = opened->cut_tail.has_value();
  if (auto whole = local.state.restored({std::max<std::uint64_t>(1, records)}); !whole)
    return std::unexpected(std::move(whole.error()));
  return local;
}

// The whole of `state` in a file without its name; read back, and found to be the same.
Status write_snapshot(const LocalImport& import, const SnapshotDirectory& directory, AppliedState& state) {
  const auto salt = std::max<std::uint64_t>(1, Random(import.seed).next());
  auto writer = SnapshotWriter::begin(directory.files(), directory.taken_path(), import.cluster, salt);
  if (!writer) return std::unexpected(std::move(writer.error()));
  RecordTable::CopyCursor cursor;
  while (cursor.stage != RecordTable::CopyCursor::Stage::kDone) {
    const auto piece = state.records.copy_forward(cursor, {UINT64_MAX}, state.next, kVisitsPerPiece);
    state.next.value += piece.size();
    if (auto done = (*writer)->add(piece); !done) return done;
  }
  if (auto done = (*writer)->end(state.slot, {{{1}, import.first}}); !done) return done;
  const auto read = read_snapshot(directory.files(), directory.taken_path(), import.cluster);
  if (!read) return std::unexpected(read.error());
  const auto& found = read->state.records;
  if (found.counts() != state.records.counts() || found.epoch() != state.records.epoch() ||
      found.floors() != state.records.floors())
    return refuse(ErrorCode::kInternal, fmt::format("what was written to {} is not what {} holds",
                                                    directory.taken_path(), import.local_directory));
  return {};
}

// By it a start without the snapshot is refused.
Status make_group_log(const LocalImport& import, txlog::Files& files, consensus::Slot slot) {
  txlog::LogOptions options;
  options.directory = import.directory;
  options.identity = {import.cluster, kGroupLogOwner};
  options.segment_bytes = import.segment_bytes;
  options.files = &files;
  auto opened = txlog::Log::open(std::move(options));
  if (!opened) return std::unexpected(std::move(opened.error()));
  std::vector<std::pair<txlog::RecordType, std::string>> records;
  for (const consensus::DurableRecord& record : std::vector<consensus::DurableRecord>{
           consensus::ConfiguredFrom{{1}, import.first}, consensus::ChosenThrough{slot}})
    records.emplace_back(consensus::type_of(record), consensus::encode_record(record));
  return append_all(*opened->log, records);
}

}  // namespace

Result<Imported> import_local(const LocalImport& import) {
  auto& files = import.files ? *import.files : txlog::posix_files();
  if (auto valid = consensus::check(import.first); !valid) return std::unexpected(std::move(valid.error()));
  const SnapshotDirectory directory(
      files, import.snapshot_directory.empty() ? import.directory + "-snapshots" : import.snapshot_directory);
  auto local = read_local(import, files);
  if (!local) return std::unexpected(std::move(local.error()));
  if (local->superseded_by && *local->superseded_by != import.directory)
    return refuse(ErrorCode::kNotOwner,
                  fmt::format("the decision log in {} was taken over by the group at {} already",
                              import.local_directory, *local->superseded_by));
  const auto lock = directory.lock();
  if (!lock) return std::unexpected(lock.error());
  if (holds_log(files, import.directory))
    return refuse(
        ErrorCode::kInvalidArgument,
        local->superseded_by
            ? fmt::format("the decision log in {} is imported to {} already: start the group",
                          import.local_directory, import.directory)
            : fmt::format("there is a group's log in {} already: import to another place", import.directory));

  auto& state = local->state;
  const Imported imported{state.slot, state.records.epoch(), state.records.floors(), state.records.counts(),
                          local->cut_tail};
  if (auto done = write_snapshot(import, directory, state); !done)
    return std::unexpected(std::move(done.error()));
  if (!local->superseded_by) {
    auto done = append_all(*local->log, {{kSupersededType, encode_superseded(import.directory)}});
    if (!done) return std::unexpected(std::move(done.error()));
  }
  local->log->close();
  if (auto done = directory.publish(directory.taken_path(), imported.slot); !done)
    return std::unexpected(std::move(done.error()));
  if (auto done = make_group_log(import, files, imported.slot); !done)
    return std::unexpected(std::move(done.error()));
  return imported;
}

}  // namespace troth::coordinator::store
