#include "participant_agent/branch.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::agent {
namespace {

constexpr std::uint32_t kMaxCollisions = 3;

Error error_of(ErrorCode code, Effect effect, std::string message, bool retryable = false) {
  Error error;
  error.code = code;
  error.effect = effect;
  error.message = std::move(message);
  error.retryable = retryable;
  return error;
}

// A SELECT may call a function that writes; run READ ONLY, it shows itself so.
bool wanted_to_write(const Error& error) {
  return error.sqlstate == "25006" || error.vendor_code == 1792;
}

VoteAnswer no(Error reason) {
  return {Vote::kNo, {}, std::move(reason), std::nullopt};
}

Duration doubled(Duration pause, Duration longest) {
  return std::min(pause * 2, longest);
}

}  // namespace

Branch::Branch(Work work, WorkPlan plan, const BranchTimes& times)
    : work_(std::move(work)), plan_(plan), times_(times), state_(Unheard{}) {}

Branch::Branch(BranchId id, ResourceName resource, const BranchTimes& times)
    : times_(times), state_(Unheard{}) {
  work_.id = std::move(id);
  work_.resource = std::move(resource);
}

Branch Branch::adopted(BranchId id, ResourceName resource, const BranchTimes& times, Instant now) {
  Branch branch(std::move(id), std::move(resource), times);
  branch.state_ = InDoubt{now, times.first_inquiry};
  return branch;
}

Branch Branch::replayed(const BranchBegun& begun, const BranchTimes& times, Instant now, bool unbroken) {
  Branch branch(begun.work, WorkPlan{}, times);
  branch.state_ = InDoubt{now, times.first_inquiry};
  branch.session_ = begun.session;
  branch.set_back_ = begun.set_back;
  branch.journalled_ = true;
  branch.unbroken_ = unbroken && !begun.set_back;
  return branch;
}

Branch Branch::replayed_commit(BranchId id, ResourceName resource, const BranchTimes& times, Instant now) {
  Branch branch(std::move(id), std::move(resource), times);
  Finishing finishing;
  finishing.goal = Goal::kCommit;
  finishing.retries_at = now;
  finishing.pause = times.first_retry;
  finishing.waiting_for = "the restart";
  branch.journalled_ = true;
  branch.state_ = std::move(finishing);
  return branch;
}

Branch Branch::replayed_end(BranchId id, ResourceName resource, const BranchTimes& times, BranchEnd end) {
  Branch branch(std::move(id), std::move(resource), times);
  branch.state_ = Ended{end, {}};
  return branch;
}

std::vector<BranchEffect> Branch::step(const BranchInput& input, Instant now, JournalSequence& journal) {
  Context context{now, journal, {}};
  std::visit([this, &context](const auto& heard) { on(heard, context); }, input);
  return std::move(context.effects);
}

// -- Work
// ----------------------------------------------------------------------------------------------------

void Branch::on(const WorkRequested& /*input*/, Context& context) {
  if (std::holds_alternative<Unheard>(state_)) {
    run(context.now + (work_.timeout.count() > 0 ? work_.timeout : times_.default_timeout), context);
  } else if (vote_) {
    answer_vote(*vote_, begun_, context);  // [T12]
  } else if (std::holds_alternative<Ended>(state_) || std::holds_alternative<InDoubt>(state_)) {
    refuse(error_of(ErrorCode::kStale, Effect::kUnknown,
                    fmt::format("branch {} of {} has been run before; it is never started again [T7]",
                                work_.id.branch.value, work_.id.transaction.text())),
           context);
  }
  // Otherwise the first request is still being worked on, and this one waits for the same answer.
}

void Branch::run(Instant deadline, Context& context) {
  Working working;
  working.read_only = plan_.read_only;
  working.deadline = deadline;
  session_.reset();
  state_ = working;
  context.effects.emplace_back(RunWork{plan_.read_only, plan_.read_only && plan_.holds_until_told});
}

void Branch::on(const SessionBound& input, Context& context) {
  const auto* working = std::get_if<Working>(&state_);
  if (working == nullptr) return;
  session_ = input.session;
  if (working->read_only) return;
  begun_ = append(BranchBegun{work_, input.session}, context);
  journalled_ = true;
}

void Branch::on(const WorkFinished& input, Context& context) {
  // In Losing the session is already being ended; whatever it still reports is found out by proof.
  if (!std::holds_alternative<Working>(state_)) return;
  std::visit([this, &context](const auto& outcome) { finished(outcome, context); }, input.outcome);
}

