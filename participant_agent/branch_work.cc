// A branch from its work to its vote.
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/branch.h"
#include "participant_agent/refusal.h"

namespace troth::agent {
namespace {

// A SELECT may call a function that writes; run READ ONLY, it shows itself so.
bool wanted_to_write(const Error& error) {
  return error.sqlstate == "25006" || error.vendor_code == 1792;
}

VoteAnswer no(Error reason) {
  return {Vote::kNo, {}, std::move(reason), std::nullopt};
}

}  // namespace

void Branch::on(const WorkRequested& /*input*/, Context& context) {
  if (std::holds_alternative<Unheard>(state_)) {
    run(context.now + (work_.timeout.count() > 0 ? work_.timeout : times_.default_timeout), context);
  } else if (vote_) {
    answer_vote(*vote_, begun_, context);  // [T12]
  } else if (!will_vote()) {
    refuse(refusal(ErrorCode::kStale, Effect::kUnknown,
                   fmt::format("branch {} of {} has been run before; it is never started again [T7]",
                               work_.id.branch.value, work_.id.transaction.text())),
           context);
  }
  // Otherwise the first request is still being worked on, and this one waits for the same answer.
}

// Work that comes behind its own rollback or settle would wait for an answer that nothing gives.
bool Branch::will_vote() const {
  if (const auto* finishing = std::get_if<Finishing>(&state_)) return finishing->no.has_value();
  return !std::holds_alternative<Ended>(state_) && !std::holds_alternative<InDoubt>(state_);
}

void Branch::run(Instant deadline, Context& context) {
  Working working;
  working.read_only = plan_.read_only;
  working.deadline = deadline;
  session_.reset();
  state_ = working;
  if (!plan_.read_only && !plan_.ties_session) begin_journal({}, context);
  context.effects.emplace_back(RunWork{plan_.read_only, plan_.read_only && plan_.holds_until_told});
}

void Branch::on(const SessionBound& input, Context& context) {
  if (is_open()) session_ = input.session;
  const auto* working = std::get_if<Working>(&state_);
  if (working == nullptr) return;
  session_ = input.session;
  if (!working->read_only) begin_journal(input.session, context);
}

// As early as it can be: the yes waits for it, the work does not.
void Branch::begin_journal(const SessionIdentity& session, Context& context) {
  if (std::exchange(journalled_, true)) return;
  begun_ = append(BranchBegun{work_, session}, context);
}

void Branch::on(const WorkFinished& input, Context& context) {
  // An open branch is over: its statement failed, or its session was lost under it.
  if (const auto* open = std::get_if<Open>(&state_)) {
    Working working;
    working.deadline = open->deadline;
    working.preparing = false;
    state_ = std::move(working);
  }
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
        no(refusal(ErrorCode::kTimeout, Effect::kNone, "the leader rolled the transaction back", true));
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
  // Begun as one that writes, it turned out to have written nothing.
  if (journalled_) append(Finished{work_.id, work_.resource, BranchEnd::kRolledBack}, context, true);
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
    // Not `barred`, which is said of a request: this attempt alone can never happen.
    answer_vote(
        no(refusal(ErrorCode::kStale, Effect::kNone,
                   "the branch was rolled back or settled before its work came: it can never happen")),
        {}, context);
    if (std::get<Working>(state_).rollback_asked) answer_finish(BranchEnd::kRolledBack, "", {}, context);
    end_as(BranchEnd::kRolledBack, context);
    return;
  }
  if (const auto* committed = std::get_if<RequestCommitted>(&collision)) {
    refuse_vote({Vote::kAlreadyCommitted, {}, std::nullopt, committed->transaction}, context);
  } else if (const auto* resolved = std::get_if<RequestResolved>(&collision)) {
    refuse_work(
        refusal(ErrorCode::kHeuristic, Effect::kNone,
                fmt::format("an operator committed transaction {}'s branch of this request here; of its "
                            "other branches nobody knows: compare them by hand (`troth status` and the "
                            "audit trail), and never send this request_id again",
                            resolved->transaction)),
        context);
  } else if (const auto* reused = std::get_if<RequestReused>(&collision)) {
    refuse_work(refusal(ErrorCode::kRequestIdReused, Effect::kNone,
                        fmt::format("transaction {} carried the same request_id with other content",
                                    reused->transaction)),
                context);
  } else if (std::holds_alternative<RequestBarred>(collision)) {
    refuse_work(refusal(ErrorCode::kBarred, Effect::kNone, "the request was barred: it may never commit"),
                context);
  } else {
    refuse_work(refusal(ErrorCode::kBusy, Effect::kNone,
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
  if (working.because) reason = *working.because;
  if (working.timed_out) {
    reason.message = fmt::format("the branch's timeout passed: {}", reason.message);
    reason.code = ErrorCode::kTimeout;
    reason.retryable = true;
  }
  if (working.rollback_asked && !working.because)
    reason.message = fmt::format("the leader rolled back: {}", reason.message);
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
  finishing.no = std::move(refusal);
  begin_finishing(std::move(finishing), context);
}

}  // namespace troth::agent
