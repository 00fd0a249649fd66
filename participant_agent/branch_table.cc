#include "participant_agent/branch_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/refusal.h"

namespace troth::agent {
namespace {

// How long what nobody waits for (watermark, floors, clean-up) may be put off.
constexpr Duration kUpkeepInterval = std::chrono::seconds(1);

Error of_another_resource(const Branch& branch, const ResourceName& named, Effect effect) {
  return refusal(ErrorCode::kInvalidArgument, effect,
                 fmt::format("branch {} of {} is in resource {}, not {}", branch.id().branch.value,
                             branch.id().transaction.text(), branch.resource().value, named.value));
}

bool is_live(Branch::Phase phase) {
  return phase != Branch::Phase::kEnded && phase != Branch::Phase::kUnheard;
}

}  // namespace

BranchTable::BranchTable(TableOptions options, const JournalState& journal, Instant now)
    : options_(std::move(options)),
      fence_(options_.cluster, journal.epoch, journal.rival),
      told_watermark_(journal.watermark),
      durable_watermark_(journal.watermark),
      floors_at_(now),
      upkeep_at_(now + kUpkeepInterval),
      ended_by_leader_(options_.limits.ended_runs) {
  for (const auto& [name, kind] : options_.resources) {
    const auto floors = journal.floors.find(name);
    Resource resource;
    resource.kind = kind;
    resource.not_serving = refusal(ErrorCode::kUnavailable, Effect::kNone,
                                   fmt::format("resource {} is starting", name.value), true);
    if (floors != journal.floors.end()) resource.floors = FloorKeeper(floors->second);
    resources_.emplace(name, std::move(resource));
  }
  Context context{now, {}};
  for (const auto& [id, open] : journal.branches) {
    if (open.end) {
      add(Branch::replayed_end(id, open.resource, options_.times, *open.end), context);
    } else if (open.commit_learned) {
      add(Branch::replayed_commit(id, open.resource, options_.times, now), context);
    } else if (open.resolution) {
      add(Branch::replayed_resolution(*open.resolution, open.begun ? &*open.begun : nullptr, options_.times,
                                      now),
          context);
    } else if (open.begun && !id.transaction.is_one_phase()) {
      add(Branch::replayed(*open.begun, options_.times, now, !journal.tail_was_cut), context);
    }
    // One-phase work that began before the restart is found out by its settle, from the resource alone [T5], or found prepared.
  }
}

std::vector<TableEffect> BranchTable::step(const TableInput& input, Instant now) {
  Context context{now, {}};
  std::visit([this, &context](const auto& heard) { on(heard, context); }, input);
  return std::move(context.effects);
}

// -- Guards -------------------------------------------------------------------------------------------------

bool BranchTable::admit(const LeaderStamp& stamp, Context& context) {
  if (const auto refusal = pass(stamp, context)) {
    refuse_call(*refusal, context);
    return false;
  }
  return true;
}

std::optional<Error> BranchTable::pass(const LeaderStamp& stamp, Context& context) {
  const bool doubted = fence_.rival().has_value();
  const Fence::Verdict verdict = fence_.judge(stamp);
  switch (verdict) {
    case Fence::Verdict::kNewer:
      epoch_ticket_ = append(EpochSeen{stamp.epoch}, context);
      if (doubted) context.effects.emplace_back(ResumeService{});
      give_up_open(stamp.epoch.number, context);
      break;
    case Fence::Verdict::kLive: break;
    case Fence::Verdict::kUnconfirmed:
      context.effects.emplace_back(ConfirmEpoch{stamp.epoch});
      return fence_.refusal(verdict, stamp);
    case Fence::Verdict::kSetBack:
      if (!doubted) {
        epoch_ticket_ = append(ReignDoubted{stamp.epoch}, context);
        context.effects.emplace_back(StopService{fence_.refusal(verdict, stamp)});
      }
      return fence_.refusal(verdict, stamp);
    case Fence::Verdict::kOlder:
    case Fence::Verdict::kOtherCluster: return fence_.refusal(verdict, stamp);
  }
  told_watermark_ = std::max(told_watermark_, stamp.watermark);
  return std::nullopt;
}

void BranchTable::on(const LeaderSpoke& input, Context& context) {
  if (!admit(input.stamp, context)) return;
  leader_heard_ = true;
  // [T6] Of a resource that was another's when the floors were told, a branch below them may still be asked for.
  for (auto& [name, resource] : resources_) {
    if (input.resources && std::ranges::find(*input.resources, name) == input.resources->end()) continue;
    resource.told.position = std::max(resource.told.position, input.floors.position);
    resource.told.request_ms = std::max(resource.told.request_ms, input.floors.request_ms);
  }
  std::vector<TransactionId> taken;
  for (const auto& transaction : input.ended) {
    const auto first = branches_.lower_bound(BranchId{transaction, {0}});
    auto last = first;
    bool all_ended = true;
    for (; last != branches_.end() && last->first.transaction == transaction; ++last)
      all_ended = all_ended && last->second.branch.phase() == Branch::Phase::kEnded;
    if (!all_ended) continue;  // [T6] the leader cannot have heard of it from here
    for (auto at = first; at != last;) {
      const auto next = std::next(at);
      // A branch that rolled back is remembered until the watermark has passed it [T7].
      if (at->second.branch.end().value_or(BranchEnd::kRolledBack) != BranchEnd::kRolledBack) drop(at);
      at = next;
    }
    taken.push_back(transaction);
    ended_by_leader_.add(position_of(transaction));
  }
  JournalTicket after = epoch_ticket_;
  if (!taken.empty()) after = append(EndedByLeader{taken}, context);
  context.effects.emplace_back(AnswerHeartbeat{std::move(taken), after});
}

void BranchTable::on(const EpochConfirmed& input, Context& /*context*/) {
  fence_.confirm(input.epoch);
}

// -- Work ---------------------------------------------------------------------------------------------------

void BranchTable::on(const PrepareArrived& input, Context& context) {
  if (!admit(input.stamp, context)) return;
  const Work& work = input.work;
  const auto known = known_branch(work);
  if (!known) return refuse_call(known.error(), context);
  if (*known != nullptr) {
    if (work.interactive)
      step_branch(**known, PrepareRequested{work.announced_statements, work.timeout}, context);
    else
      step_branch(**known, WorkRequested{}, context);
    return;
  }
  if (const auto may = may_begin(work); !may) return refuse_work(work, may.error(), context);
  if (work.interactive) {
    // [T12] Of its statements this incarnation knows nothing, so that none stands.
    return refuse_work(
        work,
        refusal(ErrorCode::kStale, Effect::kNone, "no interactive branch of this name is open here", true),
        context);
  }
  if (auto error = overloaded(size_of(work))) return refuse_work(work, *std::move(error), context);
  const auto planned = plan_work(resources_.at(work.resource).kind, work);
  if (!planned) return refuse_work(work, planned.error(), context);
  // Of what the database keeps from writing there is no redo.
  const bool has_redo = !planned->read_only || planned->may_turn_to_write;
  if (const auto bytes = size_of(work); has_redo && bytes > options_.limits.redo_bytes) {
    return refuse_work(
        work,
        refusal(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("the branch's work has {} KiB; the journal takes up to {}: split it", bytes >> 10,
                            options_.limits.redo_bytes >> 10)),
        context);
  }
  step_branch(add(Branch(work, *planned, options_.times), context), WorkRequested{}, context);
}

// [T12] Another incarnation may have run it, so that nothing is known of its effect.
Result<BranchTable::Entry*> BranchTable::known_branch(const Work& work) {
  if (work.incarnation != options_.incarnation) {
    return std::unexpected(refusal(
        ErrorCode::kStale, Effect::kUnknown,
        fmt::format("this work was meant for incarnation {} of this agent; it is incarnation {} by now",
                    work.incarnation.value, options_.incarnation.value),
        true));
  }
  const auto known = branches_.find(work.id);
  if (known == branches_.end()) return nullptr;
  const Branch& branch = known->second.branch;
  if (branch.resource() != work.resource)
    return std::unexpected(of_another_resource(branch, work.resource, Effect::kUnknown));
  if (branch.work().digest != work.digest && branch.work().digest != Digest{}) {
    return fail(ErrorCode::kInvalidArgument, Effect::kUnknown,
                fmt::format("branch {} of {} was asked before with other content", work.id.branch.value,
                            work.id.transaction.text()));
  }
  return &known->second;
}

Status BranchTable::may_begin(const Work& work) const {
  if (!leader_heard_) {
    return std::unexpected(refusal(ErrorCode::kUnavailable, Effect::kNone,
                                   "no live leader has been heard since this agent's start [T7]", true));
  }
  if (work.id.transaction.cluster != options_.cluster) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("transaction {} is another cluster's", work.id.transaction.text()));
  }
  if (position_of(work.id.transaction) < std::max(told_watermark_, durable_watermark_)) {
    return fail(
        ErrorCode::kStale, Effect::kUnknown,
        fmt::format("transaction {} is below the watermark: it has been decided, or given up, already",
                    work.id.transaction.text()));
  }
  if (ended_by_leader_.contains(position_of(work.id.transaction))) {
    return fail(
        ErrorCode::kStale, Effect::kUnknown,
        fmt::format("transaction {} has ended; this request of it came late", work.id.transaction.text()));
  }
  const auto resource = resources_.find(work.resource);
  if (resource == resources_.end()) {
    return fail(ErrorCode::kUnknownResource, Effect::kNone,
                fmt::format("this agent has no resource {}", work.resource.value));
  }
  if (resource->second.not_serving) return std::unexpected(*resource->second.not_serving);
  if (work.request && busy_.contains({work.resource, *work.request})) {  // attack 50
    return std::unexpected(refusal(ErrorCode::kBusy, Effect::kNone,
                                   fmt::format("request {} is still being worked on in {}",
                                               work.request->id.text(), work.resource.value),
                                   true));
  }
  return {};
}

