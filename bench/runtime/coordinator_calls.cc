#include "bench/runtime/coordinator_calls.h"

#include <fmt/format.h>

#include "bench/runtime/stock_client.h"
#include "thrift/gen/Administration.h"

namespace troth::bench {

Result<std::uint64_t> coordinator_log_syncs(const TrothAddress& address) {
  try {
    StockClient<wire::AdministrationClient> administration(address);
    wire::ClusterStatus status;
    administration->cluster_status(status);
    return static_cast<std::uint64_t>(status.log_syncs);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnavailable, Effect::kNone,
                fmt::format("the coordinator at {}:{} does not tell its status: {}", address.host,
                            address.port, error.what()));
  }
}

}  // namespace troth::bench