void Branch::finished(const WorkPrepared& outcome, Context& context) {
  CHECK(journalled_, "prepared without a session: {}", work_.id.transaction.text());
  CHECK(!is_one_phase(), "a one-phase branch was prepared: {}", work_.id.transaction.text());
  unbroken_ = !set_back_;
  if (std::get<Working>(state_).rollback_asked) {
    Finishing finishing;
    finishing.goal = Goal::kRollBack;
    finishing.no =
        no(error_of(ErrorCode::kTimeout, Effect::kNone, "the leader rolled the transaction back", true));
    begin_finishing(std::move(finishing), context);
    return;
  }
  state_ = InDoubt{context.now + times_.first_inquiry, times_.first_inquiry};
  answer_vote({Vote::kYes, outcome.results, std::nullopt, std::nullopt}, begun_, context);
}

// The marker is durable with the commit and proves it; the redo is waited for so that a repair would find it.
void Branch::finished(const WorkCommitted& outcome, Context& context) {
  CHECK(is_one_phase(), "committed without a decision: {}", work_.id.transaction.text());
  answer_vote({Vote::kCommitted, outcome.results, std::nullopt, std::nullopt}, begun_, context);
  vote_->results.clear();
  end_as(BranchEnd::kCommitted, context);
}

void Branch::finished(const WorkRead& outcome, Context& context) {
  const auto working = std::get<Working>(state_);
  answer_vote({Vote::kReadOnly, outcome.results, std::nullopt, std::nullopt}, {}, context);
  if (!plan_.holds_until_told) {
    state_ = Left{};
  } else if (working.rollback_asked) {
    context.effects.emplace_back(ReleaseSession{});
    state_ = Left{};
  } else {
    state_ = Reading{working.deadline};
    return;
  }
  if (working.rollback_asked) answer_finish(BranchEnd::kRolledBack, "", {}, context);
}

void Branch::finished(const WorkFailed& outcome, Context& context) {
  const auto& working = std::get<Working>(state_);
  const bool stopping = working.rollback_asked || working.timed_out;
  if (working.read_only && plan_.may_turn_to_write && wanted_to_write(outcome.error) && !stopping) {
    plan_.read_only = false;
    run(working.deadline, context);
    return;
  }
  refuse_work(outcome.error, context);
}

// [T9] The reason for the no is read from which key and which state it hit.
void Branch::finished(const MarkerCollided& outcome, Context& context) {
  const Collision collision = explain(work_.id, work_.request, work_.digest, outcome.rows);
  if (const auto* own = std::get_if<OwnKeyTaken>(&collision)) {
    if (own->proof == Proof::kCommitted) {
      // [T7] It ran before and committed: it is not run again, and "nothing stands" would be a lie.
      VoteAnswer answer{Vote::kAlreadyCommitted, {}, std::nullopt, work_.id.transaction.text()};
      if (is_one_phase()) answer = {Vote::kCommitted, {}, std::nullopt, std::nullopt};
      answer_vote(std::move(answer), {}, context);
      end_as(BranchEnd::kCommitted, context);
      return;
    }
    answer_vote(no(error_of(ErrorCode::kBarred, Effect::kNone, "the branch was barred: it can never happen")),
                {}, context);
    if (std::get<Working>(state_).rollback_asked) answer_finish(BranchEnd::kRolledBack, "", {}, context);
    end_as(BranchEnd::kRolledBack, context);
    return;
  }
  if (const auto* committed = std::get_if<RequestCommitted>(&collision)) {
    refuse_vote({Vote::kAlreadyCommitted, {}, std::nullopt, committed->transaction}, context);
  } else if (const auto* reused = std::get_if<RequestReused>(&collision)) {
    refuse_work(error_of(ErrorCode::kRequestIdReused, Effect::kNone,
                         fmt::format("transaction {} carried the same request_id with other content",
                                     reused->transaction)),
                context);
  } else if (std::holds_alternative<RequestBarred>(collision)) {
    refuse_work(error_of(ErrorCode::kBarred, Effect::kNone, "the request was barred: it may never commit"),
                context);
  } else {
    refuse_work(error_of(ErrorCode::kBusy, Effect::kNone,
                         "another transaction held the request's key and has gone; retry", true),
                context);
  }
}

void Branch::finished(const WorkLost& outcome, Context& context) {
  lose_session(outcome.error, outcome.ending_sent, context);
}

