// An active transaction's statements, its commit and its rollback.
#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"
#include "coordinator/reign.h"

namespace troth::coordinator {
namespace {

// Only whoever began a transaction works in it; others are not told more.
Error not_yours(const TransactionId& id) {
  return refusal(ErrorCode::kUnknownTransaction, Effect::kNone,
                 fmt::format("{} was begun by another client_name", id.text()));
}

}  // namespace

TransactionTable::Reign::Open* TransactionTable::Reign::find_active(const TransactionId& id) {
  auto* open = find(id);
  return open == nullptr || !std::holds_alternative<InteractiveWork>(open->protocol) ? nullptr : open;
}

// ---- statements

void TransactionTable::Reign::take(StatementRequested& requested) {
  ++waiting_calls_;
  statements_.emplace(requested.call, 0);
  const auto& id = requested.transaction;
  const auto refuse_statement = [&](Error error, std::optional<TransactionId> over = std::nullopt) {
    error.resource = requested.resource.value;
    answer_statement({requested.call, std::unexpected(std::move(error)), std::move(over)});
  };
  auto* open = find_active(id);
  if (open == nullptr) {
    // Of this statement nothing happened; but in this reign commit may have been called, and may have its way [T3].
    const auto remembered = remembered_.find(id);
    const bool ended_in_vain = remembered && remembered->state == TransactionState::kNotCommitted;
    const bool begun_here = find(id) != nullptr || over_here(id);
    const bool active_no_more = begun_here || remembered || id.epoch < epoch_.number;
    auto error = refusal(
        ErrorCode::kUnknownTransaction, begun_here && !ended_in_vain ? Effect::kUnknown : Effect::kNone,
        fmt::format(
            "{} takes no statements{}{}", id.text(),
            active_no_more ? ": it is not active any more"
                           : ": no interactive transaction of this id runs here",
            remembered && !remembered->detail.empty() ? fmt::format(" ({})", remembered->detail) : ""));
    error.retryable = false;
    return refuse_statement(std::move(error), id);
  }
  if (open->client != requested.client) return refuse_statement(not_yours(id));
  if (auto room = admission_.take_statement(requested.bytes); !room) return refuse_statement(room.error());
  statements_.at(requested.call) = requested.bytes;
  const auto branch = branch_for(*open, requested.resource);
  if (!branch) return refuse_statement(branch.error());
  if (requested.digest)
    drive(*open,
          InteractiveWork::StatementAsked{requested.call, *branch, requested.number, *requested.digest});
  else
    drive(*open, InteractiveWork::RowsAsked{requested.call, *branch, requested.number});
}

// [T12] A branch stays with the incarnation that its first statement goes to.
Result<BranchNumber> TransactionTable::Reign::branch_for(Open& open, const ResourceName& resource) {
  auto& machine = std::get<InteractiveWork>(open.protocol);
  if (const auto known = machine.branch_in(resource)) return *known;
  if (open.places.size() >= limits_.branches)
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("the transaction has {} branches, and at most {} are taken: split it",
                            open.places.size(), limits_.branches));
  const auto route = registry_.route(resource);
  if (!route) return std::unexpected(route.error());
  watermarks_.begun(route->agent, open.id.sequence);
  open.places.push_back({resource, route->number, route->agent, route->incarnation});
  return machine.add_branch(resource);
}

void TransactionTable::Reign::send_statement(const Open& open, const InteractiveWork::SendStatement& send) {
  const auto& place = open.places.at(send.branch.value - 1);
  const auto& machine = std::get<InteractiveWork>(open.protocol);
  effects_.emplace_back(coordinator::SendStatement{
      {place.agent, place.resource, {open.id, send.branch}, watermark(place.agent)},
      place.incarnation,
      send.call,
      send.number,
      open.request,
      open.digest,
      std::max(machine.deadline() - clocks_.now, Duration{1}),
      machine.idle_timeout(),
      open.options,
  });
}

void TransactionTable::Reign::take(StatementReplied& replied) {
  if (auto* open = find_active(replied.branch.transaction))
    drive(*open,
          InteractiveWork::StatementAnswered{replied.branch.branch, replied.call, std::move(replied.answer)});
}

void TransactionTable::Reign::take(StatementFailed& failed) {
  if (auto* open = find_active(failed.branch.transaction))
    drive(*open, InteractiveWork::StatementLost{failed.branch.branch, failed.call, failed.never_sent,
                                                std::move(failed.reason)});
}

