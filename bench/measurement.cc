#include "bench/measurement.h"

#include <algorithm>

#include <fmt/format.h>

#include "bench/statistics.h"

namespace troth::bench {
namespace {

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::vector<double> sorted_ms(const std::vector<Duration>& latencies) {
  std::vector<double> result;
  result.reserve(latencies.size());
  for (const Duration latency : latencies)
    result.push_back(milliseconds(latency));
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace

Result<Summary> summarise(const std::vector<Round>& rounds) {
  Summary summary;
  std::vector<double> p50s;
  std::vector<double> p99s;
  std::uint64_t log_syncs = 0;
  for (const Round& round : rounds) {
    if (round.latencies.empty() || round.elapsed <= Duration::zero())
      return fail(ErrorCode::kInternal, Effect::kNone,
                  fmt::format("round {} of {} committed nothing: give each round more time (--seconds)",
                              p50s.size() + 1, rounds.size()));
    const std::vector<double> latencies = sorted_ms(round.latencies);
    p50s.push_back(percentile(latencies, 50));
    p99s.push_back(percentile(latencies, 99));
    summary.tps_of_rounds.push_back(1000.0 * static_cast<double>(latencies.size()) /
                                    milliseconds(round.elapsed));
    summary.committed += round.latencies.size();
    summary.conflicts += round.conflicts;
    log_syncs += round.log_syncs;
    for (const auto& [process, cpu_ms] : round.cpu)
      summary.cpu_per_transaction[process] += cpu_ms;
  }
  if (rounds.empty()) return fail(ErrorCode::kInternal, Effect::kNone, "no round was measured");
  const auto committed = static_cast<double>(summary.committed);
  for (auto& [process, cpu_ms] : summary.cpu_per_transaction)
    cpu_ms /= committed;
  summary.tps = median(summary.tps_of_rounds);
  summary.p50_ms = median(p50s);
  summary.p99_ms = median(p99s);
  summary.syncs_per_transaction = static_cast<double>(log_syncs) / committed;
  return summary;
}

}  // namespace troth::bench
