// A branch from its decision to its proved end.
#include <algorithm>

#include <fmt/format.h>

#include "participant_agent/branch.h"
#include "participant_agent/refusal.h"

namespace troth::agent {
namespace {

constexpr std::uint32_t kMaxCollisions = 3;

}  // namespace

// -- What the leader, the group or an operator decided ------------------------------------------------------

void Branch::on(const CommitRequested& /*input*/, Context& context) {
  if (std::holds_alternative<Reading>(state_)) context.effects.emplace_back(ReleaseSession{});
  if (std::holds_alternative<Reading>(state_) || std::holds_alternative<Left>(state_)) {
    state_ = Left{};
    answer_finish(BranchEnd::kCommitted, "", {}, context);
    return;
  }
  if (const auto* ended = std::get_if<Ended>(&state_)) {
    answer_finish(ended->end, ended->end == BranchEnd::kCommitted ? "" : "the branch had ended otherwise",
                  ended->decided, context);
    return;
  }
  if (auto* finishing = std::get_if<Finishing>(&state_)) {
    if (finishing->goal == Goal::kCommit) {
      if (!finishing->under_way) attempt(context);
      return;
    }
    refuse(refusal(ErrorCode::kStale, Effect::kUnknown,
                   "the branch is being rolled back; it cannot be committed"),
           context);
    return;
  }
  const bool may_commit = std::holds_alternative<InDoubt>(state_) || std::holds_alternative<Unheard>(state_);
  if (!may_commit || is_one_phase()) {
    refuse(refusal(ErrorCode::kStale, Effect::kNone,
                   is_one_phase() ? "a one-phase branch is settled, not committed"
                                  : "the branch has not voted; a commit needs its yes [T1]"),
           context);
    return;
  }
  Finishing finishing;
  finishing.goal = Goal::kCommit;
  finishing.decided = append(DecisionLearned{work_.id, work_.resource}, context);
  begin_finishing(std::move(finishing), context);
}

void Branch::on(const RollbackRequested& /*input*/, Context& context) {
  if (std::holds_alternative<Open>(state_)) {
    leave_open(refusal(ErrorCode::kTimeout, Effect::kNone, "the leader rolled the transaction back", true),
               false, context);
    std::get<Working>(state_).rollback_asked = true;
    return;
  }
  if (auto* working = std::get_if<Working>(&state_)) {
    if (is_one_phase()) {
      refuse(refusal(ErrorCode::kStale, Effect::kUnknown,
                     "one-phase work is under way: only its resource can tell how it ends [T4]"),
             context);
      return;
    }
    if (!working->rollback_asked && !working->timed_out) {
      context.effects.emplace_back(CancelWork{});
      working->ends_session_at = context.now + times_.cancel_grace;
    }
    working->rollback_asked = true;
    return;
  }
  if (std::holds_alternative<Losing>(state_)) return;  // answered when the session has gone [T11]
  if (std::holds_alternative<Reading>(state_)) context.effects.emplace_back(ReleaseSession{});
  if (std::holds_alternative<Reading>(state_) || std::holds_alternative<Left>(state_)) {
    state_ = Left{};
    answer_finish(BranchEnd::kRolledBack, "", {}, context);
    return;
  }
  if (const auto* ended = std::get_if<Ended>(&state_)) {
    answer_finish(ended->end, ended->end == BranchEnd::kRolledBack ? "" : "the branch had ended otherwise",
                  ended->decided, context);
    return;
  }
  if (auto* finishing = std::get_if<Finishing>(&state_)) {
    if (finishing->goal == Goal::kCommit) {  // [T5] a commit once learned outranks everything later
      refuse(refusal(ErrorCode::kStale, Effect::kUnknown, "commit was decided and is being carried out"),
             context);
    } else if (!finishing->under_way) {
      attempt(context);
    }
    return;
  }
  Finishing finishing;
  finishing.goal = is_one_phase() ? Goal::kSettle : Goal::kRollBack;
  begin_finishing(std::move(finishing), context);
}

void Branch::on(const SettleRequested& /*input*/, Context& context) {
  if (const auto* ended = std::get_if<Ended>(&state_)) {
    answer_finish(ended->end, "", ended->decided, context);
    return;
  }
  if (std::holds_alternative<Left>(state_) || std::holds_alternative<Reading>(state_)) {
    answer_finish(BranchEnd::kRolledBack, "the branch only read", {}, context);
    return;
  }
  if (!is_one_phase()) {
    answer_finish(BranchEnd::kUndecided, "only a decision ends a prepared branch", {}, context);
    return;
  }
  if (std::holds_alternative<Working>(state_) || std::holds_alternative<Losing>(state_))
    return;  // its end answers
  if (auto* finishing = std::get_if<Finishing>(&state_)) {
    if (!finishing->under_way) attempt(context);
    return;
  }
  Finishing finishing;
  finishing.goal = Goal::kSettle;
  begin_finishing(std::move(finishing), context);
}

void Branch::on(const ResolveRequested& input, Context& context) {
  if (!std::holds_alternative<InDoubt>(state_)) {
    refuse(refusal(ErrorCode::kInvalidArgument, Effect::kNone,
                   fmt::format("only a branch in doubt can be resolved; this one is {}", describe())),
           context);
    return;
  }
  Finishing finishing;
  finishing.goal = input.commit ? Goal::kCommit : Goal::kRollBack;
  finishing.resolved_commit = input.commit;
  resolution_ = Resolved{work_.id, work_.resource, input.commit, input.reason, input.operator_name};
  finishing.decided = append(*resolution_, context);
  begin_finishing(std::move(finishing), context);
}

// [T5] Below the floor without an open record the transaction was not committed, unless something was lost.
void Branch::on(const TooOldTold& /*input*/, Context& context) {
  if (!std::holds_alternative<InDoubt>(state_)) return;
  if (unbroken_) {
    Finishing finishing;
    finishing.goal = Goal::kRollBack;
    begin_finishing(std::move(finishing), context);
  } else {
    too_old_ = true;
  }
}

void Branch::on(const SetBackUnderneath& /*input*/, Context& /*context*/) {
  set_back_ = true;
  unbroken_ = false;
}

// -- Finishing and proof ------------------------------------------------------------------------------------

void Branch::begin_finishing(Finishing finishing, Context& context) {
  finishing.pause = times_.first_retry;
  state_ = std::move(finishing);
  attempt(context);
}

void Branch::attempt(Context& context) {
  auto& finishing = std::get<Finishing>(state_);
  finishing.under_way = true;
  switch (finishing.step) {
    // Nobody prepares a one-phase branch, but MariaDB does for itself, and after a crash it may list one whose commit it had
    // acknowledged. To commit it is right: it was proposed [T4], and while its marker stands nobody was told no [T9].
    case Step::kFinish:
      context.effects.emplace_back(FinishPrepared{finishing.goal != Goal::kRollBack, finishing.resolved_commit
                                                                                         ? finishing.decided
                                                                                         : JournalTicket{}});
      return;
    case Step::kEndHolder: context.effects.emplace_back(EndHolder{}); return;
    case Step::kReadMarkers: context.effects.emplace_back(ReadMarkers{}); return;
    case Step::kBar: context.effects.emplace_back(InsertBarrier{}); return;
    case Step::kMarkResolved: context.effects.emplace_back(MarkResolved{}); return;
  }
}

void Branch::move_to(Step step, Context& context) {
  std::get<Finishing>(state_).step = step;
  attempt(context);
}

// Nothing is known yet; everything is tried again from where a branch may have been prepared in the meantime.
void Branch::try_later(std::string detail, Context& context) {
  auto& finishing = std::get<Finishing>(state_);
  finishing.under_way = false;
  finishing.retries_at = context.now + finishing.pause;
  finishing.pause = std::min(finishing.pause * 2, times_.longest_retry);
  finishing.waiting_for = detail;
  finishing.holder_ended = false;
  finishing.step = Step::kFinish;
  if (is_one_phase() && finishing.no) {
    Error error = refusal(ErrorCode::kUnavailable, Effect::kUnknown, detail, true);
    context.effects.emplace_back(AnswerVote{{Vote::kUndecided, {}, std::move(error), std::nullopt}, {}});
  }
  answer_finish(BranchEnd::kUndecided, std::move(detail), {}, context);
}

void Branch::on(const FinishAttempted& input, Context& context) {
  const auto* finishing = std::get_if<Finishing>(&state_);
  if (finishing == nullptr || finishing->step != Step::kFinish || !finishing->under_way) return;
  const bool commit = finishing->goal == Goal::kCommit;
  switch (input.outcome) {
    case FinishAttempted::Outcome::kDone:
      if (finishing->goal == Goal::kRollBack) return end_as(BranchEnd::kRolledBack, context);
      committed_in_resource(context);
      return;
    case FinishAttempted::Outcome::kUnknownXid:  // [T9]
      move_to(commit ? Step::kReadMarkers : Step::kBar, context);
      return;
    case FinishAttempted::Outcome::kHeld:
      if (finishing->holder_ended) return try_later(input.detail, context);
      move_to(Step::kEndHolder, context);
      return;
    case FinishAttempted::Outcome::kFailed: try_later(input.detail, context); return;
  }
}

void Branch::on(const HolderEnded& input, Context& context) {
  auto* finishing = std::get_if<Finishing>(&state_);
  if (finishing == nullptr || finishing->step != Step::kEndHolder || !finishing->under_way) return;
  if (input.trouble) return try_later(*input.trouble, context);
  finishing->holder_ended = true;
  move_to(Step::kFinish, context);
}

// It is ended again as it was; where that is not known, the group is asked as for any orphan.
void Branch::on(const FoundPreparedAgain& /*input*/, Context& context) {
  const auto* ended = std::get_if<Ended>(&state_);
  if (ended == nullptr) return;
  Finishing finishing;
  finishing.decided = ended->decided;
  switch (ended->end) {
    case BranchEnd::kCommitted: finishing.goal = is_one_phase() ? Goal::kSettle : Goal::kCommit; break;
    case BranchEnd::kRolledBack: finishing.goal = Goal::kRollBack; break;
    case BranchEnd::kHeuristicCommitted:
    case BranchEnd::kHeuristicRolledBack:
      finishing.resolved_commit = ended->end == BranchEnd::kHeuristicCommitted;
      finishing.goal = *finishing.resolved_commit ? Goal::kCommit : Goal::kRollBack;
      break;
    case BranchEnd::kLost:
    case BranchEnd::kTooOld:
    case BranchEnd::kUndecided:
      if (!is_one_phase()) {
        state_ = InDoubt{context.now, times_.first_inquiry};
        return;
      }
      finishing.goal = Goal::kSettle;
      break;
  }
  begin_finishing(std::move(finishing), context);
}

void Branch::on(const MarkersRead& input, Context& context) {
  const auto* finishing = std::get_if<Finishing>(&state_);
  if (finishing == nullptr || finishing->step != Step::kReadMarkers || !finishing->under_way) return;
  if (!input.rows) {
    try_later("the markers cannot be read now", context);
  } else {
    judge_markers(*input.rows, context);
  }
}

// [T9] A visible row proves; no row proves nothing, so the barrier is asked (again).
void Branch::judge_markers(const std::vector<MarkerRow>& rows, Context& context) {
  auto& finishing = std::get<Finishing>(state_);
  const bool commit = finishing.goal == Goal::kCommit;
  switch (proof_for(work_.id, rows)) {
    case Proof::kCommitted: committed_in_resource(context); return;
    case Proof::kNever: end_as(commit ? BranchEnd::kLost : BranchEnd::kRolledBack, context); return;
    case Proof::kUndecided: try_later("its marker is in state local", context); return;
    case Proof::kNothing: break;
  }
  if (finishing.collisions >= kMaxCollisions) {
    try_later("its marker comes and goes", context);
    return;
  }
  move_to(Step::kBar, context);
}

void Branch::on(const BarrierAttempted& input, Context& context) {
  auto* finishing = std::get_if<Finishing>(&state_);
  if (finishing == nullptr || finishing->step != Step::kBar || !finishing->under_way) return;
  switch (input.outcome) {
    case BarrierAttempted::Outcome::kCommitted:
      end_as(finishing->goal == Goal::kCommit ? BranchEnd::kLost : BranchEnd::kRolledBack, context);
      return;
    case BarrierAttempted::Outcome::kCollided:
      ++finishing->collisions;
      move_to(Step::kReadMarkers, context);
      return;
    case BarrierAttempted::Outcome::kUndecided: try_later(input.detail, context); return;
  }
}

// Its marker says "committed" to whoever asks about the request, and only the group's decision may be taken for that:
// of an operator's, the other branches have not heard [T2]. Until the marker says so the branch is not ended, and its
// request is busy.
void Branch::committed_in_resource(Context& context) {
  if (std::get<Finishing>(state_).resolved_commit.value_or(false))
    return move_to(Step::kMarkResolved, context);
  end_as(BranchEnd::kCommitted, context);
}

void Branch::on(const ResolutionMarked& input, Context& context) {
  const auto* finishing = std::get_if<Finishing>(&state_);
  if (finishing == nullptr || finishing->step != Step::kMarkResolved || !finishing->under_way) return;
  if (input.trouble) return try_later(*input.trouble, context);
  end_as(BranchEnd::kCommitted, context);
}

// Tells everybody, writes it down, and lets the work go.
void Branch::end_as(BranchEnd end, Context& context) {
  Ended ended{end, {}};
  const auto* finishing = std::get_if<Finishing>(&state_);
  if (finishing != nullptr) {
    ended.decided = finishing->decided;
    if (finishing->resolved_commit == true && end == BranchEnd::kCommitted)
      ended.end = BranchEnd::kHeuristicCommitted;
    if (finishing->resolved_commit == false && end == BranchEnd::kRolledBack)
      ended.end = BranchEnd::kHeuristicRolledBack;
  }
  if (journalled_ || resolution_ || ended.decided.value != 0 || end != BranchEnd::kRolledBack) {
    // [T6] A commit that proof told, not a decision: what was found must be durable before it is said.
    const bool is_proof = end == BranchEnd::kCommitted && ended.decided.value == 0;
    const JournalTicket written =
        append(Finished{work_.id, work_.resource, ended.end}, context, !(is_proof && finishing != nullptr));
    if (is_proof) ended.decided = written;
  }
  if (finishing != nullptr) {
    if (finishing->no && end == BranchEnd::kRolledBack) answer_vote(*finishing->no, {}, context);
    if (is_one_phase() && end == BranchEnd::kCommitted)
      answer_vote({Vote::kCommitted, {}, std::nullopt, std::nullopt}, ended.decided, context);
    answer_finish(ended.end, "", ended.decided, context);
  }
  if (vote_ && vote_->vote == Vote::kYes) vote_.reset();  // its rows are not kept
  resolution_.reset();
  work_.statements.clear();
  work_.statements.shrink_to_fit();
  work_bytes_ = sizeof(Work);
  state_ = ended;
}

}  // namespace troth::agent
