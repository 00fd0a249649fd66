// Status, inquiries and resolutions: whoever asks how something ended.
#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"
#include "coordinator/presumed_abort.h"
#include "coordinator/reign.h"

namespace troth::coordinator {
namespace {

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

}  // namespace

bool TransactionTable::Reign::over_here(const TransactionId& id) const {
  return id.epoch == epoch_.number && id.sequence <= last_sequence_ && !open_.contains(position_of(id));
}

bool TransactionTable::Reign::room_for_question() const {
  return queries_.size() + simple_questions_ < limits_.questions;
}

StatusReport TransactionTable::Reign::report(const Open& open) const {
  StatusReport report;
  report.transaction = open.id;
  report.label = open.label;
  if (const auto* machine = std::get_if<TwoPhaseCommit>(&open.protocol)) {
    report.state = machine->state();
    report.branches = machine->branches();
    report.detail = machine->detail();
    return report;
  }
  if (const auto* machine = std::get_if<InteractiveWork>(&open.protocol)) {
    report.state = machine->state();
    report.branches = machine->branches();
    report.detail = machine->detail();
    return report;
  }
  const auto& machine = std::get<OnePhaseCommit>(open.protocol);
  report.state = machine.state();
  report.branches = {{{1}, open.places.front().resource, std::string(name_of(machine.state()))}};
  report.detail = machine.detail();
  return report;
}

// ---- status

void TransactionTable::Reign::take(StatusRequested& requested) {
  const auto refuse_status = [&](Error error) {
    effects_.emplace_back(AnswerStatus{requested.call, std::unexpected(std::move(error))});
  };
  const auto report_status = [&](StatusReport report) {
    effects_.emplace_back(AnswerStatus{requested.call, std::move(report)});
  };
  const auto say = [&](TransactionState state, std::string detail) {
    StatusReport report;
    report.state = state;
    report.detail = std::move(detail);
    if (const auto* id = std::get_if<TransactionId>(&requested.subject)) report.transaction = *id;
    report_status(std::move(report));
  };
  if (!room_for_question()) return refuse_status(admission_.overloaded("too many status calls wait"));
  const auto timeout = requested.timeout > Duration{} ? requested.timeout : limits_.default_timeout;
  StatusQuery::Options options{requested.call,        requested.subject, requested.bar, false, {},
                               clocks_.now + timeout, limits_.ask_again};

  if (const auto* id = std::get_if<TransactionId>(&requested.subject)) {
    if (id->cluster != cluster_)
      return refuse_status(refusal(ErrorCode::kUnknownTransaction, Effect::kNone,
                                   fmt::format("{} belongs to cluster '{}', this is '{}'", id->text(),
                                               id->cluster.value, cluster_.value)));
    if (requested.bar)
      return refuse_status(
          invalid("only a request_id can be barred; a transaction id is never used again").error());
    if (const auto* open = find(*id)) return report_status(report(*open));
    if (auto remembered = remembered_.find(*id)) return report_status(std::move(*remembered));
    options.over_here = over_here(*id);
    if (id->is_one_phase()) {
      // [T5] Only the resource knows, and only of what it has not forgotten.
      const auto* resource = registry_.find(*id->one_phase);
      if (resource == nullptr)
        return say(TransactionState::kUnknown, "no resource has the number in its tag");
      if (position_of(*id) < retention_.floors().transactions)
        return say(TransactionState::kTooOld, "below the floor: what was known of it is forgotten");
      if (!options.over_here && id->epoch >= epoch_.number)
        return say(TransactionState::kUnknown, "no transaction of this id was begun here yet");
      options.resources = {*resource};
    }
    return ask_status(std::move(options));
  }

  const auto& key = std::get<RequestKey>(requested.subject);
  const auto running = running_.find(key);
  if (!requested.bar) {
    if (running == running_.end()) return ask_status(std::move(options));
    if (const auto* position = std::get_if<Position>(&running->second))
      return report_status(report(open_.at(*position)));
    return say(TransactionState::kActive, "its request_id is being looked up");
  }
  // What is barred is kept until the floor passes its timestamp: one from the future would never go.
  if (auto error = refuse_from_future(key, clocks_.wall)) return refuse_status(std::move(*error));
  for (const auto& resource : requested.resources) {
    if (!registry_.knows(resource))
      return refuse_status(refusal(ErrorCode::kUnknownResource, Effect::kNone,
                                   fmt::format("no resource '{}' is registered", resource.value)));
  }
  if (barring_.contains(key))
    return refuse_status(
        refusal(ErrorCode::kBusy, Effect::kNone, "this request_id is being barred already", true));
  options.resources = requested.resources;
  if (running != running_.end()) {
    if (const auto* call = std::get_if<CallId>(&running->second)) {
      const auto asking = take_asking(*call);
      answer_asking(*asking, Failed{std::nullopt, refusal(ErrorCode::kBusy, Effect::kUnknown,
                                                          "a status call is barring this request_id", true)});
    } else {
      // An attempt in one phase is stopped, or proved, where it runs, whether the caller names the place or
      // not.
      const auto& open = open_.at(std::get<Position>(running->second));
      if (open.id.is_one_phase()) options.resources.push_back(open.places.front().resource);
    }
  }
  barring_.insert(key);
  ask_status(std::move(options));
}

void TransactionTable::Reign::ask_status(StatusQuery::Options options) {
  const auto call = options.call;
  queries_.emplace(call, StatusQuery(std::move(options)));
  drive_query(call, StatusQuery::Begun{});
}

void TransactionTable::Reign::drive_query(CallId call, const StatusQuery::Input& input) {
  auto& query = queries_.at(call);
  const auto* key = std::get_if<RequestKey>(&query.options().subject);
  for (auto& effect : query.step(clocks_.now, random_, input)) {
    if (std::holds_alternative<StatusQuery::LookUp>(effect)) {
      store::Lookup lookup;
      std::visit([&](const auto& subject) { lookup.key = subject; }, query.options().subject);
      ask_store(ForStatusRecord{call}, std::move(lookup));
    } else if (const auto* wanted = std::get_if<StatusQuery::Settle>(&effect)) {
      const auto* id = std::get_if<TransactionId>(&query.options().subject);
      settle(SettleOfStatus{call, wanted->resource}, wanted->resource,
             id != nullptr ? std::optional{BranchId{*id, {1}}} : std::nullopt,
             key != nullptr ? std::optional{*key} : std::nullopt);
    } else if (std::holds_alternative<StatusQuery::ChooseBarred>(effect)) {
      ask_store(ForBar{call}, store::Choose{epoch_.number, store::BarredRecord{*key, clocks_.wall}});
    } else {
      effects_.emplace_back(AnswerStatus{call, std::move(std::get<StatusQuery::Answer>(effect).report)});
    }
  }
  auto& timer = call_timers_[call];
  set_timer(call, timer, query.due());
  if (!query.over()) return;
  if (key != nullptr && query.options().bar) barring_.erase(*key);
  call_timers_.erase(call);
  queries_.erase(call);
}

void TransactionTable::Reign::on(ForStatusRecord& purpose, store::StoreAnswer& answer) {
  if (queries_.contains(purpose.call))
    drive_query(purpose.call, StatusQuery::RecordLookedUp{std::move(answer)});
}

void TransactionTable::Reign::on(ForBar& purpose, store::StoreAnswer& answer) {
  if (queries_.contains(purpose.call)) drive_query(purpose.call, StatusQuery::BarAnswered{std::move(answer)});
}

// ---- an agent's inquiry about a branch in doubt

void TransactionTable::Reign::take(InquiryReceived& received) {
  const auto decide = [&](InquiryDecision decision) {
    effects_.emplace_back(AnswerInquiry{received.call, decision});
  };
  const auto& id = received.branch.transaction;
  // Another cluster's branch is not ours to decide; a one-phase branch is its resource's.
  if (id.cluster != cluster_ || id.is_one_phase() || !room_for_question())
    return decide(InquiryDecision::kUndecided);
  if (const auto* open = find(id)) {
    // [T2] Commit is heard only once it is chosen; and what is over and still open is a commit.
    return decide(open->undecided ? InquiryDecision::kUndecided : InquiryDecision::kCommit);
  }
  ++simple_questions_;
  ask_store(ForInquiry{received.call, id, over_here(id)}, store::Lookup{id});
}

void TransactionTable::Reign::on(ForInquiry& purpose, store::StoreAnswer& answer) {
  --simple_questions_;
  const auto decide = [&](InquiryDecision decision) {
    effects_.emplace_back(AnswerInquiry{purpose.call, decision});
  };
  const auto* found = std::get_if<store::Found>(&answer);
  if (found == nullptr) return decide(InquiryDecision::kUndecided);
  if (found->decision)
    return decide(found->decision->commit() != nullptr ? InquiryDecision::kCommit : InquiryDecision::kAbort);
  if (found->pre_commit) return decide(InquiryDecision::kUndecided);
  switch (read_absence(purpose.transaction, found->prefix, purpose.over_here)) {
    case Absence::kAborted: return decide(InquiryDecision::kAbort);
    case Absence::kTooOld: return decide(InquiryDecision::kTooOld);
    case Absence::kCannotTell: return decide(InquiryDecision::kUndecided);
  }
}

// ---- an operator's resolution

void TransactionTable::Reign::take(ResolveRequested& requested) {
  const auto refuse_resolve = [&](Error error) {
    effects_.emplace_back(AnswerResolve{requested.call, std::unexpected(std::move(error))});
  };
  if (requested.reason.empty())
    return refuse_resolve(invalid("a resolution needs a reason; it goes to the audit trail").error());
  if (requested.transaction.cluster != cluster_)
    return refuse_resolve(invalid("the transaction belongs to another cluster").error());
  if (!room_for_question()) return refuse_resolve(admission_.overloaded("too many questions wait"));
  const auto* open = find(requested.transaction);
  if (open == nullptr) {
    ++simple_questions_;
    auto id = requested.transaction;
    ask_store(ForResolvedRecord{std::move(requested)}, store::Lookup{std::move(id)});
    return;
  }
  const auto* two_phase = std::get_if<TwoPhaseCommit>(&open->protocol);
  const auto status = report(*open);
  const auto branch = std::ranges::find(status.branches, requested.branch, &BranchReport::branch);
  if (branch == status.branches.end() || branch->resource != requested.resource)
    return refuse_resolve(invalid(fmt::format("{} has no branch {} in resource '{}'", open->id.text(),
                                              requested.branch.value, requested.resource.value))
                              .error());
  const auto* one_phase = std::get_if<OnePhaseCommit>(&open->protocol);
  if (one_phase == nullptr && open->undecided)
    return refuse_resolve(
        refusal(ErrorCode::kBusy, Effect::kNone,
                fmt::format("{} is still {}; a resolution is for what is decided, or cannot be",
                            open->id.text(), name_of(status.state)),
                true));
  const bool settling = one_phase != nullptr && !one_phase->awaits_vote();
  if (two_phase != nullptr ? !two_phase->awaits_acknowledgement(requested.branch) : !settling)
    return refuse_resolve(invalid(fmt::format("branch {} of {} is {}: there is nothing to resolve",
                                              requested.branch.value, open->id.text(), branch->state))
                              .error());
  write_resolution(std::move(requested),
                   two_phase != nullptr ? "commit" : "for its resource to tell, which cannot be reached",
                   status.state);
}

void TransactionTable::Reign::on(ForResolvedRecord& purpose, store::StoreAnswer& answer) {
  --simple_questions_;
  auto& request = purpose.request;
  const auto* found = std::get_if<store::Found>(&answer);
  if (found == nullptr) {
    effects_.emplace_back(AnswerResolve{request.call, fail(ErrorCode::kUnavailable, Effect::kNone,
                                                           "the decision store did not answer; ask again")});
    return;
  }
  if (found->decision)
    return write_resolution(std::move(request), found->decision->commit() != nullptr ? "commit" : "abort",
                            report_of(*found->decision).state);
  switch (read_absence(request.transaction, found->prefix, over_here(request.transaction))) {
    case Absence::kAborted:
      return write_resolution(std::move(request), "abort (presumed)", TransactionState::kNotCommitted);
    case Absence::kTooOld:
      return write_resolution(std::move(request), "forgotten", TransactionState::kTooOld);
    case Absence::kCannotTell:
      return write_resolution(std::move(request), "for its resource to tell", TransactionState::kUnknown);
  }
}

void TransactionTable::Reign::write_resolution(ResolveRequested request, std::string decision,
                                               TransactionState state) {
  ++simple_questions_;
  store::ResolutionRecord record{request.transaction, request.branch,        request.resource, request.commit,
                                 request.reason,      request.operator_name, clocks_.wall};
  ask_store(ForResolution{std::move(request), std::move(decision), state},
            store::Resolve{epoch_.number, std::move(record)});
}

void TransactionTable::Reign::on(ForResolution& purpose, store::StoreAnswer& answer) {
  --simple_questions_;
  const auto& request = purpose.request;
  if (!std::holds_alternative<store::Resolved>(answer)) {
    effects_.emplace_back(AnswerResolve{
        request.call,
        fail(ErrorCode::kUnavailable, Effect::kUnknown,
             "the decision store did not say that the resolution is on record; look at `troth status`")});
    return;
  }
  ResolveReport report{purpose.state,
                       fmt::format("the decision is {}; the operator says {}", purpose.decision,
                                   request.commit ? "committed" : "rolled back")};
  if (auto* open = find(request.transaction); open != nullptr) {
    const auto position = position_of(open->id);
    if (std::holds_alternative<TwoPhaseCommit>(open->protocol))
      drive(*open, TwoPhaseCommit::BranchResolved{request.branch, request.commit});
    else
      drive(*open, OnePhaseCommit::BranchResolved{request.commit});
    if (const auto at = open_.find(position); at != open_.end())
      report.state = this->report(at->second).state;
    else if (const auto remembered = remembered_.find(request.transaction))
      report.state = remembered->state;
  } else if (auto agent = registry_.reachable_owner(request.resource)) {
    effects_.emplace_back(SendResolve{request.call,
                                      std::move(*agent),
                                      {request.transaction, request.branch},
                                      request.resource,
                                      request.commit,
                                      request.reason,
                                      request.operator_name,
                                      std::move(report)});
    return;
  } else {
    report.detail +=
        fmt::format("; no agent of {} can be reached, so that nobody ended the branch: run it again",
                    request.resource.value);
  }
  effects_.emplace_back(AnswerResolve{request.call, std::move(report)});
}

}  // namespace troth::coordinator
