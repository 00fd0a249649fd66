#include "recovery/exit_code.h"

namespace troth::recovery {

ExitCode exit_code_of(const Error& error) {
  switch (error.effect) {
    case Effect::kUnknown: return ExitCode::kUnknown;
    case Effect::kApplied: return ExitCode::kApplied;
    case Effect::kNone: break;
  }
  const bool unreachable = error.code == ErrorCode::kUnavailable;
  const bool look = error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kSetBack;
  if (unreachable) return ExitCode::kUnreachable;
  return look ? ExitCode::kAttention : ExitCode::kRefused;
}

}  // namespace troth::recovery