std::optional<Error> BranchTable::overloaded(std::size_t bytes) const {
  const auto& limits = options_.limits;
  if (live_.size() < limits.live_branches && live_bytes_ + bytes <= limits.live_bytes &&
      unwritten_bytes_ + bytes <= limits.live_bytes && branches_.size() < limits.remembered_branches)
    return std::nullopt;
  Error error = refusal(
      ErrorCode::kOverloaded, Effect::kNone,
      fmt::format("the agent's limit is reached ({} live branches, {} remembered, {} MiB, {} MiB to write)",
                  live_.size(), branches_.size(), live_bytes_ >> 20, unwritten_bytes_ >> 20),
      true);
  error.retry_after = std::chrono::milliseconds(200);
  return error;
}

void BranchTable::refuse_work(const Work& work, Error error, Context& context) {
  if (work.id.transaction.is_one_phase() && error.effect == Effect::kNone) {
    add(Branch::replayed_end(work.id, work.resource, options_.times, BranchEnd::kRolledBack), context);
  }
  error.resource = work.resource.value;
  error.branch = work.id.branch.value;
  refuse_call(std::move(error), context);
}

// -- Ends ---------------------------------------------------------------------------------------------------

void BranchTable::on(const CommitArrived& input, Context& context) {
  if (admit(input.stamp, context)) finish(input.id, input.resource, CommitRequested{}, context);
}

