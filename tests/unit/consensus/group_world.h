// tests/unit/consensus/group_world.h
//
// Some replicas in virtual time, with a network that loses, doubles and delays, disks that lose what is not durable,
// and clocks that drift. It watches what they do, and says what is wrong with it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "coordinator/consensus/replicated_log.h"

namespace troth::coordinator::consensus {

struct NetworkFaults {
  std::uint32_t lost = 0;  // of 1,000 messages
  std::uint32_t doubled = 0;
  std::uint32_t late = 0;
};

struct WorldCounts {
  std::uint64_t elected = 0;
  std::uint64_t stopped = 0;
  std::uint64_t delivered = 0;  // commands, at the first who knew
  std::uint64_t reads = 0;
  std::uint64_t leased_reads = 0;
  std::uint64_t quorum_reads = 0;
  std::uint64_t session_reads = 0;
  std::uint64_t late_session_reads = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t logs_cut = 0;
  std::uint64_t crashes = 0;
  std::uint64_t changes = 0;
  std::uint64_t tails_taken_over = 0;
  std::uint64_t full_messages = 0;  // of more than one entry
  std::uint64_t lease_changes = 0;
  std::uint64_t changed_grants = 0;  // by other terms than the first
  std::uint64_t parts = 0;           // promises and answers that go on in another message

  WorldCounts& operator+=(const WorldCounts& other) {
    elected += other.elected;
    stopped += other.stopped;
    delivered += other.delivered;
    reads += other.reads;
    leased_reads += other.leased_reads;
    quorum_reads += other.quorum_reads;
    session_reads += other.session_reads;
    late_session_reads += other.late_session_reads;
    snapshots += other.snapshots;
    logs_cut += other.logs_cut;
    crashes += other.crashes;
    changes += other.changes;
    tails_taken_over += other.tails_taken_over;
    full_messages += other.full_messages;
    parts += other.parts;
    lease_changes += other.lease_changes;
    changed_grants += other.changed_grants;
    return *this;
  }
};

class GroupWorld {
 public:
  GroupWorld(std::uint64_t seed, std::size_t replicas, Quorums quorums, GroupLimits limits = {},
             std::uint64_t window = kWindow);

  // ---- time
  [[nodiscard]] Instant now() const { return now_; }
  void run_for(Duration time);
  // False: not within `bound`.
  bool run_until(const std::function<bool()>& holds, Duration bound);

  // ---- faults
  void set_faults(const NetworkFaults& faults) { faults_ = faults; }
  void crash(ReplicaId id);
  // Of what was not synced, everything up to so many acceptances is there.
  void crash_keeping(ReplicaId id, std::size_t acceptances);
  // One that has something to lose, if there is one.
  void crash_while_writing();
  void start(ReplicaId id);
  // Its log's last batch was torn, and never synced; `rotted`: it was, and is lost.
  void cut_tail(ReplicaId id, bool rotted);
  // Its disk is as it was at `image()`.
  [[nodiscard]] std::size_t image(ReplicaId id) const { return replicas_.at(id).durable.size(); }
  void set_back(ReplicaId id, std::size_t image);
  // Its state is durable, and of its log, when what is said again is, everything goes that speaks of no later slot.
  void take_snapshot(ReplicaId id);
  void pause(ReplicaId id, Duration time);
  void cut(ReplicaId from, ReplicaId to) { cut_.insert({from, to}); }
  // Nobody hears of it, nor it of anybody.
  void isolate(ReplicaId id);
  // Everybody's connection to it breaks; what follows goes over new ones.
  void reset(ReplicaId id);
  void set_sync_time(Duration longest) { longest_sync_ = longest; }
  void heal();
  [[nodiscard]] bool has_cut_tail(ReplicaId id) const { return replicas_.at(id).tail_cut; }
  void set_disk_stalled(ReplicaId id, bool stalled);

  // ---- work
  // Sees every effect before the world carries it out.
  void observe(std::function<void(ReplicaId, const ReplicaEffect&)> observer) {
    observer_ = std::move(observer);
  }
  void feed(ReplicaId id, ReplicaInput input);
  // At whoever thinks that it leads; nothing: nobody does.
  std::optional<ReplicaId> propose(const std::string& text);
  bool change(const Configuration& next);
  void offer(ReplicaId id, const std::string& text);
  void read(ReplicaId id);
  // The caller's own ticket.
  void read(ReplicaId id, std::uint64_t ticket);
  void quorum_read(ReplicaId id);
  // With everything that any session has seen.
  void session_read(ReplicaId id);
  void transfer(ReplicaId successor);
  void add_replica(ReplicaId id);

