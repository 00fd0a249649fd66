// troth resource take-over: an agent becomes the owner of a resource that another one owned.
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/runtime/clock.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/peers.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

// How long the new owner may take to end the old one's sessions and to look at what the resource holds.
constexpr auto kPatience = std::chrono::seconds(60);
constexpr auto kPause = std::chrono::milliseconds(200);

// Nothing more happens by itself in these.
bool has_ended(const std::string& state) {
  return state == "serving" || state == "not durable" || state == "set back" || state == "not owner" ||
         state == "stopped";
}

// The agent answers when it has begun. What has become of it, once it serves or has given up.
Result<wire::ResourceHealth> await_end(wire::ResourceHealth health, rpc::BlockingChannel& agent) {
  const auto deadline = boot_now() + kPatience;
  while (!has_ended(health.state) && boot_now() < deadline) {
    std::this_thread::sleep_for(kPause);
    auto status = agent.call<wire::Agent_agent_status>(kPromptly);
    if (!status) return std::unexpected(std::move(status.error()));
    for (const auto& each : status->resources) {
      if (each.resource == health.resource) health = each;
    }
  }
  return health;
}

Result<wire::ResourceHealth> take_over(const TakeOverCommand& command, const std::string& operator_name,
                                       rpc::BlockingChannel& agent) {
  wire::TakeOverRequest request;
  request.resource = command.resource;
  request.reason = command.reason;
  request.operator_name = operator_name;
  auto health = agent.call<wire::Agent_take_over_resource>(request, kPatiently);
  if (!health) return health;
  return await_end(std::move(*health), agent);
}

}  // namespace

ExitCode run(const TakeOverCommand& command, const Surroundings& around, Console& console) {
  if (around.operator_name.empty())
    return console.refuse_usage("no operator is named for the audit trail: give --operator NAME");
  const auto agent = channel_to_agent(command.agent, around);
  if (!agent) return console.refuse_usage(agent.error().message);
  const auto health = take_over(command, around.operator_name, **agent);
  if (!health) return console.complain(health.error());
  console.answer(
      [&] {
        auto text = fmt::format("{} at {}: {}{}{}\n", health->resource, command.agent, health->state,
                                health->detail.empty() ? "" : ": ", health->detail);
        return health->remedy.empty() ? text : text + "  " + health->remedy + "\n";
      },
      [&] {
        return Json{{"resource", health->resource},
                    {"agent", command.agent},
                    {"state", health->state},
                    {"detail", health->detail},
                    {"remedy", health->remedy}};
      });
  return health->state == "serving" ? ExitCode::kDone : ExitCode::kAttention;
}

}  // namespace troth::recovery
