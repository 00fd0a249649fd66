// participant_agent/refusal.h
//
// An error as the machines say it: data, sent to whoever asked.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace troth::agent {

[[nodiscard]] inline Error refusal(ErrorCode code, Effect effect, std::string message,
                                   bool retryable = false) {
  Error error;
  error.code = code;
  error.effect = effect;
  error.message = std::move(message);
  error.retryable = retryable;
  return error;
}

}  // namespace troth::agent
