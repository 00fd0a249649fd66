#include "coordinator/decision_store/runtime/local_import.h"

#include <algorithm>
#include <filesystem>
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

// What rots last is taken for a batch that was never synced, and cut; so what must not be forgotten is said in two.
constexpr int kTimesSaid = 2;

// One place has one name, however it was spelled.
std::string place_of(const std::string& directory) {
  std::error_code problem;
  auto place = std::filesystem::weakly_canonical(std::filesystem::absolute(directory, problem), problem);
  if (problem) place = std::filesystem::path(directory);
  auto text = place.lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/'))
    text.pop_back();
  return text;
}

struct LocalState {
  std::unique_ptr<txlog::Log> log;
  AppliedState state;
  std::optional<Superseded> superseded;  // the last that it says
  int times_superseded = 0;
  int times_made = 0;
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
      auto superseded = decode_superseded(record.payload);
      if (!superseded) return std::unexpected(std::move(superseded.error()));
      ++(superseded->group_is_made ? local.times_made : local.times_superseded);
      local.superseded = std::move(*superseded);
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

// In the local log, as often as it is not said yet.
Status say(LocalState& local, const Superseded& superseded) {
  auto& times = superseded.group_is_made ? local.times_made : local.times_superseded;
  for (; times < kTimesSaid; ++times)
    if (auto done = append_all(*local.log, {{kSupersededType, encode_superseded(superseded)}}); !done)
      return done;
  return {};
}

// What the group's log begins with, by which a start without the snapshot is refused. Nothing: it was begun by an earlier call,
// and holds more; so the group has started, or it is of somebody else.
Result<bool> make_group_log(const LocalImport& import, txlog::Files& files, consensus::Slot slot) {
  std::vector<std::pair<txlog::RecordType, std::string>> records;
  for (const consensus::DurableRecord& record : std::vector<consensus::DurableRecord>{
           consensus::ConfiguredFrom{{1}, import.first}, consensus::ChosenThrough{slot}})
    records.emplace_back(consensus::type_of(record), consensus::encode_record(record));
  std::size_t found = 0;
  bool is_ours = true;
  txlog::LogOptions options;
  options.directory = import.directory;
  options.identity = {import.cluster, kGroupLogOwner};
  options.segment_bytes = import.segment_bytes;
  options.files = &files;
  options.replay = [&](const txlog::RecordView& record) -> Status {
    const auto* bytes = reinterpret_cast<const char*>(record.payload.data());
    is_ours = is_ours && found < records.size() && record.type == records[found].first &&
              std::string_view(bytes, record.payload.size()) == records[found].second;
    ++found;
    return {};
  };
  auto opened = txlog::Log::open(std::move(options));
  if (!opened) return std::unexpected(std::move(opened.error()));
  if (!is_ours) return false;
  // Nobody has promised anything in it.
  if (opened->cut_tail) opened->log->settle_cut_tail();
  records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(found));
  if (auto done = records.empty() ? Status{} : append_all(*opened->log, records); !done)
    return std::unexpected(std::move(done.error()));
  return true;
}

// May this local store go to the group at this place, as far as is to be seen?
Status check_place(const LocalImport& import, txlog::Files& files, const LocalState& local) {
  const auto has_log = holds_log(files, import.directory);
  if (!local.superseded) {
    if (!has_log) return {};
    return refuse(
        ErrorCode::kInvalidArgument,
        fmt::format("there is a group's log in {} already: import to another place", import.directory));
  }
  if (place_of(local.superseded->by) != import.directory)
    return refuse(ErrorCode::kNotOwner,
                  fmt::format("the decision log in {} was taken over by the group at {} already",
                              import.local_directory, local.superseded->by));
  if (!local.superseded->group_is_made || has_log) return {};
  return refuse(
      ErrorCode::kNotOwner,
      fmt::format("the decision log in {} was imported to {}, and the group's log is no more there: what the "
                  "group decided since is not in here. Restore its directories, or let another replica of it "
                  "give its state",
                  import.local_directory, local.superseded->by));
}

}  // namespace

Result<Imported> import_local(const LocalImport& asked) {
  auto import = asked;
  import.directory = place_of(asked.directory);
  const auto& place = import.directory;
  auto& files = import.files ? *import.files : txlog::posix_files();
  if (auto valid = consensus::check(import.first); !valid) return std::unexpected(std::move(valid.error()));
  const SnapshotDirectory directory(
      files, import.snapshot_directory.empty() ? import.directory + "-snapshots" : import.snapshot_directory);
  auto local = read_local(import, files);
  if (!local) return std::unexpected(std::move(local.error()));
  if (auto may = check_place(import, files, *local); !may) return std::unexpected(std::move(may.error()));
  const auto lock = directory.lock();
  if (!lock) return std::unexpected(lock.error());
  const auto newest = directory.newest();
  if (!newest) return std::unexpected(newest.error());

  auto& state = local->state;
  const Imported imported{state.slot, state.records.epoch(), state.records.floors(), state.records.counts(),
                          local->cut_tail};
  if (*newest)
    return refuse(
        ErrorCode::kInvalidArgument,
        local->superseded
            ? fmt::format("the decision log in {} is imported to {} already: start the group",
                          import.local_directory, import.directory)
            : fmt::format("there are a group's snapshots beside {} already: import to another place", place));
  if (auto done = write_snapshot(import, directory, state); !done)
    return std::unexpected(std::move(done.error()));
  if (auto done = say(*local, {place, false}); !done) return std::unexpected(std::move(done.error()));
  const auto made = make_group_log(import, files, imported.slot);
  if (!made) return std::unexpected(made.error());
  if (!*made)
    return refuse(
        ErrorCode::kNotOwner,
        fmt::format("the group's log in {} is not what this import begins it with: it was begun with another "
                    "configuration, or the group has gone on, and its snapshots are gone",
                    place));
  if (auto done = say(*local, {place, true}); !done) return std::unexpected(std::move(done.error()));
  local->log->close();
  // The group can start from here, and not before.
  if (auto done = directory.publish(directory.taken_path(), imported.slot); !done)
    return std::unexpected(std::move(done.error()));
  return imported;
}

Result<bool> is_imported(const LocalImport& import) {
  auto& files = import.files ? *import.files : txlog::posix_files();
  const auto place = place_of(import.directory);
  const auto local = read_local(import, files);
  if (!local) return std::unexpected(local.error());
  const auto& superseded = local->superseded;
  if (!superseded || !superseded->group_is_made || place_of(superseded->by) != place) return false;
  const SnapshotDirectory directory(
      files, import.snapshot_directory.empty() ? place + "-snapshots" : import.snapshot_directory);
  const auto newest = directory.newest();
  if (!newest) return std::unexpected(newest.error());
  return newest->has_value() && holds_log(files, place);
}

}  // namespace troth::coordinator::store
