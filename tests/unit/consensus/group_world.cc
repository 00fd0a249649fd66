#include "tests/unit/consensus/group_world.h"

#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::coordinator::consensus {
namespace {

using namespace std::chrono_literals;

std::string text_of(const Entry& entry) {
  if (const auto* command = std::get_if<Command>(&entry)) return *command->bytes;
  return std::holds_alternative<NoOp>(entry) ? "no-op" : "change";
}

}  // namespace

GroupWorld::GroupWorld(std::uint64_t seed, std::size_t replicas, Quorums quorums, GroupLimits limits,
                       std::uint64_t window)
    : seed_(seed), random_(seed), limits_(limits), window_(window) {
  Replicas voters;
  for (std::uint32_t id = 1; id <= replicas; ++id)
    voters.insert({id});
  first_ = {{Slot{1}, Configuration{voters, quorums}}};
  CHECK(check(first_.at({1})), "a group that cannot be");
  truth_.emplace(first_, window);
  for (const auto id : voters)
    add_replica(id);
}

void GroupWorld::add_replica(ReplicaId id) {
  auto& replica = replicas_[id];
  replica.drift_ppm = random_.between(-10'000, 10'000);
  start(id);
}

void GroupWorld::after(Duration delay, std::function<void()> run) {
  queue_.push({now_ + delay, ++events_, std::move(run)});
}

Instant GroupWorld::clock_of(const Replica& replica) const {
  const auto time = now_.time_since_epoch();
  return Instant(time + time * replica.drift_ppm / 1'000'000);
}

void GroupWorld::run_for(Duration time) {
  const auto end = now_ + time;
  while (!queue_.empty() && queue_.top().at <= end) {
    auto event = queue_.top();
    queue_.pop();
    now_ = event.at;
    event.run();
  }
  now_ = end;
}

bool GroupWorld::run_until(const std::function<bool()>& holds, Duration bound) {
  for (const auto end = now_ + bound; now_ < end; run_for(5ms))
    if (holds()) return true;
  return holds();
}

// ---- faults

// What a start finds on its disk.
Restored GroupWorld::read_back(const Replica& replica) {
  Restored restored;
  restored.snapshot = replica.snapshot;
  restored.chosen = replica.snapshot;
  restored.configured = replica.snapshot.value > 0 ? replica.snapshot_configured : first_;
  // As a log says again whose beginning is cut.
  restored.wait = first_.begin()->second.lease_terms.waited();
  for (const auto& record : std::span(replica.durable).subspan(replica.cut))
    if (auto taken = restored.take(record); !taken) break_rule(taken.error().message);
  return restored;
}

void GroupWorld::start(ReplicaId id) {
  auto& replica = replicas_.at(id);
  if (replica.log) return;
  ++replica.life;
  auto restored = read_back(replica);
  restored.written = {replica.durable.size()};
  replica.delivered = replica.snapshot;
  replica.before_last_sync = replica.durable.size();
  restored.cut_tail = replica.tail_cut;
  replica.writing = false;
  replica.log = std::make_unique<ReplicatedLog>(
      ReplicaOptions{
          .self = id, .start = {random_.next()}, .timing = {}, .limits = limits_, .window = window_},
      std::move(restored), Random(seed_ * 1000 + id.value * 100 + replica.life), clock_of(replica));
  feed(id, TimePassed{});
}

// Of what was not synced a beginning may be there all the same.
void GroupWorld::crash(ReplicaId id) {
  crash_with(id, random_.below(replicas_.at(id).pending.size() + 1));
}

void GroupWorld::crash_keeping(ReplicaId id, std::size_t acceptances) {
  const auto& pending = replicas_.at(id).pending;
  std::size_t kept = 0;
  for (; kept < pending.size(); ++kept)
    if (std::holds_alternative<Accepted>(pending[kept]) && acceptances-- == 0) break;
  crash_with(id, kept);
}

void GroupWorld::crash_with(ReplicaId id, std::size_t kept) {
  auto& replica = replicas_.at(id);
  if (!replica.log) return;
  ++counts_.crashes;
  replica.log.reset();
  replica.held.clear();
  for (auto& record : std::span(replica.pending).first(kept)) {
    note_durable(id, record);
    replica.durable.push_back(std::move(record));
  }
  replica.pending.clear();
  // A cut is part of a batch of its own, behind what is said again.
  replica.next_cut = 0;
  reset(id);
}

