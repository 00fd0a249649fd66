// coordinator/consensus/lease.h
//
// The master lease: while a leader's is valid nobody else leads, so what it has applied is the newest there is, and it
// answers linearizable reads from its own memory. Used for reads only: the epochs at the receivers are what guards
// decisions [T8].
//
//   holder                                          grantors (every acceptor, the holder's own among them)
//   asks at `sent` on its clock   --------------->  takes it at `now` on its own clock, and for one length
//   counts from `sent`, less twice the drift  <---  refuses to promise, and to pre-vote for, anybody else
//   valid with N - E + 1 grants: no E quorum is without one of these grantors
//
// Why nobody is elected beside a valid holder h: an E quorum has one of its grantors, x. Had x promised before it
// granted, it would have refused the grant, being of another ballot than its promise. It promised afterwards, so its
// grant to h had run out on x's clock, and in true time h's count of it before: it began earlier, and is shorter by
// more than two clocks can differ. A grantor's memory of its grant survives a crash as its promise, see below. An older
// ballot that counts its promises late leads in name only: those who promised h refuse it everything.
// A clock that stops while others go on (a virtual machine that is paused as a whole) is outside of every bound: a read
// may be stale then; no decision is ever in danger.
//
// What the caller has to keep to:
// [L1] One LeaseHolder at a time, and one for each ballot; it is dropped before this replica makes a ballot above it, and
//      there is none after a start. So a newer ballot of the same replica may be promised while its grant runs: nobody
//      holds the old one any more, and a leader that has to move up, or was restarted, need not wait for itself.
// [L2] Every promise and pre-vote asks `allows` first, this replica's own, too. What a leader says that was elected
//      (accept, heartbeat, request of a lease) does not: it raises the promise as may_accept has it, for an election
//      that succeeded is the proof that nobody else's lease is valid. A promise that is taken over from others, where
//      the own log cannot be trusted, was not elected: it waits until no grant is `running`.
// [L3] A grant leaves when the promise of its ballot is durable, as an acceptance does.
// [L4] `valid` is asked for each configuration by which a slot above the chosen ones is counted: with 4 replicas and
//      E = 3 two grants are a lease, and the two others elect, once 3 vote. Of a change nobody knows that it is chosen
//      before the leader does, and who does not know needs E of the old configuration, too.
// [L5] Each grant names the terms that it was made by, and is counted by them: replicas that know of a change at different
//      times agree all the same. After a start a grantor waits as long as the longest that it may have granted: that is in
//      its own log first (lease_pledge.h). So the group may change its terms at any time, and the proof above holds for
//      each grant by itself; only the drift is an assertion about all clocks, and the worst that is known counts.
// [L6] A lease is handed over when the leader proposes nothing more (attack 37). Where the successor does not come it has
//      none again before its next ballot: its word may still be under way, and free a grantor for the successor.
//
// Time: `now` is this replica's own clock, read after the input left its queue (attack 21); nothing here reads it.
// Durability: none of its own.
// Source: Gray, Cheriton, "Leases" (1989); the grantor's wait after its start as there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/time.h"
#include "coordinator/consensus/lease_terms.h"
#include "coordinator/consensus/quorum.h"

namespace troth::coordinator::consensus {

// `by` has taken what the leader of `ballot` asked at `sent`, a reading of the leader's clock that it gets back, and refuses
// others for the length of `terms`.
struct LeaseGrant {
  ReplicaId by;
  Ballot ballot;
  Instant sent;
  LeaseTerms terms;
};

// The lease of `ballot` is given up, and free for `successor` alone.
struct LeaseHandOver {
  Ballot ballot;
  ReplicaId successor;
};

// One for each ballot that was elected.
class LeaseHolder {
 public:
  explicit LeaseHolder(const Ballot& ballot) : ballot_(ballot) {}

  [[nodiscard]] const Ballot& ballot() const { return ballot_; }
  // Counted by the grant's own terms, and by the worst clocks that it or this replica knows of.
  void granted(Instant now, const LeaseGrant& grant, std::uint32_t drift_ppm);

  [[nodiscard]] bool valid(Instant now, const Configuration& configuration) const;
  // If nothing more is granted. Nothing: too few have granted, or it was given up.
  [[nodiscard]] std::optional<Instant> valid_until(const Configuration& configuration) const;

  // For ever: what is granted afterwards counts for nothing.
  void give_up() { given_up_ = true; }
  [[nodiscard]] bool given_up() const { return given_up_; }
  // Gives it up, and only then there is something to send, to every grantor.
  [[nodiscard]] LeaseHandOver hand_over(ReplicaId successor);

 private:
  Ballot ballot_;
  std::map<ReplicaId, Instant> until_;  // for how long each surely refuses others
  bool given_up_ = false;
};

// At each acceptor.
class LeaseGrantor {
 public:
  // Whose grant runs, and until when.
  struct Grant {
    Ballot ballot;  // none: nobody knows
    Instant until;
    std::optional<ReplicaId> successor;  // it was given up, and is free for this one
  };

  // At a start. `waits`: what its log says (lease_pledge.h). `promised`: what `self` has promised durably. Whom it had granted is in there: each grant was for the
  // ballot that was promised, and a higher promise followed only when that lease was void, or to the same leader. So it
  // takes its promise for a grant of this moment, and refuses everybody else for the longest that it may have granted (attack 20). Where
  // its promise was to itself, as always with N = 1, or to nobody, nobody can hold a grant of it: it waits for nothing
  // (attack 59).
  LeaseGrantor(Duration waits, ReplicaId self, const Ballot& promised, Instant now);
  // At the start of a replica that cannot tell what it has promised (wiped, set back, its log's tail cut): it refuses
  // everybody. See L2.
  [[nodiscard]] static LeaseGrantor without_memory(Duration waits, Instant now);

  // May this replica promise a ballot of `candidate`, or pre-vote for it?
  [[nodiscard]] bool allows(Instant now, ReplicaId candidate) const;
  // Is `ballot` granted the lease, once more or newly? `promised`: by this acceptor, as it stands now. A leader that has
  // handed over gets nothing in that ballot. What it was granted longer stands.
  [[nodiscard]] bool grant(Instant now, const LeaseTerms& terms, const Ballot& ballot,
                           const Ballot& promised);
  // The first counts. Of another ballot than the grant that runs: late, and nothing.
  void hand_over(const LeaseHandOver& hand_over);

  [[nodiscard]] std::optional<Grant> running(Instant now) const;

 private:
  explicit LeaseGrantor(const Grant& grant) : grant_(grant) {}

  std::optional<Grant> grant_;
};

}  // namespace troth::coordinator::consensus
