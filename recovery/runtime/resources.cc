// troth resources: the cluster, its resources and their health.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/peers.h"
#include "recovery/runtime/reports.h"
#include "recovery/text_table.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

bool serves(const wire::ResourceStatus& resource) {
  return resource.connected && resource.health.state == "serving";
}

}  // namespace

std::string text_of(const wire::ClusterStatus& status) {
  std::string text = fmt::format(
      "cluster {}, epoch {}, coordinator {}\n{} open; since its start {} committed, {} aborted\n\n",
      status.cluster, status.epoch.number, status.version, status.open_transactions, status.committed,
      status.aborted);
  if (status.resources.empty()) return text + "no resource is registered: start an agent\n";
  TextTable table({"resource", "no.", "kind", "agent", "address", "state", "in doubt", "oldest", "sessions"});
  std::string troubles;
  for (const auto& resource : status.resources) {
    const auto& health = resource.health;
    table.add({resource.name, fmt::format("{}", resource.number), resource.kind,
               fmt::format("{} ({})", resource.agent_id, resource.incarnation), resource.address,
               resource.connected || health.state != "unreachable" ? health.state : "agent unreachable",
               fmt::format("{}", health.in_doubt),
               health.in_doubt > 0 ? age_text(health.oldest_in_doubt_ms) : "-",
               fmt::format("{}/{}", health.sessions_busy, health.sessions)});
    if (serves(resource)) continue;
    if (!health.detail.empty()) troubles += fmt::format("{}: {}\n", resource.name, printable(health.detail));
    if (!health.remedy.empty()) troubles += fmt::format("  {}\n", printable(health.remedy));
  }
  return text + table.text() + troubles;
}

Json json_of(const wire::ClusterStatus& status) {
  Json resources = Json::array();
  for (const auto& resource : status.resources) {
    const auto& health = resource.health;
    resources.push_back({{"name", resource.name},
                         {"number", resource.number},
                         {"kind", resource.kind},
                         {"agent", resource.agent_id},
                         {"incarnation", resource.incarnation},
                         {"address", resource.address},
                         {"connected", resource.connected},
                         {"state", health.state},
                         {"detail", health.detail},
                         {"remedy", health.remedy},
                         {"in_doubt", health.in_doubt},
                         {"oldest_in_doubt_ms", health.oldest_in_doubt_ms},
                         {"sessions_busy", health.sessions_busy},
                         {"sessions", health.sessions}});
  }
  return {{"cluster", status.cluster},
          {"epoch", status.epoch.number},
          {"version", status.version},
          {"open_transactions", status.open_transactions},
          {"floor", {{"epoch", status.floor_epoch}, {"sequence", status.floor_sequence}}},
          {"request_floor_ms", status.request_floor_ms},
          {"committed", status.committed},
          {"aborted", status.aborted},
          {"log_syncs", status.log_syncs},
          {"resources", std::move(resources)}};
}

ExitCode run(const ResourcesCommand&, const Surroundings& around, Console& console) {
  const auto coordinator = channel_to_coordinator(around);
  if (!coordinator) return console.refuse_usage(coordinator.error().message);
  const auto status = (*coordinator)->call<wire::Administration_cluster_status>(kPromptly);
  if (!status) return console.complain(status.error());
  console.answer([&] { return text_of(*status); }, [&] { return json_of(*status); });
  return std::ranges::all_of(status->resources, serves) ? ExitCode::kDone : ExitCode::kAttention;
}

}  // namespace troth::recovery
