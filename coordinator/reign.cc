// The step, timers, and what the table reports.
#include "coordinator/reign.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace troth::coordinator {
namespace {

// How many that are open below the group's floor one look at an agent's floor goes through.
constexpr std::size_t kOpenBelowFloor = 1000;

}  // namespace

TransactionTable::Reign::Reign(ClusterId cluster, const store::EpochAcquired& reign, TableLimits limits,
                               std::uint64_t seed)
    : cluster_(std::move(cluster)),
      limits_(limits),
      epoch_(reign.epoch),
      random_(seed),
      admission_(limits_),
      registry_(reign.resources),
      retention_(limits_, reign),
      remembered_(limits_.remembered_outcomes) {}

std::vector<TableEffect> TransactionTable::Reign::step(Clocks clocks, TableInput input) {
  clocks_ = clocks;
  effects_.clear();
  std::visit([&](auto& in) { take(in); }, input);
  finish_drain_if_idle();
  return std::exchange(effects_, {});
}

void TransactionTable::Reign::take(StoreAnswered& answered) {
  const auto at = asked_.find(answered.ticket);
  if (at == asked_.end()) return;  // doubled [T10]
  auto purpose = std::move(at->second);
  asked_.erase(at);
  if (const auto* fenced = std::get_if<store::Fenced>(&answered.answer)) {
    stop(fail(ErrorCode::kStale, Effect::kUnknown,
              fmt::format("epoch {} rules; this coordinator's was {}", fenced->by.value, epoch_.number.value))
             .error());
  }
  std::visit([&](auto& p) { on(p, answered.answer); }, purpose);
}

// ---- timers

// One entry for each key; `armed` remembers where it stands in the set.
void TransactionTable::Reign::set_timer(const TimerKey& key, std::optional<Instant>& armed,
                                        std::optional<Instant> due) {
  if (armed == due) return;
  if (armed) timers_.erase({*armed, key});
  if (due) timers_.emplace(*due, key);
  armed = due;
}

void TransactionTable::Reign::take(const TimePassed&) {
  // What fires may arm itself again, but only later than now, so this ends.
  while (!timers_.empty() && timers_.begin()->first <= clocks_.now) {
    const auto [due, key] = *timers_.begin();
    timers_.erase(timers_.begin());
    if (const auto* position = std::get_if<Position>(&key)) {
      auto& open = open_.at(*position);
      open.due.reset();
      pass_time(open);
    } else if (const auto* call = std::get_if<CallId>(&key)) {
      call_timers_.at(*call).reset();
      if (queries_.contains(*call))
        drive_query(*call, StatusQuery::TimePassed{});
      else
        admission_time_is_up(*call);
    } else {
      const auto upkeep = std::get<Upkeep>(key);
      upkeep_timers_[upkeep].reset();
      keep_up(upkeep);
    }
  }
}

std::optional<Instant> TransactionTable::Reign::next_due() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

// ---- the store

void TransactionTable::Reign::ask_store(Purpose purpose, store::Request request) {
  const store::Ticket ticket{++last_ticket_};
  asked_.emplace(ticket, std::move(purpose));
  effects_.emplace_back(AskStore{ticket, std::move(request)});
}

void TransactionTable::Reign::stop(Error reason) {
  if (stopped_) return;
  stopped_ = std::move(reason);
  effects_.emplace_back(StopServing{*stopped_});
}

// ---- reports

Position TransactionTable::Reign::watermark(const AgentId& agent) const {
  return {epoch_.number, watermarks_.watermark(agent, next_sequence())};
}

std::vector<TransactionId> TransactionTable::Reign::ended_to_tell(const AgentId& agent,
                                                                  std::size_t limit) const {
  std::set<Position> positions;
  for (const auto& [name, record] : registry_.records())
    if (record.agent == agent) notices_.collect(record.number, limit, positions);
  std::vector<TransactionId> ended;
  for (const auto& position : positions)
    ended.push_back({cluster_, position.epoch, position.sequence, std::nullopt});
  return ended;
}

TableCounts TransactionTable::Reign::counts() const {
  auto counts = counts_;
  counts.undecided = admission_.taken();
  counts.open = open_.size();
  counts.last_sequence = last_sequence_;
  counts.draining = draining_;
  const auto oldest = std::ranges::find_if(open_, [](const auto& each) { return !each.second.ending; });
  if (oldest != open_.end()) counts.oldest_open = oldest->second.begun;
  return counts;
}

std::vector<OpenTransactionReport> TransactionTable::Reign::open_transactions(Clocks clocks,
                                                                              std::size_t limit) const {
  std::vector<OpenTransactionReport> reports;
  for (const auto& [position, open] : open_) {
    if (reports.size() == limit) break;
    if (open.ending) continue;
    auto status = report(open);
    reports.push_back({open.id, status.state, std::max(clocks.wall - open.begun, Duration{}),
                       std::move(status.branches), open.label});
  }
  return reports;
}

