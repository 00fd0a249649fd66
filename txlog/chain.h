// txlog/chain.h
//
// Which of a directory's segment files are the log, and in which order. Each segment names its predecessor by
// number and salt, so the newest one tells all the others; a hole or a stranger's file cannot pass.
//
//   3 <- 4 <- 5        6        7
//             '---------------- 7 was made while opening and continues 5: 6 is superseded
#pragma once

#include <expected>
#include <optional>
#include <vector>

#include "txlog/format.h"
#include "txlog/verdict.h"

namespace troth::txlog {

struct SegmentChain {
  std::vector<SegmentHeader> live;         // oldest first
  std::vector<SegmentNumber> superseded;   // younger than the oldest live one, and void
  std::vector<SegmentNumber> left_behind;  // older than the oldest live one: cut, not yet deleted
};

// `headers` in any order. With an `expected` identity every segment must carry it; without, all must carry
// the same.
[[nodiscard]] std::expected<SegmentChain, Refusal> link_segments(std::vector<SegmentHeader> headers,
                                                                 const std::optional<LogIdentity>& expected);

}  // namespace troth::txlog
