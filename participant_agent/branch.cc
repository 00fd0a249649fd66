#include "participant_agent/branch.h"

#include <algorithm>

#include <fmt/format.h>

#include "participant_agent/refusal.h"

namespace troth::agent {

Branch::Branch(Work work, WorkPlan plan, const BranchTimes& times)
    : work_(std::move(work)), plan_(plan), times_(times), state_(Unheard{}), work_bytes_(size_of(work_)) {}

Branch::Branch(BranchId id, ResourceName resource, const BranchTimes& times)
    : times_(times), state_(Unheard{}) {
  work_.id = std::move(id);
  work_.resource = std::move(resource);
}

Branch Branch::adopted(BranchId id, ResourceName resource, const BranchTimes& times, Instant now) {
  Branch branch(std::move(id), std::move(resource), times);
  if (branch.is_one_phase()) {
    branch.state_ = waiting(Goal::kSettle, now, times, "the look that found it");
  } else {
    branch.state_ = InDoubt{now, times.first_inquiry};
  }
  return branch;
}

Branch::Finishing Branch::waiting(Goal goal, Instant now, const BranchTimes& times, std::string waiting_for) {
  Finishing finishing;
  finishing.goal = goal;
  finishing.retries_at = now;
  finishing.pause = times.first_retry;
  finishing.waiting_for = std::move(waiting_for);
  return finishing;
}

Branch Branch::replayed(const BranchBegun& begun, const BranchTimes& times, Instant now, bool unbroken) {
  Branch branch(begun.work, WorkPlan{}, times);
  branch.state_ = InDoubt{now, times.first_inquiry};
  if (begun.session != SessionIdentity{}) branch.session_ = begun.session;
  branch.set_back_ = begun.set_back;
  branch.journalled_ = true;
  branch.unbroken_ = unbroken && !begun.set_back;
  return branch;
}

Branch Branch::replayed_commit(BranchId id, ResourceName resource, const BranchTimes& times, Instant now) {
  Branch branch(std::move(id), std::move(resource), times);
  branch.journalled_ = true;
  branch.state_ = waiting(Goal::kCommit, now, times, "the restart");
  return branch;
}

Branch Branch::replayed_resolution(const Resolved& resolution, const BranchBegun* begun,
                                   const BranchTimes& times, Instant now) {
  Branch branch = begun != nullptr ? replayed(*begun, times, now, false)
                                   : Branch(resolution.id, resolution.resource, times);
  auto finishing = waiting(resolution.commit ? Goal::kCommit : Goal::kRollBack, now, times, "the restart");
  finishing.resolved_commit = resolution.commit;
  branch.state_ = std::move(finishing);
  branch.resolution_ = resolution;
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

// -- Time ---------------------------------------------------------------------------------------------------

void Branch::on(const TimePassed& /*input*/, Context& context) {
  if (auto* working = std::get_if<Working>(&state_)) {
    if (working->ends_session_at) {
      if (context.now < *working->ends_session_at) return;
      lose_session(refusal(ErrorCode::kTimeout, Effect::kNone,
                           "the work could not be interrupted; its session was ended", true),
                   working->preparing, context);
    } else if (context.now >= working->deadline) {
      working->timed_out = true;
      working->ends_session_at = context.now + times_.cancel_grace;
      context.effects.emplace_back(CancelWork{});
    }
  } else if (const auto* open = std::get_if<Open>(&state_)) {
    if (context.now >= open->deadline || (!open->running && context.now >= open->idle_at))
      leave_open(std::nullopt, true, context);
  } else if (const auto* reading = std::get_if<Reading>(&state_)) {
    if (context.now < reading->deadline) return;
    context.effects.emplace_back(ReleaseSession{});
    state_ = Left{};
  } else if (auto* doubt = std::get_if<InDoubt>(&state_)) {
    if (context.now < doubt->inquires_at) return;
    doubt->inquires_at = context.now + doubt->pause;
    doubt->pause = std::min(doubt->pause * 2, times_.longest_inquiry);
    context.effects.emplace_back(Inquire{});
  } else if (const auto* finishing = std::get_if<Finishing>(&state_)) {
    if (!finishing->under_way && context.now >= finishing->retries_at) attempt(context);
  }
}

std::optional<Instant> Branch::wakes_at() const {
  if (const auto* working = std::get_if<Working>(&state_))
    return working->ends_session_at ? *working->ends_session_at : working->deadline;
  if (const auto* open = std::get_if<Open>(&state_))
    return open->running ? open->deadline : std::min(open->deadline, open->idle_at);
  if (const auto* reading = std::get_if<Reading>(&state_)) return reading->deadline;
  if (const auto* doubt = std::get_if<InDoubt>(&state_)) return doubt->inquires_at;
  if (const auto* finishing = std::get_if<Finishing>(&state_); finishing != nullptr && !finishing->under_way)
    return finishing->retries_at;
  return std::nullopt;
}

// -- Answers and views --------------------------------------------------------------------------------------

void Branch::answer_vote(VoteAnswer answer, JournalTicket after, Context& context) {
  vote_ = answer;
  if (work_.interactive) answer_statement_over(answer, context);
  context.effects.emplace_back(AnswerVote{std::move(answer), after});
}

void Branch::answer_finish(BranchEnd end, std::string detail, JournalTicket after, Context& context) {
  context.effects.emplace_back(AnswerFinish{{end, std::move(detail)}, after});
}

JournalTicket Branch::append(JournalRecord record, Context& context, bool unhurried) {
  const JournalTicket ticket = context.journal.next();
  context.effects.emplace_back(AppendJournal{ticket, std::move(record), unhurried});
  return ticket;
}

void Branch::refuse(Error error, Context& context) {
  error.resource = work_.resource.value;
  error.branch = work_.id.branch.value;
  context.effects.emplace_back(Refuse{std::move(error), {}});
}

Branch::Phase Branch::phase() const {
  if (std::holds_alternative<Working>(state_) || std::holds_alternative<Losing>(state_) ||
      std::holds_alternative<Open>(state_))
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

const Resolved* Branch::resolution() const {
  return std::holds_alternative<Finishing>(state_) && resolution_ ? &*resolution_ : nullptr;
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
      if (const auto* open = std::get_if<Open>(&state_))
        return fmt::format("open, {} statements answered", open->answered);
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
  return sizeof(Branch) + work_bytes_ + kept_result_bytes();
}

std::size_t Branch::kept_result_bytes() const {
  const auto* open = std::get_if<Open>(&state_);
  const std::size_t last = open != nullptr && open->last ? size_of(*open->last) : 0;
  return last + (vote_ ? size_of(vote_->results) : 0);
}

}  // namespace troth::agent
