// recovery/runtime/command_line.h
//
// The command line of `troth`: words in, a command out. The only file of the tool that knows CLI11.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "recovery/runtime/commands.h"

namespace troth::recovery {

struct Invocation {
  Surroundings around;
  bool json = false;
  Command command;
};

// Nothing to run: help was asked for, or the command line is wrong.
struct NothingToRun {
  ExitCode code = ExitCode::kUsage;
  std::string output;  // for standard output
  std::string errors;  // for standard error
};

// `words` without the program's name.
[[nodiscard]] std::variant<Invocation, NothingToRun> parse_command_line(std::vector<std::string> words);

}  // namespace troth::recovery
