#include "coordinator/status_query.h"

#include <algorithm>

#include <fmt/format.h>

#include "coordinator/presumed_abort.h"

namespace troth::coordinator {

StatusReport report_of(const store::StoredDecision& decision) {
  StatusReport report;
  report.transaction = decision.transaction();
  const auto* commit = decision.commit();
  if (commit == nullptr) {
    report.state = TransactionState::kNotCommitted;
    report.detail = std::get<store::AbortRecord>(decision.decision).reason;
    return report;
  }
  report.label = commit->label;
  const bool resolved_otherwise =
      std::ranges::any_of(decision.resolutions, [](const auto& r) { return !r.commit; });
  const bool mixed = (decision.ended && decision.ended->heuristic) || resolved_otherwise;
  report.state = mixed ? TransactionState::kHeuristicMixed : TransactionState::kCommitted;
  report.detail = decision.ended ? "every branch has acknowledged" : "not every branch has acknowledged yet";
  for (const auto& r : decision.resolutions)
    report.detail += fmt::format("; {} resolved branch {} as {}: {}", r.operator_name, r.branch.value,
                                 r.commit ? "committed" : "rolled back", r.reason);
  return report;
}

namespace {

constexpr const char* kForgotten = "below the request floor: what was known of it is forgotten";

bool is_too_old(const StatusSubject& subject, const store::Prefix& prefix) {
  const auto* key = std::get_if<RequestKey>(&subject);
  return key != nullptr && key->id.unix_ms() < prefix.floors.request_ms;
}

}  // namespace

StatusReport report_of(const StatusSubject& subject, const store::Found& found, bool over_here) {
  if (found.decision) return report_of(*found.decision);
  StatusReport report;
  const auto say = [&](TransactionState state, const char* detail) {
    report.state = state;
    report.detail = detail;
    return report;
  };
  if (const auto* id = std::get_if<TransactionId>(&subject)) {
    report.transaction = *id;
    switch (read_absence(*id, found.prefix, over_here)) {
      case Absence::kAborted:
        // Attack 31: an abort leaves no record, so neither of the two can be told from the other.
        return say(TransactionState::kNotCommitted, "aborted, or never begun");
      case Absence::kTooOld:
        return say(TransactionState::kTooOld, "below the floor: what was known of it is forgotten");
      case Absence::kCannotTell:
        return say(TransactionState::kUnknown, "no transaction of this id was begun here yet");
    }
  }
  if (found.barred) return say(TransactionState::kNotCommitted, "barred: it never commits");
  if (is_too_old(subject, found.prefix)) return say(TransactionState::kTooOld, kForgotten);
  return say(
      TransactionState::kUnknown,
      "no record: send the same request_id again, or ask with `bar` to make sure that it never commits");
}

std::vector<StatusQuery::Effect> StatusQuery::step(Instant now, Random& random, const Input& input) {
  std::vector<Effect> effects;
  if (over_) return effects;
  std::visit(
      [&](const auto& in) {
        using I = std::decay_t<decltype(in)>;
        if constexpr (std::is_same_v<I, Begun>) {
          const auto* id = std::get_if<TransactionId>(&options_.subject);
          if (id != nullptr && id->is_one_phase())
            settle_all_or_go_on(effects);
          else
            effects.emplace_back(LookUp{});
        }
        if constexpr (std::is_same_v<I, RecordLookedUp>) take_record(in.answer, effects);
        if constexpr (std::is_same_v<I, ResourceSettled>) take_settled(now, random, in, effects);
        if constexpr (std::is_same_v<I, BarAnswered>) take_bar(in.answer, effects);
        if constexpr (std::is_same_v<I, TimePassed>) pass_time(now, effects);
      },
      input);
  return effects;
}

void StatusQuery::take_record(const store::StoreAnswer& looked_up, std::vector<Effect>& effects) {
  const auto* found = std::get_if<store::Found>(&looked_up);
  if (found == nullptr)
    return answer(TransactionState::kUnknown, "the decision store did not answer; ask again", effects);
  // What was barred before is barred again, so that its resources are settled, too.
  const bool may_bar = options_.bar && !found->decision && !is_too_old(options_.subject, found->prefix);
  if (may_bar) return settle_all_or_go_on(effects);
  answer(report_of(options_.subject, *found, options_.over_here), effects);
}

void StatusQuery::settle_all_or_go_on(std::vector<Effect>& effects) {
  for (const auto& resource : options_.resources) {
    unsettled_[resource] = {};
    effects.emplace_back(Settle{resource});
  }
  if (unsettled_.empty()) effects.emplace_back(ChooseBarred{});
}

void StatusQuery::take_settled(Instant now, Random& random, const ResourceSettled& settled,
                               std::vector<Effect>& effects) {
  const auto at = unsettled_.find(settled.resource);
  if (at == unsettled_.end()) return;
  const auto* id = std::get_if<TransactionId>(&options_.subject);
  const auto report = [&](TransactionState state) {
    auto transaction = settled.committed_as;
    if (!transaction && id != nullptr) transaction = *id;
    answer({state, std::move(transaction), {}, settled.detail, {}}, effects);
  };
  switch (settled.end) {
    case BranchEnd::kCommitted:
      // Of a one-phase id: its request may have been committed by another transaction, not by this one.
      if (id != nullptr && settled.committed_as && *settled.committed_as != *id)
        return answer(TransactionState::kNotCommitted,
                      fmt::format("its request was committed as {}", settled.committed_as->text()), effects);
      return report(TransactionState::kCommitted);
    case BranchEnd::kHeuristicCommitted:
      if (id != nullptr) return report(TransactionState::kHeuristicCommit);
      // An operator's word in this resource; another may hold the proof that the group said the same.
      resolved_ = {
          TransactionState::kHeuristicCommit,
          settled.committed_as,
          {},
          fmt::format(
              "an operator committed its branch in resource '{}', and no other resource proves that the "
              "whole was committed: compare them by hand",
              settled.resource.value),
          {}};
      break;
    case BranchEnd::kTooOld: return report(TransactionState::kTooOld);
    case BranchEnd::kUndecided:
    case BranchEnd::kLost:
      at->second.ask_at = now + options_.ask_again.delay(at->second.attempts++, random);
      return;
    case BranchEnd::kHeuristicRolledBack:
      if (id != nullptr) return report(TransactionState::kHeuristicRollback);
      break;
    case BranchEnd::kRolledBack:
      if (id != nullptr)
        return answer(TransactionState::kNotCommitted, "its resource has it barred", effects);
      break;
  }
  unsettled_.erase(at);
  if (!unsettled_.empty()) return;
  if (resolved_) return answer(*resolved_, effects);
  effects.emplace_back(ChooseBarred{});
}

void StatusQuery::take_bar(const store::StoreAnswer& chosen, std::vector<Effect>& effects) {
  const auto* existing = std::get_if<store::Existing>(&chosen);
  if (existing != nullptr) {
    if (const auto* commit = std::get_if<store::StoredDecision>(&existing->holder))
      return answer(report_of(*commit), effects);
  }
  const bool barred = std::holds_alternative<store::Won>(chosen) || existing != nullptr;
  if (barred) return answer(TransactionState::kNotCommitted, "barred: it never commits", effects);
  const auto* refused = std::get_if<store::Refused>(&chosen);
  if (refused != nullptr && refused->reason.code == ErrorCode::kRequestIdTooOld)
    return answer(TransactionState::kTooOld, kForgotten, effects);
  answer(TransactionState::kUnknown, "the decision store did not answer; ask again", effects);
}

void StatusQuery::pass_time(Instant now, std::vector<Effect>& effects) {
  if (options_.deadline <= now) {
    std::string missing;
    for (const auto& [resource, waiting] : unsettled_)
      missing += (missing.empty() ? "" : ", ") + resource.value;
    const auto* waits_for = unsettled_.empty() ? "the decision store did not answer in time"
                                               : "these resources could not tell in time: ";
    return answer(TransactionState::kUnknown, waits_for + missing, effects);
  }
  for (auto& [resource, waiting] : unsettled_) {
    if (!waiting.ask_at || *waiting.ask_at > now) continue;
    waiting.ask_at.reset();
    effects.emplace_back(Settle{resource});
  }
}

std::optional<Instant> StatusQuery::due() const {
  if (over_) return std::nullopt;
  auto due = options_.deadline;
  for (const auto& [resource, waiting] : unsettled_)
    if (waiting.ask_at) due = std::min(due, *waiting.ask_at);
  return due;
}

void StatusQuery::answer(TransactionState state, std::string detail, std::vector<Effect>& effects) {
  StatusReport report;
  report.state = state;
  report.detail = std::move(detail);
  if (const auto* id = std::get_if<TransactionId>(&options_.subject)) report.transaction = *id;
  answer(std::move(report), effects);
}

void StatusQuery::answer(StatusReport report, std::vector<Effect>& effects) {
  over_ = true;
  effects.emplace_back(Answer{std::move(report)});
}

}  // namespace troth::coordinator
