// txlog/runtime/refusals.h
//
// What is wrong with a log directory, told to a person: the thing, the place, the remedy.
#pragma once

#include "txlog/runtime/segment_directory.h"
#include "txlog/verdict.h"

namespace troth::txlog {

[[nodiscard]] Error to_error(const Refusal& refusal, const SegmentDirectory& directory);

// One line, for a report: "cut tail at segment 7 offset 8192: ...".
[[nodiscard]] std::string describe(const Verdict& verdict);

}  // namespace troth::txlog