void GroupWorld::cut_tail(ReplicaId id, bool rotted) {
  auto& replica = replicas_.at(id);
  crash(id);
  // A log that was cut in its last batch is refused when that rots.
  if (rotted) replica.durable.resize(std::max(replica.before_last_sync, replica.was_cut_at));
  replica.tail_cut = true;
}

void GroupWorld::set_back(ReplicaId id, std::size_t image) {
  crash(id);
  CHECK(replicas_.at(id).was_cut_at <= image,
        "a disk that is set back behind a cut has its older snapshot again");
  replicas_.at(id).durable.resize(image);
}

void GroupWorld::crash_while_writing() {
  for (const auto& [id, replica] : replicas_)
    if (replica.log && !replica.pending.empty()) return crash(id);
}

void GroupWorld::reset(ReplicaId id) {
  for (const auto other : ids())
    if (other != id) after(1ms, [this, other, id] { feed(other, PeerLost{id}); });
}

void GroupWorld::isolate(ReplicaId id) {
  for (const auto other : ids()) {
    cut(id, other);
    cut(other, id);
  }
}

void GroupWorld::pause(ReplicaId id, Duration time) {
  replicas_.at(id).paused_until = now_ + time;
}

void GroupWorld::heal() {
  faults_ = {};
  cut_.clear();
  for (auto& [id, replica] : replicas_) {
    replica.paused_until = {};
    set_disk_stalled(id, false);
    start(id);
  }
}

void GroupWorld::set_disk_stalled(ReplicaId id, bool stalled) {
  auto& replica = replicas_.at(id);
  replica.stalled = stalled;
  if (!stalled && replica.log && !replica.pending.empty() && !replica.writing) write(id);
}

// ---- work

std::optional<ReplicaId> GroupWorld::propose(const std::string& text) {
  for (auto& [id, replica] : replicas_) {
    if (!replica.log || !replica.log->can_propose() || replica.paused_until > now_) continue;
    offer(id, text);
    return id;
  }
  return std::nullopt;
}

bool GroupWorld::change(const Configuration& next) {
  for (auto& [id, replica] : replicas_) {
    if (!replica.log || !replica.log->can_propose() || replica.paused_until > now_) continue;
    if (!replica.log->membership().is_settled(replica.log->chosen()) ||
        !check_change(replica.log->membership().newest(), next))
      return false;
    ++counts_.changes;
    feed(id, EntryOffered{ChangeConfiguration{next}});
    return true;
  }
  return false;
}

void GroupWorld::offer(ReplicaId id, const std::string& text) {
  proposed_.insert(text);
  largest_ = std::max(largest_, text.size() + 100);
  feed(id, EntryOffered{Command{std::make_shared<const std::string>(text)}});
}

void GroupWorld::read(ReplicaId id) {
  if (is_up(id) && replicas_.at(id).paused_until <= now_) read(id, ++last_ticket_);
}

void GroupWorld::read(ReplicaId id, std::uint64_t ticket) {
  reads_[ticket] = highest_;
  feed(id, ReadAsked{{ticket}});
}

void GroupWorld::quorum_read(ReplicaId id) {
  if (!is_up(id) || replicas_.at(id).paused_until > now_) return;
  reads_[++last_ticket_] = highest_;
  quorum_reads_.insert(last_ticket_);
  feed(id, QuorumReadAsked{{last_ticket_}});
}

void GroupWorld::session_read(ReplicaId id) {
  if (!is_up(id) || replicas_.at(id).paused_until > now_) return;
  reads_[++last_ticket_] = highest_;
  session_reads_.insert(last_ticket_);
  feed(id,
       SessionReadAsked{
           .ticket = {last_ticket_}, .token = {{}, highest_}, .until = clock_of(replicas_.at(id)) + 50ms});
}

void GroupWorld::transfer(ReplicaId successor) {
  if (const auto leads = leader()) feed(*leads, TransferAsked{successor});
}

// ---- what is seen

bool GroupWorld::is_up(ReplicaId id) const {
  return replicas_.at(id).log != nullptr;
}

std::vector<ReplicaId> GroupWorld::ids() const {
  std::vector<ReplicaId> all;
  for (const auto& [id, replica] : replicas_)
    all.push_back(id);
  return all;
}

std::optional<ReplicaId> GroupWorld::leader() const {
  std::optional<ReplicaId> newest;
  for (const auto& [id, replica] : replicas_) {
    if (replica.log && replica.log->is_leading() &&
        (!newest || replica.log->promised() > replicas_.at(*newest).log->promised()))
      newest = id;
  }
  return newest;
}