void TransactionTable::Reign::answer_statement(AnswerStatement answer) {
  const auto at = statements_.find(answer.call);
  CHECK(at != statements_.end() && waiting_calls_ > 0, "statement call {} is answered, and does not wait",
        answer.call.value);
  admission_.give_back_statement(at->second);
  statements_.erase(at);
  --waiting_calls_;
  effects_.emplace_back(std::move(answer));
}

// ---- commit and rollback

// A redriven commit has no client any more; how it ended may be asked by anybody.
bool TransactionTable::Reign::is_anothers(const Open& open, const std::string& client) {
  const bool nobodys = open.client.empty() && !open.undecided;
  return !nobodys && open.client != client;
}

void TransactionTable::Reign::take(const CommitRequested& requested) {
  auto* open = find(requested.transaction);
  if (open == nullptr) return ask_outcome(requested.call, requested.transaction, requested.timeout);
  ++waiting_calls_;
  if (is_anothers(*open, requested.client)) return refuse(requested.call, not_yours(open->id));
  if (std::holds_alternative<InteractiveWork>(open->protocol)) return commit_active(*open, requested);
  if (open->statements.empty() && !open->places.empty())
    return refuse(requested.call,
                  refusal(ErrorCode::kInvalidArgument, Effect::kUnknown,
                          fmt::format("{} commits by itself: ask its status", open->id.text())));
  // Its commit is under way, or is being redriven: this call waits with the first.
  const auto timeout = requested.timeout > Duration{} ? requested.timeout : limits_.default_timeout;
  if (std::get<TwoPhaseCommit>(open->protocol).callers() >= limits_.joined_calls)
    return refuse_to_join(requested.call);
  drive(*open,
        TwoPhaseCommit::CallJoined{{requested.call, requested.acknowledgement, clocks_.now + timeout}});
}

// From here the protocol decides. [T12] Each agent is told how many statements it must have answered.
void TransactionTable::Reign::commit_active(Open& open, const CommitRequested& requested) {
  auto& machine = std::get<InteractiveWork>(open.protocol);
  if (const auto ready = machine.ready_to_commit(); !ready) return refuse(requested.call, ready.error());
  auto work = machine.work();
  if (work.empty()) return drive(open, InteractiveWork::CommittedEmpty{requested.call});

  const auto deadline = requested.timeout > Duration{} ? clocks_.now + requested.timeout : machine.deadline();
  open.deadline = std::min(deadline, machine.deadline());
  open.statements = machine.statements();
  watermarks_.goes_nowhere_new(open.id.sequence);
  // What still reads the last answer hears that it is over.
  const auto reading = machine.end_reading();
  open.protocol = TwoPhaseCommit({open.id, std::move(work), open.request, open.digest, open.deadline,
                                  Caller{requested.call, requested.acknowledgement, deadline},
                                  limits_.ask_again, limits_.redrive});
  for (const auto call : reading)
    answer_statement(
        {call, std::unexpected(refusal(ErrorCode::kStale, Effect::kNone, "commit was called meanwhile")),
         std::nullopt});
  drive(open, TwoPhaseCommit::Begun{});
}

void TransactionTable::Reign::take(const RollbackRequested& requested) {
  auto* open = find(requested.transaction);
  if (open == nullptr) return ask_outcome(requested.call, requested.transaction, {});
  ++waiting_calls_;
  if (is_anothers(*open, requested.client)) return refuse(requested.call, not_yours(open->id));
  if (!std::holds_alternative<InteractiveWork>(open->protocol))
    return refuse(requested.call,
                  refusal(ErrorCode::kStale, Effect::kUnknown,
                          fmt::format("{} is being committed: it cannot be rolled back; ask its status",
                                      open->id.text())));
  drive(*open, InteractiveWork::RollbackAsked{requested.call});
}

// Not active here: a late call, a doubled one, or one that an earlier reign had promised. How the transaction
// ended is the answer; it comes as a status.
void TransactionTable::Reign::ask_outcome(CallId call, const TransactionId& id, Duration timeout) {
  StatusRequested status;
  status.call = call;
  status.subject = id;
  status.timeout = timeout;
  take(status);
}

void TransactionTable::Reign::carry_out(Open& open, const InteractiveWork::Effect& effect) {
  std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, InteractiveWork::SendStatement>) {
          send_statement(open, e);
        } else if constexpr (std::is_same_v<E, InteractiveWork::AnswerStatement>) {
          answer_statement({e.call, e.result, e.over ? std::optional(open.id) : std::nullopt});
        } else if constexpr (std::is_same_v<E, InteractiveWork::SendRollback>) {
          if (auto to = address(open, e.branch))
            effects_.emplace_back(coordinator::SendRollback{std::move(*to)});
        } else {
          answer_call(e.call, e.answer);
        }
      },
      effect);
}

}  // namespace troth::coordinator
