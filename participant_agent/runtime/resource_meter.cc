#include "participant_agent/runtime/resource_meter.h"

namespace troth::agent {
namespace {

constexpr std::array kStates{ResourceState::kStarting,    ResourceState::kServing,
                             ResourceState::kUnreachable, ResourceState::kWaiting,
                             ResourceState::kNotDurable,  ResourceState::kSetBack,
                             ResourceState::kNotOwner,    ResourceState::kStopped};

double number(std::size_t count) {
  return static_cast<double>(count);
}

}  // namespace

ResourceMeter::ResourceMeter(Metrics& metrics, const ResourceName& resource)
    : metrics_(metrics),
      resource_(resource.value),
      queue_(step("queue")),
      begin_(step("begin")),
      statements_(step("statements")),
      prepare_(step("prepare")),
      one_phase_(step("one_phase")),
      read_only_(step("read_only")),
      commit_(step("commit")),
      rollback_(step("rollback")),
      lost_sessions_(metrics.counter("troth_agent_lost_sessions_total", {{"resource", resource_}})),
      inquiries_(metrics.counter("troth_agent_inquiries_total", {{"resource", resource_}})),
      yes_(metrics.counter("troth_agent_votes_total",
                           {{"resource", resource_}, {"vote", "yes"}, {"code", "none"}})),
      committed_(end(BranchEnd::kCommitted)),
      rolled_back_(end(BranchEnd::kRolledBack)),
      in_doubt_(metrics.gauge("troth_agent_in_doubt", {{"resource", resource_}})),
      oldest_in_doubt_(metrics.gauge("troth_agent_oldest_in_doubt_seconds", {{"resource", resource_}})),
      live_(metrics.gauge("troth_agent_live_branches", {{"resource", resource_}})) {}

Histogram& ResourceMeter::step(const char* name) {
  return metrics_.histogram("troth_agent_step_seconds", {{"resource", resource_}, {"step", name}});
}

// A step that did not end, because an earlier one failed, is not measured.
void ResourceMeter::worked(Duration queued, const WorkResult& result) {
  const auto& times = result.times;
  queue_.Observe(seconds_of(queued));
  if (times.begin) begin_.Observe(seconds_of(*times.begin));
  if (times.statements) statements_.Observe(seconds_of(*times.statements));
  if (!times.ending) return;
  const auto ending = seconds_of(*times.ending);
  if (std::holds_alternative<Prepared>(result.outcome)) prepare_.Observe(ending);
  if (std::holds_alternative<CommittedOnePhase>(result.outcome)) one_phase_.Observe(ending);
  if (std::holds_alternative<ReadOnlyDone>(result.outcome)) read_only_.Observe(ending);
}

void ResourceMeter::finished(bool commit, Duration took) {
  (commit ? commit_ : rollback_).Observe(seconds_of(took));
}

void ResourceMeter::voted(const VoteAnswer& vote) {
  if (vote.vote == Vote::kYes) return yes_.Increment();
  const std::string code(vote.refusal ? name_of(vote.refusal->code) : "none");
  metrics_
      .counter("troth_agent_votes_total",
               {{"resource", resource_}, {"vote", std::string(name_of(vote.vote))}, {"code", code}})
      .Increment();
}

Counter& ResourceMeter::end(BranchEnd end) {
  return metrics_.counter("troth_agent_ends_total",
                          {{"resource", resource_}, {"end", std::string(name_of(end))}});
}

void ResourceMeter::ended(BranchEnd how) {
  if (how == BranchEnd::kCommitted) return committed_.Increment();
  if (how == BranchEnd::kRolledBack) return rolled_back_.Increment();
  end(how).Increment();
}

void ResourceMeter::show(const BranchLoad& load) {
  in_doubt_.Set(number(load.in_doubt));
  oldest_in_doubt_.Set(seconds_of(load.oldest_in_doubt));
  live_.Set(number(load.live));
}

void ResourceMeter::show(const ResourceHealth& health) {
  for (const auto state : kStates) {
    metrics_
        .gauge("troth_agent_resource_state",
               {{"resource", resource_}, {"state", std::string(name_of(state))}})
        .Set(state == health.state ? 1 : 0);
  }
}

void ResourceMeter::show(std::string_view pool, const SessionPoolCounts& counts,
                         const SessionPoolOptions& limits) {
  const std::string name(pool);
  const auto sessions = [&](const char* metric, const char* state, std::size_t count) {
    metrics_.gauge(metric, {{"resource", resource_}, {"pool", name}, {"state", state}}).Set(number(count));
  };
  sessions("troth_agent_sessions", "all", counts.sessions);
  sessions("troth_agent_sessions", "busy", counts.busy);
  sessions("troth_agent_sessions", "tied", counts.tied);
  sessions("troth_agent_sessions_limit", "busy", limits.sessions);
  sessions("troth_agent_sessions_limit", "tied", limits.tied_sessions);
  metrics_.gauge("troth_agent_queued", {{"resource", resource_}, {"pool", name}}).Set(number(counts.queued));
  metrics_.gauge("troth_agent_queued_limit", {{"resource", resource_}, {"pool", name}})
      .Set(number(limits.queue_limit));
}

}  // namespace troth::agent
