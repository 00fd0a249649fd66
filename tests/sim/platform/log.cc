// txlog/runtime/log.h in virtual time: the same batches by the same writer, and the writing thread is a chain of turns.
#include "txlog/runtime/log.h"

#include <algorithm>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/entropy.h"
#include "tests/sim/disk/disk.h"
#include "tests/sim/nodes/machine.h"
#include "tests/sim/words/record_words.h"
#include "txlog/runtime/log_opening.h"

namespace troth::txlog {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{1} << 20;

using CutDone = std::move_only_function<void(Result<SegmentNumber>)>;
using SettleDone = std::move_only_function<void(Status)>;

struct PendingBatch {
  struct Record {
    RecordSequence sequence;
    RecordType type;
    std::vector<std::byte> payload;
  };
  BatchBuilder builder;
  std::vector<Record> records;  // what is in it, for the witness
  std::vector<Log::Completion> completions;
  std::vector<std::pair<LogPosition, CutDone>> cuts;
  std::vector<SettleDone> settles;
};

}  // namespace

struct Log::Core {
  explicit Core(LogOptions given)
      : options(std::move(given)),
        node(sim::Node::current()),
        disk(sim::disk_of(node)),
        directory(disk, options.directory),
        random(random_nonce()),
        max_payload(std::min(kMaxPayloadBytes,
                             options.segment_bytes - kBlockBytes - kFrameBytes - kRecordHeaderBytes)) {}
  ~Core() {
    if (under_way) disk.end_write(*under_way);
  }

  PendingBatch& back_batch(std::size_t bytes_to_add) {
    const auto limit = std::min<std::size_t>(kBatchBytes, options.segment_bytes - kBlockBytes);
    const bool fits = !pending.empty() && (pending.back()->builder.empty() ||
                                           pending.back()->builder.bytes() + bytes_to_add <= limit);
    if (!fits) pending.push_back(std::make_shared<PendingBatch>());
    return *pending.back();
  }

  Error refusal() const {
    auto error = *failed;
    error.effect = Effect::kNone;
    return error;
  }

  void hurry() {
    hurried = true;
    begin_next();
  }

