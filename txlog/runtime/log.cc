#include "txlog/runtime/log.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "txlog/runtime/log_opening.h"

namespace troth::txlog {
namespace {

// A batch grows to this before the next one is begun; a larger record has a batch for itself. Small enough
// that a sync stays short, large enough that its cost is spread over thousands of records.
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
// Builders whose buffers are kept for later batches.
constexpr std::size_t kSpareBuilders = 2;

using CutDone = std::move_only_function<void(Result<SegmentNumber>)>;
using SettleDone = std::move_only_function<void(Status)>;

// What becomes durable together, and whom to tell.
struct PendingBatch {
  BatchBuilder builder;
  std::vector<Log::Completion> completions;
  std::vector<std::pair<LogPosition, CutDone>> cuts;
  std::vector<SettleDone> settles;

  void clear() {
    builder.clear();
    completions.clear();
    cuts.clear();
    settles.clear();
  }
};

std::string identity_problem(const LogIdentity& identity) {
  if (!parse_cluster_id(identity.cluster.value)) return "the cluster id is not valid";
  const auto& owner = identity.owner;
  const bool printable = std::ranges::all_of(owner, [](char c) { return c > ' ' && c <= '~'; });
  if (owner.empty() || owner.size() > kMaxOwnerLength || !printable)
    return "the owner is not 1 to 63 printable ASCII characters";
  return {};
}

Status check_options(const LogOptions& options) {
  auto problem = identity_problem(options.identity);
  const bool sized = options.segment_bytes >= kMinSegmentBytes && options.segment_bytes <= kMaxSegmentBytes &&
                     options.segment_bytes % kBlockBytes == 0;
  if (!sized) {
    problem = fmt::format("segment_bytes = {} is not a multiple of {} from {} to {}", options.segment_bytes,
                          kBlockBytes, kMinSegmentBytes, kMaxSegmentBytes);
  }
  if (options.directory.empty()) problem = "no directory is given";
  if (problem.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("cannot open the log in '{}': {}", options.directory, problem));
}

std::uint64_t system_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

struct Log::Core {
  explicit Core(LogOptions given)
      : options(std::move(given)),
        directory(options.files ? *options.files : posix_files(), options.directory),
        random(options.seed.value_or(system_seed())),
        max_payload(std::min(kMaxPayloadBytes,
                             options.segment_bytes - kBlockBytes - kFrameBytes - kRecordHeaderBytes)) {}

  void start(LogOpening::Opened opened);
  void run();
  void wait_for_work(std::unique_lock<std::mutex>& guard);
  // The lock is held.
  void hurry() {
    hurried = true;
    appended.notify_one();
  }
  void commit(PendingBatch& batch);
  SegmentNumber oldest_after(const PendingBatch& batch) const;
  void delete_below(SegmentNumber oldest);
  void finish(PendingBatch& batch, const Result<SegmentNumber>& oldest);
  void fail_for_good(PendingBatch& batch, Error cause);
  Error refusal() const;
  PendingBatch& back_batch(std::size_t bytes_to_add);
  void stop();

  LogOptions options;
  SegmentDirectory directory;
  Random random;
  const std::size_t max_payload;
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<SegmentPreparer> preparer;
  std::unique_ptr<BatchWriter> writer;  // the writing thread's own

  mutable std::mutex mutex;  // guards all that follows
  std::condition_variable appended;
  std::deque<std::unique_ptr<PendingBatch>> pending;
  std::vector<std::unique_ptr<PendingBatch>> spare;
  std::uint64_t pending_bytes = 0;
  RecordSequence next_sequence;
  std::vector<SegmentInfo> segments;
  LogCounters counters;
  std::optional<Error> failed;
  bool closing = false;
  bool hurried = false;  // something that is pending is waited for
  bool resting = false;  // the thread waits for any record, without a time

