// thrift/runtime/server_meter.h
//
// What a process shows of its Thrift port.
#pragma once

#include <span>

#include "base/runtime/metrics.h"
#include "thrift/runtime/server.h"

namespace troth::rpc {

extern const std::span<const Metric> kServerMetrics;

void refresh_server_metrics(Metrics& metrics, const ServerCounts& counts, const ServerOptions& limits);

}  // namespace troth::rpc
