// participant_agent/runtime/journal.h
//
// The agent's journal: the pure machines' records in a txlog of the agent's own. Runs on the event loop's
// thread; the log has a thread of its own.
//
// The journal stays bounded: past its size all that must still be known is written again, and what stands
// before is cut when that is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "participant_agent/journal_records.h"
#include "participant_agent/journal_replay.h"
#include "txlog/runtime/log.h"

namespace asio {
class io_context;
}

namespace troth::agent {

struct JournalOptions {
  std::string directory;
  ClusterId cluster;
  AgentId agent;
  std::uint64_t segment_bytes = 0;
  std::uint64_t journal_bytes = 0;
  std::function<void(const txlog::SyncedBatch&)> on_synced;  // on the log's thread
};

class Journal {
 public:
  struct Events {
    // Every record up to this ticket is on disk.
    std::function<void(JournalTicket)> on_durable;
    // Nothing is written any more: the process must end.
    std::function<void(const Error&)> on_failure;
    // All that the journal must still hold; asked when it has grown too large.
    std::function<std::vector<JournalRecord>()> checkpoint;
  };

  // Replays into `state`. The events come later, on `loop`.
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open(asio::io_context& loop,
                                                             const JournalOptions& options,
                                                             JournalState& state);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void set_events(Events events) { events_ = std::move(events); }

  // In bytes.
  [[nodiscard]] std::size_t largest_record() const { return log_->max_payload_bytes(); }

  // Tickets must rise from call to call.
  void append(const AppendJournal& append);
  // Every branch that was open when the tail was found cut has ended; the next start need not doubt it again.
  void settle_cut_tail();
  [[nodiscard]] bool tail_was_cut() const { return tail_was_cut_; }
  [[nodiscard]] JournalTicket durable() const { return durable_; }
  [[nodiscard]] txlog::LogCounters counters() const { return log_->counters(); }
  [[nodiscard]] std::vector<txlog::SegmentInfo> segments() const { return log_->segments(); }

 private:
  Journal(asio::io_context& loop, const JournalOptions& options) : loop_(loop), options_(options) {}
  // The log's own thread may still post while the journal goes away.
  struct Inbox;
  void append_record(const JournalRecord& record, std::optional<JournalTicket> ticket, bool ends_checkpoint,
                     txlog::Urgency urgency);
  // One sync for all that this turn of the loop appends: a transaction's branches often come together.
  void hurry_soon();
  void take_durable(JournalTicket through);
  void checkpoint_if_large();
  void fail(const Error& error);

  asio::io_context& loop_;
  JournalOptions options_;
  Events events_;
  std::shared_ptr<Inbox> inbox_;
  JournalTicket durable_;
  txlog::SegmentNumber last_checkpoint_;
  txlog::LogPosition checkpoint_began_;
  bool checkpointing_ = false;
  std::uint64_t since_look_ = 0;  // bytes appended since its length was looked at
  bool hurry_posted_ = false;
  bool tail_was_cut_ = false;
  bool failed_ = false;
  std::unique_ptr<txlog::Log> log_;  // last: its thread ends first
};

}  // namespace troth::agent
