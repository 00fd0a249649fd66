#include "coordinator/one_phase_commit.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"

namespace troth::coordinator {
namespace {

// These come of the work itself, which runs behind the marker: the request's key was free. A branch that was
// refused for anything else - a limit, its time, its session, its owner - may never have come that far.
bool speaks_of_the_request(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kStatementFailed:
    case ErrorCode::kExpectationMissed:
    case ErrorCode::kForbiddenStatement:
    case ErrorCode::kConflict:
    case ErrorCode::kRequestIdReused:
    case ErrorCode::kBarred:
    case ErrorCode::kNotDurable: return true;
    case ErrorCode::kUnknownResource:
    case ErrorCode::kUnknownTransaction:
    case ErrorCode::kBusy:
    case ErrorCode::kOverloaded:
    case ErrorCode::kTimeout:
    case ErrorCode::kUnavailable:
    case ErrorCode::kRequestIdTooOld:
    case ErrorCode::kRequestIdFromFuture:
    case ErrorCode::kTooOld:
    case ErrorCode::kStale:
    case ErrorCode::kSetBack:
    case ErrorCode::kNotOwner:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
    case ErrorCode::kHeuristic:
    case ErrorCode::kPermissionDenied: return false;
  }
  return false;
}

}  // namespace

OnePhaseCommit::OnePhaseCommit(Options options)
    : id_(std::move(options.id)),
      resource_(std::move(options.resource)),
      has_request_(options.has_request),
      callers_({options.caller}),
      deadline_(options.caller.deadline),
      ask_again_(options.ask_again) {
  CHECK(id_.is_one_phase(), "{} is not tagged with its resource", id_.text());
}

std::vector<OnePhaseCommit::Effect> OnePhaseCommit::step(Instant now, Random& random, const Input& input) {
  std::vector<Effect> effects;
  if (over()) return effects;
  std::visit(
      [&](const auto& in) {
        using I = std::decay_t<decltype(in)>;
        if constexpr (std::is_same_v<I, Begun>) effects.emplace_back(SendOnePhase{});
        if constexpr (std::is_same_v<I, VoteReceived>) take_vote(in.vote, effects);
        if constexpr (std::is_same_v<I, VoteLost>) {
          if (!awaits_vote()) return;
          // [T4] Sending is proposing; what was never sent was never proposed.
          if (in.never_sent) {
            detail_ = in.reason.message;
            finish(TransactionState::kNotCommitted, only_this_attempt_failed(in.reason), effects);
          } else {
            settle(in.reason.message, effects);
          }
        }
        if constexpr (std::is_same_v<I, CallJoined>) callers_.add(in.caller);
        if constexpr (std::is_same_v<I, Settled>) take_settled(now, random, in, effects);
        if constexpr (std::is_same_v<I, BranchResolved>) {
          detail_ = "an operator decided it";
          if (in.commit)
            finish(TransactionState::kHeuristicCommit,
                   Committed{id_, {}, true, Acknowledgement::kApplied, {}}, effects);
          else
            finish(TransactionState::kHeuristicRollback,
                   only_this_attempt_failed(refusal(ErrorCode::kConflict, troth::Effect::kNone, detail_)),
                   effects);
        }
        if constexpr (std::is_same_v<I, AgentReturned>) {
          auto* settling = std::get_if<Settling>(&phase_);
          if (settling == nullptr || !settling->ask_at) return;
          settling->ask_at.reset();
          effects.emplace_back(SendSettle{});
        }
        if constexpr (std::is_same_v<I, DrainEnded>) answer_overdue(Instant::max(), effects);
        if constexpr (std::is_same_v<I, TimePassed>) pass_time(now, effects);
      },
      input);
  return effects;
}

void OnePhaseCommit::take_vote(const Vote& vote, std::vector<Effect>& effects) {
  // A reply may come late, while the resource is being asked already: it is as good as the resource's word.
  std::visit(
      [&](const auto& v) {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<V, VotedCommitted> || std::is_same_v<V, VotedReadOnly>) {
          finish(TransactionState::kCommitted,
                 Committed{id_, {v.result}, false, Acknowledgement::kApplied, {}}, effects);
        } else if constexpr (std::is_same_v<V, VotedNo>) {
          // [T7] Only "effect none" says that a barrier is committed; a refusal without one (another
          // incarnation, a key that is live in another attempt) leaves the question to the resource.
          const bool final = v.refusal.effect == troth::Effect::kNone &&
                             !(has_request_ && v.refusal.code == ErrorCode::kBusy);
          if (!final) {
            if (awaits_vote()) settle(v.refusal.message, effects);
            return;
          }
          detail_ = v.refusal.message;
          finish(TransactionState::kNotCommitted,
                 speaks_of_the_request(v.refusal.code) ? aborted(id_, v.refusal)
                                                       : only_this_attempt_failed(v.refusal),
                 effects);
        } else if constexpr (std::is_same_v<V, VotedAlreadyCommitted>) {
          detail_ = fmt::format("its request was committed as {}", v.as.text());
          finish(TransactionState::kNotCommitted, already_committed(v.as), effects);
        } else if constexpr (std::is_same_v<V, VotedUndecided>) {
          if (awaits_vote()) settle(v.reason.message, effects);
        } else {
          if (awaits_vote()) settle("the agent prepared what it was asked to commit", effects);
        }
      },
      vote);
}

