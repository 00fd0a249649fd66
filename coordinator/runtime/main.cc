// troth-coordinator: decides transactions, and drives their branches to the end that was decided.

#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/process.h"
#include "coordinator/runtime/coordinator_server.h"
#include "coordinator/runtime/crash_points.h"
#include "coordinator/runtime/settings.h"

namespace troth::coordinator {
namespace {

Status serve(Process& process, const CoordinatorSettings& settings) {
  const auto& group = settings.group;
  const auto beginning = group.is_set() ? text_of(group.beginning()) : std::string();
  if (group.is_set() && process.data().identity().group == kToJoin &&
      group.beginning().voters == consensus::Replicas{{group.replica}}) {
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format(
            "{} was made to join a cluster that there is, and group.founders says that replica {} began its "
            "group alone: what it had decided is not in here. A replica whose disk is lost is not made "
            "anew: give a new number to a new directory, and `troth cluster replace` it",
            process.data().path(), group.replica));
  }
  if (auto own = process.data().record_member(group.replica, beginning); !own) return own;
  const auto& cluster = process.data().identity().cluster;
  CoordinatorServer::Options options;
  options.settings = settings;
  options.cluster = cluster;
  options.log_directory =
      settings.group.is_set() ? process.data().group_log_path() : process.data().log_path();
  options.audit_path = process.data().audit_path();
  CoordinatorServer* running = nullptr;
  options.on_ready = [&](const rpc::Address& address, const Epoch& epoch) {
    process.ready(address.text(),
                  {{"cluster", cluster},
                   {"epoch", epoch.number},
                   {"replica", settings.group.is_set() ? std::to_string(settings.group.replica) : ""},
                   {"http", running->http_address()}});
  };
  options.on_end = [&](Status outcome) { process.finish(std::move(outcome)); };
  CoordinatorServer server(process.loop(), std::move(options));
  running = &server;
  if (auto started = server.start(); !started) return started;
  process.on_stop([&] { server.stop(); });
  process.on_reread([&] { server.reread(); });
  return process.run_loop();
}

}  // namespace
}  // namespace troth::coordinator

int main(int argc, char** argv) {
  troth::coordinator::CoordinatorSettings settings;
  return troth::run_program(
      {.name = "troth-coordinator",
       .purpose = "Decides transactions over several databases, and drives every branch to the decided end.",
       .kind = troth::OwnerKind::kCoordinator,
       .crash_points = troth::coordinator::kCrashPoints,
       .metrics = troth::coordinator::coordinator_metrics(),
       .describe = [&](troth::Schema& schema) { troth::coordinator::describe(schema, settings); },
       .run = [&](troth::Process& process) { return troth::coordinator::serve(process, settings); }},
      argc, argv);
}
