// troth cluster init: the data directory of a coordinator that is to belong to a group; also of one that was alone.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/runtime/data_directory.h"
#include "base/runtime/entropy.h"
#include "base/runtime/process.h"
#include "base/runtime/settings_file.h"
#include "coordinator/decision_store/runtime/local_import.h"
#include "coordinator/runtime/settings.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"

namespace troth::recovery {
namespace {

namespace store = coordinator::store;

struct Configured {
  ProcessSettings process;
  coordinator::CoordinatorSettings coordinator;
};

Result<Configured> read_configuration(const std::string& path) {
  const auto document = read_settings_file(path);
  if (!document) return std::unexpected(document.error());
  Configured configured;
  Schema schema(*document);
  describe(schema, configured.process);
  coordinator::describe(schema, configured.coordinator);
  if (auto verdict = schema.verdict(); !verdict) return std::unexpected(std::move(verdict.error()));
  if (configured.coordinator.group.is_set()) return configured;
  return fail(
      ErrorCode::kInvalidArgument, Effect::kNone,
      fmt::format("{} has no [group]: set group.replica and list [[replicas]], this one included", path));
}

store::LocalImport import_of(const DataDirectory& data, const Configured& configured) {
  store::LocalImport import;
  import.local_directory = data.log_path();
  import.cluster = data.identity().cluster;
  import.directory = data.group_log_path();
  import.first = configured.coordinator.group.beginning();
  import.seed = random_nonce();
  import.segment_bytes = configured.coordinator.segment_bytes;
  return import;
}

// It begins the group alone: the others would agree on something else without what it knows.
Status check_founders(const coordinator::GroupSettings& group) {
  if (group.beginning().voters == coordinator::consensus::Replicas{{group.replica}}) return {};
  return fail(
      ErrorCode::kInvalidArgument, Effect::kNone,
      fmt::format("a coordinator that was alone begins its group alone, and the others are added to it: set "
                  "group.founders = \"{}\" in every replica's file, and begin with `troth cluster init "
                  "--from-local` at this one",
                  group.replica));
}

struct Made {
  std::string cluster;
  std::string what;
};

// Killed anywhere, the same command does the rest: what was imported is only named in the identity then.
Result<Made> make_from_local(const Configured& configured, Console& console) {
  const auto& group = configured.coordinator.group;
  if (auto alone = check_founders(group); !alone) return std::unexpected(std::move(alone.error()));
  auto data = DataDirectory::open(configured.process.data_directory, OwnerKind::kCoordinator);
  if (!data) return std::unexpected(std::move(data.error()));
  const auto& identity = data->identity();
  if (!identity.group.empty()) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("{} belongs to a group already: start it", data->path()));
  }
  const auto import = import_of(*data, configured);
  const auto was_done = store::is_imported(import);
  if (!was_done) return std::unexpected(was_done.error());
  std::string what = "its decision log was imported before";
  if (!*was_done) {
    console.note(fmt::format("importing {}", import.local_directory));
    const auto imported = store::import_local(import);
    if (!imported) return std::unexpected(imported.error());
    what =
        fmt::format("imported {} records, epoch {}{}", imported->slot.value, imported->epoch.number.value,
                    imported->cut_tail ? "; the last batch of the log was torn, as a crash leaves it" : "");
  }
  if (auto named = data->record_import(group.replica, coordinator::text_of(group.beginning())); !named)
    return std::unexpected(std::move(named.error()));
  return Made{identity.cluster.value, what};
}

Result<Made> make_new(const InitClusterCommand& command, const Configured& configured) {
  const auto& directory = configured.process.data_directory;
  const auto identity = command.cluster.empty()
                            ? DataDirectory::init(directory, OwnerKind::kCoordinator, command.name)
                            : DataDirectory::init_coordinator(directory, {command.cluster});
  if (!identity) return std::unexpected(identity.error());
  return Made{identity->cluster.value, command.cluster.empty() ? "a new cluster" : "made to join it"};
}

}  // namespace

ExitCode run(const InitClusterCommand& command, const Surroundings&, Console& console) {
  const auto configured = read_configuration(command.config);
  if (!configured) return console.complain(configured.error());
  const auto made =
      command.from_local ? make_from_local(*configured, console) : make_new(command, *configured);
  if (!made) return console.complain(made.error());
  const auto& directory = configured->process.data_directory;
  const auto replica = configured->coordinator.group.replica;
  console.answer(
      [&] {
        return fmt::format("cluster {}, replica {} in {}: {}\n", made->cluster, replica, directory,
                           made->what);
      },
      [&] {
        return Json{{"cluster", made->cluster},
                    {"replica", replica},
                    {"data_directory", directory},
                    {"what", made->what}};
      });
  return ExitCode::kDone;
}

}  // namespace troth::recovery