  std::mutex stopping;
  std::thread thread;
};

Log::Log(std::unique_ptr<Core> core) : core_(std::move(core)) {}

Log::~Log() {
  close();
}

Result<OpenedLog> Log::open(LogOptions options) {
  if (auto valid = check_options(options); !valid) return std::unexpected(std::move(valid.error()));
  auto core = std::make_unique<Core>(std::move(options));
  auto& files = core->directory.files();
  const auto refused = [](Error error) {
    error.effect = Effect::kNone;
    return std::unexpected(std::move(error));
  };
  if (auto made = files.make_directory(core->directory.path()); !made) return refused(made.error());
  auto lock = files.lock(core->directory.lock_path());
  if (!lock) return refused(lock.error());
  core->lock = std::move(*lock);

  auto opened = LogOpening(core->directory, core->options).run(core->random);
  if (!opened) return refused(opened.error());
  OpenedLog result;
  result.cut_tail = opened->cut_tail;
  result.next_sequence = opened->start.last.next_sequence();
  result.records_replayed = opened->records_replayed;
  result.created = opened->created;
  core->start(std::move(*opened));
  result.log.reset(new Log(std::move(core)));
  return result;
}

void Log::Core::start(LogOpening::Opened opened) {
  segments = std::move(opened.segments);
  next_sequence = opened.start.last.next_sequence();
  counters.segments_begun = 1;
  preparer = std::make_unique<SegmentPreparer>(directory, [this](const Error& cause) {
    if (!options.on_warning) return;
    auto warning = cause;
    warning.message = fmt::format(
        "the next segment of the log in {} could not be prepared, and the log fails when "
        "this one is full: {}",
        directory.path(), cause.message);
    options.on_warning(warning);
  });
  writer = std::make_unique<BatchWriter>(std::move(opened.start), *preparer, random);
  thread = std::thread([this] { run(); });
}

std::size_t Log::max_payload_bytes() const {
  return core_->max_payload;
}

// The batch that takes `bytes_to_add` more; the lock is held.
PendingBatch& Log::Core::back_batch(std::size_t bytes_to_add) {
  const auto limit = std::min<std::size_t>(kBatchBytes, options.segment_bytes - kBlockBytes);
  const bool fits = !pending.empty() && (pending.back()->builder.empty() ||
                                         pending.back()->builder.bytes() + bytes_to_add <= limit);
  if (!fits) {
    if (spare.empty()) {
      pending.push_back(std::make_unique<PendingBatch>());
    } else {
      pending.push_back(std::move(spare.back()));
      spare.pop_back();
    }
  }
  return *pending.back();
}

// Why nothing more is taken; the lock is held, and the log has failed or is closing.
Error Log::Core::refusal() const {
  if (!failed) {
    return fail(ErrorCode::kUnavailable, Effect::kNone,
                fmt::format("the log in {} is closed", directory.path()))
        .error();
  }
  auto error = *failed;
  error.effect = Effect::kNone;
  return error;
}

Result<RecordSequence> Log::append(RecordType type, Bytes payload, Completion done, Urgency urgency) {
  auto& core = *core_;
  if (payload.size() > core.max_payload) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("a record of {} bytes is too large for the log in {}, which takes up to {}",
                            payload.size(), core.directory.path(), core.max_payload));
  }
  CHECK(type.number > 0 && type.number <= kMaxRecordType, "type {}", type.number);
  CHECK(done);
  const std::lock_guard lock(core.mutex);
  if (core.failed || core.closing) return std::unexpected(core.refusal());
  const auto bytes = record_bytes(payload.size());
  if (core.pending_bytes > 0 && core.pending_bytes + bytes > core.options.max_pending_bytes) {
    auto refusal =
        fail(ErrorCode::kOverloaded, Effect::kNone,
             fmt::format("{} bytes already wait for the disk under {} (the limit is {})", core.pending_bytes,
                         core.directory.path(), core.options.max_pending_bytes));
    refusal.error().retryable = true;
    return refusal;
  }
  auto& batch = core.back_batch(bytes);
  const auto sequence = core.next_sequence;
  batch.builder.add(sequence, type, payload);
  batch.completions.push_back(std::move(done));
  core.next_sequence.value += 1;
  core.pending_bytes += bytes;
  core.counters.records += 1;
  core.counters.payload_bytes += payload.size();
  if (urgency == Urgency::kNow) {
    core.hurry();
  } else if (core.resting) {
    core.appended.notify_one();
  }
  return sequence;
}

void Log::hurry() {
  const std::lock_guard lock(core_->mutex);
  if (!core_->pending.empty()) core_->hurry();
}

void Log::cut_below(LogPosition position, CutDone done) {
  std::unique_lock lock(core_->mutex);
  if (core_->failed || core_->closing) {
    auto error = core_->refusal();
    lock.unlock();
    if (done) done(std::unexpected(std::move(error)));
    return;
  }
  core_->back_batch(0).cuts.emplace_back(position, std::move(done));
  core_->hurry();
}

void Log::settle_cut_tail(SettleDone done) {
  std::unique_lock lock(core_->mutex);
  if (core_->failed || core_->closing) {
    auto error = core_->refusal();
    lock.unlock();
    if (done) done(std::unexpected(std::move(error)));
    return;
  }
  core_->back_batch(0).settles.push_back(std::move(done));
  core_->hurry();
}

// Until something is urgent, or unhurried records have waited long enough. Where there are none the thread looks once
// more before it rests, so that a busy owner's unhurried record wakes nobody. The lock is held.
void Log::Core::wait_for_work(std::unique_lock<std::mutex>& guard) {
  const auto urgent = [this] { return closing || hurried || pending.size() > 1; };
  if (appended.wait_for(guard, kLongestUnhurried, urgent) || !pending.empty()) return;
  resting = true;
  appended.wait(guard, [this] { return closing || !pending.empty(); });
  resting = false;
  appended.wait_for(guard, kLongestUnhurried, urgent);
}