// The work is certainly over and nothing of it stands.
void Branch::refuse_work(Error reason, Context& context) {
  const auto working = std::get<Working>(state_);
  if (working.timed_out) {
    reason.message = fmt::format("the branch's timeout passed: {}", reason.message);
    reason.code = ErrorCode::kTimeout;
    reason.retryable = true;
  }
  if (working.rollback_asked) reason.message = fmt::format("the leader rolled back: {}", reason.message);
  reason.effect = Effect::kNone;
  reason.resource = work_.resource.value;
  reason.branch = work_.id.branch.value;
  refuse_vote(no(std::move(reason)), context);
}

void Branch::refuse_vote(VoteAnswer answer, Context& context) {
  const auto working = std::get<Working>(state_);
  if (is_one_phase() && !working.read_only) {
    Finishing finishing;  // [T7] the barrier first
    finishing.goal = Goal::kSettle;
    finishing.step = Step::kBar;
    finishing.no = std::move(answer);
    begin_finishing(std::move(finishing), context);
    return;
  }
  answer_vote(std::move(answer), {}, context);
  if (working.rollback_asked) answer_finish(BranchEnd::kRolledBack, "", {}, context);
  end_as(BranchEnd::kRolledBack, context);
}

// [T11] Nothing is answered until the session is known to have gone.
void Branch::lose_session(Error reason, bool ending_sent, Context& context) {
  const bool read_only = std::get<Working>(state_).read_only;
  reason.effect = Effect::kNone;  // of the whole branch, once this is told
  reason.resource = work_.resource.value;
  reason.branch = work_.id.branch.value;
  state_ = Losing{std::move(reason), read_only, ending_sent};
  context.effects.emplace_back(EndSession{});
}

void Branch::on(const SessionEnded& /*input*/, Context& context) {
  if (std::holds_alternative<Reading>(state_)) state_ = Left{};
  const auto* losing = std::get_if<Losing>(&state_);
  if (losing == nullptr) return;
  VoteAnswer refusal = no(losing->reason);
  if (losing->read_only || (!losing->ending_sent && !is_one_phase())) {
    answer_vote(std::move(refusal), {}, context);
    answer_finish(BranchEnd::kRolledBack, "", {}, context);
    end_as(BranchEnd::kRolledBack, context);
    return;
  }
  Finishing finishing;  // it may have prepared or committed before it went [T9]
  finishing.goal = is_one_phase() ? Goal::kSettle : Goal::kRollBack;
  finishing.step = is_one_phase() ? Step::kBar : Step::kFinish;
  finishing.no = std::move(refusal);
  begin_finishing(std::move(finishing), context);
}

