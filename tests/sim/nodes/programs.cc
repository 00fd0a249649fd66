#include "tests/sim/nodes/programs.h"

#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/runtime/coordinator_server.h"
#include "participant_agent/runtime/agent_server.h"
#include "tests/sim/database/connection.h"

namespace troth::sim {
namespace {

// As participant_agent/runtime/main.cc has them.
constexpr Duration kReadTimeout = std::chrono::seconds(300);
constexpr Duration kFinishingReadTimeout = agent::kAgentTaskTimeout + std::chrono::seconds(15);

// A server on its loop; destroyed with everything that it holds.
template <typename Server>
class ServerProgram final : public Program {
 public:
  ServerProgram(Node& node, typename Server::Options options)
      : loop_(node), server_(loop_, std::move(options)) {}

  [[nodiscard]] Status start() { return server_.start(); }
  void stop() override { server_.stop(); }

 private:
  asio::io_context loop_;
  Server server_;
};

template <typename Server>
std::unique_ptr<Program> started(Node& node, typename Server::Options options) {
  options.on_end = [&node](const Status& outcome) {
    if (!outcome &&
        (outcome.error().code == ErrorCode::kSetBack || outcome.error().code == ErrorCode::kStale))
      node.world().count_rare("an agent started anew above its own past");
    node.program_ended(outcome ? std::string_view("stopped") : std::string_view(outcome.error().message));
  };
  auto program = std::make_unique<ServerProgram<Server>>(node, std::move(options));
  if (auto begun = program->start(); !begun) {
    node.program_ended(begun.error().message);
    return nullptr;
  }
  return program;
}

}  // namespace

Node::Boot coordinator_program(CoordinatorPlan plan) {
  return [plan = std::move(plan)](Node& node) {
    coordinator::CoordinatorServer::Options options;
    options.settings = plan.settings;
    options.settings.listen = plan.address;
    options.cluster = plan.cluster;
    options.log_directory = plan.settings.group.is_set() ? kGroupLog : kLocalLog;
    options.audit_path = "/audit";
    options.files = &disk_of(node);
    options.on_ready = [](const rpc::Address&, const Epoch&) {};
    return started<coordinator::CoordinatorServer>(node, std::move(options));
  };
}

Node::Boot agent_program(AgentPlan plan) {
  return [plan = std::move(plan)](Node& node) {
    agent::AgentServer::Options options;
    const auto& disk = disk_of(node);
    options.settings = plan.settings;
    options.settings.listen = plan.address;
    // The name is made by `init` and is on the disk, too. An installation is given to its agent once, by an operator: here,
    // by the first start of all.
    options.agent = plan.agent;
    if (disk.wiped() > 0) options.agent.value += fmt::format("-{}", disk.wiped());
    for (auto& resource : options.settings.resources)
      resource.take_over = disk.is_blank() && disk.wiped() == 0;
    options.cluster = plan.cluster;
    options.journal_directory = "/journal";
    options.audit_path = "/audit";
    options.openers =
        [&plan](const agent::ResourceSettings& resource) -> Result<agent::AgentServer::Openers> {
      for (std::size_t i = 0; i < plan.settings.resources.size(); ++i) {
        if (plan.settings.resources[i].name != resource.name) continue;
        auto& database = *plan.databases[i];
        const auto role = "troth";
        agent::SessionSettings session{.application_name = "troth-agent " + plan.agent.value,
                                       .lock_wait_timeout = resource.lock_timeout};
        agent::AgentServer::Openers openers;
        openers.open = [&database, role, session] {
          return connect_to_model(database, role, session, kReadTimeout);
        };
        session.lock_wait_timeout = plan.settings.barrier_wait;
        openers.open_finishing = [&database, role, session] {
          return connect_to_model(database, role, session, kFinishingReadTimeout);
        };
        return openers;
      }
      CHECK(false, "no database for resource {}", resource.name);
    };
    options.record_cluster = [](const ClusterId&) -> Status { return {}; };
    options.on_ready = [](const rpc::Address&, Incarnation) {};
    return started<agent::AgentServer>(node, std::move(options));
  };
}

}  // namespace troth::sim