  // What goes over the network, or to a disk, as it comes out on the other side.
  void send_through(std::function<Message(const Message&)> wire) { wire_ = std::move(wire); }
  void write_through(std::function<DurableRecord(const DurableRecord&)> disk) { disk_ = std::move(disk); }

  // ---- what is seen
  [[nodiscard]] bool is_up(ReplicaId id) const;
  // Null: it is down.
  [[nodiscard]] const ReplicatedLog* log(ReplicaId id) const { return replicas_.at(id).log.get(); }
  [[nodiscard]] std::optional<ReplicaId> leader() const;
  [[nodiscard]] std::vector<ReplicaId> ids() const;
  [[nodiscard]] bool was_delivered(const std::string& text) const { return delivered_.contains(text); }
  // Everybody who is up knows the same to be chosen.
  [[nodiscard]] bool is_even() const;
  [[nodiscard]] const std::vector<std::string>& broken() const { return broken_; }
  [[nodiscard]] const WorldCounts& counts() const { return counts_; }
  [[nodiscard]] Slot highest() const { return highest_; }

 private:
  struct Event {
    Instant at;
    std::uint64_t number;
    std::function<void()> run;
    bool operator>(const Event& other) const {
      return std::tie(at, number) > std::tie(other.at, other.number);
    }
  };
  struct Replica {
    std::unique_ptr<ReplicatedLog> log;
    std::uint64_t life = 0;
    std::vector<DurableRecord> durable;
    std::vector<DurableRecord> pending;
    std::size_t before_last_sync = 0;
    bool tail_cut = false;
    std::vector<std::pair<LogWrite, std::pair<ReplicaId, Message>>> held;
    bool writing = false;
    bool stalled = false;
    std::int64_t drift_ppm = 0;
    Instant paused_until;
    Slot delivered;
    Slot snapshot;
    std::map<Slot, Configuration> snapshot_configured;
    std::uint64_t records_before = 0;  // numbers of writes are counted over all lives
    // Of `durable` the first `cut` are gone; the next cut, when so many are durable.
    std::size_t cut = 0;
    std::size_t next_cut = 0;
    std::size_t cut_at = 0;
    std::size_t was_cut_at = 0;
  };

  void crash_with(ReplicaId id, std::size_t kept);
  void after(Duration delay, std::function<void()> run);
  [[nodiscard]] Instant clock_of(const Replica& replica) const;
  void carry_out(ReplicaId id, ReplicaEffects effects);
  void transmit(ReplicaId from, ReplicaId to, const Message& message);
  void write(ReplicaId id);
  void wake(ReplicaId id);
  void deliver(ReplicaId id, const Deliver& delivered);
  void install_snapshot(ReplicaId from, ReplicaId to);
  void cut_log(Replica& replica);
  [[nodiscard]] Restored read_back(const Replica& replica);
  void watch();
  void watch_memory(ReplicaId id);
  void watch_size(const Message& message);
  void note_durable(ReplicaId id, const DurableRecord& record);
  void break_rule(const std::string& what);

  std::uint64_t seed_;
  Random random_;
  Instant now_{std::chrono::seconds(1)};
  std::uint64_t events_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  GroupLimits limits_;
  std::uint64_t window_;
  NetworkFaults faults_;
  Duration longest_sync_{2'000};
  std::set<std::pair<ReplicaId, ReplicaId>> cut_;
  std::map<ReplicaId, Replica> replicas_;
  std::map<Slot, Configuration> first_;

  std::function<void(ReplicaId, const ReplicaEffect&)> observer_;
  std::function<Message(const Message&)> wire_;
  std::function<DurableRecord(const DurableRecord&)> disk_;
  std::map<Slot, Entry> chosen_;  // delivered by somebody
  // What is accepted durably, whether anybody knows or not; and what is chosen by it.
  std::map<std::pair<Slot, Ballot>, Replicas> accepted_;
  std::map<Slot, Entry> truly_chosen_;
  std::optional<Membership> truth_;
  Slot highest_;
  std::set<std::string> proposed_;
  std::size_t largest_ = 100;  // of one entry
  std::set<std::string> delivered_;
  std::map<std::uint64_t, Slot> reads_;  // what each has to see at least
  std::set<std::uint64_t> quorum_reads_;
  std::set<std::uint64_t> session_reads_;
  std::uint64_t last_ticket_ = 0;
  std::vector<std::string> broken_;
  WorldCounts counts_;
};

}  // namespace troth::coordinator::consensus