void BranchTable::on(const RollbackArrived& input, Context& context) {
  if (admit(input.stamp, context)) finish(input.id, input.resource, RollbackRequested{}, context);
}

void BranchTable::on(const SettleArrived& input, Context& context) {
  if (admit(input.stamp, context)) finish(input.id, input.resource, SettleRequested{}, context);
}

void BranchTable::finish(const BranchId& id, const ResourceName& name, const BranchInput& input,
                         Context& context) {
  const auto resource = resources_.find(name);
  if (resource == resources_.end() || id.transaction.cluster != options_.cluster) {
    refuse_call(refusal(ErrorCode::kUnknownResource, Effect::kNone,
                        fmt::format("this agent has no resource {} of cluster {}", name.value,
                                    id.transaction.cluster.value)),
                context);
    return;
  }
  auto known = branches_.find(id);
  const bool must_touch = known == branches_.end() || known->second.branch.phase() != Branch::Phase::kEnded;
  if (must_touch && resource->second.not_serving) {
    Error error = *resource->second.not_serving;
    error.effect = Effect::kUnknown;
    refuse_call(std::move(error), context);
    return;
  }
  if (known == branches_.end()) {
    // Whatever is not remembered below the floor was ended by the leader [T6]; its marker may have gone, so
    // the database would prove nothing, and nothing is ever repaired from that (attack 28).
    if (position_of(id.transaction) < resource->second.floors.raised().position) {
      context.effects.emplace_back(
          ForBranch{id, name,
                    AnswerFinish{{BranchEnd::kTooOld, "below the resource's floor: ended and forgotten"},
                                 epoch_ticket_}});
      return;
    }
    known = branches_.find(add(Branch(id, name, options_.times), context).branch.id());
  }
  if (known->second.branch.resource() != name)
    return refuse_call(of_another_resource(known->second.branch, name, Effect::kUnknown), context);
  step_branch(known->second, input, context);
  if (known->second.branch.phase() == Branch::Phase::kUnheard) drop(known);
}

