#include "recovery/runtime/tool.h"

#include <cstdlib>
#include <ostream>
#include <utility>

#include <pwd.h>
#include <unistd.h>

#include "recovery/runtime/command_line.h"
#include "recovery/runtime/console.h"
#include "thrift/runtime/tls.h"

namespace troth::recovery {
namespace {

// $USER, or who the process runs as where nothing logged in.
std::string own_name() {
  const char* user = std::getenv("USER");
  if (user != nullptr && *user != '\0') return user;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? "" : entry->pw_name;
}

// Reads the certificate, if there is one. It names who asks, unless the command line does.
Status complete(Surroundings& around) {
  if (around.tls_files.is_set()) {
    auto tls = rpc::Tls::load(around.tls_files);
    if (!tls) return std::unexpected(std::move(tls.error()));
    around.tls = *std::move(tls);
  }
  if (around.operator_name.empty()) around.operator_name = around.tls ? around.tls->own().name : own_name();
  return {};
}

}  // namespace

int run_tool(std::vector<std::string> words, std::ostream& output, std::ostream& errors) {
  auto parsed = parse_command_line(std::move(words));
  if (const auto* nothing = std::get_if<NothingToRun>(&parsed)) {
    output << nothing->output;
    errors << nothing->errors;
    return std::to_underlying(nothing->code);
  }
  auto& invocation = std::get<Invocation>(parsed);
  Console console(output, errors, invocation.json);
  if (const auto completed = complete(invocation.around); !completed)
    return std::to_underlying(console.refuse_usage(completed.error().message));
  const auto code = std::visit([&](const auto& command) { return run(command, invocation.around, console); },
                               invocation.command);
  return std::to_underlying(code);
}

}  // namespace troth::recovery
