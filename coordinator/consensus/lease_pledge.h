// coordinator/consensus/lease_pledge.h
//
// By which terms a replica grants leases, and what its own log says of them: for how long it refuses others after a start.
//
// [P1] Whatever grant may run, the log says at least its wait, and says so also if its last batch is lost (a cut tail): a
//      longer one is granted only when the record is durable, and then another one behind it. Meanwhile the terms before
//      stand, or nothing is granted.
// [P2] The log says less only when every grant that was longer has run out, on this replica's own clock.
//
// So after any crash the wait is at least that of every grant that may run: P1 for those before it, and what is lost of a
// record that says less is the safe side.
//
// Durability: none of its own; the caller appends what is `due`.
#pragma once

#include <optional>

#include "coordinator/consensus/lease_terms.h"
#include "coordinator/consensus/log_position.h"

namespace troth::coordinator::consensus {

class LeasePledge {
 public:
  // At a start, with what the log says; something else is durable behind it before anything is granted.
  LeasePledge(Duration said, Instant now) : said_(said), sure_(said), longer_until_(now + said) {}

  // Nothing: the log does not say enough yet.
  [[nodiscard]] const std::optional<LeaseTerms>& grants_by() const { return terms_; }
  // By these terms; it runs until then.
  void granted(Instant until);

  // What the log has to say now, with the group's terms as they are known here; `appended` is next.
  [[nodiscard]] std::optional<Duration> due(const LeaseTerms& group, Instant now);
  void appended(LogWrite number);
  void durable(LogWrite through);

  // What the log says by its last record: what a new segment says again.
  [[nodiscard]] Duration said() const { return said_; }

 private:
  struct Raising {
    Duration to;
    int durable = 0;
    std::optional<LogWrite> appended;
  };

  std::optional<LeaseTerms> terms_;
  Duration said_;
  Duration sure_;  // at least that is said after any crash; no grant that may run waits longer
  Instant last_until_;
  Instant longer_until_;  // of all grants by other terms than these
  std::optional<Raising> raising_;
};

}  // namespace troth::coordinator::consensus
