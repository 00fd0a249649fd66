// troth install, troth uninstall: puts Troth's own tables into a resource, or takes them out again.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/runtime/entropy.h"
#include "base/runtime/process.h"
#include "base/runtime/secret.h"
#include "base/runtime/settings_file.h"
#include "participant_agent/dialect/schema.h"
#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/settings.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"

namespace troth::recovery {
namespace {

// The agent's configuration names every resource, with its database and role.
Result<agent::ResourceSettings> find_resource(const InstallCommand& command) {
  const auto document = read_settings_file(command.agent_config);
  if (!document) return std::unexpected(document.error());
  ProcessSettings process;
  agent::AgentSettings settings;
  Schema schema(*document);
  describe(schema, process);
  agent::describe(schema, settings);
  if (auto verdict = schema.verdict(); !verdict) return std::unexpected(std::move(verdict.error()));
  std::string known;
  for (const auto& resource : settings.resources) {
    if (resource.name == command.resource) return resource;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", resource.name);
  }
  return fail(ErrorCode::kUnknownResource, Effect::kNone,
              fmt::format("{} has no resource {}; it has {}", command.agent_config, command.resource, known));
}

agent::InstallOptions options_of(const InstallCommand& command, const agent::ResourceSettings& resource) {
  return {.role = resource.user,
          .role_host = command.role_host,
          .database = resource.database,
          .installation = random_text(16, "0123456789abcdef")};
}

std::string script_of(const InstallCommand& command, agent::DatabaseKind kind,
                      const agent::InstallOptions& options) {
  if (!command.uninstall) return agent::install_script(kind, options);
  std::string script;
  for (const auto& text : agent::uninstall_texts(kind, options))
    script += text + ";\n";
  return script;
}

Result<std::unique_ptr<agent::DatabaseConnection>> connect_as_admin(const InstallCommand& command,
                                                                    const agent::ResourceSettings& resource) {
  auto password = read_secret({command.admin_password_file, command.admin_password_env});
  if (!password) return std::unexpected(std::move(password.error()));
  agent::ConnectOptions connect;
  connect.host = resource.host;
  connect.port = resource.port;
  connect.socket = resource.socket;
  connect.user = command.admin_user;
  connect.password = *std::move(password);
  connect.database = resource.database;
  connect.settings.application_name = "troth install";
  return agent::connect_to(resource.kind, connect);
}

// Taking the tables away takes the proof away: not while a branch hangs on it.
Status check_idle(agent::DatabaseConnection& connection, const std::string& resource) {
  const auto prepared = connection.list_prepared();
  if (!prepared) return std::unexpected(prepared.error().error);
  if (prepared->branches.empty()) return {};
  return fail(
      ErrorCode::kBusy, Effect::kNone,
      fmt::format(
          "resource {} holds {} prepared branches, the first of {}: end them first (`troth in-doubt`)",
          resource, prepared->branches.size(), prepared->branches.front().branch.transaction.text()));
}

}  // namespace

ExitCode run(const InstallCommand& command, const Surroundings&, Console& console) {
  const auto resource = find_resource(command);
  if (!resource) return console.complain(resource.error());
  const auto options = options_of(command, *resource);
  if (command.print) {
    console.print_text(script_of(command, resource->kind, options));
    return ExitCode::kDone;
  }
  if (command.admin_user.empty()) {
    return console.refuse_usage(
        "who installs? give --admin-user and --admin-password-file, or --print the statements");
  }
  const agent::DriverThread driver;
  auto connection = connect_as_admin(command, *resource);
  if (!connection) return console.complain(connection.error());
  if (command.uninstall) {
    if (auto idle = check_idle(**connection, command.resource); !idle) return console.complain(idle.error());
  }
  const auto texts = command.uninstall ? agent::uninstall_texts(resource->kind, options)
                                       : agent::install_texts(resource->kind, options);
  if (const auto done = (*connection)->run_texts(texts); !done) return console.complain(done.error().error);
  const auto* word = command.uninstall ? "uninstalled" : "installed";
  console.answer(
      [&] {
        return fmt::format("{} in {} ({} {}), for role {}\n", word, command.resource,
                           agent::name_of(resource->kind), resource->database, resource->user);
      },
      [&] {
        return Json{{"resource", command.resource},
                    {"state", word},
                    {"kind", agent::name_of(resource->kind)},
                    {"database", resource->database},
                    {"role", resource->user}};
      });
  return ExitCode::kDone;
}

}  // namespace troth::recovery
