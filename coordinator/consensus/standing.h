// coordinator/consensus/standing.h
//
// May this replica vote, with what its log has of what it said? After every start others are asked how far they know it
// to have come; one whose disk was set back to an older image votes no more (attacks 26, 56). One that had to cut a bad
// last batch may have said what it no longer knows: it first takes over what enough others know (attack 44).
//
//   asking --all answered, or N - W + 1 in a while, and know nothing newer--> voting
//     | '--somebody knows newer--> set back: learns, and has to be replaced
//   recovering (cut tail) --N - min(E, W) + 2 heard, taken over durably--> voting
//
// What counts is how far its log had come when it last voted: what a start writes before it votes is nothing that it said, so
// one that was set back is found out at every start, and not only at the first.
//
// Both counts include the replica itself. The second meets every quorum also without it, so that one rotted tail among any
// number of torn ones is safe. N = 1 has only itself. But a log that says so may be an older image, of before the group grew, or
// a new one: so those that its file lists beside it are asked as well, and waited for a while.
//
// The first does not: of a quorum that counted this replica, W - 1 others, the N - W others that it hears may be none. What
// they know of it is what leaders told with their heartbeats. So an image is found out that is older than the last heartbeat
// which one of those heard got from a leader; one that lacks only what was accepted behind that is not. Of three: 1 and 2
// accept, 3 is cut off or has not had the next heartbeat, 2 is cut off, 1 is set back by just so much and hears 3: both
// vote, and what 1 and 2 had chosen is lost. To wait for N - W + 2 would close that, and no replica of three could be
// started while another one is down: an ordinary start would wait for a machine that may never come back, for the sake of a
// disk that lied. It is not asked for. Where all are there, all are heard.
//
// A leader that is not heard may have counted what was lost, and go on to count others that accept in its ballot after they
// answered. So, unless everybody is heard, an answer counts only from behind a fence: a promise as high as any that was
// heard of, whose leader was heard. Where that leader is silent, the replica asks for a promise of a ballot of its own,
// in which it never proposes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "coordinator/consensus/membership.h"
#include "coordinator/consensus/messages.h"
#include "coordinator/consensus/synod_rules.h"

namespace troth::coordinator::consensus {

class Standing {
 public:
  enum class State : std::uint8_t { kAsking, kRecovering, kVoting, kSetBack };

  Standing(ReplicaId self, Replicas listed, LogPosition own, bool cut_tail);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool votes() const { return state_ == State::kVoting; }
  [[nodiscard]] bool asks() const { return state_ == State::kAsking || state_ == State::kRecovering; }
  // Whom it has not heard; who answered before the fence; and who knew more to be chosen: one that was started again has forgotten it, and tells what it
  // had accepted there instead.
  [[nodiscard]] Replicas unheard(const Membership& membership, Slot chosen) const;

  // An answer counts when it is whole, as a promise does (phase_one.h), and from behind the fence only if its first part was.
  // True: there is more of it, to be asked for.
  [[nodiscard]] bool hear(ReplicaId from, const StandingShown& shown, Slot chosen);
  // Through which slot it has told what it accepted.
  [[nodiscard]] Slot told_by(ReplicaId replica, Slot chosen) const;
  // What to have promised before an answer; none: nothing.
  [[nodiscard]] Ballot fence(bool waited) const;

  // Has enough been heard? `waited`: for as long as a silent replica is worth waiting for.
  [[nodiscard]] bool is_decided(const Membership& membership, Slot chosen, bool waited) const;
  // It votes from here. Of a recovering one what it took over is durable.
  void vote() { state_ = State::kVoting; }
  // A leader knows it to have said more than its log has. One that recovers knows that of itself.
  void be_set_back() { state_ = State::kSetBack; }
  // Of a recovering one, what has to be promised and accepted before it votes.
  [[nodiscard]] const Ballot& promised() const { return promised_; }
  [[nodiscard]] const std::map<Slot, std::optional<Accepted>>& accepted() const { return accepted_; }
  // Who knows the most that is chosen, if it is more than `chosen`: it is to be fetched before it votes.
  [[nodiscard]] std::optional<ReplicaId> ahead_of(Slot chosen) const;

 private:
  // Of an answer that is not whole.
  struct Begun {
    Slot through;
    Slot chosen;      // the most that one of its parts knew
    Ballot promised;  // the least
  };

  void hear_whole(ReplicaId from, const Begun& answer);
  [[nodiscard]] std::vector<Configuration> configurations(const Membership& membership, Slot chosen) const;
  [[nodiscard]] bool is_behind_fence(ReplicaId replica) const;
  [[nodiscard]] bool is_enough_for(const Configuration& configuration, bool waited) const;

  ReplicaId self_;
  Replicas listed_;
  LogPosition own_;
  State state_;
  std::map<ReplicaId, Begun> begun_;
  Replicas heard_;
  Ballot promised_;
  std::map<Slot, std::optional<Accepted>> accepted_;
  std::map<ReplicaId, Slot> told_chosen_;
  std::map<ReplicaId, Ballot> told_promised_;
};

}  // namespace troth::coordinator::consensus
