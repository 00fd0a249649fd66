#include "bench/runtime/meters.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "bench/process_stat.h"
#include "bench/runtime/coordinator_calls.h"

namespace troth::bench {
namespace {

Result<std::vector<ProcessStat>> all_processes() {
  std::vector<ProcessStat> processes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (!std::all_of(name.begin(), name.end(), [](char letter) { return letter >= '0' && letter <= '9'; }))
      continue;
    std::ifstream file(entry.path() / "stat");
    std::string line;
    if (!std::getline(file, line)) continue;  // it ended meanwhile
    auto stat = parse_process_stat(line);
    if (!stat) return std::unexpected(stat.error());
    processes.push_back(*stat);
  }
  if (error)
    return fail(ErrorCode::kIo, Effect::kNone, fmt::format("cannot list /proc: {}", error.message()));
  return processes;
}

}  // namespace

Result<Reading> read_meters(const Stage& stage) {
  const auto processes = all_processes();
  if (!processes) return std::unexpected(processes.error());
  static const double ms_per_tick = 1000.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));

  std::vector<CountedProcess> counted = stage.processes;
  counted.push_back({.name = "load", .pid = ::getpid()});
  Reading reading;
  for (const auto& [name, pid] : counted) {
    const auto ticks = family_ticks(*processes, pid);
    if (!ticks)
      return fail(ErrorCode::kUnavailable, Effect::kNone, fmt::format("{}: {}", name, ticks.error().message));
    reading.cpu[name] = static_cast<double>(*ticks) * ms_per_tick;
  }
  if (stage.troth) {
    const auto log_syncs = coordinator_log_syncs(*stage.troth);
    if (!log_syncs) return std::unexpected(log_syncs.error());
    reading.log_syncs = *log_syncs;
  }
  return reading;
}

Reading difference(const Reading& later, const Reading& earlier) {
  Reading result = later;
  result.log_syncs -= earlier.log_syncs;
  for (const auto& [name, cpu_ms] : earlier.cpu)
    result.cpu[name] -= cpu_ms;
  return result;
}

}  // namespace troth::bench
