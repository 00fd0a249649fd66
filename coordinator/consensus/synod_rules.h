// coordinator/consensus/synod_rules.h
//
// The rules that make Paxos safe, one place for each: `synod` keeps them for one decision, `replicated_log` for every
// slot of its log.
//
//   an acceptor   takes no prepare and no accept below what it promised        may_promise, may_accept
//   a proposer    proposes what an E quorum knows accepted in the highest
//                 ballot, and its own value only where they know of none       keep_highest
//   a learner     takes for chosen what W have accepted in one ballot          votes_of (quorum.h)
//
// Source: Lamport, "Paxos Made Simple" (2001), section 2.2: P1a, P2c.
#pragma once

#include <cstdint>
#include <optional>

#include "coordinator/consensus/ballot.h"

namespace troth::coordinator::consensus {

// A ballot further ahead than any election could bring it is damaged or made up: a thousand elections per second take
// seven weeks for it. Taken, it would use up the numbers for everybody, for ever (attack 35).
inline constexpr std::uint64_t kMostRoundsAhead = std::uint64_t{1} << 32U;

// Can a group whose ballots stood at `known` have come to `ballot`?
[[nodiscard]] inline bool is_within_reach(const Ballot& ballot, const Ballot& known) {
  return !ballot.is_none() && ballot.leader.value != 0 &&
         (ballot.round <= known.round || ballot.round - known.round <= kMostRoundsAhead);
}

// The same ballot again is the same prepare, doubled or sent again: nobody but its leader makes it, and he makes it
// once. The answer is given again, as the acceptor stands by then.
[[nodiscard]] inline bool may_promise(const Ballot& promised, const Ballot& asked) {
  return asked >= promised && is_within_reach(asked, promised);
}

// Accepting is promising, too: `promised` rises to `proposed`.
[[nodiscard]] inline bool may_accept(const Ballot& promised, const Ballot& proposed) {
  return proposed >= promised && is_within_reach(proposed, promised);
}

// `Acceptance` has a `ballot`. Of two in one ballot either will do: one ballot proposes one value.
template <typename Acceptance>
void keep_highest(std::optional<Acceptance>& kept, const Acceptance& reported) {
  if (!kept || reported.ballot > kept->ballot) kept = reported;
}

}  // namespace troth::coordinator::consensus
