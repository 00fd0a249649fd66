// bench-agent: a whole agent, as troth-agent is one, but for its databases, which do nothing, at once: markers are kept in memory.
// Takes troth-agent's settings; of a resource its name counts, and that its kind is mysql.
#include <memory>
#include <utility>

#include "base/runtime/process.h"
#include "participant_agent/runtime/agent_server.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/runtime/settings.h"
#include "tests/support/do_nothing_database.h"

namespace troth::bench {
namespace {

Status serve(Process& process, const agent::AgentSettings& settings) {
  agent::AgentServer::Options options;
  options.settings = settings;
  options.agent = process.data().identity().agent;
  options.cluster = process.data().identity().cluster;
  options.journal_directory = process.data().log_path();
  options.audit_path = process.data().audit_path();
  options.openers = [](const agent::ResourceSettings&) {
    const auto database = std::make_shared<DoNothingDatabase>(DoNothingOptions{.prompt = true});
    const auto open = [database] { return database->connect(); };
    return agent::AgentServer::Openers{open, open, {}};
  };
  options.record_cluster = [&](const ClusterId& cluster) { return process.data().record_cluster(cluster); };
  options.on_ready = [&](const rpc::Address& address, Incarnation) { process.ready(address.text()); };
  options.on_end = [&](Status outcome) { process.finish(std::move(outcome)); };
  agent::AgentServer server(process.loop(), std::move(options));
  process.on_stop([&] { server.stop(); });
  if (auto started = server.start(); !started) return started;
  return process.run_loop();
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  troth::agent::AgentSettings settings;
  return troth::run_program(
      {.name = "bench-agent",
       .purpose = "An agent whose databases do nothing; for measurements of everything around a database.",
       .kind = troth::OwnerKind::kAgent,
       .crash_points = troth::agent::kCrashPoints,
       .metrics = troth::agent::agent_metrics(),
       .describe = [&](troth::Schema& schema) { troth::agent::describe(schema, settings); },
       .run = [&](troth::Process& process) { return troth::bench::serve(process, settings); }},
      argc, argv);
}
