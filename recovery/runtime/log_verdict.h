// recovery/runtime/log_verdict.h
//
// What a log's verdict is called, and what it means for an operator.
#pragma once

#include <string>
#include <string_view>

#include "txlog/verdict.h"

namespace troth::recovery {

struct VerdictWords {
  std::string_view name;
  std::string text;
};

[[nodiscard]] VerdictWords words_of(const txlog::Verdict& verdict);

}  // namespace troth::recovery