void BranchTable::on(const RequestBarArrived& input, Context& context) {
  if (!admit(input.stamp, context)) return;
  const auto resource = resources_.find(input.resource);
  if (resource == resources_.end()) {
    refuse_call(refusal(ErrorCode::kUnknownResource, Effect::kNone,
                        fmt::format("this agent has no resource {}", input.resource.value)),
                context);
  } else if (resource->second.not_serving) {
    refuse_call(*resource->second.not_serving, context);
  } else if (busy_.contains({input.resource, input.request})) {
    context.effects.emplace_back(AnswerRequestBusy{input.request, epoch_ticket_});
  } else {
    context.effects.emplace_back(BarRequest{input.request, input.resource, epoch_ticket_});
  }
}

void BranchTable::on(const ResolveArrived& input, Context& context) {
  const auto known = branches_.find(input.id);
  if (known == branches_.end()) {
    refuse_call(refusal(ErrorCode::kUnknownTransaction, Effect::kNone,
                        fmt::format("branch {} of {} is not in doubt here", input.id.branch.value,
                                    input.id.transaction.text())),
                context);
    return;
  }
  if (known->second.branch.resource() != input.resource) {
    refuse_call(of_another_resource(known->second.branch, input.resource, Effect::kNone), context);
    return;
  }
  // Nobody's hand ends a branch in a resource that another agent owns, or that is not what it was.
  const auto resource = resources_.find(input.resource);
  if (resource == resources_.end()) {
    refuse_call(refusal(ErrorCode::kUnknownResource, Effect::kNone,
                        fmt::format("resource {} is not in this agent's configuration any more: put it back",
                                    input.resource.value)),
                context);
    return;
  }
  if (resource->second.not_serving) {
    Error error = *resource->second.not_serving;
    error.effect = Effect::kNone;
    refuse_call(std::move(error), context);
    return;
  }
  step_branch(known->second, input.resolution, context);
}

void BranchTable::on(const InquiryAnswered& input, Context& context) {
  const auto known = branches_.find(input.id);
  if (known == branches_.end() || pass(input.stamp, context)) return;
  const auto resource = resources_.find(known->second.branch.resource());
  if (resource == resources_.end() || resource->second.not_serving) return;  // asked again later
  switch (input.decision) {
    case GroupDecision::kCommit: step_branch(known->second, CommitRequested{}, context); return;
    case GroupDecision::kAbort: step_branch(known->second, RollbackRequested{}, context); return;
    case GroupDecision::kTooOld: step_branch(known->second, TooOldTold{}, context); return;
    case GroupDecision::kUndecided: return;
  }
}

// -- What the runtime reports -------------------------------------------------------------------------------

void BranchTable::on(const BranchReported& input, Context& context) {
  const auto known = branches_.find(input.id);
  if (known != branches_.end()) step_branch(known->second, input.input, context);
}

void BranchTable::on(const ResourceServing& input, Context& /*context*/) {
  const auto resource = resources_.find(input.resource);
  CHECK(resource != resources_.end(), "no resource {}", input.resource.value);
  resource->second.not_serving.reset();
  set_alarms_of(input.resource);
}