std::vector<ResourceReport> TransactionTable::Reign::resources() const {
  std::vector<ResourceReport> reports;
  for (const auto& [name, record] : registry_.records())
    reports.push_back({record, registry_.connected(record.agent)});
  return reports;
}

std::map<ResourceName, ResourceBacklog> TransactionTable::Reign::backlogs(Clocks clocks,
                                                                          std::size_t limit) const {
  std::map<ResourceName, ResourceBacklog> backlogs;
  for (const auto& [name, record] : registry_.records())
    backlogs.try_emplace(name);
  for (const auto& [position, open] : open_) {
    if (limit-- == 0) break;
    const auto* machine = std::get_if<TwoPhaseCommit>(&open.protocol);
    if (machine == nullptr || open.ending) continue;
    for (const auto& branch : open.recorded) {
      if (!machine->awaits_acknowledgement(branch.branch)) continue;
      auto& backlog = backlogs[registry_.name_of(branch.resource)];
      ++backlog.branches;
      backlog.oldest = std::max(backlog.oldest, clocks.wall - open.begun);
    }
  }
  return backlogs;
}

// [T6] The group's floor passes what is open; this agent's does not, where a commit is still to be acknowledged by it: its
// marker may be all that it has left of it (a journal whose last batch rotted).
store::Floors TransactionTable::Reign::floors(const AgentId& agent) const {
  auto floors = retention_.floors();
  floors.transactions = std::min(floors.transactions, watermark(agent));
  if (!open_is_listed_) floors.transactions = {};
  const auto is_owed = [&](const Open& open) {
    const auto* machine = std::get_if<TwoPhaseCommit>(&open.protocol);
    return machine != nullptr && !open.ending && std::ranges::any_of(open.recorded, [&](const auto& branch) {
             return machine->awaits_acknowledgement(branch.branch) &&
                    registry_.owns(agent, registry_.name_of(branch.resource));
           });
  };
  // Open for as long as the retention: mostly none. Where they are many, the floor waits for them all.
  auto looks = kOpenBelowFloor;
  for (const auto& [position, open] : open_) {
    if (position >= floors.transactions) break;
    if (looks-- > 0 && !is_owed(open)) continue;
    floors.transactions = position;
    break;
  }
  return floors;
}

std::optional<OpenTransactionNames> TransactionTable::Reign::names_of(const TransactionId& id) const {
  const auto at = open_.find(position_of(id));
  if (at == open_.end() || at->second.id != id) return std::nullopt;
  const auto& open = at->second;
  OpenTransactionNames names{open.client, std::nullopt, open.label};
  if (open.request) {
    names.client = open.request->client;
    names.request = open.request->id;
  }
  return names;
}

// ---- the table itself

TransactionTable::TransactionTable(ClusterId cluster, const store::EpochAcquired& reign, TableLimits limits,
                                   std::uint64_t seed)
    : reign_(std::make_unique<Reign>(std::move(cluster), reign, limits, seed)) {}
TransactionTable::TransactionTable(TransactionTable&&) noexcept = default;
TransactionTable& TransactionTable::operator=(TransactionTable&&) noexcept = default;
TransactionTable::~TransactionTable() = default;

std::vector<TableEffect> TransactionTable::step(Clocks clocks, TableInput input) {
  return reign_->step(clocks, std::move(input));
}
std::optional<Instant> TransactionTable::next_due() const {
  return reign_->next_due();
}
Epoch TransactionTable::epoch() const {
  return reign_->epoch();
}
Position TransactionTable::watermark(const AgentId& agent) const {
  return reign_->watermark(agent);
}
store::Floors TransactionTable::floors() const {
  return reign_->floors();
}
store::Floors TransactionTable::floors(const AgentId& agent) const {
  return reign_->floors(agent);
}
std::vector<TransactionId> TransactionTable::ended_to_tell(const AgentId& agent, std::size_t limit) const {
  return reign_->ended_to_tell(agent, limit);
}
TableCounts TransactionTable::counts() const {
  return reign_->counts();
}
bool TransactionTable::knows_all_open() const {
  return reign_->knows_all_open();
}
std::vector<OpenTransactionReport> TransactionTable::open_transactions(Clocks clocks,
                                                                       std::size_t limit) const {
  return reign_->open_transactions(clocks, limit);
}
std::vector<ResourceReport> TransactionTable::resources() const {
  return reign_->resources();
}

std::map<ResourceName, ResourceBacklog> TransactionTable::backlogs(Clocks clocks, std::size_t limit) const {
  return reign_->backlogs(clocks, limit);
}
std::optional<OpenTransactionNames> TransactionTable::names_of(const TransactionId& id) const {
  return reign_->names_of(id);
}

}  // namespace troth::coordinator