void Log::Core::run() {
  std::unique_lock guard(mutex);
  while (true) {
    wait_for_work(guard);
    if (pending.empty()) return;
    if (pending.size() == 1) hurried = false;
    auto batch = std::move(pending.front());
    pending.pop_front();
    guard.unlock();
    commit(*batch);
    const bool ordinary = batch->builder.bytes() <= 2 * kBatchBytes;
    batch->clear();
    guard.lock();
    if (ordinary && spare.size() < kSpareBuilders) spare.push_back(std::move(batch));
  }
}

// The oldest segment that is still needed once this batch is durable.
SegmentNumber Log::Core::oldest_after(const PendingBatch& batch) const {
  auto oldest = writer->standing().oldest_segment;
  const std::lock_guard guard(mutex);
  for (const auto& [position, done] : batch.cuts) {
    for (std::size_t i = 1; i < segments.size(); ++i) {
      if (segments[i].first_sequence <= position.sequence) oldest = std::max(oldest, segments[i].number);
    }
  }
  return oldest;
}

void Log::Core::delete_below(SegmentNumber oldest) {
  std::vector<SegmentNumber> doomed;
  {
    const std::lock_guard guard(mutex);
    for (const auto& segment : segments) {
      if (segment.number < oldest) doomed.push_back(segment.number);
    }
    std::erase_if(segments, [oldest](const SegmentInfo& segment) { return segment.number < oldest; });
    counters.segments_deleted += doomed.size();
  }
  if (doomed.empty()) return;
  Status done;
  for (const auto number : doomed) {
    done = directory.remove(number);
    if (!done) break;
  }
  if (done) done = directory.sync();
  // What is left over is void, and goes at the next opening.
  if (!done && options.on_warning) options.on_warning(done.error());
}

// Tells everybody who waits for this batch, in order. `oldest`: the oldest segment now, or why it all failed.
void Log::Core::finish(PendingBatch& batch, const Result<SegmentNumber>& oldest) {
  LogPosition position{batch.builder.first_sequence(), writer->segment().number};
  for (auto& done : batch.completions) {
    if (oldest) {
      done(position);
    } else {
      done(std::unexpected(oldest.error()));
    }
    position.sequence.value += 1;
  }
  for (auto& [below, done] : batch.cuts) {
    if (done) done(oldest);
  }
  for (auto& done : batch.settles) {
    if (!done) continue;
    done(oldest ? Status{} : std::unexpected(oldest.error()));
  }
}

void Log::Core::fail_for_good(PendingBatch& batch, Error cause) {
  cause.message =
      fmt::format("the log in {} has failed and takes no more records: {}", directory.path(), cause.message);
  std::deque<std::unique_ptr<PendingBatch>> never_written;
  {
    const std::lock_guard guard(mutex);
    failed = cause;
    never_written.swap(pending);
    pending_bytes = 0;
  }
  finish(batch, std::unexpected(cause));
  auto untouched = cause;
  untouched.effect = Effect::kNone;
  for (auto& other : never_written)
    finish(*other, std::unexpected(untouched));
  if (options.on_failure) options.on_failure(cause);
}

void Log::Core::commit(PendingBatch& batch) {
  const auto before = writer->standing();
  const BatchWriter::Standing standing{oldest_after(batch),
                                       batch.settles.empty() ? before.unsettled_cut : RecordSequence{}};
  if (batch.builder.empty() && standing == before) {
    finish(batch, standing.oldest_segment);
    return;
  }
  const auto records_bytes = batch.builder.bytes() - kFrameBytes;
  const auto segment_before = writer->segment().number;
  const auto first_sequence = writer->next_sequence();
  const auto began = boot_now();
  if (auto done = writer->write(batch.builder, standing); !done) {
    fail_for_good(batch, std::move(done.error()));
    return;
  }
  if (options.on_synced) options.on_synced({batch.builder.records(), boot_now() - began});
  {
    const std::lock_guard guard(mutex);
    pending_bytes -= records_bytes;
    counters.batches += 1;
    counters.syncs += 1;
    counters.written_bytes += batch.builder.sealed_bytes();
    if (writer->segment().number != segment_before) {
      counters.segments_begun += 1;
      segments.push_back({writer->segment().number, first_sequence, writer->segment().file_bytes});
    }
  }
  if (standing.oldest_segment != before.oldest_segment) delete_below(standing.oldest_segment);
  finish(batch, standing.oldest_segment);
}

void Log::Core::stop() {
  const std::lock_guard once(stopping);
  {
    const std::lock_guard guard(mutex);
    closing = true;
    appended.notify_all();
  }
  CHECK(thread.get_id() != std::this_thread::get_id(), "a completion closed its own log");
  if (thread.joinable()) thread.join();
  preparer.reset();
  writer.reset();
  lock.reset();
}

void Log::close() {
  core_->stop();
}

std::vector<SegmentInfo> Log::segments() const {
  const std::lock_guard lock(core_->mutex);
  return core_->segments;
}

LogCounters Log::counters() const {
  const std::lock_guard lock(core_->mutex);
  return core_->counters;
}

std::optional<Error> Log::failure() const {
  const std::lock_guard lock(core_->mutex);
  return core_->failed;
}

}  // namespace troth::txlog
