// troth-agent: stands in front of one or more databases and keeps their branches.

#include <utility>

#include <fmt/format.h>

#include "base/runtime/process.h"
#include "base/runtime/secret.h"
#include "participant_agent/runtime/agent_server.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/runtime/settings.h"

namespace troth::agent {
namespace {

Result<AgentServer::Openers> openers_of(const ResourceSettings& settings, const AgentId& agent,
                                        std::chrono::milliseconds barrier_wait) {
  auto password = read_secret(settings.password);
  if (!password) return std::unexpected(std::move(password.error()));
  ConnectOptions connect;
  connect.host = settings.host;
  connect.port = settings.port;
  connect.socket = settings.socket;
  connect.user = settings.user;
  connect.password = *std::move(password);
  connect.database = settings.database;
  connect.settings.application_name = fmt::format("troth-agent {}", agent.value);
  connect.settings.lock_wait_timeout = settings.lock_timeout;
  AgentServer::Openers openers;
  openers.open = [kind = settings.kind, connect] { return connect_to(kind, connect); };
  connect.settings.lock_wait_timeout = barrier_wait;
  // These run nothing that takes longer: a half-open one is found out sooner.
  connect.read_timeout =
      std::chrono::ceil<std::chrono::seconds>(kAgentTaskTimeout) + std::chrono::seconds(15);
  openers.open_finishing = [kind = settings.kind, connect] { return connect_to(kind, connect); };
  return openers;
}

Status serve(Process& process, const AgentSettings& settings) {
  const auto agent = process.data().identity().agent;
  AgentServer::Options options;
  options.settings = settings;
  options.agent = agent;
  options.cluster = process.data().identity().cluster;
  options.journal_directory = process.data().log_path();
  options.audit_path = process.data().audit_path();
  options.openers = [&](const ResourceSettings& resource) {
    return openers_of(resource, agent, settings.barrier_wait);
  };
  options.record_cluster = [&](const ClusterId& cluster) { return process.data().record_cluster(cluster); };
  AgentServer* running = nullptr;
  options.on_ready = [&](const rpc::Address& address, Incarnation incarnation) {
    process.ready(address.text(),
                  {{"agent", agent}, {"incarnation", incarnation}, {"http", running->http_address()}});
  };
  options.on_end = [&](Status outcome) { process.finish(std::move(outcome)); };
  AgentServer server(process.loop(), std::move(options));
  running = &server;
  process.on_stop([&] { server.stop(); });
  if (auto started = server.start(); !started) return started;
  return process.run_loop();
}

}  // namespace
}  // namespace troth::agent

int main(int argc, char** argv) {
  troth::agent::AgentSettings settings;
  return troth::run_program(
      {.name = "troth-agent",
       .purpose = "Stands in front of databases and makes their work branches of Troth's transactions.",
       .kind = troth::OwnerKind::kAgent,
       .crash_points = troth::agent::kCrashPoints,
       .metrics = troth::agent::agent_metrics(),
       .describe = [&](troth::Schema& schema) { troth::agent::describe(schema, settings); },
       .run = [&](troth::Process& process) { return troth::agent::serve(process, settings); }},
      argc, argv);
}
