#include "base/runtime/log.h"

#include <atomic>
#include <memory>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace troth {
namespace {

std::atomic<LogLevel> threshold{LogLevel::kInfo};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Lives until the process ends, because threads may log while statics are torn down.
spdlog::logger& logger() {
  static auto* const instance = [] {
    auto* made = new spdlog::logger("troth", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::debug);
    made->flush_on(spdlog::level::debug);
    made->set_formatter(std::make_unique<spdlog::pattern_formatter>("time=%Y-%m-%dT%H:%M:%S.%fZ level=%l %v",
                                                                    spdlog::pattern_time_type::utc));
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

void start_log(std::string_view program, LogLevel level) {
  program_name() = program;
  threshold.store(level, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

void log_event(LogLevel level, std::string_view what, std::initializer_list<LogField> fields) {
  std::string line;
  if (!program_name().empty()) append_logfmt(line, {"program", program_name()});
  append_logfmt(line, {"msg", what});
  for (const auto& field : fields)
    append_logfmt(line, field);
  logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace troth
