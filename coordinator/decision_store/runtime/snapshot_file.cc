#include "coordinator/decision_store/runtime/snapshot_file.h"

#include <utility>

#include <fmt/format.h>

#include "txlog/scan.h"

namespace troth::coordinator::store {
namespace {

// "SNAPSHOT"
constexpr txlog::Salt kFirstSalt{0x544f485350414e53};
constexpr std::size_t kBatchBytes = std::size_t{256} << 10;
constexpr std::uint64_t kSyncedBytes = std::uint64_t{2} << 20;
// Frames name the oldest segment of a log; a snapshot has no segments.
constexpr txlog::SegmentNumber kNoSegment{1};

std::unexpected<Error> refuse(const std::string& path, const std::string& what) {
  return fail(
      ErrorCode::kCorrupt, Effect::kNone,
      fmt::format(
          "the snapshot {} cannot be used: {}. This replica's log was cut where it begins: do not delete "
          "it; restore it from a copy, or let a new replica take this one's place",
          path, what));
}

// Reads a file batch by batch, each of them checked.
class SnapshotScan {
 public:
  SnapshotScan(txlog::File& file, const std::string& path, std::uint64_t bytes)
      : file_(file), path_(path), bytes_(bytes) {}

  // Nothing: that was the last.
  Result<std::optional<txlog::BatchView>> next(txlog::Salt salt) {
    if (offset_ == bytes_) return std::nullopt;
    if (auto read = fill(txlog::kBlockBytes); !read) return std::unexpected(std::move(read.error()));
    const auto frame = txlog::decode_frame(buffer_, salt);
    if (!frame) return refuse(path_, fmt::format("there is no batch at {}", offset_));
    if (auto read = fill(frame->bytes); !read) return std::unexpected(std::move(read.error()));
    const auto check = txlog::check_batch(buffer_, 0, salt);
    if (!check.problem.empty()) return refuse(path_, fmt::format("at {}, {}", offset_, check.problem));
    if (frame->number != due_ || frame->first_sequence != next_)
      return refuse(path_, fmt::format("batch {} stands at {}, where {} is due", frame->number.value, offset_,
                                       due_.value));
    ++due_.value;
    next_ = frame->next_sequence();
    offset_ += frame->bytes;
    return txlog::BatchView{.segment = kNoSegment, .offset = 0, .frame = *frame, .bytes = buffer_};
  }

 private:
  // The next so many bytes; what there is of a batch is read once more with the rest of it.
  Status fill(std::size_t bytes) {
    if (bytes > bytes_ - offset_)
      return refuse(path_, fmt::format("it ends inside of the batch at {}", offset_));
    buffer_.resize(bytes);
    auto got = file_.read_at(offset_, buffer_);
    if (!got) return std::unexpected(std::move(got.error()));
    if (*got != bytes) return refuse(path_, fmt::format("it ends inside of the batch at {}", offset_));
    return {};
  }

  txlog::File& file_;
  const std::string& path_;
  std::uint64_t bytes_;
  std::uint64_t offset_ = 0;
  txlog::BatchNumber due_;
  txlog::RecordSequence next_{1};
  std::vector<std::byte> buffer_;
};

}  // namespace

// ---- writing

Result<std::unique_ptr<SnapshotWriter>> SnapshotWriter::begin(txlog::Files& files, std::string path,
                                                              ClusterId cluster, std::uint64_t salt) {
  auto file = files.open(path, txlog::OpenMode::kCreate);
  if (!file) return std::unexpected(std::move(file.error()));
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter(std::move(*file), std::move(path), salt));
  const auto begun = encode(SnapshotBegun{std::move(cluster), salt});
  if (auto done = writer->write(kSnapshotBegunType, txlog::bytes_of(begun)); !done)
    return std::unexpected(std::move(done.error()));
  if (auto done = writer->write_batch(); !done) return std::unexpected(std::move(done.error()));
  return writer;
}

Status SnapshotWriter::add(const std::vector<LogRecord>& records) {
  for (const auto& record : records) {
    if (auto done = write(type_of(record), encoder_.encode(record)); !done) return done;
    ++records_;
  }
  return {};
}

