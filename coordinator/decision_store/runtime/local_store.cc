#include "coordinator/decision_store/runtime/local_store.h"

#include <utility>

#include "base/check.h"
#include "coordinator/decision_store/local_engine.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "coordinator/decision_store/runtime/write_progress.h"

namespace troth::coordinator::store {

// Shared with what is posted, so that a post that comes after the store's end finds `closed_` and does
// nothing.
class LocalStore::Core : public std::enable_shared_from_this<LocalStore::Core> {
 public:
  explicit Core(LocalStoreOptions options) : options_(std::move(options)) {}

  Status open() {
    txlog::LogOptions log;
    log.directory = options_.directory;
    log.identity = {options_.cluster, kLogOwner};
    log.segment_bytes = options_.segment_bytes;
    log.max_pending_bytes = options_.max_pending_bytes;
    log.files = options_.files;
    log.on_synced = options_.on_synced;
    log.replay = [this](const txlog::RecordView& record) -> Status {
      auto decoded = decode(record.type, record.payload);
      if (!decoded) return std::unexpected(std::move(decoded.error()));
      note_size(record.payload.size());
      return engine_.restore(*decoded, {record.position.sequence.value});
    };
    log.on_failure = [weak = weak_from_this()](const Error& reason) {
      if (const auto core = weak.lock()) core->post([reason](Core& c) { c.log_failed(reason); });
    };
    log.on_warning = [weak = weak_from_this()](const Error& reason) {
      if (const auto core = weak.lock()) core->post([reason](Core& c) { c.log_warned(reason); });
    };
    auto opened = txlog::Log::open(std::move(log));
    if (!opened) return std::unexpected(std::move(opened.error()));
    log_ = std::move(opened->log);
    cut_tail_ = std::move(opened->cut_tail);
    last_append_ = {opened->next_sequence.value - 1};
    durable_.begin_at(last_append_.value);
    if (auto status = engine_.opened({opened->next_sequence.value}); !status) return status;
    // N = 1: there is nobody else to hear from, so what is here is what there is.
    if (cut_tail_) log_->settle_cut_tail();
    return {};
  }

  void close() {
    closed_ = true;
    log_.reset();
  }

  void submit(std::vector<Asked> requests) {
    for (auto& asked : requests)
      carry_out(engine_.step(std::move(asked)));
    clean_if_due();
  }

  [[nodiscard]] const std::optional<txlog::CutTail>& cut_tail() const { return cut_tail_; }
  [[nodiscard]] txlog::LogCounters counters() const { return log_->counters(); }
  [[nodiscard]] std::vector<txlog::SegmentInfo> segments() const { return log_->segments(); }
  [[nodiscard]] Counts record_counts() const { return engine_.records().counts(); }

 private:
  // Runs `work` on the owner's loop, unless the store is gone by then.
  void post(std::function<void(Core&)> work) {
    options_.post([core = shared_from_this(), work = std::move(work)] {
      if (!core->closed_) work(*core);
    });
  }

  void carry_out(std::vector<LocalEngine::Effect> effects) {
    for (auto& effect : effects) {
      if (auto* append = std::get_if<LocalEngine::Append>(&effect)) {
        write(*append);
      } else if (auto* answered = std::get_if<Answered>(&effect)) {
        answers_.push_back(std::move(*answered));
      } else if (std::holds_alternative<LocalEngine::ContinueCleaning>(effect)) {
        cleaning_waits_for_ = last_append_;
        continue_cleaning_if_durable();
      } else {
        const auto cut = std::get<LocalEngine::CutBelow>(effect).cut;
        cutting_ = true;
        log_->cut_below({{cut.value}, {}}, [core = shared_from_this()](Result<txlog::SegmentNumber>) {
          core->post([](Core& c) { c.segment_cut(); });
        });
      }
    }
    if (answers_.empty() || answers_posted_) return;
    answers_posted_ = true;
    post([](Core& c) {
      c.answers_posted_ = false;
      c.options_.on_answers(std::exchange(c.answers_, {}));
    });
  }

  // What one turn of the loop decides shares a sync. Only the agents' memory waits for an end: it may come a moment later.
  void hurry_for(const LogRecord& record) {
    if (std::holds_alternative<EndedRecord>(record) || std::exchange(hurry_posted_, true)) return;
    post([](Core& c) {
      c.hurry_posted_ = false;
      c.log_->hurry();
    });
  }

  void write(const LocalEngine::Append& append) {
    if (failed_) return;  // the engine is told already
    const auto payload = encoder_.encode(append.record);
    note_size(payload.size());
    const auto sequence = log_->append(
        type_of(append.record), payload,
        [core = shared_from_this()](Result<txlog::LogPosition> done) { core->written(done); },
        txlog::Urgency::kUnhurried);
    if (!sequence) {
      fail_later(sequence.error());
      return;
    }
    hurry_for(append.record);
    last_append_ = append.number;
    CHECK(sequence->value == append.number.value, "the log gave record {} the number {}", append.number.value,
          sequence->value);
  }