bool GroupWorld::is_even() const {
  return std::ranges::all_of(truth_->newest().everybody(), [&](ReplicaId each) {
    const auto* log = this->log(each);
    return log != nullptr && log->chosen() == highest_;
  });
}

void GroupWorld::break_rule(const std::string& what) {
  broken_.push_back(fmt::format("{} ms: {}", now_.time_since_epoch() / 1ms, what));
}

// Chosen is what a W quorum has accepted in one ballot, known or not [C1].
void GroupWorld::note_durable(ReplicaId id, const DurableRecord& record) {
  const auto* accepted = std::get_if<Accepted>(&record);
  // What is taken over behind a cut tail is no vote: nobody counts it, and a lower ballot than was promised is among it.
  if (accepted == nullptr || replicas_.at(id).tail_cut) return;
  auto& by = accepted_[{accepted->slot, accepted->ballot}];
  by.insert(id);
  const auto& configuration = truth_->at(accepted->slot);
  if (votes_of(by, configuration) < configuration.quorums.write) return;
  const auto [known, is_first] = truly_chosen_.try_emplace(accepted->slot, accepted->entry);
  if (known->second != accepted->entry)
    break_rule(fmt::format("slot {} is chosen as {} and as {} [C1]", accepted->slot.value,
                           text_of(known->second), text_of(accepted->entry)));
}

// Everything has a limit: one entry may be larger, and one record or message more may have been let in by a free byte. What a
// snapshot makes the log say again comes on top: about a kilobyte.
void GroupWorld::watch_memory(ReplicaId id) {
  constexpr std::size_t kOneMore = 512;
  const auto& log = *replicas_.at(id).log;
  constexpr std::size_t kSaidAgain = 1024;
  if (log.unwritten_bytes() > limits_.unwritten_bytes + largest_ + kOneMore + kSaidAgain)
    break_rule(fmt::format("replica {} has {} bytes in memory that its log has not", id.value,
                           log.unwritten_bytes()));
  if (log.held_bytes() > limits_.held_bytes + limits_.message_bytes + largest_ + kOneMore)
    break_rule(fmt::format("replica {} holds {} bytes of messages back", id.value, log.held_bytes()));
  // The next slot is always taken. A start finds what it no longer knows to be chosen, and behind a cut tail takes over what
  // all others tell.
  if (replicas_.at(id).life == 1 && log.accepted_bytes() > limits_.accepted_bytes + 2 * largest_)
    break_rule(fmt::format("replica {} has accepted {} bytes", id.value, log.accepted_bytes()));
}

void GroupWorld::watch_size(const Message& message) {
  const auto watch = [&](std::size_t count, std::size_t bytes) {
    if (count > 1) ++counts_.full_messages;
    if (count > 1 && bytes > limits_.message_bytes)
      break_rule(fmt::format("a message of {} entries has {} bytes", count, bytes));
  };
  std::visit(
      [&](const auto& in) {
        std::size_t bytes = 0;
        if constexpr (requires { in.entries; }) {
          for (const auto& entry : in.entries)
            bytes += size_of(entry);
          watch(in.entries.size(), bytes);
        } else if constexpr (requires { in.through; }) {
          for (const auto& accepted : in.accepted)
            bytes += size_of(accepted.entry);
          watch(in.accepted.size(), bytes);
          if (in.through) ++counts_.parts;
        }
      },
      message);
}

// Lease exclusivity, at true time.
void GroupWorld::watch() {
  std::uint32_t holders = 0;
  for (const auto& [id, replica] : replicas_)
    if (replica.log && replica.log->holds_lease(clock_of(replica))) ++holders;
  if (holders > 1) break_rule("two replicas hold the lease [C6]");
}

// ---- the machines

void GroupWorld::feed(ReplicaId id, ReplicaInput input) {
  auto& replica = replicas_.at(id);
  if (!replica.log) return;
  if (replica.paused_until > now_) {
    const auto life = replica.life;
    after(replica.paused_until - now_, [this, id, life, input = std::move(input)]() mutable {
      if (replicas_.at(id).life == life) feed(id, std::move(input));
    });
    return;
  }
  carry_out(id, replica.log->step(std::move(input), clock_of(replica)));
  watch();
  watch_memory(id);
  wake(id);
}