Status SnapshotWriter::write(txlog::RecordType type, txlog::Bytes payload) {
  if (!batch_.empty() && batch_.bytes() + txlog::record_bytes(payload.size()) > kBatchBytes) {
    if (auto done = write_batch(); !done) return done;
  }
  batch_.add(next_, type, payload);
  ++next_.value;
  return {};
}

Status SnapshotWriter::write_batch() {
  txlog::BatchFrame frame;
  frame.salt = batch_number_.value == 0 ? kFirstSalt : txlog::Salt{salt_};
  frame.number = batch_number_;
  frame.first_sequence = batch_.first_sequence();
  frame.oldest_segment = kNoSegment;
  const auto bytes = batch_.seal(frame);
  if (auto done = file_->write_at(offset_, bytes); !done) return done;
  offset_ += bytes.size();
  unsynced_ += bytes.size();
  ++batch_number_.value;
  batch_.clear();
  if (unsynced_ < kSyncedBytes) return {};
  unsynced_ = 0;
  return file_->sync_data();
}

Status SnapshotWriter::end(consensus::Slot slot, std::vector<consensus::ConfiguredFrom> configured) {
  const auto ended = encode(SnapshotEnded{slot, std::move(configured), records_});
  if (auto done = write(kSnapshotEndedType, txlog::bytes_of(ended)); !done) return done;
  if (auto done = write_batch(); !done) return done;
  return file_->sync_all();
}

// ---- reading

Result<ReadSnapshot> read_snapshot(txlog::Files& files, const std::string& path, const ClusterId& cluster,
                                   const std::stop_token& stop) {
  auto file = files.open(path, txlog::OpenMode::kRead);
  if (!file) return std::unexpected(std::move(file.error()));
  const auto bytes = (*file)->size();
  if (!bytes) return std::unexpected(bytes.error());
  SnapshotScan scan(**file, path, *bytes);
  ReadSnapshot read;
  read.bytes = *bytes;

  auto first = scan.next(kFirstSalt);
  if (!first) return std::unexpected(std::move(first.error()));
  if (!*first) return refuse(path, "it is empty");
  const auto begin = txlog::RecordCursor(**first).next();
  if (!begin || begin->type != kSnapshotBegunType || (*first)->frame.records != 1)
    return refuse(path, "it does not begin as one");
  const auto begun = decode_snapshot_begun(txlog::text_of(begin->payload));
  if (!begun) return refuse(path, begun.error().message);
  if (begun->cluster != cluster)
    return fail(ErrorCode::kNotOwner, Effect::kNone,
                fmt::format("the snapshot {} is of cluster '{}', and this is '{}'", path,
                            begun->cluster.value, cluster.value));

  std::optional<SnapshotEnded> ended;
  std::uint64_t records = 0;
  while (true) {
    if (stop.stop_requested())
      return fail(ErrorCode::kUnavailable, Effect::kNone, "the store is being closed");
    auto batch = scan.next({begun->salt});
    if (!batch) return std::unexpected(std::move(batch.error()));
    if (!*batch) break;
    txlog::RecordCursor cursor(**batch);
    while (const auto record = cursor.next()) {
      if (ended) return refuse(path, "records follow its last one");
      if (record->type == kSnapshotEndedType) {
        auto decoded = decode_snapshot_ended(txlog::text_of(record->payload));
        if (!decoded) return refuse(path, decoded.error().message);
        ended = std::move(*decoded);
        continue;
      }
      const auto decoded = decode(record->type, record->payload);
      if (!decoded) return refuse(path, decoded.error().message);
      if (auto taken = read.state.restore(*decoded); !taken) return refuse(path, taken.error().message);
      ++records;
    }
  }
  if (!ended) return refuse(path, "it was never finished");
  if (ended->records != records)
    return refuse(path, fmt::format("it has {} records of {}", records, ended->records));
  if (auto whole = read.state.restored(ended->slot); !whole) return refuse(path, whole.error().message);
  for (auto& each : ended->configured)
    read.configured.emplace(each.slot, std::move(each.configuration));
  read.name = {ended->slot, begun->salt};
  return read;
}

}  // namespace troth::coordinator::store
