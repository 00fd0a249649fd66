#include "participant_agent/runtime/journal.h"

#include <algorithm>
#include <mutex>
#include <span>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/runtime/log.h"
#include "participant_agent/runtime/journal_codec.h"

namespace troth::agent {
namespace {

constexpr std::uint64_t kMaxPendingBytes = std::uint64_t{1} << 30;

}  // namespace

// Completions of one batch arrive one by one on the log's thread; the loop is woken once for all of them.
struct Journal::Inbox {
  asio::io_context* loop;
  std::mutex mutex;
  Journal* owner;  // null once the journal is gone
  JournalTicket durable;
  std::optional<txlog::LogPosition> checkpoint_ended;
  std::optional<Error> failure;
  bool posted = false;

  void wake(const std::shared_ptr<Inbox>& self) {
    if (std::exchange(posted, true)) return;
    asio::post(*loop, [self] { self->deliver(); });
  }

  // On the loop's thread, where the owner also lives and dies.
  void deliver() {
    JournalTicket through;
    std::optional<Error> broken;
    std::optional<txlog::LogPosition> ended;
    {
      const std::lock_guard lock(mutex);
      posted = false;
      through = durable;
      broken = std::exchange(failure, std::nullopt);
      ended = std::exchange(checkpoint_ended, std::nullopt);
    }
    if (owner == nullptr) return;
    if (ended) {
      owner->log_->cut_below(owner->checkpoint_began_);
      owner->checkpointing_ = false;
    }
    owner->take_durable(through);
    if (broken) owner->fail(*broken);
  }
};

Result<std::unique_ptr<Journal>> Journal::open(asio::io_context& loop, const JournalOptions& options,
                                               JournalState& state) {
  std::unique_ptr<Journal> journal(new Journal(loop, options));
  journal->inbox_ = std::make_shared<Inbox>();
  journal->inbox_->loop = &loop;
  journal->inbox_->owner = journal.get();

  txlog::LogOptions log;
  log.directory = options.directory;
  log.identity = {options.cluster, "agent/" + options.agent.value};
  log.segment_bytes = options.segment_bytes;
  log.on_synced = options.on_synced;
  // The branch table's limits bound what is appended; a record that the log refused would end the agent.
  log.max_pending_bytes = kMaxPendingBytes;
  log.replay = [&state](const txlog::RecordView& view) -> Status {
    auto record = decode(view);
    if (!record) return std::unexpected(std::move(record.error()));
    if (*record) state.apply(**record);
    return {};
  };
  log.on_failure = [inbox = journal->inbox_](const Error& error) {
    const std::lock_guard lock(inbox->mutex);
    inbox->failure = error;
    inbox->wake(inbox);
  };
  log.on_warning = [](const Error& error) { log_warning("journal", {{"why", error.message}}); };
  auto opened = txlog::Log::open(std::move(log));
  if (!opened) return std::unexpected(std::move(opened.error()));
  journal->log_ = std::move(opened->log);
  if (opened->cut_tail) {
    state.tail_was_cut = true;
    log_warning("journal's last batch was cut", {{"segment", opened->cut_tail->segment},
                                                 {"offset", opened->cut_tail->offset},
                                                 {"what", opened->cut_tail->what}});
    journal->tail_was_cut_ = true;
  }
  journal->last_checkpoint_ = journal->log_->segments().front().number;
  return journal;
}

Journal::~Journal() {
  const std::lock_guard lock(inbox_->mutex);
  inbox_->owner = nullptr;
}

void Journal::append(const AppendJournal& append) {
  append_record(append.record, append.ticket, false, txlog::Urgency::kUnhurried);
  if (!append.unhurried) hurry_soon();
  checkpoint_if_large();
}

void Journal::hurry_soon() {
  if (std::exchange(hurry_posted_, true)) return;
  asio::post(loop_, [inbox = inbox_] {
    if (inbox->owner == nullptr) return;
    inbox->owner->hurry_posted_ = false;
    inbox->owner->log_->hurry();
  });
}

void Journal::append_record(const JournalRecord& record, std::optional<JournalTicket> ticket,
                            bool ends_checkpoint, txlog::Urgency urgency) {
  const auto encoded = encode(record);
  const auto bytes = std::as_bytes(std::span(encoded.payload));
  auto sequence = log_->append(
      encoded.type, bytes,
      [inbox = inbox_, ticket, ends_checkpoint](const Result<txlog::LogPosition>& position) {
        if (!position) return;  // on_failure tells once for all
        const std::lock_guard lock(inbox->mutex);
        if (ticket) inbox->durable = *ticket;
        if (ends_checkpoint) inbox->checkpoint_ended = *position;
        inbox->wake(inbox);
      },
      urgency);
  if (!sequence) return fail(sequence.error());
  since_look_ += bytes.size();
}

void Journal::take_durable(JournalTicket through) {
  if (through <= durable_) return;
  durable_ = through;
  if (events_.on_durable) events_.on_durable(through);
}

void Journal::fail(const Error& error) {
  if (std::exchange(failed_, true)) return;
  if (events_.on_failure) events_.on_failure(error);
}

void Journal::settle_cut_tail() {
  if (std::exchange(tail_was_cut_, false)) log_->settle_cut_tail();
}

// Counts in segments since the last checkpoint, so that what must live may be larger than the limit.
void Journal::checkpoint_if_large() {
  if (since_look_ < options_.segment_bytes / 8 || checkpointing_ || failed_ || !events_.checkpoint) return;
  since_look_ = 0;
  const auto current = log_->segments().back();
  const auto limit = std::max<std::uint64_t>(1, options_.journal_bytes / options_.segment_bytes);
  if (current.number.value - last_checkpoint_.value < limit) return;
  checkpointing_ = true;
  last_checkpoint_ = current.number;
  checkpoint_began_ = {current.first_sequence, current.number};
  const auto records = events_.checkpoint();
  for (std::size_t i = 0; i < records.size(); ++i)
    append_record(records[i], std::nullopt, i + 1 == records.size(), txlog::Urgency::kNow);
  if (records.empty()) checkpointing_ = false;
  log_info("journal checkpoint", {{"records", records.size()}});
}

}  // namespace troth::agent