void GroupWorld::wake(ReplicaId id) {
  auto& replica = replicas_.at(id);
  if (!replica.log) return;
  const auto at = replica.log->wakes_at();
  if (at == Instant::max()) return;
  const auto life = replica.life;
  const auto delay = std::max(at - clock_of(replica), Duration(0)) + Duration(1'000);
  after(delay, [this, id, life, at] {
    auto& woken = replicas_.at(id);
    if (woken.life == life && woken.log && woken.log->wakes_at() == at) feed(id, TimePassed{});
  });
}

void GroupWorld::carry_out(ReplicaId id, ReplicaEffects effects) {
  auto& replica = replicas_.at(id);
  for (auto& effect : effects) {
    if (observer_) observer_(id, effect);
    if (auto* append = std::get_if<Append>(&effect)) {
      if (append->number.value != replica.durable.size() + replica.pending.size() + 1)
        break_rule("a write is not the next");
      replica.pending.push_back(disk_ ? disk_(append->record) : std::move(append->record));
      if (!replica.writing && !replica.stalled) write(id);
    } else if (auto* send = std::get_if<Send>(&effect)) {
      if (send->after.value <= replica.durable.size()) {
        transmit(id, send->to, send->message);
      } else {
        replica.held.emplace_back(send->after, std::pair(send->to, std::move(send->message)));
      }
    } else if (const auto* delivered = std::get_if<Deliver>(&effect)) {
      deliver(id, *delivered);
    } else if (const auto* at = std::get_if<ReadAt>(&effect)) {
      ++(quorum_reads_.contains(at->ticket.value)      ? counts_.quorum_reads
         : session_reads_.contains(at->ticket.value)   ? counts_.session_reads
         : replica.log->holds_lease(clock_of(replica)) ? counts_.leased_reads
                                                       : counts_.reads);
      if (at->slot < reads_.at(at->ticket.value))
        break_rule("a read is older than what was known when it was asked [C6]");
      if (at->slot > replica.delivered) break_rule("a read is answered from what is not here");
    } else if (const auto* refused = std::get_if<RefuseRead>(&effect)) {
      if (refused->reason == ReadRefusal::kLate) ++counts_.late_session_reads;
    } else if (const auto* snapshot = std::get_if<SendSnapshot>(&effect)) {
      after(2ms, [this, id, to = snapshot->to] { install_snapshot(id, to); });
    } else if (std::holds_alternative<SettleCutTail>(effect)) {
      ++counts_.tails_taken_over;
      replica.tail_cut = false;
    } else if (std::holds_alternative<Lead>(effect)) {
      ++counts_.elected;
    } else if (std::holds_alternative<StopLeading>(effect)) {
      ++counts_.stopped;
    }
  }
}

void GroupWorld::transmit(ReplicaId from, ReplicaId to, const Message& message) {
  watch_size(message);
  const auto* seen = std::get_if<HeartbeatSeen>(&message);
  if (seen != nullptr && seen->granted && *seen->granted != first_.at({1}).lease_terms)
    ++counts_.changed_grants;
  if (cut_.contains({from, to}) || !replicas_.contains(to) || random_.below(1000) < faults_.lost) return;
  const int copies = random_.below(1000) < faults_.doubled ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    auto delay = Duration(random_.between(50, 400));
    if (random_.below(1000) < faults_.late) delay += Duration(random_.between(1'000, 700'000));
    after(delay, [this, from, to, message = wire_ ? wire_(message) : message] {
      feed(to, MessageReceived{from, message});
    });
  }
}

// One sync for all that waits.
void GroupWorld::write(ReplicaId id) {
  auto& replica = replicas_.at(id);
  replica.writing = true;
  const auto life = replica.life;
  const auto count = replica.pending.size();
  after(Duration(random_.between(100, longest_sync_.count())), [this, id, life, count] {
    auto& written = replicas_.at(id);
    if (written.life != life || !written.log) return;
    written.writing = false;
    if (written.stalled) return;
    written.before_last_sync = written.durable.size();
    for (auto& record : std::span(written.pending).first(count)) {
      note_durable(id, record);
      written.durable.push_back(std::move(record));
    }
    written.pending.erase(written.pending.begin(),
                          written.pending.begin() + static_cast<std::ptrdiff_t>(count));
    std::erase_if(written.held, [&](auto& held) {
      if (held.first.value > written.durable.size()) return false;
      transmit(id, held.second.first, held.second.second);
      return true;
    });
    cut_log(written);
    if (!written.pending.empty()) write(id);
    feed(id, WritesDurable{{written.durable.size()}});
  });
}