void BranchTable::on(const ResourceSetBack& input, Context& context) {
  // Its floor rows are older, too: no marker goes before they are raised again (attack 42).
  if (const auto resource = resources_.find(input.resource); resource != resources_.end())
    resource->second.floors = FloorKeeper();
  for (const auto& id : live_in(input.resource))
    step_branch(branches_.at(id), SetBackUnderneath{}, context);
}

void BranchTable::on(const ResourceStopped& input, Context& /*context*/) {
  const auto resource = resources_.find(input.resource);
  CHECK(resource != resources_.end(), "no resource {}", input.resource.value);
  resource->second.not_serving = input.reason;
  resource->second.floors.interrupted();
  set_alarms_of(input.resource);
}

void BranchTable::on(const PreparedFound& input, Context& context) {
  if (input.id.transaction.cluster != options_.cluster) return;
  if (const auto known = branches_.find(input.id); known != branches_.end()) {
    if (known->second.branch.resource() == input.resource)
      step_branch(known->second, FoundPreparedAgain{}, context);
    return;
  }
  add(Branch::adopted(input.id, input.resource, options_.times, context.now), context);
}

// -- One branch ---------------------------------------------------------------------------------------------

void BranchTable::step_branch(Entry& entry, const BranchInput& input, Context& context) {
  const BranchId id = entry.branch.id();
  const ResourceName resource = entry.branch.resource();
  for (auto& effect : entry.branch.step(input, context.now, journal_)) {
    if (auto* append_journal = std::get_if<AppendJournal>(&effect)) {
      note_unwritten(*append_journal);
      context.effects.emplace_back(std::move(*append_journal));
      continue;
    }
    if (auto* refusal = std::get_if<Refuse>(&effect)) {
      refuse_call(std::move(refusal->error), context);
      continue;
    }
    // [T8] Nothing is answered before the epoch it is answered under is durable.
    if (auto* vote = std::get_if<AnswerVote>(&effect)) vote->after = std::max(vote->after, epoch_ticket_);
    if (auto* statement = std::get_if<AnswerStatement>(&effect))
      statement->after = std::max(statement->after, epoch_ticket_);
    if (auto* end = std::get_if<AnswerFinish>(&effect)) end->after = std::max(end->after, epoch_ticket_);
    context.effects.emplace_back(ForBranch{id, resource, std::move(effect)});
  }
  account(entry);
}

BranchTable::Entry& BranchTable::add(Branch branch, Context& context) {
  const BranchId id = branch.id();
  const auto [at, added] = branches_.emplace(id, Entry{std::move(branch), context.now, 0, 0, std::nullopt});
  CHECK(added, "branch {} of {} is there already", id.branch.value, id.transaction.text());
  account(at->second);
  return at->second;
}

void BranchTable::account(Entry& entry) {
  const Branch& branch = entry.branch;
  set_alarm(entry);
  const auto& work = branch.work();
  const bool live = is_live(branch.phase());
  live_bytes_ -= entry.counted_bytes;
  kept_bytes_ -= entry.kept_bytes;
  entry.kept_bytes = branch.is_open() ? branch.kept_result_bytes() : 0;
  entry.counted_bytes = (live ? branch.bytes() : branch.kept_result_bytes()) - entry.kept_bytes;
  live_bytes_ += entry.counted_bytes;
  kept_bytes_ += entry.kept_bytes;
  if (live) {
    live_.insert(branch.id());
    if (work.request) busy_.emplace(BusyKey{work.resource, *work.request}, work.id);
    return;
  }
  if (live_.erase(branch.id()) == 0) return;
  if (work.request) {
    const auto key = busy_.find({work.resource, *work.request});
    if (key != busy_.end() && key->second == work.id) busy_.erase(key);
  }
  if (const auto resource = resources_.find(branch.resource()); resource != resources_.end())
    resource->second.floors.branch_ended(branch.id());
}

// What needs its resource is not woken while that is not served.
void BranchTable::set_alarm(Entry& entry) {
  const auto resource = resources_.find(entry.branch.resource());
  const bool served = resource != resources_.end() && !resource->second.not_serving;
  const auto phase = entry.branch.phase();
  const bool needs_resource = phase == Branch::Phase::kInDoubt || phase == Branch::Phase::kFinishing;
  const auto wakes = served || !needs_resource ? entry.branch.wakes_at() : std::nullopt;
  if (wakes == entry.alarm) return;
  if (entry.alarm) alarms_.erase({*entry.alarm, entry.branch.id()});
  if (wakes) alarms_.emplace(*wakes, entry.branch.id());
  entry.alarm = wakes;
}

