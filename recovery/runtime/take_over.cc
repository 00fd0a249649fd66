// troth resource take-over: an agent becomes the owner of a resource that another one owned.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/peers.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {

ExitCode run(const TakeOverCommand& command, const Surroundings& around, Console& console) {
  if (around.operator_name.empty())
    return console.refuse_usage("no operator is named for the audit trail: give --operator NAME");
  const auto agent = channel_to_agent(command.agent);
  if (!agent) return console.refuse_usage(agent.error().message);
  wire::TakeOverRequest request;
  request.resource = command.resource;
  request.reason = command.reason;
  request.operator_name = around.operator_name;
  // The agent waits until every old session has ended.
  const auto health = (*agent)->call<wire::Agent_take_over_resource>(request, std::chrono::minutes(2));
  if (!health) return console.complain(health.error());
  console.answer(
      [&] {
        return fmt::format("{} at {}: {}{}{}\n", health->resource, command.agent, health->state,
                           health->detail.empty() ? "" : ": ", health->detail);
      },
      [&] {
        return Json{{"resource", health->resource},
                    {"agent", command.agent},
                    {"state", health->state},
                    {"detail", health->detail}};
      });
  return health->state == "serving" ? ExitCode::kDone : ExitCode::kAttention;
}

}  // namespace troth::recovery
