// From a call to a begun transaction: what is refused, what joins a running request, what is asked of the
// store.
#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"
#include "coordinator/reign.h"

namespace troth::coordinator {
namespace {

// Nothing can be said of a request_id that is forgotten, so nothing is begun for it (attack 43).
std::optional<Error> refuse_forgotten(const RequestKey& key, std::uint64_t floor_ms) {
  if (key.id.unix_ms() >= floor_ms) return std::nullopt;
  return refusal(
      ErrorCode::kRequestIdTooOld, Effect::kUnknown,
      fmt::format("request_id {} is older than what is remembered, so that nobody can tell whether it "
                  "was committed; look into the data before a new request_id is used",
                  key.id.text()));
}

}  // namespace

void TransactionTable::Reign::take(ExecuteRequested& requested) {
  ++waiting_calls_;
  auto& work = requested.work;
  if (work.timeout <= Duration{})
    work.timeout = work.interactive ? limits_.interactive_timeout : limits_.default_timeout;
  if (work.interactive && work.interactive->idle_timeout <= Duration{})
    work.interactive->idle_timeout = limits_.idle_timeout;
  if (const auto shape = admission_.check_shape(work); !shape) return refuse(requested.call, shape.error());

  const Caller caller{requested.call, work.acknowledgement, clocks_.now + work.timeout};
  if (work.request) {
    if (auto error = refuse_forgotten(*work.request, retention_.floors().request_ms))
      return refuse(requested.call, std::move(*error));
    if (join_running(requested, caller)) return;
  }
  if (auto room = check_room(work); !room) {
    // What an earlier attempt came to is not known without a look: nobody is told that nothing stands.
    if (work.request) room.error().effect = Effect::kUnknown;
    return refuse(requested.call, std::move(room.error()));
  }
  if (!work.request) {
    if (const auto means = check_means(work); !means) return refuse(requested.call, means.error());
    return begin(std::move(work), {caller});
  }

  // At most one commit per key, on any coordinator and after any failover: the store may know of one already.
  const auto key = *work.request;
  running_.emplace(key, requested.call);
  admission_.take(work.client, work.bytes, work.interactive.has_value());
  set_timer(requested.call, call_timers_[requested.call], caller.deadline);
  asking_.emplace(requested.call, Asking{std::move(work), {caller}});
  ask_store(ForAdmission{requested.call}, store::Lookup{key});
}

Status TransactionTable::Reign::check_room(const Work& work) const {
  if (stopped_) return std::unexpected(refusal(stopped_->code, Effect::kNone, stopped_->message, true));
  if (draining_)
    return fail(ErrorCode::kUnavailable, Effect::kNone, "this coordinator stops serving; ask the next one");
  if (work.request && barring_.contains(*work.request))
    return fail(ErrorCode::kBusy, Effect::kNone, "a status call is barring this request_id; ask again");
  return admission_.check_room(work, open_.size());
}

// The rest, when it is known that the request was not committed before.
Status TransactionTable::Reign::check_means(const Work& work) const {
  if (auto records = admission_.check_records(work, retention_.kept()); !records) return records;
  for (const auto& branch : work.branches)
    if (const auto route = registry_.route(branch.resource); !route) return std::unexpected(route.error());
  return {};
}

// While the first attempt runs in this reign, a retry waits with it.
bool TransactionTable::Reign::join_running(const ExecuteRequested& requested, const Caller& caller) {
  const auto& work = requested.work;
  const auto running = running_.find(*work.request);
  if (running == running_.end()) return false;
  if (work.interactive) {
    refuse_to_share(requested);
    return true;
  }

  if (const auto* call = std::get_if<CallId>(&running->second)) {
    auto& asking = asking_.at(*call);
    if (asking.work.digest != work.digest)
      refuse(requested.call,
             refusal(ErrorCode::kRequestIdReused, Effect::kNone,
                     fmt::format("request_id {} runs with other content; use a new request_id",
                                 work.request->id.text())));
    else if (asking.callers.size() >= limits_.joined_calls)
      refuse_to_join(requested.call);
    else
      asking.callers.push_back(caller);
    return true;
  }

  auto& open = open_.at(std::get<Position>(running->second));
  const auto callers = std::visit([](const auto& p) { return p.callers(); }, open.protocol);
  if (open.digest != work.digest)
    refuse(requested.call, request_id_reused(*work.request, open.id));
  else if (callers >= limits_.joined_calls)
    refuse_to_join(requested.call);
  else if (std::holds_alternative<TwoPhaseCommit>(open.protocol))
    drive(open, TwoPhaseCommit::CallJoined{caller});
  else if (std::holds_alternative<OnePhaseCommit>(open.protocol))
    drive(open, OnePhaseCommit::CallJoined{caller});
  else
    refuse(requested.call, request_id_reused(*work.request, open.id));  // an execute of the same digest: none
  return true;
}

// Two services may not share an active transaction, and whoever lost its name cannot have it again.
void TransactionTable::Reign::refuse_to_share(const ExecuteRequested& requested) {
  const auto& key = *requested.work.request;
  const auto running = running_.at(key);
  const auto* position = std::get_if<Position>(&running);
  const auto* open = position == nullptr ? nullptr : &open_.at(*position);
  if (open != nullptr && open->digest != requested.work.digest)
    return refuse(requested.call, request_id_reused(key, open->id));
  const auto* machine = open == nullptr ? nullptr : std::get_if<TwoPhaseCommit>(&open->protocol);
  if (machine != nullptr && !machine->undecided())
    return answer_call(requested.call, Committed{open->id, {}, true, Acknowledgement::kDecided, {}});
  refuse(requested.call,
         refusal(
             ErrorCode::kBusy, Effect::kUnknown,
             fmt::format("request_id {} is being worked on; an interactive transaction that nobody calls any "
                         "more ends after its idle timeout",
                         key.id.text()),
             true));
}

// The attempt that runs may commit, whatever becomes of this call.
void TransactionTable::Reign::refuse_to_join(CallId call) {
  auto error = admission_.overloaded("too many calls wait for this request_id");
  error.effect = Effect::kUnknown;
  refuse(call, std::move(error));
}

void TransactionTable::Reign::on(ForAdmission& purpose, store::StoreAnswer& answer) {
  auto taken = take_asking(purpose.call);
  if (!taken) return;  // its time was up
  auto& asking = *taken;
  const auto* found = std::get_if<store::Found>(&answer);
  if (found == nullptr) {
    return answer_asking(
        asking, Failed{std::nullopt, refusal(ErrorCode::kUnavailable, Effect::kUnknown,
                                             "the decision store did not answer; nothing was begun", true)});
  }
  if (found->barred) return answer_asking(asking, Failed{std::nullopt, request_barred(*asking.work.request)});
  if (found->decision) {
    const auto& holder = *found->decision;
    const auto open = open_.find(position_of(holder.transaction()));
    const bool may_wait =
        open != open_.end() && holder.commit()->digest == asking.work.digest && !asking.work.interactive;
    if (!may_wait) return answer_asking(asking, already_committed(holder, asking.work.digest));
    // Redriven by this reign: who wants it applied everywhere waits for that.
    for (const auto& caller : asking.callers)
      drive(open->second, TwoPhaseCommit::CallJoined{caller});
    return;
  }
  // The floor may have passed it while the store was asked: then the record that is not there may be forgotten.
  if (auto error = refuse_forgotten(*asking.work.request, found->prefix.floors.request_ms))
    return answer_asking(asking, Failed{std::nullopt, std::move(*error)});
  auto refused = check_room(asking.work);
  // Only now: a clock that was ahead may have let an earlier attempt in, and what that came to is told first.
  if (auto error = refuse_from_future(*asking.work.request, clocks_.wall); error && refused)
    refused = std::unexpected(std::move(*error));
  if (refused) refused = check_means(asking.work);
  if (!refused) {
    // No record: no attempt in two phases ever commits. One in one phase leaves none, and its resource, which
    // alone can tell, has not been asked (attack 40).
    if (goes_in_one_phase(asking.work)) refused.error().effect = Effect::kUnknown;
    return answer_asking(asking, Failed{std::nullopt, refused.error()});
  }
  begin(std::move(asking.work), std::move(asking.callers));
}

// Nothing has been begun; but of an earlier attempt nothing is known.
void TransactionTable::Reign::admission_time_is_up(CallId call) {
  const auto asking = take_asking(call);
  CHECK(asking, "call {} has a timer and is not known", call.value);
  answer_asking(*asking,
                Failed{std::nullopt, refusal(ErrorCode::kTimeout, Effect::kUnknown,
                                             "the call's time was up before anything was begun", true)});
}

std::optional<TransactionTable::Reign::Asking> TransactionTable::Reign::take_asking(CallId call) {
  const auto at = asking_.find(call);
  if (at == asking_.end()) return std::nullopt;
  const auto timer = call_timers_.find(call);
  set_timer(call, timer->second, std::nullopt);
  call_timers_.erase(timer);
  const auto& work = at->second.work;
  running_.erase(*work.request);
  admission_.give_back(work.client, work.bytes, work.interactive.has_value());
  auto asking = std::move(at->second);
  asking_.erase(at);
  return asking;
}

void TransactionTable::Reign::answer_asking(const Asking& asking, const Answer& answer) {
  for (const auto& caller : asking.callers)
    answer_call(caller.call, answer);
}

void TransactionTable::Reign::refuse(CallId call, Error error) {
  ++counts_.refused;
  answer_call(call, Failed{std::nullopt, std::move(error)});
}

void TransactionTable::Reign::answer_call(CallId call, Answer answer) {
  CHECK(waiting_calls_ > 0, "call {} is answered, and none waits", call.value);
  --waiting_calls_;
  effects_.emplace_back(AnswerExecute{call, std::move(answer)});
}

// Everything is known and there is room: from here it has a name.
void TransactionTable::Reign::begin(Work work, std::vector<Caller> callers) {
  last_sequence_ = next_sequence();
  CHECK(last_sequence_.value <= kMaxSequence, "epoch {} has no sequence left", epoch_.number.value);
  TransactionId id{cluster_, epoch_.number, last_sequence_, std::nullopt};
  std::vector<Place> places;
  for (const auto& branch : work.branches) {
    const auto route = registry_.route(branch.resource);
    CHECK(route, "resource '{}' was admitted and has no route", branch.resource.value);
    watermarks_.begun(route->agent, last_sequence_);
    places.push_back({branch.resource, route->number, route->agent, route->incarnation});
  }
  if (goes_in_one_phase(work)) id.one_phase = places.front().number;
  if (work.interactive) watermarks_.begun_anywhere(last_sequence_);
  const auto position = position_of(id);
  const auto first = callers.front();
  CHECK(!work.interactive || work.interactive->options, "an interactive transaction without its options");
  auto protocol = protocol_for(id, work, first);
  if (work.request) running_.insert_or_assign(*work.request, position);
  admission_.take(work.client, work.bytes, work.interactive.has_value());
  const auto [at, fresh] =
      open_.emplace(position, Open{id,
                                   std::move(work.client),
                                   work.request,
                                   work.digest,
                                   std::move(work.label),
                                   work.bytes,
                                   first.call,
                                   clocks_.wall,
                                   first.deadline,
                                   std::move(places),
                                   {},
                                   std::move(protocol),
                                   work.interactive ? work.interactive->options : nullptr,
                                   {},
                                   std::nullopt});
  CHECK(fresh, "{} was begun before", id.text());
  auto& open = at->second;
  if (std::holds_alternative<InteractiveWork>(open.protocol))
    return drive(open, InteractiveWork::Begun{first.call});
  const bool one_phase = std::holds_alternative<OnePhaseCommit>(open.protocol);
  for (auto joined = std::next(callers.begin()); joined != callers.end(); ++joined) {
    if (one_phase)
      drive(open, OnePhaseCommit::CallJoined{*joined});
    else
      drive(open, TwoPhaseCommit::CallJoined{*joined});
  }
  if (one_phase)
    drive(open, OnePhaseCommit::Begun{});
  else
    drive(open, TwoPhaseCommit::Begun{});
}

TransactionTable::Reign::Protocol TransactionTable::Reign::protocol_for(const TransactionId& id,
                                                                        const Work& work,
                                                                        const Caller& first) const {
  if (work.interactive)
    return InteractiveWork({id, work.interactive->read_only, first.deadline, work.interactive->idle_timeout,
                            limits_.joined_calls});
  if (id.is_one_phase())
    return OnePhaseCommit(
        {id, work.branches.front().resource, work.request.has_value(), first, limits_.ask_again});
  return TwoPhaseCommit({id, work.branches, work.request, work.digest, first.deadline, first,
                         limits_.ask_again, limits_.redrive});
}

}  // namespace troth::coordinator
