// coordinator/one_phase_commit.h
//
// Decides a transaction of a single writing branch: its resource does, in one round.
// Apart from two_phase_commit.h because no record of it is ever in the store: the resource alone can tell.
//
//   sent --committed, no---------------------------------------------> over
//     '---undecided, no reply, deadline---> settling --it can tell---> over
//
// [T4] Sending it is proposing commit: from then on no deadline aborts. A caller whose time is up hears
//      "unknown", and the resource is asked until it tells: marker there, committed; barrier committed,
//      never.
// [T7] A no with effect none is final: the agent gives it only after its barrier is committed (attack 51).
// Any
//      other no is settled.
// [T3] "Nothing stands" speaks of the request, too: while its key is live in an earlier attempt the resource
// cannot
//      tell, and a barrier tells of this attempt only (attack 40).
//
// Durability: nothing of its own. A crash leaves the outcome with the resource; the id says which one [T5].
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "coordinator/backoff.h"
#include "coordinator/callers.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

class OnePhaseCommit {
 public:
  struct Options {
    TransactionId id;
    ResourceName resource;
    bool has_request = false;
    Caller caller;
    Backoff ask_again;  // the resource, while it cannot tell
  };

  // ---- inputs
  struct Begun {};
  struct VoteReceived {
    Vote vote;
  };
  // No reply will come. `never_sent`: not one byte left this process, so nothing was proposed.
  struct VoteLost {
    bool never_sent = false;
    Error reason;
  };
  struct CallJoined {
    Caller caller;
  };
  // What the resource says, whichever agent or incarnation asked it.
  struct Settled {
    BranchEnd end = BranchEnd::kUndecided;
    std::optional<TransactionId> committed_as;
    std::string detail;
  };
  struct BranchResolved {
    bool commit = false;
  };
  struct AgentReturned {};
  // The coordinator ends: whoever waits is told what is known now.
  struct DrainEnded {};
  struct TimePassed {};
  using Input = std::variant<Begun, VoteReceived, VoteLost, CallJoined, Settled, BranchResolved,
                             AgentReturned, DrainEnded, TimePassed>;

  // ---- effects
  struct SendOnePhase {
    bool operator==(const SendOnePhase&) const = default;
  };
  struct SendSettle {
    bool operator==(const SendSettle&) const = default;
  };
  using Effect = std::variant<SendOnePhase, SendSettle, AnswerCall>;

  explicit OnePhaseCommit(Options options);

  [[nodiscard]] std::vector<Effect> step(Instant now, Random& random, const Input& input);

  [[nodiscard]] std::optional<Instant> due() const;
  [[nodiscard]] TransactionState state() const;
  [[nodiscard]] bool over() const { return std::holds_alternative<Over>(phase_); }
  // Begun, and not known to be decided [T7].
  [[nodiscard]] bool undecided() const { return !over(); }
  // Sent, and no reply yet: a lost agent loses it.
  [[nodiscard]] bool awaits_vote() const { return std::holds_alternative<Sent>(phase_); }
  [[nodiscard]] std::size_t callers() const { return callers_.size(); }
  [[nodiscard]] const std::string& detail() const { return detail_; }

 private:
  struct Sent {};
  struct Settling {
    std::uint32_t attempts = 0;
    std::optional<Instant> ask_at;  // nullopt: the resource has been asked
  };
  struct Over {
    TransactionState state = TransactionState::kUnknown;
  };

  void take_vote(const Vote& vote, std::vector<Effect>& effects);
  void take_settled(Instant now, Random& random, const Settled& settled, std::vector<Effect>& effects);
  [[nodiscard]] Answer only_this_attempt_failed(Error reason) const;
  void settle(std::string why, std::vector<Effect>& effects);
  void finish(TransactionState state, const Answer& answer, std::vector<Effect>& effects);
  void pass_time(Instant now, std::vector<Effect>& effects);
  void answer_overdue(Instant now, std::vector<Effect>& effects);

  TransactionId id_;
  ResourceName resource_;
  bool has_request_;
  Callers callers_;
  Instant
      deadline_;  // for a reply; then the resource is asked, which asks in vain while the branch still runs
  Backoff ask_again_;
  std::variant<Sent, Settling, Over> phase_;
  std::string detail_;
};

}  // namespace troth::coordinator
