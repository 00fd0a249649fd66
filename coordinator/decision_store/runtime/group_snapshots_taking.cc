// The own table's snapshot, piece by piece.
#include <iterator>
#include <utility>

#include "base/check.h"
#include "coordinator/decision_store/runtime/group_snapshots.h"

namespace troth::coordinator::store {
namespace {

// Well under a millisecond's work.
constexpr std::size_t kVisitsPerPiece = 1024;
// A disk that takes a piece slower than this much is applied is too slow for a snapshot now.
constexpr std::size_t kMostMeanwhile = 1'000'000;
// A disk that reads nothing back is not written full for it.
constexpr Duration kReplacedAfter = std::chrono::minutes(1);

}  // namespace

void GroupSnapshots::proceed() {
  if (stopped_) return;
  if (const auto coming = pull_.coming(); coming && coming->slot <= engine_.applied())
    carry_out(pull_.given_up());
  if (taking_ || !(wanted_ || schedule_.is_due())) return;
  if (engine_.applied() > newest_) return begin_taking();
  if (newest_.value > 0 && shown_.empty()) {
    // It could not be read back.
    if (options_.now() < next_replacement_) return;
    next_replacement_ = options_.now() + kReplacedAfter;
    return begin_taking();
  }
  // What was logged is about to be applied, as after a start that does not know yet what is chosen.
  if (options_.has_unchosen()) return;
  // What was logged speaks of nothing new: a log that is cut is all that is wanted.
  wanted_ = false;
  schedule_.begun();
  if (newest_.value > 0) options_.on_durable(newest_);
}

void GroupSnapshots::begin_taking() {
  const bool wanted = std::exchange(wanted_, false);
  schedule_.begun();
  taking_ = Taking{.number = ++takings_, .cursor = {}, .meanwhile = {}};
  if (wanted) keep_entries(engine_.applied());
  auto salt = random_.next();
  salt += salt == 0 ? 1 : 0;
  disk_.add([this, number = takings_, salt](const std::stop_token&) {
    auto begun = SnapshotWriter::begin(directory_.files(), directory_.taken_path(), options_.cluster, salt);
    Status done;
    if (begun)
      writer_ = std::move(*begun);
    else
      done = std::unexpected(std::move(begun.error()));
    options_.post([this, number, done = std::move(done)] { piece_written(number, done); });
  });
}

void GroupSnapshots::applied(std::vector<LogRecord> records) {
  if (!taking_ || taking_->ending) return;
  std::ranges::move(records, std::back_inserter(taking_->meanwhile));
}

void GroupSnapshots::piece_written(std::uint64_t number, const Status& done) {
  if (!is_taking(number) || stopped_) return;
  if (!done) return abandon_taking(done.error());
  if (taking_->meanwhile.size() > kMostMeanwhile)
    return abandon_taking(fail(ErrorCode::kOverloaded, troth::Effect::kNone,
                               "the table changes faster than the disk takes its snapshot")
                              .error());
  take_piece();
}

// What was applied before this piece goes before it: a copy says how things stand.
void GroupSnapshots::take_piece() {
  auto records = std::exchange(taking_->meanwhile, {});
  std::ranges::move(engine_.copy_live(taking_->cursor, kVisitsPerPiece), std::back_inserter(records));
  if (taking_->cursor.stage == RecordTable::CopyCursor::Stage::kDone) return end_taking(std::move(records));
  disk_.add([this, number = taking_->number, records = std::move(records)](const std::stop_token&) {
    auto done = writer_ ? writer_->add(records) : Status{};
    options_.post([this, number, done = std::move(done)] { piece_written(number, done); });
  });
}

void GroupSnapshots::end_taking(std::vector<LogRecord> records) {
  taking_->ending = true;
  disk_.add([this, number = taking_->number, slot = engine_.applied(),
             configured = options_.configured(engine_.applied()),
             records = std::move(records)](const std::stop_token&) mutable {
    const auto writer = std::move(writer_);
    auto done = writer->add(records);
    if (done) done = writer->end(slot, std::move(configured));
    if (done) done = directory_.publish(writer->path(), slot);
    Result<Shown> shown = done ? show(directory_, {slot, writer->salt()}) : std::unexpected(done.error());
    options_.post([this, number, shown = std::move(shown)] { taken(number, shown); });
  });
}

void GroupSnapshots::taken(std::uint64_t number, Result<Shown> shown) {
  if (stopped_) return;
  const bool expected = is_taking(number);
  if (!shown) {
    if (expected) abandon_taking(shown.error());
    return;
  }
  if (expected) taking_.reset();
  ++counters_.taken;
  counters_.bytes_written += shown->bytes;
  became_durable(std::move(*shown));
}

// The last one stays; this one is tried again.
void GroupSnapshots::abandon_taking(const Error& reason) {
  taking_.reset();
  schedule_.failed();
  ++counters_.failed;
  drop_taken();
  warn(reason, "no snapshot could be taken, and the log grows until one can be");
}

}  // namespace troth::coordinator::store
