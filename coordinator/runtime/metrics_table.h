// coordinator/runtime/metrics_table.h
//
// Every metric of a coordinator, beside those that every process has.
#pragma once

#include "base/runtime/metrics.h"
#include "thrift/runtime/server_meter.h"
#include "txlog/runtime/log_meter.h"

namespace troth::coordinator {

inline constexpr Metric kCoordinatorMetrics[] = {
    {"troth_coordinator_answers_total", MetricType::kCounter, "outcome,code",
     "Answers to calls that begin, commit or roll back: begun, rolled_back, committed, already_committed (an "
     "earlier attempt did it), "
     "aborted "
     "(nothing stands), unknown (told to ask again), refused (nothing was begun); with the error's code, or "
     "none."},
    {"troth_coordinator_transactions_total", MetricType::kCounter, "outcome",
     "Transactions decided since this start: committed, aborted. Each is counted once, however many calls "
     "wait."},
    {"troth_coordinator_aborts_total", MetricType::kCounter, "code",
     "Transactions that were aborted, by the code of the error that ended them."},
    {"troth_coordinator_unexpected_ends_total", MetricType::kCounter, "resource,end",
     "Branches of committed transactions that answered other than committed: lost, heuristic, too old."},
    {"troth_coordinator_step_seconds", MetricType::kHistogram, "step",
     "admission: from the call to the first prepare, a request_id looked up; prepare: to the last vote; "
     "choose: "
     "until the decision is durable; commit: until every branch has acknowledged; one_phase: of a single "
     "writing "
     "branch, from its work to its commit; statement: of an interactive transaction, from its call to its "
     "answer; whole: from the call to its answer, refusals included."},
    {"troth_coordinator_store_seconds", MetricType::kHistogram, "request",
     "How long the decision store takes to answer: choose, lookup, list, end, register, floors, resolve."},
    {"troth_coordinator_store_waiting", MetricType::kGauge, "", "Requests that the store has not answered."},
    {"troth_coordinator_store_oldest_wait_seconds", MetricType::kGauge, "",
     "How long the oldest of them has waited."},
    {"troth_coordinator_store_records", MetricType::kGauge, "state",
     "Transactions in the decision store: open, ended (kept for the retention), barred."},
    {"troth_coordinator_undecided", MetricType::kGauge, "", "Transactions begun and not decided."},
    {"troth_coordinator_undecided_limit", MetricType::kGauge, "", "limits.undecided."},
    {"troth_coordinator_open", MetricType::kGauge, "",
     "Transactions not ended: undecided ones, and decided ones that wait for an agent or for their end's "
     "record."},
    {"troth_coordinator_open_limit", MetricType::kGauge, "", "limits.open."},
    {"troth_coordinator_oldest_open_seconds", MetricType::kGauge, "",
     "Age of the oldest transaction that is not ended; of a redriven one, since its decision."},
    {"troth_coordinator_waiting_calls", MetricType::kGauge, "", "Calls that wait for their commit."},
    {"troth_coordinator_commits_waiting", MetricType::kGauge, "resource",
     "Branches whose commit is decided and not acknowledged, of the 50000 oldest open transactions."},
    {"troth_coordinator_oldest_commit_waiting_seconds", MetricType::kGauge, "resource",
     "Age of the transaction of the oldest of them."},
    {"troth_coordinator_resource_state", MetricType::kGauge, "resource,state",
     "1 for the state that the resource is in, as its agent told last: starting, serving, unreachable (the "
     "agent "
     "does not answer, or its server does not answer it), waiting, not durable, set back, not owner, "
     "stopped."},
    {"troth_coordinator_agent_connected", MetricType::kGauge, "agent",
     "1: it answers heartbeats; 0: it does not."},
    {"troth_coordinator_watermark_lag", MetricType::kGauge, "agent",
     "Transactions begun since the oldest one that this agent may still first hear of. It rises while an "
     "undecided transaction stays, and what the agent remembers of ended ones with it."},
    {"troth_coordinator_serves", MetricType::kGauge, "",
     "1 while a reign of this process decides: always, once it has started, or in a group while it leads."},
    {"troth_coordinator_leads", MetricType::kGauge, "", "1 while this replica leads its group."},
    {"troth_coordinator_leader", MetricType::kGauge, "",
     "The number of the replica that leads, as far as this one knows; 0: none."},
    {"troth_coordinator_chosen_slot", MetricType::kGauge, "",
     "How far this replica knows the group's log to be chosen."},
    {"troth_coordinator_ballot_round", MetricType::kGauge, "",
     "The round of the newest ballot that this replica promised: it rises with each election."},
    {"troth_coordinator_replica_reached", MetricType::kGauge, "replica",
     "1 while this replica reaches that one."},
    {"troth_coordinator_calls_waiting_for_leader", MetricType::kGauge, "",
     "Calls that wait here for a leader."},
    {"troth_coordinator_calls_passed_on", MetricType::kGauge, "",
     "Calls that were passed on to the leader, and not answered yet."},
    {"troth_coordinator_snapshots_total", MetricType::kCounter, "how",
     "Snapshots of the decision store: taken, received from another replica, failed."},
    {"troth_coordinator_epoch", MetricType::kGauge, "",
     "The number of this reign; each start has a higher one."},
    {"troth_coordinator_last_sequence", MetricType::kGauge, "", "Transactions that this reign has begun."},
    {"troth_coordinator_floor_epoch", MetricType::kGauge, "",
     "Below floor epoch and sequence all is forgotten."},
    {"troth_coordinator_floor_sequence", MetricType::kGauge, "", "See floor epoch."},
    {"troth_coordinator_request_floor_seconds", MetricType::kGauge, "",
     "Unix time before which request_ids are forgotten."},
};

[[nodiscard]] inline MetricTables coordinator_metrics() {
  return {kProcessMetrics, kCoordinatorMetrics, rpc::kServerMetrics, txlog::kLogMetrics};
}

}  // namespace troth::coordinator
