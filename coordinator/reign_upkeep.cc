// What keeps a reign going: its start, its agents, ends and floors, and its orderly end.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/answers.h"
#include "coordinator/reign.h"

namespace troth::coordinator {
namespace {

constexpr std::uint32_t kListedAtOnce = 1000;

}  // namespace

// ---- start

void TransactionTable::Reign::take(const ServingStarted&) {
  ask_store(ForOpenList{}, store::List{store::Listing::kOpen, std::nullopt, kListedAtOnce});
  ask_store(ForEndedList{}, store::List{store::Listing::kEnded, std::nullopt, kListedAtOnce});
  keep_up(Upkeep::kRetention);
}

void TransactionTable::Reign::on(ForOpenList&, store::StoreAnswer& answer) {
  auto* listed = std::get_if<store::Listed>(&answer);
  if (listed == nullptr)
    return stop(
        refusal(ErrorCode::kUnavailable, Effect::kUnknown, "the decision store did not list what is open"));
  if (!listed->undecided.empty())
    return stop(
        refusal(ErrorCode::kCorrupt, Effect::kUnknown,
                fmt::format("{} was pre-committed by a program that knows three-phase commit; start that one",
                            listed->undecided.front().transaction.text())));
  for (const auto& decision : listed->decisions)
    if (decision.commit() != nullptr) redrive(decision);
  if (listed->next)
    return ask_store(ForOpenList{}, store::List{store::Listing::kOpen, listed->next, kListedAtOnce});
  open_is_listed_ = true;
  redrive_some();
}

// A commit of an earlier reign, or of this one before its table was made: it is sent until everybody has it
// [T6].
void TransactionTable::Reign::redrive(const store::StoredDecision& decision) {
  const auto* commit = decision.commit();
  CHECK(commit != nullptr, "{} is no commit", decision.transaction().text());
  const auto& record = *commit;
  const auto position = position_of(record.transaction);
  if (open_.contains(position)) return;
  std::vector<ResourceName> resources;
  for (const auto& branch : record.branches)
    resources.push_back(registry_.name_of(branch.resource));
  // Each agent's return starts it; its own timer is only for what that misses.
  const auto first =
      clocks_.now + Backoff{limits_.redrive.longest, limits_.redrive.longest}.delay(0, random_);
  Open open{record.transaction,
            {},
            record.request,
            record.digest,
            record.label,
            0,
            {},
            record.decided,
            {},
            {},
            record.branches,
            TwoPhaseCommit(decision, std::move(resources), limits_.redrive, first),
            nullptr,
            {},
            std::nullopt,
            false};
  auto& held = open_.emplace(position, std::move(open)).first->second;
  set_timer(position, held.due, std::get<TwoPhaseCommit>(held.protocol).due());
  for (const auto& branch : record.branches)
    if (registry_.reachable_owner(registry_.name_of(branch.resource)))
      to_redrive_.emplace(position, branch.branch);
}

void TransactionTable::Reign::on(ForEndedList&, store::StoreAnswer& answer) {
  const auto* listed = std::get_if<store::Listed>(&answer);
  if (listed == nullptr) return;  // what is not told now is told by the next reign
  for (const auto& decision : listed->decisions)
    if (const auto* commit = decision.commit()) notices_.add(*commit);
  if (listed->next)
    ask_store(ForEndedList{}, store::List{store::Listing::kEnded, listed->next, kListedAtOnce});
}

// ---- agents

void TransactionTable::Reign::take(const RegistrationRequested& requested) {
  const auto refuse_registration = [&](Error error) {
    effects_.emplace_back(AnswerRegistration{requested.call, std::unexpected(std::move(error))});
  };
  if (stopped_) return refuse_registration(refusal(stopped_->code, Effect::kNone, stopped_->message, true));
  auto records = registry_.check(requested);
  if (!records) return refuse_registration(records.error());
  for (const auto& record : *records) {
    if (registering_.contains(record.name))
      return refuse_registration(refusal(
          ErrorCode::kBusy, Effect::kNone,
          fmt::format("resource '{}' is being registered by another call; try again", record.name.value),
          true));
  }
  if (registry_.incarnation(requested.agent) < requested.incarnation) {
    registry_.lose(requested.agent);
    lose_votes(requested.agent, requested.incarnation,
               refusal(ErrorCode::kUnavailable, Effect::kNone,
                       fmt::format("agent '{}' was restarted before it voted", requested.agent.value), true));
  }
  if (records->empty()) {
    effects_.emplace_back(AnswerRegistration{requested.call, std::map<ResourceName, ResourceNumber>{}});
    return;
  }
  registrations_[requested.call].unanswered = records->size();
  for (auto& record : *records) {
    registering_.insert(record.name);
    const auto name = record.name;
    ask_store(ForRegistration{requested.call, name},
              store::RegisterResource{epoch_.number, std::move(record)});
  }
}

void TransactionTable::Reign::on(ForRegistration& purpose, store::StoreAnswer& answer) {
  registering_.erase(purpose.resource);
  auto& registration = registrations_.at(purpose.call);
  if (const auto* registered = std::get_if<store::ResourceRegistered>(&answer)) {
    registry_.put(registered->resource);
    registration.numbers.emplace(purpose.resource, registered->resource.number);
  } else if (const auto* refused = std::get_if<store::Refused>(&answer)) {
    registration.refusal = refused->reason;
  } else {
    registration.refusal = refusal(ErrorCode::kUnavailable, Effect::kUnknown,
                                   "the decision store did not answer; register again", true);
  }
  if (--registration.unanswered > 0) return;
  if (registration.refusal)
    effects_.emplace_back(AnswerRegistration{purpose.call, std::unexpected(*registration.refusal)});
  else
    effects_.emplace_back(AnswerRegistration{purpose.call, std::move(registration.numbers)});
  registrations_.erase(purpose.call);
}

void TransactionTable::Reign::take(const AgentConnected& connected) {
  if (!registry_.connect(connected.agent, connected.incarnation)) return;
  lose_votes(connected.agent, connected.incarnation,
             refusal(ErrorCode::kUnavailable, Effect::kNone,
                     fmt::format("agent '{}' was restarted before it voted", connected.agent.value), true));
  for (const auto& [position, open] : open_) {
    const auto* two_phase = std::get_if<TwoPhaseCommit>(&open.protocol);
    if (std::holds_alternative<InteractiveWork>(open.protocol)) continue;
    if (two_phase == nullptr) {
      if (registry_.owns(connected.agent, open.places.front().resource))
        to_redrive_.emplace(position, BranchNumber{1});
      continue;
    }
    for (const auto& branch : open.recorded)
      if (two_phase->awaits_acknowledgement(branch.branch) &&
          registry_.owns(connected.agent, registry_.name_of(branch.resource)))
        to_redrive_.emplace(position, branch.branch);
  }
  redrive_some();
}

// Its commits are sent again when it, or another incarnation, returns; its votes are lost for good.
void TransactionTable::Reign::take(const AgentLost& lost) {
  registry_.lose(lost.agent);
  lose_votes(lost.agent, std::nullopt,
             refusal(ErrorCode::kUnavailable, Effect::kNone,
                     fmt::format("agent '{}' was lost before it voted", lost.agent.value), true));
}

// A few at a time, so that what runs is not held up behind a hundred thousand.
void TransactionTable::Reign::redrive_some() {
  for (std::size_t n = 0; n < limits_.redrives_at_once && !to_redrive_.empty(); ++n) {
    const auto [position, branch] = *to_redrive_.begin();
    to_redrive_.erase(to_redrive_.begin());
    const auto open = open_.find(position);
    if (open == open_.end()) continue;
    if (std::holds_alternative<TwoPhaseCommit>(open->second.protocol))
      drive(open->second, TwoPhaseCommit::AgentReturned{branch});
    else
      drive(open->second, OnePhaseCommit::AgentReturned{});
  }
  if (!to_redrive_.empty())
    set_timer(Upkeep::kRedrive, upkeep_timers_[Upkeep::kRedrive], clocks_.now + limits_.redrive_interval);
}

// ---- ends

// [T6] Every branch has acknowledged. Nobody waits for the record to say so, hence many at once.
void TransactionTable::Reign::queue_end(const Open& open, bool heuristic) {
  open_.at(position_of(open.id)).ending = true;
  ends_.push_back({open.id, clocks_.wall, heuristic});
  if (ends_.size() >= limits_.ends_at_once) return send_ends();
  auto& timer = upkeep_timers_[Upkeep::kEnds];
  if (!timer) set_timer(Upkeep::kEnds, timer, clocks_.now + limits_.longest_end_delay);
}

void TransactionTable::Reign::send_ends() {
  set_timer(Upkeep::kEnds, upkeep_timers_[Upkeep::kEnds], std::nullopt);
  if (ends_.empty()) return;
  auto ends = std::exchange(ends_, {});
  ask_store(ForEnds{ends}, store::End{epoch_.number, ends});
}

void TransactionTable::Reign::on(ForEnds& purpose, store::StoreAnswer& answer) {
  const auto* recorded = std::get_if<store::EndRecorded>(&answer);
  if (recorded == nullptr) {
    // Not on record as far as we know: told again, and if this reign is over, found open by the next one.
    ends_.insert(ends_.end(), purpose.ends.begin(), purpose.ends.end());
    set_timer(Upkeep::kEnds, upkeep_timers_[Upkeep::kEnds], clocks_.now + limits_.redrive.delay(0, random_));
    return;
  }
  for (const auto& ended : purpose.ends) {
    const auto position = position_of(ended.transaction);
    const auto& open = open_.at(position);
    notices_.add(position, open.recorded);
    close(open);
  }
  retention_.counted(recorded->counts);
  raise_floors();
}

void TransactionTable::Reign::take(const EndedTaken& taken) {
  for (const auto& [name, record] : registry_.records()) {
    if (record.agent != taken.agent) continue;
    for (const auto& transaction : taken.transactions)
      notices_.taken(record.number, position_of(transaction));
  }
}

// ---- floors

void TransactionTable::Reign::raise_floors() {
  if (raising_floors_ || stopped_) return;
  auto oldest = Position{epoch_.number, next_sequence()};
  // One-phase transactions need no record; what their agents must not forget is in floors(agent).
  for (const auto& [position, open] : open_) {
    if (!open.undecided || open.id.is_one_phase()) continue;
    oldest = position;
    break;
  }
  const auto proposed = retention_.proposal(clocks_.wall, oldest);
  if (!proposed) return;
  raising_floors_ = true;
  ask_store(ForFloors{}, store::RaiseFloors{epoch_.number, *proposed});
}

void TransactionTable::Reign::on(ForFloors&, store::StoreAnswer& answer) {
  raising_floors_ = false;
  const auto* raised = std::get_if<store::FloorsRaised>(&answer);
  if (raised == nullptr) return;  // tried again at the next interval
  retention_.raised(raised->floors);
  retention_.counted(raised->counts);
  notices_.drop_below(raised->floors.transactions);
  raise_floors();
}

void TransactionTable::Reign::keep_up(Upkeep upkeep) {
  switch (upkeep) {
    case Upkeep::kEnds: return send_ends();
    case Upkeep::kRedrive: return redrive_some();
    case Upkeep::kDrain: return end_drain();
    case Upkeep::kRetention:
      retention_.note(clocks_.wall, {epoch_.number, next_sequence()});
      raise_floors();
      set_timer(upkeep, upkeep_timers_[upkeep], clocks_.now + retention_.interval());
      return;
  }
}

// ---- shutdown

void TransactionTable::Reign::take(const ShutdownRequested& requested) {
  if (drained_) return end_drain();  // whoever came since is answered, too
  draining_ = true;
  auto& due = upkeep_timers_[Upkeep::kDrain];
  const auto asked = clocks_.now + requested.grace;
  set_timer(Upkeep::kDrain, due, due ? std::min(*due, asked) : asked);
}

// The time for an orderly end is up: everybody hears what is known. Decided commits are the next start's to
// redrive.
void TransactionTable::Reign::end_drain() {
  while (!asking_.empty()) {
    const auto asking = take_asking(asking_.begin()->first);
    answer_asking(*asking,
                  Failed{std::nullopt, refusal(ErrorCode::kUnavailable, Effect::kUnknown,
                                               "this coordinator stops serving; nothing was begun", true)});
  }
  std::vector<Position> positions;
  for (const auto& [position, open] : open_)
    positions.push_back(position);
  for (const auto& position : positions) {
    const auto open = open_.find(position);
    if (open == open_.end()) continue;
    drain(open->second);
  }
  for (const auto& [call, query] : queries_) {
    StatusReport report;
    report.detail = "this coordinator stops serving; ask the next one";
    effects_.emplace_back(AnswerStatus{call, std::move(report)});
    set_timer(call, call_timers_[call], std::nullopt);
  }
  queries_.clear();
  call_timers_.clear();
  CHECK(waiting_calls_ == 0, "{} calls wait after the drain", waiting_calls_);
  send_ends();
  set_timer(Upkeep::kDrain, upkeep_timers_[Upkeep::kDrain], std::nullopt);
  if (!std::exchange(drained_, true)) effects_.emplace_back(DrainFinished{});
}

void TransactionTable::Reign::finish_drain_if_idle() {
  const bool idle = waiting_calls_ == 0 && admission_.taken() == 0 && queries_.empty();
  if (draining_ && !drained_ && idle) end_drain();
}

}  // namespace troth::coordinator
