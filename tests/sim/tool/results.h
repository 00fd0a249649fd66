// tests/sim/tool/results.h
//
// A file that long runs add up in: one line of JSON a run, keyed by the commit that the simulator was built from.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace troth::sim {

// `<commit>`, `<commit>-dirty` where the tree had changes that are in no commit, or `unknown`.
[[nodiscard]] std::string_view built_from();

// Appends to the file, which is made where there is none.
[[nodiscard]] Status append_result(const std::string& path, const std::string& line);

}  // namespace troth::sim