void GroupWorld::deliver(ReplicaId id, const Deliver& delivered) {
  auto& replica = replicas_.at(id);
  if (delivered.slot.value != replica.delivered.value + 1)
    break_rule(fmt::format("replica {} delivers slot {} behind {} [C1]", id.value, delivered.slot.value,
                           replica.delivered.value));
  replica.delivered = delivered.slot;
  const auto [known, is_first] = chosen_.try_emplace(delivered.slot, delivered.entry);
  if (known->second != delivered.entry)
    break_rule(fmt::format("slot {} is {} and {} [C1]", delivered.slot.value, text_of(known->second),
                           text_of(delivered.entry)));
  highest_ = std::max(highest_, delivered.slot);
  if (const auto* change = std::get_if<ChangeConfiguration>(&delivered.entry);
      change != nullptr && is_first) {
    const auto terms = truth_->newest().lease_terms;
    if (truth_->change(delivered.slot, change->next) && truth_->newest().lease_terms != terms)
      ++counts_.lease_changes;
  }
  const auto* command = std::get_if<Command>(&delivered.entry);
  if (!is_first || command == nullptr) return;
  ++counts_.delivered;
  if (!proposed_.contains(*command->bytes)) break_rule("an entry that nobody proposed [C1]");
  delivered_.insert(*command->bytes);
}

void GroupWorld::take_snapshot(ReplicaId id) {
  auto& replica = replicas_.at(id);
  if (!replica.log || replica.paused_until > now_ || replica.log->chosen() <= replica.snapshot) return;
  if (replica.stalled) return;  // a snapshot is durable first, and that disk writes nothing
  replica.snapshot = replica.log->chosen();
  replica.snapshot_configured.clear();
  for (const auto& configured : replica.log->membership().standing({replica.snapshot.value + 1}))
    replica.snapshot_configured.emplace(configured.slot, configured.configuration);
  const auto is_kept = [&](const DurableRecord& record) {
    const auto* accepted = std::get_if<Accepted>(&record);
    const auto* learned = std::get_if<Learned>(&record);
    const auto* through = std::get_if<ChosenThrough>(&record);
    return (accepted != nullptr && accepted->slot > replica.snapshot) ||
           (learned != nullptr && learned->slot > replica.snapshot) ||
           (through != nullptr && through->slot > replica.snapshot);
  };
  const auto durable = std::ranges::find_if(replica.durable, is_kept) - replica.durable.begin();
  const auto pending = std::ranges::find_if(replica.pending, is_kept) - replica.pending.begin();
  const auto cut =
      static_cast<std::size_t>(durable) +
      (static_cast<std::size_t>(durable) < replica.durable.size() ? 0 : static_cast<std::size_t>(pending));
  feed(id, SnapshotTaken{replica.snapshot});
  replica.next_cut = std::max(cut, replica.cut);
  replica.cut_at = replica.durable.size() + replica.pending.size();
}

void GroupWorld::cut_log(Replica& replica) {
  if (replica.next_cut == 0 || replica.durable.size() < replica.cut_at) return;
  ++counts_.logs_cut;
  const auto whole = read_back(replica);
  replica.cut = std::exchange(replica.next_cut, 0);
  const auto left = read_back(replica);
  if (left.promised != whole.promised || left.start != whole.start || left.asked != whole.asked ||
      left.positions != whole.positions || left.accepted != whole.accepted || left.chosen != whole.chosen ||
      left.configured != whole.configured || left.waits() != whole.waits())
    break_rule("a start has not from a log that was cut what it had from the whole");
  replica.was_cut_at = replica.durable.size();
}

// The state as it is there, whole and durable.
void GroupWorld::install_snapshot(ReplicaId from, ReplicaId to) {
  const auto& source = replicas_.at(from);
  auto& target = replicas_.at(to);
  if (!source.log || !target.log || target.paused_until > now_ ||
      target.log->chosen() >= source.log->chosen())
    return;
  ++counts_.snapshots;
  target.snapshot = source.log->chosen();
  target.delivered = target.snapshot;
  target.snapshot_configured.clear();
  for (const auto& configured : source.log->membership().standing(target.snapshot))
    target.snapshot_configured.emplace(configured.slot, configured.configuration);
  feed(to, SnapshotInstalled{target.snapshot, target.snapshot_configured});
}

}  // namespace troth::coordinator::consensus
