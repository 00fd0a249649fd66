#include "coordinator/decision_store/runtime/group_snapshots.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troth::coordinator::store {
namespace {

// How long a snapshot, and the entries behind it, are kept for somebody who asks no more.
constexpr Duration kShownFor = std::chrono::seconds(10);
constexpr std::uint64_t kSyncedBytes = std::uint64_t{2} << 20;
// The newest, and the one before as long as somebody is at it.
constexpr std::size_t kMostShown = 2;

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

}  // namespace

GroupSnapshots::GroupSnapshots(SnapshotOptions options, GroupEngine& engine)
    : options_(std::move(options)),
      directory_(options_.files ? *options_.files : txlog::posix_files(), options_.directory),
      engine_(engine),
      random_(options_.seed),
      schedule_(options_.least_log_bytes),
      pull_(options_.cluster, options_.pull) {}

GroupSnapshots::~GroupSnapshots() = default;

Result<std::optional<ReadSnapshot>> GroupSnapshots::open() {
  auto lock = directory_.lock();
  if (!lock) return std::unexpected(std::move(lock.error()));
  lock_ = std::move(*lock);
  const auto newest = directory_.newest();
  if (!newest) return std::unexpected(newest.error());
  if (!*newest) return std::nullopt;
  auto read = read_snapshot(directory_.files(), directory_.path_of(**newest), options_.cluster);
  if (!read) return std::unexpected(std::move(read.error()));
  if (read->name.slot != **newest)
    return fail(ErrorCode::kCorrupt, troth::Effect::kNone,
                fmt::format("the snapshot {} says that it is of slot {}: somebody gave it another name",
                            directory_.path_of(**newest), read->name.slot.value));
  auto shown = show(directory_, read->name);
  if (!shown) return std::unexpected(std::move(shown.error()));
  newest_ = read->name.slot;
  schedule_.taken(read->bytes);
  shown_.push_back(std::move(*shown));
  return std::move(*read);
}

void GroupSnapshots::opened() {
  disk_.add([this, kept = newest_](const std::stop_token&) {
    if (auto done = directory_.remove_older(kept, true); !done)
      options_.post(
          [this, reason = done.error()] { warn(reason, "a file that nobody needs could not be removed"); });
  });
  if (newest_.value > 0) options_.on_durable(newest_);
}

void GroupSnapshots::stop() {
  stopped_ = true;
  taking_.reset();
}

void GroupSnapshots::destroy_elsewhere(AppliedState state) {
  disk_.add([state = std::move(state)](const std::stop_token&) {});
}

void GroupSnapshots::warn(const Error& reason, std::string_view what) {
  if (!options_.on_warning) return;
  auto warning = reason;
  warning.message = fmt::format("{}: {}", what, reason.message);
  options_.on_warning(warning);
}

Result<GroupSnapshots::Shown> GroupSnapshots::show(const SnapshotDirectory& directory,
                                                   const SnapshotName& name) {
  auto file = directory.files().open(directory.path_of(name.slot), txlog::OpenMode::kRead);
  if (!file) return std::unexpected(std::move(file.error()));
  const auto bytes = (*file)->size();
  if (!bytes) return std::unexpected(bytes.error());
  return Shown{.name = name, .bytes = *bytes, .file = std::move(*file), .used = {}};
}

void GroupSnapshots::became_durable(Shown shown) {
  const auto slot = shown.name.slot;
  // One that came late, behind a newer one, goes at once.
  if (slot < newest_) return remove_older();
  newest_ = slot;
  schedule_.taken(shown.bytes);
  const auto now = options_.now();
  std::erase_if(shown_, [&](const Shown& each) { return now - each.used >= kShownFor; });
  if (shown_.size() == kMostShown) shown_.erase(shown_.begin());
  shown_.push_back(std::move(shown));
  remove_older();
  options_.on_durable(slot);
}

void GroupSnapshots::remove_older() {
  disk_.add([this, kept = newest_](const std::stop_token&) {
    if (auto done = directory_.remove_older(kept, false); !done)
      options_.post(
          [this, reason = done.error()] { warn(reason, "an older snapshot could not be removed"); });
  });
}

// ---- shown to others

