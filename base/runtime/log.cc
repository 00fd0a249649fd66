#include "base/runtime/log.h"

#include <atomic>
#include <memory>
#include <vector>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "base/log_json.h"
#include "base/runtime/clock.h"

namespace troth {
namespace {

std::atomic<LogLevel> threshold{LogLevel::kInfo};
std::atomic<LogFormat> line_format{LogFormat::kLogfmt};
std::atomic<std::uint32_t> lines_per_second{LogSettings{}.lines_per_second};
std::atomic<std::uint64_t> warnings{0};
std::atomic<std::uint64_t> errors{0};
std::atomic<std::uint64_t> held_back_lines{0};

// The rest of the line, behind the fields that spdlog writes.
constexpr auto kLogfmtPattern = "time=%Y-%m-%dT%H:%M:%S.%fZ level=%l %v";
constexpr auto kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})";

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::unique_ptr<spdlog::formatter> formatter_of(LogFormat format) {
  return std::make_unique<spdlog::pattern_formatter>(
      format == LogFormat::kJson ? kJsonPattern : kLogfmtPattern, spdlog::pattern_time_type::utc);
}

// Lives until the process ends, because threads may log while statics are torn down.
spdlog::logger& logger() {
  static auto* const instance = [] {
    auto* made = new spdlog::logger("troth", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::debug);
    made->flush_on(spdlog::level::debug);
    made->set_formatter(formatter_of(LogFormat::kLogfmt));
    return made;
  }();
  return *instance;
}

// Set once by start_log before threads exist, and read by all of them.
std::string& program_name() {
  static auto* const name = new std::string;
  return *name;
}

}  // namespace

void start_log(std::string_view program, LogSettings settings) {
  program_name() = program;
  threshold.store(settings.level, std::memory_order_relaxed);
  line_format.store(settings.format, std::memory_order_relaxed);
  lines_per_second.store(settings.lines_per_second, std::memory_order_relaxed);
  logger().set_formatter(formatter_of(settings.format));
}

LogCounts log_counts() {
  return {warnings.load(std::memory_order_relaxed), errors.load(std::memory_order_relaxed),
          held_back_lines.load(std::memory_order_relaxed)};
}

bool log_enabled(LogLevel level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

void log_event(LogLevel level, std::string_view what, std::span<const LogField> fields) {
  if (level == LogLevel::kWarning) warnings.fetch_add(1, std::memory_order_relaxed);
  if (level == LogLevel::kError) errors.fetch_add(1, std::memory_order_relaxed);
  const auto append =
      line_format.load(std::memory_order_relaxed) == LogFormat::kJson ? append_json : append_logfmt;
  std::string line;
  if (!program_name().empty()) append(line, {"program", program_name()});
  append(line, {"msg", what});
  for (const auto& field : fields)
    append(line, field);
  logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

bool LogLimit::take(std::uint64_t& held_back) {
  const std::lock_guard lock(mutex_);
  const double lines = lines_per_second.load(std::memory_order_relaxed);
  const auto passed = limit_.take(boot_now(), {lines, lines});
  if (passed) held_back = *passed;
  if (!passed) held_back_lines.fetch_add(1, std::memory_order_relaxed);
  return passed.has_value();
}

void log_limited(LogLimit& limit, LogLevel level, std::string_view what, std::span<const LogField> fields) {
  if (!log_enabled(level)) return;
  std::uint64_t held_back = 0;
  if (!limit.take(held_back)) return;
  if (held_back == 0) return log_event(level, what, fields);
  std::vector<LogField> all(fields.begin(), fields.end());
  all.emplace_back("held_back", held_back);
  log_event(level, what, all);
}

}  // namespace troth
