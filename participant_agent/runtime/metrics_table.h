// participant_agent/runtime/metrics_table.h
//
// Every metric of an agent, beside those that every process has.
#pragma once

#include "base/runtime/metrics.h"
#include "thrift/runtime/server_meter.h"
#include "txlog/runtime/log_meter.h"

namespace troth::agent {

inline constexpr Metric kAgentMetrics[] = {
    {"troth_agent_votes_total", MetricType::kCounter, "resource,vote,code",
     "Votes of branches: yes, no, read only, committed (in one phase), already committed, undecided; with "
     "the "
     "error's code, or none."},
    {"troth_agent_ends_total", MetricType::kCounter, "resource,end",
     "Answers to commit, rollback and settle: how the branch ended, or undecided."},
    {"troth_agent_refused_total", MetricType::kCounter, "code",
     "Calls of coordinators that were out of their time or place: an older epoch, another incarnation, a "
     "resource "
     "that does not serve, a limit."},
    {"troth_agent_step_seconds", MetricType::kHistogram, "resource,step",
     "queue: until a session is free and the branch begins on it; begin: marker and checks; statements: all "
     "of "
     "the branch's; prepare: until the database has it prepared (a branch that goes in one trip has this in "
     "its statements); one_phase: the same, committed; read_only: "
     "the "
     "end of one that only read; commit, rollback: of a prepared branch, the wait for a session included."},
    {"troth_agent_inquiries_total", MetricType::kCounter, "resource",
     "Times that a branch in doubt had to ask the coordinators how its transaction ended."},
    {"troth_agent_in_doubt", MetricType::kGauge, "resource",
     "Branches that are prepared, or being finished: they hold locks."},
    {"troth_agent_oldest_in_doubt_seconds", MetricType::kGauge, "resource",
     "How long the oldest of them is known."},
    {"troth_agent_live_branches", MetricType::kGauge, "resource", "Branches that have not ended."},
    {"troth_agent_live_branches_limit", MetricType::kGauge, "", "limits.branches, over all resources."},
    {"troth_agent_live_bytes", MetricType::kGauge, "", "Their statements, parameters and kept results."},
    {"troth_agent_remembered_branches", MetricType::kGauge, "",
     "Branches that the watermark has not passed or that were not told `ended`, live ones included."},
    {"troth_agent_resource_state", MetricType::kGauge, "resource,state",
     "1 for the state that the resource is in: starting, serving, unreachable, waiting, not durable, set "
     "back, not "
     "owner, stopped."},
    {"troth_agent_sessions", MetricType::kGauge, "resource,pool,state",
     "Database sessions, tied ones included: all, busy, tied (held by a prepared branch, MariaDB). Pools: "
     "work "
     "(branches), finishing (commits, rollbacks, proofs), control."},
    {"troth_agent_sessions_limit", MetricType::kGauge, "resource,pool,state",
     "How many may be busy, and how many tied beside them."},
    {"troth_agent_queued", MetricType::kGauge, "resource,pool", "Tasks that wait for a session."},
    {"troth_agent_queued_limit", MetricType::kGauge, "resource,pool", "`queue` of the resource."},
    {"troth_agent_lost_sessions_total", MetricType::kCounter, "resource",
     "Sessions whose connection was lost while they worked."},
    {"troth_agent_answers_waiting", MetricType::kGauge, "", "Answers that wait for the journal's disk."},
    {"troth_agent_epoch", MetricType::kGauge, "", "The newest epoch that was heard."},
    {"troth_agent_incarnation", MetricType::kGauge, "", "Each start of this agent has a higher one."},
    {"troth_agent_leader_silence_seconds", MetricType::kGauge, "",
     "Since a coordinator was last heard; since the start, while none was."},
};

[[nodiscard]] inline MetricTables agent_metrics() {
  return {kProcessMetrics, kAgentMetrics, rpc::kServerMetrics, txlog::kLogMetrics};
}

}  // namespace troth::agent
