// recovery/exit_code.h
//
// What the tool's exit code tells a script: above all, what is known of the effect.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace troth::recovery {

enum class ExitCode : std::uint8_t {
  kDone = 0,         // it was done, or everything is well
  kRefused = 1,      // refused or aborted: nothing was changed anywhere, and nothing will be
  kUsage = 2,        // the command line is wrong; nothing was asked
  kUnknown = 3,      // it may or may not have happened, or the answer is not complete: ask again
  kUnreachable = 4,  // a process or database could not be reached; nothing was changed
  kAttention = 5,    // an operator should look: in doubt, heuristic, damaged, not serving
  kApplied = 6,      // it happened, although the call failed in another way
  kWarnings = 7,     // doctor: everything works, and something should be mended
};

// For a call that failed.
[[nodiscard]] ExitCode exit_code_of(const Error& error);

}  // namespace troth::recovery
