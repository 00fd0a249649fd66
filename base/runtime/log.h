// base/runtime/log.h
//
// What a process tells its operator: one line per event on standard error, logfmt or JSON, UTC. Never a secret,
// never the parameters of a client's statement, nor what a database says of them.
//
//   log_info("agent registered", {{"agent", id}, {"resources", count}});
//
// A line that a client can cause at will goes through a limit of its own:
//
//   static LogLimit limit;
//   log_limited(limit, LogLevel::kWarning, "client trouble", {{"what", line}});
//
// Safe from every thread. Fields refer to their values only during the call.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <span>
#include <string_view>

#include "base/line_limit.h"
#include "base/logfmt.h"

namespace troth {

enum class LogLevel : std::uint8_t {
  kDebug,    // each step, for the one who looks for a defect
  kInfo,     // life: started, registered, recovered
  kWarning,  // something was refused or lost and is being handled
  kError,    // an operator must look
};

enum class LogFormat : std::uint8_t { kLogfmt, kJson };

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kLogfmt;
  std::uint32_t lines_per_second = 50;  // of each kind that a client can cause
};

// Lines below the level are dropped. `program` stands in every line. May be called again, while nobody logs.
void start_log(std::string_view program, LogSettings settings);

// Since the process began.
struct LogCounts {
  std::uint64_t warnings = 0;
  std::uint64_t errors = 0;
  std::uint64_t held_back = 0;  // by a limit
};
[[nodiscard]] LogCounts log_counts();

[[nodiscard]] bool log_enabled(LogLevel level);

void log_event(LogLevel level, std::string_view what, std::span<const LogField> fields);
inline void log_event(LogLevel level, std::string_view what, std::initializer_list<LogField> fields) {
  log_event(level, what, std::span(fields.begin(), fields.size()));
}

inline void log_debug(std::string_view what, std::initializer_list<LogField> fields = {}) {
  if (log_enabled(LogLevel::kDebug)) log_event(LogLevel::kDebug, what, fields);
}
inline void log_info(std::string_view what, std::initializer_list<LogField> fields = {}) {
  if (log_enabled(LogLevel::kInfo)) log_event(LogLevel::kInfo, what, fields);
}
inline void log_warning(std::string_view what, std::initializer_list<LogField> fields = {}) {
  if (log_enabled(LogLevel::kWarning)) log_event(LogLevel::kWarning, what, fields);
}
inline void log_error(std::string_view what, std::initializer_list<LogField> fields = {}) {
  if (log_enabled(LogLevel::kError)) log_event(LogLevel::kError, what, fields);
}

// One for each kind of line.
class LogLimit {
 public:
  // Whether this line may pass now; `held_back` is how many did not since the last one.
  [[nodiscard]] bool take(std::uint64_t& held_back);

 private:
  std::mutex mutex_;
  LineLimit limit_;
};

// The first line after some were held back says how many, as `held_back`.
void log_limited(LogLimit& limit, LogLevel level, std::string_view what, std::span<const LogField> fields);
inline void log_limited(LogLimit& limit, LogLevel level, std::string_view what,
                        std::initializer_list<LogField> fields) {
  log_limited(limit, level, what, std::span(fields.begin(), fields.size()));
}

}  // namespace troth