// -- What the leader, the group or an operator decided
// -------------------------------------------------------

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
    refuse(error_of(ErrorCode::kStale, Effect::kUnknown,
                    "the branch is being rolled back; it cannot be committed"),
           context);
    return;
  }
  const bool may_commit = std::holds_alternative<InDoubt>(state_) || std::holds_alternative<Unheard>(state_);
  if (!may_commit || is_one_phase()) {
    refuse(error_of(ErrorCode::kStale, Effect::kNone,
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
  if (auto* working = std::get_if<Working>(&state_)) {
    if (is_one_phase()) {
      refuse(error_of(ErrorCode::kStale, Effect::kUnknown,
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
      refuse(error_of(ErrorCode::kStale, Effect::kUnknown, "commit was decided and is being carried out"),
             context);
    } else if (!finishing->under_way) {
      attempt(context);
    }
    return;
  }
  Finishing finishing;
  finishing.goal = is_one_phase() ? Goal::kSettle : Goal::kRollBack;
  finishing.step = is_one_phase() ? Step::kBar : Step::kFinish;
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
  finishing.step = Step::kBar;
  begin_finishing(std::move(finishing), context);
}

void Branch::on(const ResolveRequested& input, Context& context) {
  if (!std::holds_alternative<InDoubt>(state_)) {
    refuse(error_of(ErrorCode::kInvalidArgument, Effect::kNone,
                    fmt::format("only a branch in doubt can be resolved; this one is {}", describe())),
           context);
    return;
  }
  Finishing finishing;
  finishing.goal = input.commit ? Goal::kCommit : Goal::kRollBack;
  finishing.resolved_commit = input.commit;
  finishing.decided =
      append(Resolved{work_.id, work_.resource, input.commit, input.reason, input.operator_name}, context);
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

// -- Finishing and proof
// -------------------------------------------------------------------------------------

void Branch::begin_finishing(Finishing finishing, Context& context) {
  finishing.pause = times_.first_retry;
  state_ = std::move(finishing);
  attempt(context);
}

void Branch::attempt(Context& context) {
  auto& finishing = std::get<Finishing>(state_);
  finishing.under_way = true;
  switch (finishing.step) {
    case Step::kFinish:
      context.effects.emplace_back(FinishPrepared{
          finishing.goal == Goal::kCommit, finishing.resolved_commit ? finishing.decided : JournalTicket{}});
      return;
    case Step::kEndHolder: context.effects.emplace_back(EndHolder{}); return;
    case Step::kReadMarkers: context.effects.emplace_back(ReadMarkers{}); return;
    case Step::kBar: context.effects.emplace_back(InsertBarrier{}); return;
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
  finishing.pause = doubled(finishing.pause, times_.longest_retry);
  finishing.waiting_for = detail;
  finishing.holder_ended = false;
  if (finishing.goal == Goal::kCommit || finishing.goal == Goal::kRollBack) finishing.step = Step::kFinish;
  if (finishing.goal == Goal::kSettle) finishing.step = Step::kBar;
  if (is_one_phase() && finishing.no) {
    Error error = error_of(ErrorCode::kUnavailable, Effect::kUnknown, detail, true);
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
      end_as(commit ? BranchEnd::kCommitted : BranchEnd::kRolledBack, context);
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
  if (ended == nullptr || is_one_phase()) return;
  Finishing finishing;
  finishing.decided = ended->decided;
  switch (ended->end) {
    case BranchEnd::kCommitted: finishing.goal = Goal::kCommit; break;
    case BranchEnd::kRolledBack: finishing.goal = Goal::kRollBack; break;
    case BranchEnd::kHeuristicCommitted:
    case BranchEnd::kHeuristicRolledBack:
      finishing.resolved_commit = ended->end == BranchEnd::kHeuristicCommitted;
      finishing.goal = *finishing.resolved_commit ? Goal::kCommit : Goal::kRollBack;
      break;
    case BranchEnd::kLost:
    case BranchEnd::kTooOld:
    case BranchEnd::kUndecided: state_ = InDoubt{context.now, times_.first_inquiry}; return;
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
    case Proof::kCommitted: end_as(BranchEnd::kCommitted, context); return;
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

// Tells everybody, writes it down, and lets the work go.
void Branch::end_as(BranchEnd end, Context& context) {
  Ended ended{end, {}};
  const auto* finishing = std::get_if<Finishing>(&state_);
  if (finishing != nullptr) {
    ended.decided = finishing->decided;
    if (finishing->resolved_commit && end == BranchEnd::kCommitted)
      ended.end = BranchEnd::kHeuristicCommitted;
    if (finishing->resolved_commit && end == BranchEnd::kRolledBack)
      ended.end = BranchEnd::kHeuristicRolledBack;
  }
  if (journalled_ || ended.decided.value != 0 || end != BranchEnd::kRolledBack) {
    const JournalTicket written = append(Finished{work_.id, work_.resource, ended.end}, context);
    // [T6] A commit that proof told, not a decision: what was found must be durable before it is said.
    if (end == BranchEnd::kCommitted && ended.decided.value == 0) ended.decided = written;
  }
  if (finishing != nullptr) {
    if (finishing->no && end == BranchEnd::kRolledBack) answer_vote(*finishing->no, {}, context);
    if (is_one_phase() && end == BranchEnd::kCommitted)
      answer_vote({Vote::kCommitted, {}, std::nullopt, std::nullopt}, ended.decided, context);
    answer_finish(ended.end, "", ended.decided, context);
  }
  if (vote_ && vote_->vote == Vote::kYes) vote_.reset();  // its rows are not kept
  work_.statements.clear();
  work_.statements.shrink_to_fit();
  state_ = ended;
}

// -- Time
// ----------------------------------------------------------------------------------------------------

void Branch::on(const TimePassed& /*input*/, Context& context) {
  if (auto* working = std::get_if<Working>(&state_)) {
    if (working->ends_session_at) {
      if (context.now < *working->ends_session_at) return;
      lose_session(error_of(ErrorCode::kTimeout, Effect::kNone,
                            "the work could not be interrupted; its session was ended", true),
                   true, context);
    } else if (context.now >= working->deadline) {
      working->timed_out = true;
      working->ends_session_at = context.now + times_.cancel_grace;
      context.effects.emplace_back(CancelWork{});
    }
  } else if (const auto* reading = std::get_if<Reading>(&state_)) {
    if (context.now < reading->deadline) return;
    context.effects.emplace_back(ReleaseSession{});
    state_ = Left{};
  } else if (auto* doubt = std::get_if<InDoubt>(&state_)) {
    if (is_one_phase() || context.now < doubt->inquires_at) return;
    doubt->inquires_at = context.now + doubt->pause;
    doubt->pause = doubled(doubt->pause, times_.longest_inquiry);
    context.effects.emplace_back(Inquire{});
  } else if (const auto* finishing = std::get_if<Finishing>(&state_)) {
    if (!finishing->under_way && context.now >= finishing->retries_at) attempt(context);
  }
}

std::optional<Instant> Branch::wakes_at() const {
  if (const auto* working = std::get_if<Working>(&state_))
    return working->ends_session_at ? *working->ends_session_at : working->deadline;
  if (const auto* reading = std::get_if<Reading>(&state_)) return reading->deadline;
  if (const auto* doubt = std::get_if<InDoubt>(&state_); doubt != nullptr && !is_one_phase())
    return doubt->inquires_at;
  if (const auto* finishing = std::get_if<Finishing>(&state_); finishing != nullptr && !finishing->under_way)
    return finishing->retries_at;
  return std::nullopt;
}

// -- Answers and views
// ---------------------------------------------------------------------------------------

void Branch::answer_vote(VoteAnswer answer, JournalTicket after, Context& context) {
  vote_ = answer;
  context.effects.emplace_back(AnswerVote{std::move(answer), after});
}

void Branch::answer_finish(BranchEnd end, std::string detail, JournalTicket after, Context& context) {
  context.effects.emplace_back(AnswerFinish{{end, std::move(detail)}, after});
}

JournalTicket Branch::append(JournalRecord record, Context& context) {
  const JournalTicket ticket = context.journal.next();
  context.effects.emplace_back(AppendJournal{ticket, std::move(record)});
  return ticket;
}

void Branch::refuse(Error error, Context& context) {
  error.resource = work_.resource.value;
  error.branch = work_.id.branch.value;
  context.effects.emplace_back(Refuse{std::move(error), {}});
}

Branch::Phase Branch::phase() const {
  if (std::holds_alternative<Working>(state_) || std::holds_alternative<Losing>(state_))
    return Phase::kWorking;
  if (std::holds_alternative<Reading>(state_)) return Phase::kReading;
  if (std::holds_alternative<InDoubt>(state_)) return Phase::kInDoubt;
  if (std::holds_alternative<Finishing>(state_)) return Phase::kFinishing;
  if (std::holds_alternative<Unheard>(state_)) return Phase::kUnheard;
  return Phase::kEnded;
}

std::optional<BranchEnd> Branch::end() const {
  if (const auto* ended = std::get_if<Ended>(&state_)) return ended->end;
  return std::nullopt;
}

bool Branch::has_learned_commit() const {
  const auto* finishing = std::get_if<Finishing>(&state_);
  return finishing != nullptr && finishing->goal == Goal::kCommit && !finishing->resolved_commit;
}

std::string_view Branch::in_doubt_word() const {
  if (const auto* finishing = std::get_if<Finishing>(&state_))
    return finishing->goal == Goal::kCommit ? "committing" : "rolling back";
  if (too_old_) return "too old";
  return journalled_ ? "prepared" : "orphan";
}

std::string Branch::describe() const {
  if (const auto* finishing = std::get_if<Finishing>(&state_)) {
    const bool commit = finishing->goal == Goal::kCommit;
    return fmt::format("{}{}{}", commit ? "committing" : "rolling back",
                       finishing->waiting_for.empty() ? "" : ": ", finishing->waiting_for);
  }
  switch (phase()) {
    case Phase::kUnheard: return "unheard of";
    case Phase::kWorking:
      return std::holds_alternative<Losing>(state_) ? "waiting for its lost session to end"
                                                    : "running its work";
    case Phase::kReading: return "read-only, keeps its snapshot until all have voted";
    case Phase::kInDoubt: return too_old_ ? "prepared, too old: only `troth resolve` ends it" : "prepared";
    case Phase::kFinishing: return "finishing";
    case Phase::kEnded: return std::string(end() ? name_of(*end()) : "read-only, left");
  }
  return "invalid";
}

BranchBegun Branch::begun() const {
  return {work_, session_.value_or(SessionIdentity{}), set_back_};
}

std::size_t Branch::bytes() const {
  return sizeof(Branch) + size_of(work_) + kept_result_bytes();
}

std::size_t Branch::kept_result_bytes() const {
  return vote_ ? size_of(vote_->results) : 0;
}

}  // namespace troth::agent
