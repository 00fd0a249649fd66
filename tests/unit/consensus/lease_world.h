// tests/unit/consensus/lease_world.h
//
// A group that elects leaders and leases in true time, each replica with a clock of its own that drifts: what the
// lease's caller has to keep to (L1 to L6), played as simply as it can be. One seed, one run. After every event every
// replica is asked whether it holds a valid lease, all at that one true instant.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "coordinator/consensus/lease.h"
#include "coordinator/consensus/lease_pledge.h"

namespace troth::coordinator::consensus {

// What a server must not do; a test that can fail shows that it would be seen.
struct LeaseDefects {
  bool grants_are_forgotten = false;          // by the restart of a grantor (attack 20)
  bool counts_from_receipt = false;           // of the grant, not from the sending of the request
  bool keeps_what_it_hands_over = false;      // attack 37
  bool votes_before_grants_are_over = false;  // by a replica that was wiped
  bool time_is_a_tick = false;  // asked with the time of the last input, not with now (attack 21)
  // Of terms that change:
  bool waits_by_present_terms = false;  // after a start, not by what may have been granted
  bool grants_what_is_not_written = false;
  bool says_less_at_once = false;      // while longer grants run
  bool counts_by_own_terms = false;    // not by those of the grant
  bool trusts_the_last_batch = false;  // which may be lost
};

class LeaseWorld {
 public:
  struct Options {
    Configuration configuration;
    LeaseTerms terms;
    bool terms_change = false;
    std::uint32_t clocks_drift_ppm = 0;  // at most, of each clock from true time
    LeaseDefects defects;
  };
  struct Counts {
    std::uint64_t elections = 0;
    std::uint64_t leases = 0;    // valid for the first time in their ballot
    std::uint64_t renewals = 0;  // grants that made a valid lease last longer
    std::uint64_t hand_overs = 0;
    std::uint64_t quick_successions = 0;  // elections inside the grant that was handed over
    std::uint64_t own_successions = 0;    // a leader elected again while its own older grant ran
    std::uint64_t refusals = 0;           // prepares that a running grant refused
    std::uint64_t restarts = 0;
    std::uint64_t wiped = 0;
    std::uint64_t changes = 0;  // of the terms
    std::uint64_t longer = 0;   // grants by longer terms than a replica began with
    std::uint64_t shorter = 0;  // waits after a start that were said to be shorter
    Counts& operator+=(const Counts& other);
  };

  LeaseWorld(Options options, std::uint64_t seed);

  void run(Duration how_long);

  // What went wrong; empty: nothing did.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  using TrueTime = std::int64_t;  // nanoseconds

  struct Clock {
    TrueTime set_at = 0;
    std::int64_t showed = 0;  // nanoseconds, then
    std::int64_t rate_ppm = 0;
    [[nodiscard]] std::int64_t shows(TrueTime now) const;  // nanoseconds
    [[nodiscard]] Instant at(TrueTime now) const;          // as it is read: rounded down
  };
  struct Prepare {
    Ballot ballot;
  };
  struct Promise {
    Ballot ballot;
  };
  struct LeaseRequest {
    Ballot ballot;
    Instant sent;
  };
  using Message = std::variant<Prepare, Promise, LeaseRequest, LeaseGrant, LeaseHandOver>;
  struct Candidacy {
    Ballot ballot;
    Replicas promised;
  };
  struct Replica {
    ReplicaId id;
    Clock clock;
    Ballot promised;    // durable at once
    bool votes = true;  // not while it cannot tell what it has promised
    LeaseGrantor grantor{{}, {}, {}, {}};
    LeaseTerms terms;  // of the group, as it knows them
    LeasePledge pledge{{}, {}};
    std::vector<Duration> log;            // waits, as it appended them
    std::vector<std::size_t> batches{0};  // how long the log was behind each of its syncs
    std::optional<Candidacy> candidacy;
    std::optional<LeaseHolder> holder;
    bool was_valid = false;
    Instant heard;  // its clock at the last input
    std::uint64_t start = 0;
    TrueTime paused_until = 0;
    TrueTime cut_off_until = 0;
  };

  void after(Duration delay, std::function<void()> what);
  // Runs `what` at that replica after a random while, again and again.
  void often(Replica& replica, Duration longest, std::function<void(Replica&)> what);
  void begin(Replica& replica);
  void send(Replica& from, ReplicaId to, const Message& message);
  void to_all(Replica& from, const Message& message);
  void hear(Replica& replica, ReplicaId from, const Message& message);
  void stand(Replica& replica);
  void ask_for_lease(Replica& replica);
  void hand_over(Replica& replica);
  void restart(Replica& replica);
  [[nodiscard]] bool may_be_wiped(const Replica& replica) const;
  void trust_again(Replica& replica);
  void set_clock(Replica& replica, bool reboot);
  void look();
  void change_terms();
  void settle_pledge(Replica& replica);
  void sync(Replica& replica);
  [[nodiscard]] Duration said(const Replica& replica) const;
  [[nodiscard]] std::optional<LeaseTerms> grants_by(const Replica& replica) const;
  void start_granting(Replica& replica, const Ballot& promised);

  [[nodiscard]] Instant clock(const Replica& replica) const { return replica.clock.at(now_); }
  // If its lease is valid at this instant.
  [[nodiscard]] const LeaseHolder* holder(const Replica& replica) const;

  Options options_;
  Random random_;
  TrueTime now_ = 0;
  std::multimap<TrueTime, std::function<void()>> events_;
  LeaseTerms terms_;
  std::map<ReplicaId, Replica> replicas_;
  std::string wrong_;
  Counts counts_;
};

}  // namespace troth::coordinator::consensus
