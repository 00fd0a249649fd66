// base/runtime/log.h
//
// What a process tells its operator: one line per event on standard error, logfmt, UTC. Never a secret, never
// the parameters of a client's statement.
//
//   log_info("agent registered", {{"agent", id}, {"resources", count}});
//
// Safe from every thread. Fields refer to their values only during the call.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/logfmt.h"

namespace troth {

enum class LogLevel : std::uint8_t {
  kDebug,    // each step, for the one who looks for a defect
  kInfo,     // life: started, registered, recovered
  kWarning,  // something was refused or lost and is being handled
  kError,    // an operator must look
};

// Lines below `level` are dropped. `program` stands in every line. May be called again.
void start_log(std::string_view program, LogLevel level);

[[nodiscard]] bool log_enabled(LogLevel level);

void log_event(LogLevel level, std::string_view what, std::initializer_list<LogField> fields);

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

}  // namespace troth
