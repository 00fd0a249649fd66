// recovery/runtime/tool.h
//
// The whole tool as a function, so that tests run it without a process.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace troth::recovery {

// `words`: the command line without the program's name. Returns the exit code.
[[nodiscard]] int run_tool(std::vector<std::string> words, std::ostream& output, std::ostream& errors);

}  // namespace troth::recovery