  // Unhurried records wait a moment for one that somebody waits for.
  void begin_later() {
    if (writing || waiting_for_more) return;
    waiting_for_more = true;
    const auto wait = node.world().draw(sim::Purpose::kDisk, Duration(1'000), kLongestUnhurried);
    node.post_after(wait, [this, alive = std::weak_ptr(alive)] {
      if (alive.expired()) return;
      waiting_for_more = false;
      hurry();
    });
  }

  void begin_next() {
    if (writing || pending.empty() || failed) return;
    if (!hurried && pending.size() == 1) return begin_later();
    if (pending.size() == 1) hurried = false;
    const auto batch = pending.front();
    pending.pop_front();
    const BatchWriter::Standing before = writer->standing();
    const BatchWriter::Standing standing{oldest_after(*batch),
                                         batch->settles.empty() ? before.unsettled_cut : RecordSequence{}};
    writing = true;
    if (batch->builder.empty() && standing == before) {
      node.post([this, alive = std::weak_ptr(alive), batch, standing] {
        if (alive.expired()) return;
        finish(*batch, standing.oldest_segment);
        writing = false;
        begin_next();
      });
      return;
    }
    // Where the machine stops meanwhile, it may have got as far as it likes.
    under_way = disk.begin_write([this, batch, standing](sim::Disk::Fate fate) {
      under_way.reset();
      if (fate != sim::Disk::Fate::kNotBegun) static_cast<void>(writer->write(batch->builder, standing));
    });
    node.post_after(disk.sync_time(), [this, alive = std::weak_ptr(alive), batch, before, standing] {
      if (alive.expired()) return;
      disk.end_write(*std::exchange(under_way, std::nullopt));
      commit(*batch, before, standing);
      writing = false;
      begin_next();
    });
  }

  SegmentNumber oldest_after(const PendingBatch& batch) const {
    auto oldest = writer->standing().oldest_segment;
    for (const auto& [position, done] : batch.cuts) {
      for (std::size_t i = 1; i < segments.size(); ++i) {
        if (segments[i].first_sequence <= position.sequence) oldest = std::max(oldest, segments[i].number);
      }
    }
    return oldest;
  }

  void commit(PendingBatch& batch, const BatchWriter::Standing& before,
              const BatchWriter::Standing& standing) {
    const auto records_bytes = batch.builder.bytes() - kFrameBytes;
    const auto segment_before = writer->segment().number;
    const auto first_sequence = writer->next_sequence();
    if (auto done = writer->write(batch.builder, standing); !done)
      return fail_for_good(batch, std::move(done.error()));
    const auto records = batch.builder.records();
    if (records > 0)
      node.world().trace().event(node.world().now(), node.name(), "has on disk", first_sequence.value, [&] {
        const auto last = first_sequence.value + records - 1;
        return records == 1 ? fmt::format("#{}", last)
                            : fmt::format("#{} to #{}", first_sequence.value, last);
      });
    if (auto* witness = node.world().witness()) {
      for (const auto& record : batch.records)
        witness->record_durable(node,
                                {{record.sequence, writer->segment().number}, record.type, record.payload});
    }
    if (options.on_synced) options.on_synced({batch.builder.records(), Duration(1'000)});
    pending_bytes -= records_bytes;
    counters.batches += 1;
    counters.syncs += 1;
    counters.written_bytes += batch.builder.sealed_bytes();
    if (writer->segment().number != segment_before) {
      counters.segments_begun += 1;
      segments.push_back({writer->segment().number, first_sequence, writer->segment().file_bytes});
      node.world().count_rare("a log went on in its next segment");
    }
    if (standing.oldest_segment != before.oldest_segment) {
      delete_below(standing.oldest_segment);
      // Rotten, this batch would leave a log that asks for the segments which it let go: no start, and it says why.
      disk.keep_last_write();
    }
    finish(batch, standing.oldest_segment);
  }

  void delete_below(SegmentNumber oldest) {
    Status done;
    for (const auto& segment : segments) {
      if (segment.number >= oldest || !done) continue;
      counters.segments_deleted += 1;
      done = directory.remove(segment.number);
    }
    std::erase_if(segments, [oldest](const SegmentInfo& segment) { return segment.number < oldest; });
    if (done) done = directory.sync();
    if (!done && options.on_warning) options.on_warning(done.error());
    node.world().count_rare("a log was cut at its beginning");
  }

  void finish(PendingBatch& batch, const Result<SegmentNumber>& oldest) {
    LogPosition position{batch.builder.first_sequence(), writer->segment().number};
    for (auto& done : batch.completions) {
      done(oldest ? Result<LogPosition>(position) : std::unexpected(oldest.error()));
      position.sequence.value += 1;
    }
    for (auto& [below, done] : batch.cuts)
      if (done) done(oldest);
    for (auto& done : batch.settles)
      if (done) done(oldest ? Status{} : std::unexpected(oldest.error()));
  }

  void fail_for_good(PendingBatch& batch, Error cause) {
    cause.message = fmt::format("the log in {} has failed and takes no more records: {}", directory.path(),
                                cause.message);
    failed = cause;
    auto never_written = std::exchange(pending, {});
    pending_bytes = 0;
    finish(batch, std::unexpected(cause));
    auto untouched = cause;
    untouched.effect = Effect::kNone;
    for (auto& other : never_written)
      finish(*other, std::unexpected(untouched));
    if (options.on_failure) options.on_failure(cause);
  }

  LogOptions options;
  sim::Node& node;
  sim::Disk& disk;
  SegmentDirectory directory;
  Random random;
  const std::size_t max_payload;
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<SegmentPreparer> preparer;
  std::unique_ptr<BatchWriter> writer;

  std::deque<std::shared_ptr<PendingBatch>> pending;
  std::uint64_t pending_bytes = 0;
  RecordSequence next_sequence;
  std::vector<SegmentInfo> segments;
  LogCounters counters;
  std::optional<Error> failed;
  bool hurried = false;
  bool writing = false;
  bool waiting_for_more = false;
  std::optional<std::uint64_t> under_way;
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

Log::Log(std::unique_ptr<Core> core) : core_(std::move(core)) {}

Log::~Log() = default;

Result<OpenedLog> Log::open(LogOptions options) {
  auto core = std::make_unique<Core>(std::move(options));
  if (auto* witness = core->node.world().witness()) {
    witness->log_opens(core->node);
    core->options.replay = [witness, &node = core->node,
                            replay = std::move(core->options.replay)](const RecordView& record) -> Status {
      auto taken = replay(record);
      if (taken) witness->record_found(node, record);
      return taken;
    };
  }
  auto opened = LogOpening(core->directory, core->options).run(core->random);
  if (!opened) {
    opened.error().effect = Effect::kNone;
    return std::unexpected(std::move(opened.error()));
  }
  OpenedLog result;
  result.cut_tail = opened->cut_tail;
  result.next_sequence = opened->start.last.next_sequence();
  result.records_replayed = opened->records_replayed;
  result.created = opened->created;
  if (result.cut_tail) {
    core->node.world().count_rare("a log's last batch was cut");
    if (auto* witness = core->node.world().witness()) witness->log_cut(core->node);
  }
  core->segments = std::move(opened->segments);
  core->next_sequence = result.next_sequence;
  core->preparer = std::make_unique<SegmentPreparer>(core->directory, core->options.on_warning);
  core->writer = std::make_unique<BatchWriter>(std::move(opened->start), *core->preparer, core->random);
  result.log.reset(new Log(std::move(core)));
  return result;
}

std::size_t Log::max_payload_bytes() const {
  return core_->max_payload;
}

Result<RecordSequence> Log::append(RecordType type, Bytes payload, Completion done, Urgency urgency) {
  auto& core = *core_;
  CHECK(type.number > 0 && type.number <= kMaxRecordType, "type {}", type.number);
  CHECK(done);
  if (core.failed) return std::unexpected(core.refusal());
  if (payload.size() > core.max_payload)
    return fail(ErrorCode::kInvalidArgument, Effect::kNone, "a record is too large for the log");
  const auto bytes = record_bytes(payload.size());
  if (core.pending_bytes > 0 && core.pending_bytes + bytes > core.options.max_pending_bytes)
    return fail(ErrorCode::kOverloaded, Effect::kNone, "too much waits for the disk");
  auto& batch = core.back_batch(bytes);
  const auto sequence = core.next_sequence;
  batch.builder.add(sequence, type, payload);
  auto& world = core.node.world();
  world.trace().event(world.now(), core.node.name(), "logs", sequence.value, [&] {
    return fmt::format("#{} {}", sequence.value, sim::words_of(core.options.directory, type, payload));
  });
  if (auto* witness = core.node.world().witness()) {
    batch.records.push_back({sequence, type, {payload.begin(), payload.end()}});
    witness->record_appended(core.node, {{sequence, {}}, type, payload});
  }
  batch.completions.push_back(std::move(done));
  core.next_sequence.value += 1;
  core.pending_bytes += bytes;
  core.counters.records += 1;
  core.counters.payload_bytes += payload.size();
  // The thread takes it when it turns next.
  if (urgency == Urgency::kNow) core.hurried = true;
  core.node.post([&core, alive = std::weak_ptr(core.alive)] {
    if (!alive.expired()) core.begin_next();
  });
  return sequence;
}

void Log::hurry() {
  if (!core_->pending.empty()) core_->hurry();
}

void Log::cut_below(LogPosition position, CutDone done) {
  if (core_->failed) {
    if (done) done(std::unexpected(core_->refusal()));
    return;
  }
  core_->back_batch(0).cuts.emplace_back(position, std::move(done));
  core_->hurry();
}

void Log::settle_cut_tail(SettleDone done) {
  if (core_->failed) {
    if (done) done(std::unexpected(core_->refusal()));
    return;
  }
  core_->back_batch(0).settles.push_back(std::move(done));
  core_->hurry();
}

std::vector<SegmentInfo> Log::segments() const {
  return core_->segments;
}

LogCounters Log::counters() const {
  return core_->counters;
}

std::optional<Error> Log::failure() const {
  return core_->failed;
}

void Log::close() {}

// Of the running program's machine.
Files& posix_files() {
  return sim::disk_of(sim::Node::current());
}

// ---- the next segment

struct SegmentPreparer::Core {
  const SegmentDirectory& directory;
  std::function<void(const Error&)> warn;
  std::optional<SegmentHeader> current;
  std::optional<Result<std::unique_ptr<File>>> finished;

  void make() {
    if (!current || finished) return;
    finished = directory.make({.header = *current, .first_batch = {}, .stop = {}});
    if (!*finished && warn) warn(finished->error());
  }
};

SegmentPreparer::SegmentPreparer(const SegmentDirectory& directory, std::function<void(const Error&)> warn)
    : core_(std::make_shared<Core>(directory, std::move(warn))) {}

void SegmentPreparer::prepare(const SegmentHeader& header) {
  core_->current = header;
  auto& node = sim::Node::current();
  if (node.is_dying()) return;
  const auto pause = node.world().draw(sim::Purpose::kDisk, Duration(100), Duration(50'000));
  node.post_after(pause, [weak = std::weak_ptr(core_)] {
    if (const auto core = weak.lock()) core->make();
  });
}

Result<PreparedSegment> SegmentPreparer::take() {
  core_->make();
  auto result = std::move(*core_->finished);
  const auto header = *core_->current;
  core_->finished.reset();
  core_->current.reset();
  if (!result) result = core_->directory.make({.header = header, .first_batch = {}, .stop = {}});
  if (!result) return std::unexpected(std::move(result.error()));
  return PreparedSegment{header, std::move(*result)};
}

}  // namespace troth::txlog
