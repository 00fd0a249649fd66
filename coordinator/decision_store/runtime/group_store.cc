#include "coordinator/decision_store/runtime/group_store.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/consensus/runtime/replica_codec.h"
#include "coordinator/decision_store/group_engine.h"
#include "coordinator/decision_store/log_marks.h"
#include "coordinator/decision_store/request_size.h"
#include "coordinator/decision_store/runtime/batch_codec.h"
#include "coordinator/decision_store/runtime/write_progress.h"

namespace troth::coordinator::store {
namespace {

// About what a record takes in the log beside its payload.
constexpr std::uint64_t kAroundRecord = 32;

std::uint64_t largest_entry(const BatchLimits& batch) {
  return std::max(batch.request_bytes, batch.bytes) + kBytesAroundRequests;
}

// The log cannot be made to take it later: its acceptance is a promise of every replica.
Status check_segments(const GroupStoreOptions& options) {
  const auto most = largest_entry(options.batch);
  const auto least = least_segment_bytes(options.batch);
  if (most <= txlog::kMaxPayloadBytes && options.segment_bytes >= least) return {};
  return troth::fail(
      ErrorCode::kInvalidArgument, troth::Effect::kNone,
      fmt::format(
          "segment_bytes = {} of the log in {} is too small for a group, whose largest entry has {} bytes: "
          "at least {} are needed",
          options.segment_bytes, options.directory, most, least));
}

SnapshotOptions options_of(const GroupStoreOptions& options) {
  SnapshotOptions snapshots;
  snapshots.directory =
      options.snapshot_directory.empty() ? options.directory + "-snapshots" : options.snapshot_directory;
  snapshots.cluster = options.cluster;
  snapshots.least_log_bytes =
      options.snapshot_after_bytes > 0 ? options.snapshot_after_bytes : 4 * options.segment_bytes;
  snapshots.chunk_bytes = options.chunk_bytes;
  snapshots.seed = options.seed ^ options.start.value * 0x9e3779b97f4a7c15;
  snapshots.files = options.files;
  snapshots.now = options.now;
  snapshots.send = options.send;
  snapshots.on_warning = options.on_warning;
  return snapshots;
}

consensus::ReplicaInput question_of(const GroupEngine::ConfirmRead& read) {
  const consensus::ReadTicket ticket{read.ticket.value};
  if (read.consistency == Consistency::kQuorum) return consensus::QuorumReadAsked{ticket};
  if (read.consistency == Consistency::kSession)
    return consensus::SessionReadAsked{
        .ticket = ticket, .token = {.incarnation = {}, .slot = read.seen}, .until = read.until};
  return consensus::ReadAsked{ticket};
}

const char* text_of(consensus::ReadRefusal refusal) {
  switch (refusal) {
    case consensus::ReadRefusal::kNotLeading: return nullptr;
    case consensus::ReadRefusal::kLate:
      return "what the session has seen, or a quorum has accepted, did not come to this coordinator in time";
    case consensus::ReadRefusal::kOtherIncarnation:
      return "the session's token is of another life of the group";
  }
  return nullptr;
}

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

txlog::Bytes bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
std::string_view text_of(txlog::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

// Shared with what is posted, so that a post that comes after the store's end finds `closed_` and does nothing.
class GroupStore::Core : public std::enable_shared_from_this<GroupStore::Core> {
 public:
  explicit Core(GroupStoreOptions options)
      : options_(std::move(options)),
        engine_({options_.self, options_.start}, options_.batch),
        marks_(options_.segment_bytes / kMarksPerSegment) {}

  Status open() {
    if (auto valid = consensus::check(options_.first); !valid) return valid;
    if (auto valid = check_segments(options_); !valid) return valid;
    consensus::Restored restored;
    if (auto begun = open_snapshots(restored); !begun) return begun;
    txlog::LogOptions log;
    log.directory = options_.directory;
    log.identity = {options_.cluster, kGroupLogOwner};
    log.segment_bytes = options_.segment_bytes;
    log.max_pending_bytes = options_.max_pending_bytes;
    log.files = options_.files;
    log.on_synced = options_.on_synced;
    log.replay = [&](const txlog::RecordView& record) -> Status {
      auto decoded = consensus::decode_record(record.type, text_of(record.payload));
      if (!decoded) return std::unexpected(std::move(decoded.error()));
      note_record({record.position.sequence.value}, *decoded, record.payload.size());
      return restored.take(*decoded);
    };
    log.on_failure = [weak = weak_from_this()](const Error& reason) {
      if (const auto core = weak.lock()) core->post([reason](Core& c) { c.fail(reason); });
    };
    log.on_warning = [weak = weak_from_this()](const Error& reason) {
      if (const auto core = weak.lock())
        core->post([reason](Core& c) {
          if (c.options_.on_warning) c.options_.on_warning(reason);
        });
    };
    auto opened = txlog::Log::open(std::move(log));
    if (!opened) return std::unexpected(std::move(opened.error()));
    log_ = std::move(opened->log);
    restored.cut_tail = opened->cut_tail.has_value();
    restored.written = {opened->next_sequence.value - 1};
    durable_.begin_at(restored.written.value);
    if (restored.configured.empty()) {
      const consensus::ConfiguredFrom first{{1}, options_.first};
      write({{restored.written.value + 1}, first});
      if (auto taken = restored.take(first); !taken) return taken;
    }
    replica_.emplace(consensus::ReplicaOptions{.self = options_.self,
                                               .listed = options_.listed,
                                               .start = options_.start,
                                               .timing = options_.timing,
                                               .limits = options_.limits},
                     std::move(restored), Random(options_.seed), options_.now());
    const auto segments = log_->segments();
    for (const auto& full : std::span(segments).first(segments.size() - 1))
      snapshots_->logged(full.file_bytes);
    snapshots_->opened();
    // Who was killed before the log said what a snapshot stands for, an import or an installation: from here on a start without
    // that snapshot is refused.
    if (const auto slot = snapshots_->newest(); said_chosen_ < slot) cut_log(slot, true);
    step(consensus::TimePassed{});
    return {};
  }

  void close() {
    closed_ = true;
    snapshots_.reset();
    log_.reset();
  }

  void submit(std::vector<Asked> requests) {
    for (auto& asked : requests)
      carry_out(engine_.step(std::move(asked)));
    work();
    // What one turn of the loop asks is one entry of the log.
    if (std::exchange(turn_posted_, true)) return;
    post([](Core& c) {
      c.turn_posted_ = false;
      c.work();
    });
  }

  Status receive(consensus::ReplicaId from, std::string_view bytes) {
    if (is_snapshot_message(bytes)) {
      auto done = snapshots_->receive(from, bytes);
      work();
      return done;
    }
    auto message = consensus::decode_message(bytes);
    if (!message) return std::unexpected(std::move(message.error()));
    step(consensus::MessageReceived{from, std::move(*message)});
    return {};
  }

  void step(consensus::ReplicaInput input) {
    inputs_.push_back(std::move(input));
    work();
  }

  void tick() {
    snapshots_->tick();
    step(consensus::TimePassed{});
  }

  void give_up(Ticket lookup) {
    carry_out(engine_.step(GroupEngine::ReadRefused{lookup, "it was given up"}));
    step(consensus::ReadGivenUp{{lookup.value}});
  }

  void change(consensus::Configuration next, std::function<void(Status)> done) {
    const auto& membership = replica_->membership();
    const auto refuse = [&](ErrorCode code, std::string why) {
      auto refused = troth::fail(code, troth::Effect::kNone, std::move(why));
      refused.error().retryable = true;
      done(std::move(refused));
    };
    if (!replica_->can_propose())
      return refuse(ErrorCode::kUnavailable, "this coordinator does not lead just now");
    if (changing_ || !membership.is_settled(replica_->chosen()))
      return refuse(ErrorCode::kBusy, "another change of the group is not in effect yet: ask again");
    if (membership.newest() == next) return done({});
    if (auto allowed = consensus::check_change(membership.newest(), next); !allowed)
      return done(std::move(allowed));
    changing_.emplace(next, std::move(done));
    step(consensus::EntryOffered{consensus::ChangeConfiguration{std::move(next)}});
  }

  // What was asked before goes out first.
  void transfer_to(consensus::ReplicaId successor) {
    successor_ = successor;
    turn_posted_ = false;
    work();
  }

  [[nodiscard]] const consensus::ReplicatedLog& replica() const { return *replica_; }
  [[nodiscard]] Counts record_counts() const { return engine_.records().counts(); }
  [[nodiscard]] Prefix prefix() const { return engine_.prefix(); }
  [[nodiscard]] txlog::LogCounters counters() const { return log_->counters(); }
  [[nodiscard]] std::vector<txlog::SegmentInfo> segments() const { return log_->segments(); }
  [[nodiscard]] const GroupSnapshots& snapshots() const { return *snapshots_; }

 private:
  // Runs `work` on the owner's loop, unless the store is gone by then.
  void post(std::function<void(Core&)> work) {
    options_.post([core = shared_from_this(), work = std::move(work)] {
      if (!core->closed_) work(*core);
    });
  }

  // What one input asks for may be another input: one after the other, each with all its effects.
  void work() {
    if (working_ || failed_) return;
    working_ = true;
    while (!failed_) {
      while (!inputs_.empty() && !failed_) {
        auto input = std::move(inputs_.front());
        inputs_.pop_front();
        carry_out(replica_->step(std::move(input), options_.now()));
      }
      if (failed_ || !replica_->can_propose()) break;
      if (!turn_posted_ && engine_.has_unproposed()) {
        carry_out(engine_.step(GroupEngine::TurnEnded{.may_propose = true}));
      } else if (fillers_ > 0) {
        --fillers_;
        inputs_.push_back(consensus::EntryOffered{consensus::NoOp{}});
      } else {
        break;
      }
    }
    working_ = false;
    settle_change();
    if (successor_ && !engine_.has_unproposed())
      return step(consensus::TransferAsked{*std::exchange(successor_, std::nullopt)});
    log_->hurry();
    if (failed_) return;
    snapshots_->proceed();
    options_.wake_at(std::min(replica_->wakes_at(), snapshots_->wakes_at()));
  }

  void carry_out(consensus::ReplicaEffects effects) {
    for (auto& effect : effects) {
      std::visit(
          Overloaded{
              [&](consensus::Append& in) { write(in); },
              [&](consensus::Send& in) { send(in); },
              [&](consensus::Deliver& in) { deliver(in); },
              [&](consensus::Lead&) {
                fill_window();
                carry_out(engine_.step(GroupEngine::LeadBegun{}));
                tell_lead(true);
              },
              [&](consensus::StopLeading&) {
                carry_out(engine_.step(GroupEngine::LeadEnded{}));
                proposed_.clear();
                end_change(
                    troth::fail(ErrorCode::kUnavailable, troth::Effect::kUnknown,
                                "the lead was lost before the change was in effect: look at the group"));
                tell_lead(false);
              },
              [&](consensus::ShowLeader& in) { tell_leader(in.leader); },
              [&](consensus::SendSnapshot& in) { snapshots_->offer(in.to, in.least); },
              [&](consensus::ReadAt& in) {
                carry_out(engine_.step(GroupEngine::ReadConfirmed{{in.ticket.value}}));
              },
              [&](consensus::RefuseRead& in) {
                carry_out(engine_.step(GroupEngine::ReadRefused{{in.ticket.value}, text_of(in.reason)}));
              },
              [&](consensus::SettleCutTail&) { log_->settle_cut_tail(); },
          },
          effect);
    }
  }

  // A change counts a window of slots behind its own: where nobody asks for anything, they are filled. By the next leader, too, for
  // nobody can change the group again before.
  void fill_window() {
    const auto& membership = replica_->membership();
    if (!replica_->is_leading() || membership.is_settled(replica_->chosen())) return;
    fillers_ = membership.standing(replica_->chosen()).back().slot.value - replica_->chosen().value;
  }

  void settle_change() {
    if (!changing_) return;
    const auto& membership = replica_->membership();
    if (membership.newest() == changing_->next && membership.is_settled(replica_->chosen())) end_change({});
  }

  void end_change(Status outcome) {
    fillers_ = 0;
    if (!changing_) return;
    post([done = std::move(changing_->done), outcome = std::move(outcome)](Core&) { done(outcome); });
    changing_.reset();
  }

  void carry_out(std::vector<GroupEngine::Effect> effects) {
    for (auto& effect : effects) {
      if (auto* propose = std::get_if<GroupEngine::Propose>(&effect)) {
        propose_batch(std::move(propose->batch));
      } else if (const auto* read = std::get_if<GroupEngine::ConfirmRead>(&effect)) {
        inputs_.push_back(question_of(*read));
      } else if (auto* answered = std::get_if<Answered>(&effect)) {
        answer(std::move(*answered));
      } else {
        snapshots_->applied(std::move(std::get<GroupEngine::Applied>(effect).records));
      }
    }
  }

  void propose_batch(Batch batch) {
    auto encoded = encode_readable(std::move(batch));
    for (auto& [ticket, reason] : encoded.unreadable)
      carry_out(engine_.step(GroupEngine::RequestUnwritable{ticket, std::move(reason)}));
    if (encoded.read.requests.empty()) return;
    auto bytes = std::make_shared<const std::string>(std::move(encoded.bytes));
    proposed_.emplace(bytes, std::move(encoded.read));
    inputs_.push_back(consensus::EntryOffered{consensus::Command{std::move(bytes)}});
  }

  void answer(Answered answered) {
    answers_.push_back(std::move(answered));
    if (std::exchange(answers_posted_, true)) return;
    post([](Core& c) {
      c.answers_posted_ = false;
      c.options_.on_answers(std::exchange(c.answers_, {}));
    });
  }

  void tell_lead(bool leads) {
    post([leads](Core& c) {
      if (c.options_.on_lead) c.options_.on_lead(leads);
    });
  }

  void tell_leader(std::optional<consensus::ReplicaId> leader) {
    post([leader](Core& c) {
      if (c.options_.on_leader) c.options_.on_leader(leader);
    });
  }

  void deliver(const consensus::Deliver& delivered) {
    const auto* command = std::get_if<consensus::Command>(&delivered.entry);
    if (command == nullptr) {
      if (std::holds_alternative<consensus::ChangeConfiguration>(delivered.entry)) fill_window();
      return carry_out(engine_.step(GroupEngine::SlotPassed{delivered.slot}));
    }
    // What was proposed here was read here, too.
    if (auto own = proposed_.extract(command->bytes)) {
      carry_out(engine_.step(GroupEngine::BatchDelivered{delivered.slot, std::move(own.mapped())}));
      return;
    }
    auto batch = decode_batch(*command->bytes);
    if (!batch) return fail(batch.error());
    carry_out(engine_.step(GroupEngine::BatchDelivered{delivered.slot, std::move(*batch)}));
  }

  // ---- snapshots

  // The newest one's state, before the log is read.
  Status open_snapshots(consensus::Restored& restored) {
    auto options = options_of(options_);
    options.post = [weak = weak_from_this()](std::function<void()> work) {
      if (const auto core = weak.lock()) core->post([work = std::move(work)](Core&) { work(); });
    };
    options.configured = [this](consensus::Slot slot) {
      CHECK(replica_->chosen() == slot, "slot {} is applied, and {} chosen", slot.value,
            replica_->chosen().value);
      return replica_->membership().standing({slot.value + 1});
    };
    options.has_unchosen = [this] { return replica_->accepted_bytes() > 0; };
    options.on_durable = [this](consensus::Slot slot) { cut_log(slot, false); };
    options.on_received = [this](ReadSnapshot read) { install(std::move(read)); };
    options.on_fetched = [this](std::optional<consensus::Slot> above) {
      step(consensus::SnapshotFetched{above});
    };
    snapshots_.emplace(std::move(options), engine_);
    auto newest = snapshots_->open();
    if (!newest) {
      newest.error().effect = troth::Effect::kNone;
      return std::unexpected(std::move(newest.error()));
    }
    if (!*newest) return {};
    if (auto there = check_log_is_there(); !there) return there;
    restored.snapshot = (*newest)->name.slot;
    restored.chosen = restored.snapshot;
    restored.configured = std::move((*newest)->configured);
    std::ignore = engine_.install(std::move((*newest)->state));
    return {};
  }

  // What a replica promised and accepted is in its log alone.
  [[nodiscard]] Status check_log_is_there() const {
    auto& files = options_.files ? *options_.files : txlog::posix_files();
    const auto names = files.list(options_.directory);
    if (names && std::ranges::any_of(*names, [](const auto& name) { return name.ends_with(".txlog"); }))
      return {};
    return troth::fail(
        ErrorCode::kCorrupt, troth::Effect::kNone,
        fmt::format(
            "there is a snapshot beside {}, and no log in it: this replica no longer knows what it promised. "
            "Restore the log from a copy, or let a new replica take this one's place",
            options_.directory));
  }

  // Of the log everything goes that speaks only of slots up to this one. `restate`: also where no segment goes.
  void cut_log(consensus::Slot slot, bool restate) {
    if (failed_) return;
    const auto kept = marks_.first_kept(slot);
    const auto segments = log_->segments();
    const bool frees = !cutting_ && segments.size() > 1 && segments[1].first_sequence.value <= kept.value;
    if (!frees && !restate) return;
    if (frees) cutting_ = true;
    CHECK(!working_, "a log is cut in the middle of a step");
    // Said again first: both are durable together, or the first alone.
    step(consensus::SnapshotTaken{slot});
    if (!frees) return;
    marks_.cut(kept);
    log_->cut_below({{kept.value}, {}}, [core = shared_from_this()](const Result<txlog::SegmentNumber>&) {
      core->post([](Core& c) {
        c.cutting_ = false;
        c.cut_log(c.snapshots_->newest(), false);
      });
    });
  }

  // The state came from another replica: what is chosen up to there need not be known here any more.
  void install(ReadSnapshot read) {
    const auto slot = read.name.slot;
    CHECK(slot > replica_->chosen(), "slot {} is installed over {}", slot.value, replica_->chosen().value);
    CHECK(!working_, "a state is installed in the middle of a step");
    // Others chose beyond what it knows: it leads no longer, whether it knows that or not.
    carry_out(engine_.step(GroupEngine::LeadEnded{}));
    snapshots_->destroy_elsewhere(engine_.install(std::move(read.state)));
    step(consensus::SnapshotInstalled{slot, std::move(read.configured)});
    cut_log(slot, true);
  }

  void note_record(consensus::LogWrite write, const consensus::DurableRecord& record,
                   std::size_t payload_bytes) {
    marks_.add(write, slot_of(record), payload_bytes + kAroundRecord);
    if (const auto* through = std::get_if<consensus::ChosenThrough>(&record))
      said_chosen_ = std::max(said_chosen_, through->slot);
  }

  // On the disk, with the blocks that batches fill.
  void note_written() {
    const auto bytes = log_->counters().written_bytes;
    snapshots_->logged(bytes - std::exchange(written_bytes_, bytes));
  }

  // ---- the log

  void write(const consensus::Append& append) {
    if (failed_) return;
    const auto payload = consensus::encode_record(append.record);
    note_record(append.number, append.record, payload.size());
    const auto sequence = log_->append(
        consensus::type_of(append.record), bytes_of(payload),
        [core = shared_from_this()](Result<txlog::LogPosition> done) { core->written(done); },
        txlog::Urgency::kUnhurried);
    if (!sequence) return fail(sequence.error());
    CHECK(sequence->value == append.number.value, "the log gave record {} the number {}", append.number.value,
          sequence->value);
  }

  // On the log's thread, in the order of sequences.
  void written(const Result<txlog::LogPosition>& done) {
    if (!done || !durable_.reach(done->sequence.value)) return;
    post([](Core& c) { c.proceed({c.durable_.take()}); });
  }

  void proceed(consensus::LogWrite through) {
    note_written();
    for (; !held_.empty() && held_.front().after <= through; held_.pop_front())
      options_.send(held_.front().to, encode_message(held_.front().message));
    step(consensus::WritesDurable{through});
  }

  // What waits for nothing overtakes what does [T10].
  void send(consensus::Send& send) {
    if (send.after.value <= durable_.through()) {
      options_.send(send.to, encode_message(send.message));
      return;
    }
    auto at = held_.end();
    while (at != held_.begin() && std::prev(at)->after > send.after)
      --at;
    held_.insert(at, std::move(send));
  }

  void fail(const Error& reason) {
    if (std::exchange(failed_, true)) return;
    snapshots_->stop();
    carry_out(engine_.step(GroupEngine::LeadEnded{}));
    post([reason](Core& c) {
      if (c.options_.on_failure) c.options_.on_failure(reason);
    });
  }

  // A cut keeps at most so large a part of a segment more than it must.
  static constexpr std::uint64_t kMarksPerSegment = 16;

  const GroupStoreOptions options_;
  GroupEngine engine_;
  LogMarks marks_;
  std::optional<consensus::ReplicatedLog> replica_;
  std::unique_ptr<txlog::Log> log_;
  std::optional<GroupSnapshots> snapshots_;
  WriteProgress durable_;
  consensus::Slot said_chosen_;  // in the log
  std::uint64_t written_bytes_ = 0;
  std::deque<consensus::ReplicaInput> inputs_;
  std::map<std::shared_ptr<const std::string>, Batch> proposed_;  // and not delivered yet
  std::deque<consensus::Send> held_;
  std::vector<Answered> answers_;
  bool answers_posted_ = false;
  std::optional<consensus::ReplicaId> successor_;
  struct Changing {
    consensus::Configuration next;
    std::function<void(Status)> done;
  };
  std::optional<Changing> changing_;
  std::uint64_t fillers_ = 0;  // no-ops to propose
  bool turn_posted_ = false;
  bool working_ = false;
  bool cutting_ = false;
  bool failed_ = false;
  bool closed_ = false;
};

std::uint64_t least_segment_bytes(const BatchLimits& batch) {
  const auto record = txlog::kFrameBytes + txlog::record_bytes(largest_entry(batch));
  const auto least = txlog::kBlockBytes + txlog::round_up(record, txlog::kBlockBytes);
  return std::max<std::uint64_t>(least, txlog::kMinSegmentBytes);
}

Result<std::unique_ptr<GroupStore>> GroupStore::open(GroupStoreOptions options) {
  CHECK(options.post && options.on_answers && options.send && options.now && options.wake_at,
        "a replica needs its owner's loop, clock and network");
  auto core = std::make_shared<Core>(std::move(options));
  if (auto status = core->open(); !status) {
    core->close();
    return std::unexpected(std::move(status.error()));
  }
  return std::unique_ptr<GroupStore>(new GroupStore(std::move(core)));
}

GroupStore::GroupStore(std::shared_ptr<Core> core) : core_(std::move(core)) {}

GroupStore::~GroupStore() {
  core_->close();
}

void GroupStore::submit(std::vector<Asked> requests) {
  core_->submit(std::move(requests));
}

Status GroupStore::receive(consensus::ReplicaId from, std::string_view bytes) {
  return core_->receive(from, bytes);
}

void GroupStore::peer_lost(consensus::ReplicaId peer) {
  core_->step(consensus::PeerLost{peer});
}

void GroupStore::tick() {
  core_->tick();
}

void GroupStore::change(consensus::Configuration next, std::function<void(Status)> done) {
  core_->change(std::move(next), std::move(done));
}

void GroupStore::transfer_to(consensus::ReplicaId successor) {
  core_->transfer_to(successor);
}

const consensus::ReplicatedLog& GroupStore::log() const {
  return core_->replica();
}

Counts GroupStore::record_counts() const {
  return core_->record_counts();
}

Prefix GroupStore::prefix() const {
  return core_->prefix();
}

void GroupStore::give_up(Ticket lookup) {
  core_->give_up(lookup);
}

txlog::LogCounters GroupStore::counters() const {
  return core_->counters();
}

std::vector<txlog::SegmentInfo> GroupStore::segments() const {
  return core_->segments();
}

const SnapshotCounters& GroupStore::snapshot_counters() const {
  return core_->snapshots().counters();
}

consensus::Slot GroupStore::newest_snapshot() const {
  return core_->snapshots().newest();
}

}  // namespace troth::coordinator::store