void BranchTable::set_alarms_of(const ResourceName& resource) {
  for (const auto& id : live_) {
    auto& entry = branches_.at(id);
    if (entry.branch.resource() == resource) set_alarm(entry);
  }
}

void BranchTable::drop(std::map<BranchId, Entry>::iterator at) {
  live_bytes_ -= at->second.counted_bytes;
  kept_bytes_ -= at->second.kept_bytes;
  CHECK(!live_.contains(at->first), "a live branch was to be dropped: {}", at->first.transaction.text());
  branches_.erase(at);
}

std::map<ResourceName, BranchLoad> BranchTable::loads(Instant now) const {
  std::map<ResourceName, BranchLoad> loads;
  for (const auto& [name, resource] : resources_)
    loads.try_emplace(name);
  for (const auto& id : live_) {
    const auto& entry = branches_.at(id);
    auto& load = loads[entry.branch.resource()];
    ++load.live;
    const auto phase = entry.branch.phase();
    if (phase != Branch::Phase::kInDoubt && phase != Branch::Phase::kFinishing) continue;
    ++load.in_doubt;
    load.oldest_in_doubt = std::max(load.oldest_in_doubt, now - entry.since);
  }
  return loads;
}

bool BranchTable::is_working() const {
  return std::ranges::any_of(live_, [this](const BranchId& id) {
    const auto phase = branches_.at(id).branch.phase();
    return phase == Branch::Phase::kWorking || phase == Branch::Phase::kReading;
  });
}

std::set<BranchId> BranchTable::live_in(const ResourceName& resource) const {
  std::set<BranchId> ids;
  for (const auto& id : live_) {
    if (branches_.at(id).branch.resource() == resource) ids.insert(id);
  }
  return ids;
}

// -- Watermark, floors, time --------------------------------------------------------------------------------

// The journal takes only so much that waits for the disk, and what it does not take ends the agent.
void BranchTable::note_unwritten(const AppendJournal& append) {
  const auto* begun = std::get_if<BranchBegun>(&append.record);
  if (begun == nullptr) return;
  unwritten_.emplace_back(append.ticket, size_of(begun->work));
  unwritten_bytes_ += unwritten_.back().second;
}

void BranchTable::on(const JournalDurable& input, Context& /*context*/) {
  for (; !unwritten_.empty() && unwritten_.front().first <= input.through; unwritten_.pop_front())
    unwritten_bytes_ -= unwritten_.front().second;
  if (!raising_watermark_ || input.through < raising_watermark_->first) return;
  durable_watermark_ = raising_watermark_->second;
  raising_watermark_.reset();
  drop_below_watermark();
}

// [T7] Only now, with the watermark durable. A two-phase commit stays until the leader has said `ended` [T6].
void BranchTable::drop_below_watermark() {
  for (auto at = branches_.begin(); at != branches_.end();) {
    if (durable_watermark_ <= position_of(at->first.transaction)) return;
    const Branch& branch = at->second.branch;
    const bool asked_again =
        branch.end() && *branch.end() != BranchEnd::kRolledBack && !branch.is_one_phase();
    const auto next = std::next(at);
    if (branch.phase() == Branch::Phase::kEnded && !asked_again) drop(at);
    at = next;
  }
}

void BranchTable::raise_watermark(Context& context) {
  if (raising_watermark_ || told_watermark_ <= durable_watermark_) return;
  const bool frees_something =
      !branches_.empty() && position_of(branches_.begin()->first.transaction) < told_watermark_;
  if (!frees_something) return;
  raising_watermark_ = {append(WatermarkRaised{told_watermark_}, context), told_watermark_};
}

