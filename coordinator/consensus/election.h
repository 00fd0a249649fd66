// coordinator/consensus/election.h
//
// When a replica tries to lead: after a silence of random length; soon, when its connection to the leader was reset; and
// after an attempt that failed, by a random back-off that grows, so that duelling proposers do not livelock.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/random.h"
#include "base/time.h"

namespace troth::coordinator::consensus {

struct Timing {
  Duration heartbeat = std::chrono::milliseconds(30);
  // A leader that is not heard of for this long is taken for dead; one that hears of no W quorum for as long gives up.
  Duration silence = std::chrono::milliseconds(500);
  Duration stuck = std::chrono::seconds(1);  // so does one whose oldest proposal is not chosen for this long
  Duration resend = std::chrono::milliseconds(60);
  Duration pre_vote = std::chrono::milliseconds(30);  // how long one attempt waits for its answers
  Duration idle = std::chrono::seconds(1);  // a leader without work shows that its quorum's disks move
  Duration longest_back_off = std::chrono::seconds(2);
  Duration quorum_read = std::chrono::seconds(5);  // how long one waits, where nobody leads who could end it
  // How long proposals wait for a successor that was chosen to lead; and how long others wait for it behind that.
  Duration hand_over = std::chrono::milliseconds(200);
};

class Election {
 public:
  Election(const Timing& timing, Random random, Instant now) : timing_(timing), random_(random) {
    heard(now);
  }

  [[nodiscard]] Instant due() const { return due_; }
  // May somebody else be helped to lead?
  [[nodiscard]] bool misses_leader(Instant now) const { return lost_ || now - heard_ >= timing_.silence; }

  void heard(Instant now) {
    heard_ = now;
    lost_ = false;
    failures_ = 0;
    due_ = now + timing_.silence + up_to(timing_.silence);
  }
  // Another candidate has its promise, and is given the time to use it; whoever else asks is helped as before.
  void promised(Instant now) {
    due_ = std::max(due_, now + timing_.silence / 2 + up_to(timing_.silence / 2));
  }
  // There is nobody to wait for.
  void be_at_once(Instant now) { due_ = now; }
  // Its connection was reset. No earlier than `lease_ends`, by which time others may vote.
  void lost_leader(Instant now, Instant lease_ends) {
    lost_ = true;
    due_ = std::min(due_, std::max(now, lease_ends) + up_to(timing_.heartbeat));
  }
  // It has handed the lead over; `lease_ends` is later than that for all but its successor.
  void released(Duration hand_over, Instant now, Instant lease_ends) {
    lost_ = true;
    due_ = std::min(due_, std::max(lease_ends, now + hand_over) + up_to(hand_over));
  }
  // Nobody was disturbed by it.
  void pre_vote_failed(Instant now, Instant lease_ends) {
    due_ = std::max(now, lease_ends) + timing_.pre_vote / 3 + up_to(timing_.pre_vote);
  }
  void attempt_failed(Instant now) {
    const auto longest =
        std::min(timing_.longest_back_off, timing_.silence * (1U << std::min(failures_, 8U)) / 4);
    ++failures_;
    due_ = now + longest / 4 + up_to(longest);
  }

 private:
  Duration up_to(Duration longest) { return Duration(random_.between(0, longest.count())); }

  Timing timing_;
  Random random_;
  Instant heard_;
  Instant due_;
  bool lost_ = false;
  std::uint32_t failures_ = 0;
};

}  // namespace troth::coordinator::consensus