// The barrier bars this transaction's key: of an earlier attempt with the same request it says nothing, and
// the work may never have come to the marker that would have met that one's.
Answer OnePhaseCommit::only_this_attempt_failed(Error reason) const {
  auto answer = aborted(id_, std::move(reason));
  if (has_request_) std::get<Failed>(answer).error.effect = troth::Effect::kUnknown;
  return answer;
}

void OnePhaseCommit::settle(std::string why, std::vector<Effect>& effects) {
  detail_ = std::move(why);
  phase_ = Settling{};
  effects.emplace_back(SendSettle{});
}

void OnePhaseCommit::take_settled(Instant now, Random& random, const Settled& settled,
                                  std::vector<Effect>& effects) {
  auto* settling = std::get_if<Settling>(&phase_);
  if (settling == nullptr) return;
  switch (settled.end) {
    case BranchEnd::kCommitted:
    case BranchEnd::kHeuristicCommitted: {
      const auto as = settled.committed_as.value_or(id_);
      const bool own = as == id_;
      const auto state = !own                                   ? TransactionState::kNotCommitted
                         : settled.end == BranchEnd::kCommitted ? TransactionState::kCommitted
                                                                : TransactionState::kHeuristicCommit;
      // Its rows went with the lost reply, as they do for a request that an earlier attempt committed.
      return finish(state, already_committed(as), effects);
    }
    case BranchEnd::kRolledBack:
    case BranchEnd::kHeuristicRolledBack: {
      const auto state = settled.end == BranchEnd::kRolledBack ? TransactionState::kNotCommitted
                                                               : TransactionState::kHeuristicRollback;
      auto reason = refusal(
          ErrorCode::kUnavailable, troth::Effect::kNone,
          fmt::format("resource '{}' did not commit it, and never will: {}", resource_.value, detail_), true);
      reason.resource = resource_.value;
      return finish(state, only_this_attempt_failed(std::move(reason)), effects);
    }
    case BranchEnd::kTooOld: {
      detail_ = settled.detail;
      const auto reason =
          refusal(ErrorCode::kTooOld, troth::Effect::kUnknown,
                  fmt::format("resource '{}' has forgotten what it knew of {}: look into its data",
                              resource_.value, id_.text()));
      return finish(TransactionState::kTooOld, Failed{id_, reason}, effects);
    }
    case BranchEnd::kUndecided:
    case BranchEnd::kLost:
      if (!settled.detail.empty()) detail_ = settled.detail;
      settling->ask_at = now + ask_again_.delay(settling->attempts++, random);
      return;
  }
}

void OnePhaseCommit::finish(TransactionState state, const Answer& answer, std::vector<Effect>& effects) {
  phase_ = Over{state};
  for (const auto call : callers_.take_all())
    effects.emplace_back(AnswerCall{call, answer});
}

void OnePhaseCommit::pass_time(Instant now, std::vector<Effect>& effects) {
  if (awaits_vote() && deadline_ <= now) settle("no reply came in time", effects);
  if (auto* settling = std::get_if<Settling>(&phase_);
      settling && settling->ask_at && *settling->ask_at <= now) {
    settling->ask_at.reset();
    effects.emplace_back(SendSettle{});
  }
  answer_overdue(now, effects);
}

// [T4] The deadline tells nobody "aborted": only the resource can.
void OnePhaseCommit::answer_overdue(Instant now, std::vector<Effect>& effects) {
  for (const auto call : callers_.take_overdue(now))
    effects.emplace_back(AnswerCall{
        call, outcome_unknown(id_, fmt::format("only resource '{}' can tell its outcome", resource_.value))});
}

std::optional<Instant> OnePhaseCommit::due() const {
  if (over()) return std::nullopt;
  auto due = callers_.earliest_deadline();
  if (awaits_vote()) due = due ? std::min(*due, deadline_) : deadline_;
  if (const auto* settling = std::get_if<Settling>(&phase_); settling && settling->ask_at)
    due = due ? std::min(*due, *settling->ask_at) : settling->ask_at;
  return due;
}

TransactionState OnePhaseCommit::state() const {
  if (const auto* over = std::get_if<Over>(&phase_)) return over->state;
  return TransactionState::kPending;
}

}  // namespace troth::coordinator