void GroupSnapshots::offer(consensus::ReplicaId to, consensus::Slot least) {
  if (stopped_) return;
  if (shown_.empty() || shown_.back().name.slot < least) {
    wanted_ = true;
    return;
  }
  auto& newest = shown_.back();
  newest.used = options_.now();
  keep_entries(newest.name.slot);
  send(to, SnapshotOffered{newest.name, newest.bytes, options_.cluster});
}

// From when it is wanted on: entries that are gone do not come back, and without them it would be of no use. Those behind
// an older one are more.
void GroupSnapshots::keep_entries(consensus::Slot above) {
  entries_used_ = options_.now();
  if (!std::exchange(entries_kept_, true)) options_.on_fetched(above);
}

void GroupSnapshots::send_chunk(consensus::ReplicaId to, const ChunkAsked& asked) {
  const auto shown = std::ranges::find(shown_, asked.name, &Shown::name);
  if (shown == shown_.end()) return send(to, SnapshotWithdrawn{asked.name});
  shown->used = options_.now();
  keep_entries(shown->name.slot);
  auto& reading = reading_for_[to];
  if (asked.offset >= shown->bytes || reading >= SnapshotPull::kMostAhead) return;
  ++reading;
  const auto bytes = std::min<std::uint64_t>(options_.chunk_bytes, shown->bytes - asked.offset);
  disk_.add([this, to, asked, bytes, file = shown->file](const std::stop_token&) {
    std::string chunk(bytes, '\0');
    const auto got = file->read_at(asked.offset, std::as_writable_bytes(std::span(chunk)));
    const bool whole = got && *got == bytes;
    options_.post([this, to, asked, whole, chunk = std::move(chunk)]() mutable {
      --reading_for_[to];
      if (stopped_) return;
      if (!whole) return withdraw(asked.name, to);
      ++counters_.chunks_sent;
      send(to, ChunkSent{asked.name, asked.offset, std::move(chunk)});
    });
  });
}

// It cannot be read: nobody is offered it any more, and another one takes its place.
void GroupSnapshots::withdraw(const SnapshotName& name, consensus::ReplicaId to) {
  send(to, SnapshotWithdrawn{name});
  if (std::erase_if(shown_, [&](const Shown& each) { return each.name == name; }) == 0) return;
  wanted_ = wanted_ || shown_.empty();
  warn(fail(ErrorCode::kIo, troth::Effect::kNone,
            fmt::format("the snapshot {} cannot be read back", directory_.path_of(name.slot)))
           .error(),
       "another one is taken");
  proceed();
}

void GroupSnapshots::drop_taken() {
  disk_.add([this](const std::stop_token&) {
    writer_.reset();
    std::ignore = directory_.files().remove(directory_.taken_path());
  });
}

void GroupSnapshots::drop_received() {
  disk_.add([this](const std::stop_token&) {
    received_.reset();
    std::ignore = directory_.files().remove(directory_.received_path());
  });
}

void GroupSnapshots::send(consensus::ReplicaId to, const SnapshotMessage& message) {
  options_.send(to, encode_snapshot_message(message));
}

Status GroupSnapshots::receive(consensus::ReplicaId from, std::string_view bytes) {
  auto message = decode_snapshot_message(bytes);
  if (!message) return std::unexpected(std::move(message.error()));
  if (stopped_) return {};
  const auto now = options_.now();
  std::visit(
      Overloaded{
          [&](const SnapshotOffered& in) { carry_out(pull_.offered(from, in, engine_.applied(), now)); },
          [&](const ChunkAsked& in) { send_chunk(from, in); },
          [&](ChunkSent& in) { carry_out(pull_.chunk_received(from, std::move(in), now)); },
          [&](const SnapshotWithdrawn& in) { carry_out(pull_.withdrawn(from, in)); },
      },
      *message);
  return {};
}

void GroupSnapshots::tick() {
  if (stopped_) return;
  const auto now = options_.now();
  carry_out(pull_.time_passed(now));
  if (!entries_kept_ || taking_ || now - entries_used_ < kShownFor) return;
  entries_kept_ = false;
  // An older one has lost its name already: its space is free again.
  if (shown_.size() > 1) shown_.erase(shown_.begin(), shown_.end() - 1);
  options_.on_fetched(std::nullopt);
}

