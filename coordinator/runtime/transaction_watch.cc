#include "coordinator/runtime/transaction_watch.h"

#include <algorithm>
#include <array>
#include <variant>

#include "base/runtime/clock.h"

namespace troth::coordinator {
namespace {

// In the order of store::Request.
constexpr std::array kStoreRequests{"acquire", "choose",   "lookup", "list",
                                    "end",     "register", "floors", "resolve"};
static_assert(kStoreRequests.size() == std::variant_size_v<store::Request>);

TransactionNames names_of(const wire::ExecuteRequest& request, std::string_view transaction) {
  return {.transaction = transaction,
          .client = request.client_name,
          .request_id = request.request_id,
          .label = request.label,
          .traceparent = request.traceparent};
}

std::int64_t ms_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

TransactionWatch::TransactionWatch(Metrics& metrics, Duration slow_after)
    : metrics_(metrics),
      slow_after_(slow_after),
      admission_(metrics.histogram("troth_coordinator_step_seconds", {{"step", "admission"}})),
      prepare_(metrics.histogram("troth_coordinator_step_seconds", {{"step", "prepare"}})),
      choose_(metrics.histogram("troth_coordinator_step_seconds", {{"step", "choose"}})),
      commit_(metrics.histogram("troth_coordinator_step_seconds", {{"step", "commit"}})),
      one_phase_(metrics.histogram("troth_coordinator_step_seconds", {{"step", "one_phase"}})),
      statement_(metrics.histogram("troth_coordinator_step_seconds", {{"step", "statement"}})),
      whole_(metrics.histogram("troth_coordinator_step_seconds", {{"step", "whole"}})),
      committed_(
          metrics.counter("troth_coordinator_answers_total", {{"outcome", "committed"}, {"code", "none"}})) {
  begin_codes(metrics, "troth_coordinator_aborts_total");
  for (const auto* outcome : {"aborted", "unknown", "refused"})
    begin_codes(metrics, "troth_coordinator_answers_total", {{"outcome", outcome}});
  for (const auto* request : kStoreRequests)
    store_.push_back(&metrics.histogram("troth_coordinator_store_seconds", {{"request", request}}));
}

void TransactionWatch::count(std::string_view outcome, std::string_view code) {
  metrics_
      .counter("troth_coordinator_answers_total",
               {{"outcome", std::string(outcome)}, {"code", std::string(code)}})
      .Increment();
}

TransactionWatch::Watched* TransactionWatch::find(const TransactionId& id) {
  const auto at = watched_.find(position_of(id));
  return at == watched_.end() ? nullptr : &at->second;
}

void TransactionWatch::refused(const wire::ExecuteRequest& request, const Error& error) {
  static LogLimit limit;
  count("refused", name_of(error.code));
  log_failure(limit, LogLevel::kInfo, "request refused", names_of(request, {}), error);
}

// ---- steps

void TransactionWatch::preparing(const SendPrepare& send, const ExecuteCall* call) {
  const auto& id = send.to.branch.transaction;
  const auto [at, first] = watched_.try_emplace(position_of(id));
  if (!first) return;
  auto& watched = at->second;
  watched.begun = boot_now();
  if (call != nullptr) {
    watched.admission = watched.begun - call->called;
    watched.traceparent = call->request->traceparent;
    admission_.Observe(seconds_of(watched.admission));
  } else if (const auto names = interactive_.find(id); names != interactive_.end()) {
    watched.traceparent = names->second->traceparent;
  }
}

void TransactionWatch::asking(const AskStore& ask) {
  Asked asked{store_.at(ask.request.index()), boot_now(), std::nullopt};
  if (const auto* choose = std::get_if<store::Choose>(&ask.request)) {
    if (const auto* record = std::get_if<store::CommitRecord>(&choose->record)) {
      asked.choosing = position_of(record->transaction);
      if (auto* watched = find(record->transaction); watched != nullptr && !watched->proposed) {
        watched->proposed = asked.at;
        watched->commits_to_come = record->branches.size();
        prepare_.Observe(seconds_of(asked.at - watched->begun));
      }
    }
  } else if (const auto* end = std::get_if<store::End>(&ask.request)) {
    for (const auto& ended : end->ended)
      watched_.erase(position_of(ended.transaction));
  }
  asked_.insert_or_assign(ask.ticket.value, asked);
}

void TransactionWatch::store_answered(const store::Answered& answered) {
  const auto at = asked_.find(answered.ticket.value);
  if (at == asked_.end()) return;
  const auto asked = at->second;
  asked_.erase(at);
  const auto now = boot_now();
  asked.time->Observe(seconds_of(now - asked.at));
  if (!asked.choosing || !std::holds_alternative<store::Won>(answered.answer)) return;
  const auto watched = watched_.find(*asked.choosing);
  if (watched == watched_.end()) return;
  watched->second.chosen = now;
  choose_.Observe(seconds_of(now - *watched->second.proposed));
}

Duration TransactionWatch::longest_store_wait() const {
  Duration longest{};
  const auto now = boot_now();
  for (const auto& [ticket, asked] : asked_)
    longest = std::max(longest, now - asked.at);
  return longest;
}

void TransactionWatch::commit_replied(const CommitReplied& replied, const ResourceName& resource,
                                      const TransactionTable& table) {
  if (replied.end == BranchEnd::kUndecided) return;
  const auto& id = replied.branch.transaction;
  auto* watched = find(id);
  if (watched != nullptr && watched->chosen && watched->commits_to_come > 0 &&
      --watched->commits_to_come == 0) {
    watched->acknowledged = boot_now();
    commit_.Observe(seconds_of(*watched->acknowledged - *watched->chosen));
  }
  if (replied.end != BranchEnd::kCommitted) {
    metrics_
        .counter("troth_coordinator_unexpected_ends_total",
                 {{"resource", resource.value}, {"end", std::string(name_of(replied.end))}})
        .Increment();
    const auto transaction = id.text();
    const auto known = table.names_of(id).value_or(OpenTransactionNames{});
    const auto request_id = known.request ? known.request->text() : std::string();
    log_transaction(nullptr, LogLevel::kError, "a branch of a committed transaction did not end as decided",
                    {.transaction = transaction,
                     .client = known.client,
                     .request_id = request_id,
                     .label = known.label,
                     .traceparent = watched == nullptr ? std::string_view() : watched->traceparent},
                    {{"resource", resource},
                     {"branch", replied.branch.branch},
                     {"end", name_of(replied.end)},
                     {"detail", replied.detail}});
  }
  if (watched != nullptr) forget_if_done(id);
}

// ---- answers

void TransactionWatch::answering(const Answer& answer, const ExecuteCall& call) {
  if (const auto* begun = std::get_if<Begun>(&answer)) {
    interactive_.insert_or_assign(begun->transaction, call.request);
    return count("begun", "none");
  }
  if (std::holds_alternative<RolledBack>(answer)) return count("rolled_back", "none");
  const auto now = boot_now();
  whole_.Observe(seconds_of(now - call.called));
  std::optional<TransactionId> id;
  Watched* watched = nullptr;
  if (const auto* committed = std::get_if<Committed>(&answer)) {
    id = committed->transaction;
    watched = find(*id);
    if (watched != nullptr && !watched->answered && id->is_one_phase())
      one_phase_.Observe(seconds_of(now - watched->begun));
    answered_committed(*committed, *call.request);
  } else {
    const auto& failed = std::get<Failed>(answer);
    id = failed.transaction;
    if (id) watched = find(*id);
    answered_failed(failed, *call.request, watched != nullptr && !watched->answered);
  }
  tell_if_slow(call, id, watched, now);
  if (watched == nullptr) return;
  watched->answered = true;
  forget_if_done(*id);
}

void TransactionWatch::answering(const Answer& answer, const EndingCall& call) {
  static const auto kNoNames = std::make_shared<const wire::ExecuteRequest>();
  const auto names = interactive_.find(call.transaction);
  answering(answer,
            ExecuteCall{names == interactive_.end() ? kNoNames : names->second, nullptr, call.called});
  const auto* failed = std::get_if<Failed>(&answer);
  const bool goes_on =
      failed != nullptr && (failed->error.code == ErrorCode::kBusy || failed->error.effect != Effect::kNone);
  if (!goes_on) interactive_.erase(call.transaction);
}

void TransactionWatch::answering(const AnswerStatement& answer, const StatementCall& call) {
  statement_.Observe(seconds_of(boot_now() - call.called));
  if (!answer.over || answer.result) return;
  const auto names = interactive_.find(*answer.over);
  const wire::ExecuteRequest none;
  answered_failed({answer.over, answer.result.error()}, names == interactive_.end() ? none : *names->second,
                  names != interactive_.end());
  interactive_.erase(*answer.over);
}

void TransactionWatch::forget_ended(const TransactionTable& table) {
  if (interactive_.size() < forget_at_) return;
  std::erase_if(interactive_, [&table](const auto& each) { return !table.names_of(each.first); });
  forget_at_ = std::max(kForgetAtLeast, 2 * interactive_.size());
}

// Nothing more is measured of it: every caller's answer came at once, and its commit, if there is one, is known
// everywhere.
void TransactionWatch::forget_if_done(const TransactionId& id) {
  const auto at = watched_.find(position_of(id));
  const auto& watched = at->second;
  if (watched.answered && (!watched.chosen || watched.acknowledged)) watched_.erase(at);
}

void TransactionWatch::answered_committed(const Committed& committed, const wire::ExecuteRequest& request) {
  if (committed.already_committed)
    count("already_committed", "none");
  else
    committed_.Increment();
  if (!log_enabled(LogLevel::kDebug)) return;
  log_transaction(
      nullptr, LogLevel::kDebug, "transaction committed", names_of(request, committed.transaction.text()),
      {{"already", committed.already_committed}, {"acknowledged", name_of(committed.acknowledged)}});
}

void TransactionWatch::answered_failed(const Failed& failed, const wire::ExecuteRequest& request,
                                       bool counts_abort) {
  static LogLimit refusals;
  static LogLimit aborts;
  static LogLimit unknowns;
  const auto& error = failed.error;
  const auto code = name_of(error.code);
  const auto transaction = failed.transaction ? failed.transaction->text() : std::string();
  const auto names = names_of(request, transaction);
  // A key that another transaction holds is named by that one, and nothing was begun for this call; an interactive
  // transaction that is busy goes on.
  if (!failed.transaction || error.code == ErrorCode::kRequestIdReused || error.code == ErrorCode::kBusy) {
    count("refused", code);
    return log_failure(refusals, LogLevel::kInfo, "request refused", names, error);
  }
  if (error.effect == Effect::kNone) {
    count("aborted", code);
    if (counts_abort)
      metrics_.counter("troth_coordinator_aborts_total", {{"code", std::string(code)}}).Increment();
    return log_failure(aborts, LogLevel::kInfo, "transaction aborted", names, error);
  }
  count("unknown", code);
  log_failure(unknowns, LogLevel::kWarning, "outcome unknown to the client", names, error);
}

void TransactionWatch::tell_if_slow(const ExecuteCall& call, const std::optional<TransactionId>& id,
                                    const Watched* watched, Instant now) const {
  static LogLimit limit;
  if (slow_after_ == Duration{} || now - call.called < slow_after_) return;
  const auto transaction = id ? id->text() : std::string();
  const auto names = names_of(*call.request, transaction);
  const auto whole = ms_of(now - call.called);
  if (watched == nullptr)
    return log_transaction(&limit, LogLevel::kWarning, "slow transaction", names, {{"whole_ms", whole}});
  // What was not reached lasted until now, or did not come: -1.
  const auto step = [now](const std::optional<Instant>& from, const std::optional<Instant>& to) {
    return from ? ms_of(to.value_or(now) - *from) : std::int64_t{-1};
  };
  log_transaction(&limit, LogLevel::kWarning, "slow transaction", names,
                  {{"whole_ms", whole},
                   {"admission_ms", ms_of(watched->admission)},
                   {"prepare_ms", step(watched->begun, watched->proposed)},
                   {"choose_ms", step(watched->proposed, watched->chosen)},
                   {"commit_ms", step(watched->chosen, watched->acknowledged)},
                   {"branches", call.request->branches.size()}});
}

}  // namespace troth::coordinator
