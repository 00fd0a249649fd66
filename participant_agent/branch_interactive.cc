// An interactive branch, from its first statement to its prepare.
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/branch.h"
#include "participant_agent/refusal.h"

namespace troth::agent {

// [T12] The next one runs; the running one is waited for; the last one is answered again; the rest is refused.
void Branch::on(const StatementRequested& input, Context& context) {
  const auto number = input.statement.number;
  if (std::holds_alternative<Unheard>(state_) && number == 1 && input.statement.statement) {
    Open open;
    open.deadline = context.now + input.timeout;
    state_ = std::move(open);
  }
  auto* open = std::get_if<Open>(&state_);
  if (open == nullptr) {
    if (vote_ && vote_->vote == Vote::kNo) return answer_statement_over(*vote_, context);
    if (std::holds_alternative<Unheard>(state_)) {
      Error unheard =
          refusal(ErrorCode::kUnknownTransaction, Effect::kNone,
                  fmt::format("statement {} comes first, and the branch begins with statement 1", number));
      context.effects.emplace_back(AnswerStatement{{nullptr, std::move(unheard), true}, {}});
      return;
    }
    return refuse(refusal(ErrorCode::kStale, Effect::kUnknown,
                          fmt::format("the branch takes no statement any more: {}", describe())),
                  context);
  }
  // [T10] Attack 68: a statement that was refused, and came a second time behind its caller's back, is not what it asks for now.
  const bool is_current = number == open->answered + (open->running ? 1 : 0) && number > 0;
  if (is_current && input.statement.statement && *input.statement.statement != current(*open)) {
    return refuse(
        refusal(ErrorCode::kStale, Effect::kUnknown,
                fmt::format("statement {} of the branch was asked for before with other content", number)),
        context);
  }
  if (open->running) {
    if (number == open->answered + 1) return;  // waits for the same answer
    return refuse(refusal(ErrorCode::kBusy, Effect::kNone,
                          fmt::format("statement {} of the branch still runs", open->answered + 1), true),
                  context);
  }
  if (number == open->answered && open->last) {
    open->idle_at = context.now + work_.idle_timeout + times_.idle_slack;
    context.effects.emplace_back(AnswerStatement{{open->last, std::nullopt, false}, {}});
    return;
  }
  if (number != open->answered + 1 || !input.statement.statement) {
    return refuse(refusal(ErrorCode::kInvalidArgument, Effect::kNone,
                          fmt::format("statement {} is out of its turn: {} were answered, and only the last "
                                      "one's answer is kept",
                                      number, open->answered)),
                  context);
  }
  run_next(*open, input, context);
}

const Statement& Branch::current(const Open& open) const {
  return open.last_read ? *open.last_read : work_.statements.back();
}

// Attack 42: the guard behind the marker reads the floor as the snapshot shows it, and that is taken by the first
// statement. A branch that keeps one is marked before it.
bool Branch::marks_before(const StatementRequested& input) const {
  return input.marks || (!work_.declared_read_only && (work_.isolation == Isolation::kRepeatableRead ||
                                                       work_.isolation == Isolation::kSerializable));
}

void Branch::run_next(Open& open, const StatementRequested& input, Context& context) {
  const bool first = open.answered == 0;
  const bool marks = marks_before(input) && !open.marked;
  open.running = true;
  open.reads = !input.marks;
  open.marked = open.marked || marks;
  open.last.reset();
  open.last_read.reset();
  open.deadline = context.now + input.timeout;
  work_.statements.push_back(*input.statement.statement);
  work_bytes_ += size_of(work_.statements.back());
  context.effects.emplace_back(RunStatement{open.answered + 1, first, marks});
}

void Branch::on(const StatementRan& input, Context& context) {
  if (auto* open = std::get_if<Open>(&state_); open != nullptr && open->running) {
    open->running = false;
    ++open->answered;
    if (open->reads) {
      work_bytes_ -= size_of(work_.statements.back());
      open->last_read = std::move(work_.statements.back());
      work_.statements.pop_back();
    }
    open->last = std::make_shared<const StatementResult>(input.result);
    open->idle_at = context.now + work_.idle_timeout + times_.idle_slack;
    context.effects.emplace_back(AnswerStatement{{open->last, std::nullopt, false}, {}});
    return;
  }
  // It was to be interrupted, and came through before it was.
  if (auto* working = std::get_if<Working>(&state_)) roll_back_open(*working, context);
}

Status Branch::check_redo(const Statement& statement, std::size_t most_bytes) const {
  if (work_.statements.size() < kMaxOpenStatements && work_bytes_ + size_of(statement) <= most_bytes)
    return {};
  return fail(
      ErrorCode::kInvalidArgument, Effect::kNone,
      fmt::format("the branch has {} writing statements and {} KiB of them; at most {} and {} KiB are "
                  "allowed: commit sooner",
                  work_.statements.size(), work_bytes_ >> 10, kMaxOpenStatements, most_bytes >> 10));
}

// [T12] Any other number than that of the statements answered is a no: some of the work is not what the leader knows.
void Branch::on(const PrepareRequested& input, Context& context) {
  const auto* open = std::get_if<Open>(&state_);
  if (open == nullptr) return on(WorkRequested{}, context);
  if (open->running || open->answered != input.statements) {
    leave_open(refusal(ErrorCode::kStale, Effect::kNone,
                       fmt::format("the prepare names {} statements, and {} of this branch were answered{}",
                                   input.statements, open->answered, open->running ? "; one more runs" : ""),
                       true),
               false, context);
    return;
  }
  const PrepareOpen prepare{open->marked, work_.isolation == Isolation::kRepeatableRead ||
                                              work_.isolation == Isolation::kSerializable};
  Working working;
  working.deadline = context.now + (input.timeout.count() > 0 ? input.timeout : times_.default_timeout);
  working.read_only = work_.declared_read_only;
  plan_.holds_until_told = prepare.hold;
  state_ = std::move(working);
  if (!work_.declared_read_only) {
    work_.announced_statements = static_cast<std::uint32_t>(work_.statements.size());
    begin_journal(session_.value_or(SessionIdentity{}), context);
  }
  context.effects.emplace_back(prepare);
}

// The branch is not wanted any more; whoever waits hears so when no session can run for it [T11].
void Branch::leave_open(std::optional<Error> because, bool timed_out, Context& context) {
  const auto open = std::get<Open>(state_);
  Working working;
  working.deadline = context.now + times_.default_timeout;
  working.timed_out = timed_out;
  working.preparing = false;
  working.because = std::move(because);
  working.ends_session_at = context.now + times_.cancel_grace;
  state_ = std::move(working);
  if (open.running)
    context.effects.emplace_back(CancelWork{});
  else
    roll_back_open(std::get<Working>(state_), context);
}

void Branch::roll_back_open(Working& working, Context& context) {
  if (std::exchange(working.rolling_back, true)) return;
  context.effects.emplace_back(RollBackOpen{});
}

// Who waits for a statement hears why the branch is over.
void Branch::answer_statement_over(const VoteAnswer& no, Context& context) {
  if (no.vote == Vote::kYes || no.vote == Vote::kReadOnly) return;
  Error reason;
  if (no.refusal)
    reason = *no.refusal;
  else
    reason = refusal(ErrorCode::kStale, Effect::kUnknown,
                     fmt::format("the branch, or its request, was committed before{}",
                                 no.committed_as ? " as " + *no.committed_as : ""));
  context.effects.emplace_back(AnswerStatement{{nullptr, std::move(reason), true}, {}});
}

}  // namespace troth::agent