void BranchTable::raise_floors(const ResourceName& name, Resource& resource, Context& context) {
  Floors wanted = resource.told;
  for (const auto& [id, entry] : branches_) {
    if (position_of(id.transaction) >= wanted.position) break;
    if (entry.branch.resource() != name || entry.branch.end() == BranchEnd::kRolledBack) continue;
    wanted.position = position_of(id.transaction);  // [T6] the leader may still ask for it
    break;
  }
  if (const auto floors = resource.floors.raise_to(wanted))
    context.effects.emplace_back(RaiseFloors{name, *floors});
}

void BranchTable::on(const FloorsCommitted& input, Context& context) {
  auto& resource = resources_.at(input.resource);
  // What an earlier start of this agent raised it to, it was told then.
  CHECK(input.floors.position <= std::max(resource.told.position, resource.floors.raised().position),
        "a floor passed the group's [T6]");
  append(FloorRaised{input.resource, input.floors}, context);
  resource.floors.committed(input.floors, live_in(input.resource));
}

void BranchTable::on(const MarkersDeleted& input, Context& /*context*/) {
  resources_.at(input.resource).floors.deleted(input.rows < options_.delete_batch);
}

void BranchTable::on(const Ticked& /*input*/, Context& context) {
  std::vector<BranchId> due;
  for (const auto& [at, id] : alarms_) {
    if (at > context.now) break;
    due.push_back(id);
  }
  for (const auto& id : due)
    step_branch(branches_.at(id), TimePassed{}, context);
  upkeep_at_ = context.now + kUpkeepInterval;
  raise_watermark(context);
  ended_by_leader_.drop_below(told_watermark_);
  const bool floors_due = context.now >= floors_at_ + options_.floor_interval;
  if (floors_due) floors_at_ = context.now;
  for (auto& [name, resource] : resources_) {
    if (resource.not_serving) continue;
    if (floors_due) raise_floors(name, resource, context);
    if (const auto floors = resource.floors.delete_below())
      context.effects.emplace_back(DeleteMarkers{name, *floors, options_.delete_batch});
  }
}

Instant BranchTable::wakes_at() const {
  return alarms_.empty() ? upkeep_at_ : std::min(upkeep_at_, alarms_.begin()->first);
}

// -- Views --------------------------------------------------------------------------------------------------

const Branch* BranchTable::find(const BranchId& id) const {
  const auto known = branches_.find(id);
  return known == branches_.end() ? nullptr : &known->second.branch;
}

std::vector<OpenBranch> BranchTable::open_branches() const {
  std::vector<OpenBranch> open;
  for (const auto& id : live_) {
    const auto& entry = branches_.at(id);
    open.push_back({id, entry.branch.resource(), entry.branch.phase(),
                    std::string(entry.branch.in_doubt_word()), entry.branch.describe(), entry.since});
  }
  return open;
}

std::vector<JournalRecord> BranchTable::checkpoint() const {
  std::vector<JournalRecord> records{AgentStarted{options_.incarnation}};
  if (fence_.newest()) records.emplace_back(EpochSeen{*fence_.newest()});
  if (fence_.rival()) records.emplace_back(ReignDoubted{*fence_.rival()});
  records.emplace_back(WatermarkRaised{durable_watermark_});
  for (const auto& [name, resource] : resources_)
    records.emplace_back(FloorRaised{name, resource.floors.raised()});
  for (const auto& [id, entry] : branches_) {
    const Branch& branch = entry.branch;
    if (branch.end()) {
      if (*branch.end() != BranchEnd::kRolledBack)
        records.emplace_back(Finished{id, branch.resource(), *branch.end()});
      continue;
    }
    if (branch.is_journalled() && branch.phase() != Branch::Phase::kEnded) {
      records.emplace_back(branch.begun());
    }
    if (const auto* resolution = branch.resolution()) records.emplace_back(*resolution);
    if (branch.has_learned_commit()) records.emplace_back(DecisionLearned{id, branch.resource()});
  }
  return records;
}

void BranchTable::refuse_call(Error error, Context& context) {
  context.effects.emplace_back(RefuseCall{std::move(error), epoch_ticket_});
}

JournalTicket BranchTable::append(JournalRecord record, Context& context) {
  const JournalTicket ticket = journal_.next();
  context.effects.emplace_back(AppendJournal{ticket, std::move(record)});
  return ticket;
}

}  // namespace troth::agent