  // On the log's thread, in the order of sequences.
  void written(const Result<txlog::LogPosition>& done) {
    if (!done) return;  // on_failure says it once for all
    if (!durable_.reach(done->sequence.value)) return;
    post([](Core& c) {
      const WriteNumber through{c.durable_.take()};
      c.carry_out(c.engine_.step(LocalEngine::WritesDurable{through}));
      c.continue_cleaning_if_durable();
    });
  }

  void fail_later(const Error& reason) {
    failed_ = true;
    post([reason](Core& c) { c.log_failed(reason); });
  }

  void log_failed(const Error& reason) {
    failed_ = true;
    if (std::exchange(failure_told_, true)) return;
    carry_out(engine_.step(LocalEngine::WriteFailed{reason}));
    if (options_.on_failure) options_.on_failure(reason);
  }

  void log_warned(const Error& reason) {
    if (options_.on_warning) options_.on_warning(reason);
  }

  // ---- cleaning

  void note_size(std::size_t payload_bytes) {
    ++records_;
    bytes_ += payload_bytes + kRecordOverhead;
    since_cleaning_check_ += payload_bytes + kRecordOverhead;
  }

  // What lives: a decision and its end for each transaction, and some more for each, on the average of this
  // log.
  [[nodiscard]] std::uint64_t live_bytes() const {
    const auto counts = engine_.records().counts();
    return records_ == 0
               ? 0
               : (counts.open + 2 * counts.ended + counts.barred + kStandingRecords) * (bytes_ / records_);
  }

  void clean_if_due() {
    if (since_cleaning_check_ < options_.segment_bytes / 8) return;
    since_cleaning_check_ = 0;
    clean_if_too_long();
  }

  void continue_cleaning_if_durable() {
    if (!cleaning_waits_for_ || durable_.through() < cleaning_waits_for_->value) return;
    cleaning_waits_for_.reset();
    post([](Core& c) { c.carry_out(c.engine_.step(LocalEngine::CleaningContinued{})); });
  }

  // One segment went; perhaps another one is to follow.
  void segment_cut() {
    cutting_ = false;
    clean_if_too_long();
  }

  void clean_if_too_long() {
    if (engine_.cleaning() || cutting_ || failed_) return;
    const auto segments = log_->segments();
    const auto allowed = options_.segments_kept + 2 * live_bytes() / options_.segment_bytes;
    if (segments.size() <= allowed) return;
    carry_out(engine_.step(LocalEngine::CleaningRequested{{segments[1].first_sequence.value}}));
  }

  static constexpr std::size_t kRecordOverhead = 32;     // header and padding
  static constexpr std::uint64_t kStandingRecords = 64;  // epochs, resources, floors: about

  const LocalStoreOptions options_;
  LocalEngine engine_;
  RecordEncoder encoder_;
  std::unique_ptr<txlog::Log> log_;
  std::optional<txlog::CutTail> cut_tail_;
  bool closed_ = false;
  bool failed_ = false;
  bool failure_told_ = false;
  std::vector<Answered> answers_;
  bool hurry_posted_ = false;
  bool answers_posted_ = false;
  WriteNumber last_append_;
  WriteProgress durable_;
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t since_cleaning_check_ = 0;
  bool cutting_ = false;
  std::optional<WriteNumber> cleaning_waits_for_;  // before its next step
};

Result<std::unique_ptr<LocalStore>> LocalStore::open(LocalStoreOptions options) {
  CHECK(options.post && options.on_answers, "a store needs its owner's loop and where its answers go");
  auto core = std::make_shared<Core>(std::move(options));
  if (auto status = core->open(); !status) {
    core->close();
    return std::unexpected(std::move(status.error()));
  }
  return std::unique_ptr<LocalStore>(new LocalStore(std::move(core)));
}

LocalStore::LocalStore(std::shared_ptr<Core> core) : core_(std::move(core)) {}

LocalStore::~LocalStore() {
  core_->close();
}

void LocalStore::submit(std::vector<Asked> requests) {
  core_->submit(std::move(requests));
}

const std::optional<txlog::CutTail>& LocalStore::cut_tail() const {
  return core_->cut_tail();
}

txlog::LogCounters LocalStore::counters() const {
  return core_->counters();
}

std::vector<txlog::SegmentInfo> LocalStore::segments() const {
  return core_->segments();
}

Counts LocalStore::record_counts() const {
  return core_->record_counts();
}

}  // namespace troth::coordinator::store
