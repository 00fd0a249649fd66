// What the system tells of this process.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include <sys/resource.h>
#include <unistd.h>

#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "base/runtime/monitor.h"
#include "base/version.h"

namespace troth {
namespace {

// When this process began, in Unix seconds: the system counts it in ticks since the machine's start.
double started_at() {
  std::ifstream stat("/proc/self/stat");
  std::stringstream text;
  text << stat.rdbuf();
  const auto all = text.str();
  const auto name_end = all.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(all.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22 && fields >> field; ++number) {
  }
  const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double since_boot = std::strtod(field.c_str(), nullptr) / ticks_per_second;
  const double boot = seconds_of(wall_now().time_since_epoch()) - seconds_of(boot_now().time_since_epoch());
  return boot + since_boot;
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  double resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_descriptors() {
  std::error_code problem;
  const std::filesystem::directory_iterator all("/proc/self/fd", problem);
  if (problem) return 0;
  return static_cast<double>(std::distance(begin(all), end(all))) - 1;  // the one that looks
}

}  // namespace

void refresh_process_metrics(Metrics& metrics) {
  static const double kStartedAt = started_at();
  metrics.gauge("troth_build_info", {{"version", std::string(troth_version())}}).Set(1);
  const auto lines = log_counts();
  advance(metrics.counter("troth_log_lines_total", {{"level", "warning"}}), lines.warnings);
  advance(metrics.counter("troth_log_lines_total", {{"level", "error"}}), lines.errors);
  advance(metrics.counter("troth_log_lines_held_back_total"), lines.held_back);
  metrics.gauge("process_start_time_seconds").Set(kStartedAt);
  auto& cpu = metrics.counter("process_cpu_seconds_total");
  cpu.Increment(std::max(0.0, cpu_seconds() - cpu.Value()));
  metrics.gauge("process_resident_memory_bytes").Set(resident_bytes());
  metrics.gauge("process_open_fds").Set(open_descriptors());
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  metrics.gauge("process_max_fds").Set(static_cast<double>(limit.rlim_cur));
}

}  // namespace troth
