#include "thrift/runtime/server_meter.h"

namespace troth::rpc {
namespace {

constexpr Metric kTable[] = {
    {"troth_rpc_connections", MetricType::kGauge, "", "Connections to the Thrift port."},
    {"troth_rpc_connections_limit", MetricType::kGauge, "", "limits.connections."},
    {"troth_rpc_calls_in_flight", MetricType::kGauge, "", "Calls that are not answered yet."},
    {"troth_rpc_calls_limit", MetricType::kGauge, "", "How many may be in flight."},
    {"troth_rpc_connections_accepted_total", MetricType::kCounter, "", "Connections that came."},
    {"troth_rpc_calls_answered_total", MetricType::kCounter, "", "Calls that a service answered."},
    {"troth_rpc_calls_refused_total", MetricType::kCounter, "reason",
     "Calls and connections refused before any service saw them: overloaded (past a limit), malformed."},
    {"troth_rpc_connections_closed_total", MetricType::kCounter, "reason",
     "Connections that the server ended: slow (does not read its answers, or does not finish a frame), "
     "idle."},
};

}  // namespace

const std::span<const Metric> kServerMetrics{kTable};

void refresh_server_metrics(Metrics& metrics, const ServerCounts& counts, const ServerOptions& limits) {
  metrics.gauge("troth_rpc_connections").Set(static_cast<double>(counts.connections));
  metrics.gauge("troth_rpc_connections_limit").Set(static_cast<double>(limits.max_connections));
  metrics.gauge("troth_rpc_calls_in_flight").Set(static_cast<double>(counts.calls));
  metrics.gauge("troth_rpc_calls_limit").Set(static_cast<double>(limits.max_calls));
  advance(metrics.counter("troth_rpc_connections_accepted_total"), counts.accepted);
  advance(metrics.counter("troth_rpc_calls_answered_total"), counts.answered);
  advance(metrics.counter("troth_rpc_calls_refused_total", {{"reason", "overloaded"}}), counts.overloaded);
  advance(metrics.counter("troth_rpc_calls_refused_total", {{"reason", "malformed"}}), counts.malformed);
  advance(metrics.counter("troth_rpc_connections_closed_total", {{"reason", "slow"}}), counts.closed_slow);
  advance(metrics.counter("troth_rpc_connections_closed_total", {{"reason", "idle"}}), counts.closed_idle);
}

}  // namespace troth::rpc