Instant GroupSnapshots::wakes_at() const {
  const auto at = pull_.wakes_at();
  return entries_kept_ && !taking_ ? std::min(at, entries_used_ + kShownFor) : at;
}

// ---- another replica's

void GroupSnapshots::carry_out(SnapshotPull::Effects effects) {
  for (auto& effect : effects) {
    std::visit(Overloaded{
                   [&](const SnapshotPull::Ask& in) { send(in.of, in.what); },
                   [&](const SnapshotPull::Begin& in) { begin_receiving(in.name); },
                   [&](SnapshotPull::Store& in) { carry_out(std::move(in)); },
                   [&](const SnapshotPull::Install& in) { carry_out(in); },
                   [&](const SnapshotPull::Drop&) { drop_received(); },
               },
               effect);
  }
}

void GroupSnapshots::begin_receiving(const SnapshotName&) {
  disk_.add([this](const std::stop_token&) {
    auto file = directory_.files().open(directory_.received_path(), txlog::OpenMode::kCreate);
    received_ = file ? std::move(*file) : nullptr;
    received_unsynced_ = 0;
    if (!file)
      options_.post([this, reason = file.error()] {
        pull_.failed(options_.now());
        warn(reason, "another replica's snapshot has no place here");
      });
  });
}

void GroupSnapshots::carry_out(SnapshotPull::Store store) {
  disk_.add([this, store = std::move(store)](const std::stop_token&) {
    if (!received_) return;
    auto done = received_->write_at(store.offset, txlog::bytes_of(store.bytes));
    received_unsynced_ += store.bytes.size();
    if (done && received_unsynced_ >= kSyncedBytes) {
      received_unsynced_ = 0;
      done = received_->sync_data();
    }
    // A failed write or sync is never tried again: it begins anew, in a new file.
    if (!done) received_.reset();
    options_.post([this, name = store.name, bytes = store.bytes.size(), done = std::move(done)] {
      if (stopped_) return;
      if (done) return carry_out(pull_.stored(name, bytes, options_.now()));
      if (pull_.coming() != name) return;
      pull_.failed(options_.now());
      drop_received();
      ++counters_.failed;
      warn(done.error(), "another replica's snapshot could not be written");
    });
  });
}

// Read back from the disk and taken for a state, before it gets the name by which a start would believe it.
void GroupSnapshots::carry_out(const SnapshotPull::Install& install) {
  disk_.add([this, name = install.name](const std::stop_token& stop) {
    Result<std::shared_ptr<ReadSnapshot>> read =
        fail(ErrorCode::kIo, troth::Effect::kNone, "the file that it was written to is gone");
    Result<Shown> shown = std::unexpected(read.error());
    if (const auto file = std::move(received_)) {
      auto done = file->sync_all();
      auto found = done
                       ? read_snapshot(directory_.files(), directory_.received_path(), options_.cluster, stop)
                       : std::unexpected(done.error());
      if (found && found->name != name)
        found = fail(ErrorCode::kCorrupt, troth::Effect::kNone,
                     fmt::format("it is of slot {}, and was offered as of {}", found->name.slot.value,
                                 name.slot.value));
      if (found) done = directory_.publish(directory_.received_path(), name.slot);
      if (found && done) {
        shown = show(directory_, name);
        read = std::make_shared<ReadSnapshot>(std::move(*found));
      } else {
        read = std::unexpected(found ? done.error() : found.error());
        shown = std::unexpected(read.error());
      }
    }
    options_.post([this, read = std::move(read), shown = std::move(shown)] { received(read, shown); });
  });
}

void GroupSnapshots::received(const Result<std::shared_ptr<ReadSnapshot>>& read, Result<Shown> shown) {
  if (stopped_) return;
  if (!shown) {
    pull_.failed(options_.now());
    drop_received();
    ++counters_.failed;
    return warn(shown.error(), "another replica's snapshot is not taken");
  }
  pull_.installed();
  ++counters_.received;
  if ((*read)->name.slot > engine_.applied()) {
    // What was being taken is of a table that goes.
    if (std::exchange(taking_, std::nullopt)) drop_taken();
    options_.on_received(std::move(**read));
  }
  became_durable(std::move(*shown));
}

}  // namespace troth::coordinator::store
