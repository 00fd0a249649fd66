// troth install, troth uninstall: Troth's tables in a resource, made by a DBA's role that the agent never
// has.
#include <algorithm>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/nearest_name.h"
#include "base/runtime/audit_trail.h"
#include "base/runtime/clock.h"
#include "base/runtime/entropy.h"
#include "base/runtime/process.h"
#include "base/runtime/secret.h"
#include "base/runtime/settings_file.h"
#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/schema.h"
#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/settings.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/schema_upgrade.h"
#include "recovery/text_table.h"

namespace troth::recovery {
namespace {

using agent::ResourceSettings;

struct ConfiguredResource {
  ResourceSettings resource;
  std::chrono::milliseconds counter_interval{};
  std::string data_directory;
};

// The resource as the agent's own configuration names it.
Result<ConfiguredResource> find_resource(const InstallCommand& command) {
  const auto document = read_settings_file(command.agent_config);
  if (!document) return std::unexpected(document.error());
  ProcessSettings process;
  agent::AgentSettings settings;
  Schema schema(*document);
  describe(schema, process);
  agent::describe(schema, settings);
  if (auto verdict = schema.verdict(); !verdict) return std::unexpected(std::move(verdict.error()));
  std::vector<std::string> names;
  for (const auto& resource : settings.resources) {
    if (resource.name == command.resource)
      return ConfiguredResource{resource, settings.counter_interval, process.data_directory};
    names.push_back(resource.name);
  }
  const auto nearest = nearest_name(command.resource, names);
  return fail(ErrorCode::kUnknownResource, Effect::kNone,
              fmt::format("{} has no resource '{}'{}", command.agent_config, command.resource,
                          nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

agent::InstallOptions options_of(const InstallCommand& command, const ResourceSettings& resource) {
  return {.role = resource.user,
          .role_host = command.role_host,
          .database = resource.database,
          .installation = random_text(16, "0123456789abcdef")};
}

Result<std::unique_ptr<agent::DatabaseConnection>> connect(const InstallCommand& command,
                                                           const ResourceSettings& resource) {
  auto password = read_secret(command.admin_password);
  if (!password) return std::unexpected(std::move(password.error()));
  agent::ConnectOptions options = agent::connect_options_of(resource);
  // The agent's own certificate is its role's; an administrator has a password.
  options.tls.certificate.clear();
  options.tls.key.clear();
  options.user = command.admin_user;
  options.password = std::move(*password);
  options.settings.application_name = "troth";
  return agent::connect_to(resource.kind, options);
}

std::unexpected<Error> from_database(agent::ClassifiedError&& error, const std::string& resource) {
  error.error.resource = resource;
  return std::unexpected(std::move(error.error));
}

// ---- the audit trail

// In the agent's data directory. A DBA may run this where there is none; then the answer says so.
class InstallAudit {
 public:
  InstallAudit(const InstallCommand& command, const Surroundings& around, const std::string& data_directory)
      : command_(command), operator_name_(around.operator_name), path_(data_directory + "/audit.log") {
    if (!std::filesystem::is_directory(data_directory)) path_.clear();
  }

  // Empty: nothing is written.
  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] Status write(std::string_view phase, std::string_view key, std::string_view value) const {
    if (path_.empty()) return {};
    return append_audit(path_, wall_now(),
                        fmt::format("{}{}", command_.uninstall ? "uninstall" : "install", phase),
                        {{"resource", command_.resource},
                         {"operator", operator_name_},
                         {"reason", command_.reason},
                         {key, value}});
  }

 private:
  const InstallCommand& command_;
  std::string operator_name_;
  std::string path_;
};

// What stands in the resource; empty: nothing of Troth's.
std::string standing(agent::DatabaseConnection& database) {
  const auto server = database.read_server("");
  if (!server) return "";
  return fmt::format("version {}, installation {}, owner {}", server->schema_version, server->installation,
                     server->owner.agent.value.empty() ? "nobody" : server->owner.agent.value);
}

// The agent that serves the resource now; empty: nobody. A running one raises the counter; three of its intervals
// show it.
Result<AgentId> serving_agent(const ConfiguredResource& configured, agent::DatabaseConnection& database) {
  auto before = database.read_server("");
  if (!before) return from_database(std::move(before.error()), configured.resource.name);
  std::this_thread::sleep_for(3 * configured.counter_interval);
  auto after = database.read_server("");
  if (!after) return from_database(std::move(after.error()), configured.resource.name);
  if (before->owner == after->owner) return AgentId{};
  return after->owner.agent;
}

// ---- install

// Tables of an older version: an agent of that version is not to run on those of this one.
Status may_upgrade(const ConfiguredResource& configured, agent::DatabaseConnection& database) {
  const auto& resource = configured.resource;
  const auto serving = serving_agent(configured, database);
  if (!serving) return std::unexpected(serving.error());
  if (!serving->value.empty())
    return std::unexpected(tables_in_use(resource.name, fmt::format("agent {} serves it", serving->value)));
  auto found = database.ask_texts(agent::dialect_of(resource.kind).read_unread_calls());
  if (!found) return from_database(std::move(found.error()), resource.name);
  std::vector<agent::MarkerRow> rows;
  for (const auto& row : *found) {
    auto marker = agent::parse_marker(row);
    if (!marker) return std::unexpected(std::move(marker.error()));
    rows.push_back(std::move(*marker));
  }
  if (!rows.empty()) return std::unexpected(unread_calls(resource.kind, resource.name, rows));
  return {};
}

Result<agent::ServerRow> install(const InstallCommand& command, const ConfiguredResource& configured,
                                 agent::DatabaseConnection& database) {
  const auto& resource = configured.resource;
  // Where nothing of Troth's stands this fails, and so does an installation that was broken off.
  const auto before = database.read_server("");
  if (before && before->schema_version > agent::kSchemaVersion)
    return std::unexpected(tables_too_new(resource.name, before->schema_version));
  if (before && before->schema_version < agent::kSchemaVersion) {
    if (auto may = may_upgrade(configured, database); !may) return std::unexpected(std::move(may.error()));
  }
  if (auto done = database.run_texts(agent::install_texts(resource.kind, options_of(command, resource)));
      !done) {
    auto& refused = done.error();
    if (refused.meaning == agent::Meaning::kLockTimeout)
      return std::unexpected(tables_in_use(resource.name, refused.error.message));
    return from_database(std::move(refused), resource.name);
  }
  auto server = database.read_server("");
  if (!server) return from_database(std::move(server.error()), resource.name);
  if (server->schema_version != agent::kSchemaVersion) {
    return fail(
        ErrorCode::kInvalidArgument, Effect::kNone,
        fmt::format("{} holds version {} of Troth's tables still: troth_branch has another unique key than "
                    "`troth install` made, make it one of (client, request_id) named troth_request",
                    resource.name, server->schema_version));
  }
  return std::move(*server);
}

ExitCode tell_installed(const ResourceSettings& resource, const agent::ServerRow& server,
                        const std::string& audit_path, Console& console) {
  console.answer(
      [&] {
        auto text = fmt::format("{}: Troth's tables, version {}, installation {}, for the role {}\n{} {}\n",
                                resource.name, server.schema_version, server.installation, resource.user,
                                name_of(resource.kind), server.version);
        if (!server.cannot_prepare.empty())
          text += fmt::format("but it cannot prepare transactions yet: {}\n", server.cannot_prepare);
        if (!server.not_durable.empty())
          text += fmt::format("but it may lose what it acknowledges: {}\n", server.not_durable);
        if (audit_path.empty()) text += "no audit line was written: the agent's data directory is not here\n";
        return text;
      },
      [&] {
        return Json{{"resource", resource.name},
                    {"kind", name_of(resource.kind)},
                    {"server_version", server.version},
                    {"schema_version", server.schema_version},
                    {"installation", server.installation},
                    {"role", resource.user},
                    {"cannot_prepare", server.cannot_prepare},
                    {"not_durable", server.not_durable},
                    {"audit", audit_path}};
      });
  return server.cannot_prepare.empty() ? ExitCode::kDone : ExitCode::kAttention;
}

// ---- uninstall

// The rows are the only proof of what committed here, and a branch in doubt needs them to end.
Status nothing_lives(const ConfiguredResource& configured, agent::DatabaseConnection& database) {
  const auto& name = configured.resource.name;
  auto prepared = database.list_prepared();
  if (!prepared) return from_database(std::move(prepared.error()), name);
  if (!prepared->branches.empty()) {
    return fail(
        ErrorCode::kBusy, Effect::kNone,
        fmt::format("{} holds {} in doubt: start its agent, and see `troth in-doubt`", name,
                    counted(static_cast<std::int64_t>(prepared->branches.size()), "branch", "branches")));
  }
  const auto serving = serving_agent(configured, database);
  if (!serving) return std::unexpected(serving.error());
  if (serving->value.empty()) return {};
  return fail(ErrorCode::kBusy, Effect::kNone,
              fmt::format("agent {} serves {} now: stop it, or take the resource out of its configuration",
                          serving->value, name));
}

Status uninstall(const InstallCommand& command, const ConfiguredResource& configured,
                 agent::DatabaseConnection& database) {
  if (auto idle = nothing_lives(configured, database); !idle) return idle;
  const auto texts =
      agent::uninstall_texts(configured.resource.kind, options_of(command, configured.resource));
  if (auto done = database.run_texts(texts); !done)
    return from_database(std::move(done.error()), configured.resource.name);
  return {};
}

// ---- both

ExitCode print(const InstallCommand& command, const ResourceSettings& resource, Console& console) {
  const auto options = options_of(command, resource);
  std::string script;
  if (command.uninstall) {
    for (const auto& text : agent::uninstall_texts(resource.kind, options))
      script += text + ";\n";
  } else {
    script = agent::install_script(resource.kind, options);
  }
  console.answer([&] { return script; },
                 [&] {
                   return Json{
                       {"resource", resource.name}, {"kind", name_of(resource.kind)}, {"script", script}};
                 });
  return ExitCode::kDone;
}

}  // namespace

ExitCode run(const InstallCommand& command, const Surroundings& around, Console& console) {
  const auto configured = find_resource(command);
  if (!configured) return console.complain(configured.error());
  const auto& resource = configured->resource;
  if (command.print) return print(command, resource, console);

  const auto database = connect(command, resource);
  if (!database) {
    return console.complain(
        database.error(),
        {.advice = "see that the database runs, and that --admin-user and its password are right"});
  }
  const InstallAudit audit(command, around, configured->data_directory);
  if (const auto written = audit.write("", "before", standing(**database)); !written)
    return console.complain(written.error());
  if (!command.uninstall) {
    const auto server = install(command, *configured, **database);
    if (const auto noted = audit.write("-done", "after",
                                       server ? standing(**database) : "refused: " + server.error().message);
        !noted)
      return console.complain(noted.error());
    if (!server) return console.complain(server.error());
    return tell_installed(resource, *server, audit.path(), console);
  }
  const auto removed = uninstall(command, *configured, **database);
  if (const auto noted = audit.write(
          "-done", "after", removed ? "Troth's tables are gone" : "refused: " + removed.error().message);
      !noted)
    return console.complain(noted.error());
  if (!removed) return console.complain(removed.error());
  console.answer(
      [&] { return fmt::format("{}: Troth's tables are gone\n", resource.name); },
      [&] { return Json{{"resource", resource.name}, {"uninstalled", true}, {"audit", audit.path()}}; });
  return ExitCode::kDone;
}

}  // namespace troth::recovery
