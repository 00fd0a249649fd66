#include "coordinator/runtime/coordinator_view.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/clock.h"

namespace troth::coordinator {
namespace {

constexpr std::size_t kOpenLookedAt = 50'000;
// A store that takes longer for one request cannot be counted on.
constexpr Duration kStoreSilence = std::chrono::seconds(2);

double number(auto count) {
  return static_cast<double>(count);
}

std::string state_of(const ResourceReport& resource, const AgentLink* link) {
  if (link == nullptr || !link->is_connected()) return "unreachable";
  for (const auto& health : link->health().resources)
    if (health.resource == resource.record.name.value) return health.state;
  return "starting";
}

}  // namespace

CoordinatorView::CoordinatorView(Metrics& metrics, const CoordinatorSettings& settings) : metrics_(metrics) {
  metrics_.gauge("troth_coordinator_undecided_limit").Set(number(settings.table.undecided));
  metrics_.gauge("troth_coordinator_open_limit").Set(number(settings.table.open));
}

CoordinatorView::ResourceGauges& CoordinatorView::gauges_of(const ResourceName& resource) {
  const auto [at, fresh] = resources_.try_emplace(resource);
  auto& gauges = at->second;
  if (!fresh) return gauges;
  // At zero, so that the first one is seen as an increase.
  for (const auto end : {BranchEnd::kLost, BranchEnd::kTooOld, BranchEnd::kRolledBack,
                         BranchEnd::kHeuristicCommitted, BranchEnd::kHeuristicRolledBack}) {
    static_cast<void>(metrics_.counter("troth_coordinator_unexpected_ends_total",
                                       {{"resource", resource.value}, {"end", std::string(name_of(end))}}));
  }
  for (std::size_t n = 0; n < kStates.size(); ++n)
    gauges.states.at(n) = &metrics_.gauge("troth_coordinator_resource_state",
                                          {{"resource", resource.value}, {"state", kStates.at(n)}});
  gauges.waiting = &metrics_.gauge("troth_coordinator_commits_waiting", {{"resource", resource.value}});
  gauges.oldest_waiting =
      &metrics_.gauge("troth_coordinator_oldest_commit_waiting_seconds", {{"resource", resource.value}});
  return gauges;
}

void CoordinatorView::refresh_store(const store::Counts& records) {
  metrics_.gauge("troth_coordinator_store_records", {{"state", "open"}}).Set(number(records.open));
  metrics_.gauge("troth_coordinator_store_records", {{"state", "ended"}}).Set(number(records.ended));
  metrics_.gauge("troth_coordinator_store_records", {{"state", "barred"}}).Set(number(records.barred));
}

void CoordinatorView::refresh_replica(const Replica& replica, const CallRouter& router) {
  const auto& log = replica.store().log();
  metrics_.gauge("troth_coordinator_leads").Set(replica.leads() ? 1 : 0);
  metrics_.gauge("troth_coordinator_leader").Set(replica.leader() ? number(replica.leader()->value) : 0);
  metrics_.gauge("troth_coordinator_chosen_slot").Set(number(log.chosen().value));
  metrics_.gauge("troth_coordinator_ballot_round").Set(number(log.promised().round));
  metrics_.gauge("troth_coordinator_calls_waiting_for_leader").Set(number(router.waiting()));
  metrics_.gauge("troth_coordinator_calls_passed_on").Set(number(router.passed_on()));
  for (const auto& [id, link] : replica.links()) {
    metrics_.gauge("troth_coordinator_replica_reached", {{"replica", std::to_string(id.value)}})
        .Set(link->is_up() ? 1 : 0);
  }
  const auto& snapshots = replica.store().snapshot_counters();
  advance(metrics_.counter("troth_coordinator_snapshots_total", {{"how", "taken"}}), snapshots.taken);
  advance(metrics_.counter("troth_coordinator_snapshots_total", {{"how", "received"}}), snapshots.received);
  advance(metrics_.counter("troth_coordinator_snapshots_total", {{"how", "failed"}}), snapshots.failed);
}

void CoordinatorView::refresh_reign(const Reigns& reigns) {
  metrics_.gauge("troth_coordinator_serves").Set(reigns.serves() ? 1 : 0);
  if (reigns.current() == nullptr) return;
  const auto& coordinator = *reigns.current();
  const auto& watch = coordinator.watch();
  metrics_.gauge("troth_coordinator_store_waiting").Set(number(watch.store_waits()));
  metrics_.gauge("troth_coordinator_store_oldest_wait_seconds").Set(seconds_of(watch.longest_store_wait()));
  metrics_.gauge("troth_coordinator_waiting_calls").Set(number(coordinator.waiting_calls()));
  if (!coordinator.rules()) return;
  refresh_transactions(coordinator.table());
  refresh_resources(coordinator);
  refresh_agents(coordinator, coordinator.table().counts().last_sequence);
}

void CoordinatorView::reign_ended() {
  for (const auto* name : {"troth_coordinator_store_waiting", "troth_coordinator_store_oldest_wait_seconds",
                           "troth_coordinator_waiting_calls", "troth_coordinator_undecided",
                           "troth_coordinator_open", "troth_coordinator_oldest_open_seconds"})
    metrics_.gauge(name).Set(0);
  for (const auto& [resource, gauges] : std::exchange(resources_, {})) {
    for (auto* state : gauges.states)
      metrics_.forget("troth_coordinator_resource_state", *state);
    metrics_.forget("troth_coordinator_commits_waiting", *gauges.waiting);
    metrics_.forget("troth_coordinator_oldest_commit_waiting_seconds", *gauges.oldest_waiting);
  }
  for (const auto& [agent, gauges] : std::exchange(agents_, {})) {
    metrics_.forget("troth_coordinator_agent_connected", *gauges.connected);
    metrics_.forget("troth_coordinator_watermark_lag", *gauges.lag);
  }
}

void CoordinatorView::refresh_transactions(const TransactionTable& table) {
  const auto counts = table.counts();
  // Each reign counts its own.
  if (table.epoch() != counted_) last_ = {};
  counted_ = table.epoch();
  metrics_.counter("troth_coordinator_transactions_total", {{"outcome", "committed"}})
      .Increment(number(counts.committed - last_.committed));
  metrics_.counter("troth_coordinator_transactions_total", {{"outcome", "aborted"}})
      .Increment(number(counts.aborted - last_.aborted));
  last_ = counts;
  metrics_.gauge("troth_coordinator_undecided").Set(number(counts.undecided));
  metrics_.gauge("troth_coordinator_open").Set(number(counts.open));
  const auto oldest = counts.oldest_open ? wall_now() - *counts.oldest_open : Duration{};
  metrics_.gauge("troth_coordinator_oldest_open_seconds").Set(seconds_of(std::max(oldest, Duration{})));
  metrics_.gauge("troth_coordinator_epoch").Set(number(table.epoch().number.value));
  metrics_.gauge("troth_coordinator_last_sequence").Set(number(counts.last_sequence.value));
  const auto floors = table.floors();
  metrics_.gauge("troth_coordinator_floor_epoch").Set(number(floors.transactions.epoch.value));
  metrics_.gauge("troth_coordinator_floor_sequence").Set(number(floors.transactions.sequence.value));
  metrics_.gauge("troth_coordinator_request_floor_seconds").Set(number(floors.request_ms) / 1000);
}

void CoordinatorView::refresh_resources(const Coordinator& coordinator) {
  const auto& table = coordinator.table();
  for (const auto& resource : table.resources()) {
    const auto link = coordinator.links().find(resource.record.agent);
    const auto state = state_of(resource, link == coordinator.links().end() ? nullptr : link->second.get());
    auto& gauges = gauges_of(resource.record.name);
    for (std::size_t n = 0; n < kStates.size(); ++n)
      gauges.states.at(n)->Set(state == kStates.at(n) ? 1 : 0);
  }
  for (const auto& [name, backlog] : table.backlogs({boot_now(), wall_now()}, kOpenLookedAt)) {
    auto& gauges = gauges_of(name);
    gauges.waiting->Set(number(backlog.branches));
    gauges.oldest_waiting->Set(seconds_of(backlog.oldest));
  }
}

void CoordinatorView::refresh_agents(const Coordinator& coordinator, Sequence last) {
  for (const auto& [agent, link] : coordinator.links()) {
    auto& gauges = agents_[agent];
    if (gauges.connected == nullptr) {
      gauges.connected = &metrics_.gauge("troth_coordinator_agent_connected", {{"agent", agent.value}});
      gauges.lag = &metrics_.gauge("troth_coordinator_watermark_lag", {{"agent", agent.value}});
    }
    gauges.connected->Set(link->is_connected() ? 1 : 0);
    // The next sequence stands above everything that was begun.
    const auto watermark = coordinator.table().watermark(agent).sequence.value;
    gauges.lag->Set(number(last.value + 1 - watermark));
  }
}

Readiness CoordinatorView::readiness(const Reigns& reigns, const Replica* replica, bool stops) const {
  if (stops)
    return {false, "this coordinator shuts down", "ask another one, or this one after its next start"};
  if (replica != nullptr && !reigns.serves()) {
    if (replica->leader() && *replica->leader() != replica->self()) {
      const auto link = replica->links().find(*replica->leader());
      if (link != replica->links().end() && link->second->is_up()) return {true, {}, {}};
      return {false,
              fmt::format("the leader, replica {}, cannot be reached from here", replica->leader()->value),
              "mend the network between the two; clients may call another coordinator meanwhile"};
    }
    return {false, "the group has no leader that this coordinator knows of",
            "start its other coordinators, or mend the network between them: a majority elects one"};
  }
  if (reigns.current() == nullptr || !reigns.current()->rules()) {
    return {false, "this coordinator has no epoch yet",
            "wait: the decision log is being opened; its thread's disk is what it waits for"};
  }
  const auto& coordinator = *reigns.current();
  if (const auto wait = coordinator.watch().longest_store_wait(); wait > kStoreSilence) {
    return {
        false,
        fmt::format("the decision store has not answered for {:.1f} s: nothing commits", seconds_of(wait)),
        "see the disk under data_directory: full, slow or gone"};
  }
  return {true, {}, {}};
}

}  // namespace troth::coordinator
