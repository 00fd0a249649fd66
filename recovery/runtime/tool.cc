#include "recovery/runtime/tool.h"

#include <ostream>
#include <utility>

#include "recovery/runtime/command_line.h"
#include "recovery/runtime/console.h"

namespace troth::recovery {

int run_tool(std::vector<std::string> words, std::ostream& output, std::ostream& errors) {
  const auto parsed = parse_command_line(std::move(words));
  if (const auto* nothing = std::get_if<NothingToRun>(&parsed)) {
    output << nothing->output;
    errors << nothing->errors;
    return std::to_underlying(nothing->code);
  }
  const auto& invocation = std::get<Invocation>(parsed);
  Console console(output, errors, invocation.json);
  const auto code = std::visit([&](const auto& command) { return run(command, invocation.around, console); },
                               invocation.command);
  return std::to_underlying(code);
}

}  // namespace troth::recovery
