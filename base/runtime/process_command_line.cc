#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/runtime/process.h"
#include "base/runtime/settings_file.h"
#include "base/settings_reference.h"
#include "base/version.h"

namespace troth {
namespace {

constexpr int kStopped = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

int complain(const Program& program, const Error& error, int code) {
  std::fflush(stdout);
  fmt::print(stderr, "{}: {}\n", program.name, error.message);
  return code;
}

void describe_all(const Program& program, Schema& schema, ProcessSettings& settings) {
  describe(schema, settings);
  program.describe(schema);
}

int print_reference(const Program& program) {
  const SettingsDocument nothing;
  ProcessSettings settings;
  Schema schema(nothing);
  describe_all(program, schema, settings);
  fmt::print("{}", settings_reference(program.name, schema));
  return kStopped;
}

int print_crash_points(const Program& program) {
  for (const auto& name : program.crash_points)
    fmt::print("{}\n", name);
  return kStopped;
}

// What the command line asks for, once the configuration is loaded.
struct Wish {
  std::string config;
  bool check_config = false;
  bool init = false;
  std::string init_name;     // of a new cluster, or an agent
  std::string init_cluster;  // one that there is
};

int init(const Program& program, const ProcessSettings& settings, const Wish& wish) {
  const auto identity = wish.init_cluster.empty()
                            ? DataDirectory::init(settings.data_directory, program.kind, wish.init_name)
                            : DataDirectory::init_coordinator(settings.data_directory, {wish.init_cluster});
  if (!identity) return complain(program, identity.error(), kFailed);
  const bool agent = program.kind == OwnerKind::kAgent;
  fmt::print("initialised {}={} data_directory={}\n", agent ? "agent" : "cluster",
             agent ? identity->agent.value : identity->cluster.value, settings.data_directory);
  return kStopped;
}

int serve(const Program& program, const ProcessSettings& settings) {
  start_log(program.name, settings.log);
  auto data = DataDirectory::open(settings.data_directory, program.kind);
  if (!data) {
    data.error().message += fmt::format(" (`{} init --config FILE --name NAME`)", program.name);
    return complain(program, data.error(), kFailed);
  }
  log_info("starting", {{"version", troth_version()}, {"data_directory", settings.data_directory}});
  Process process(program.name, settings, std::move(*data));
  const auto outcome = program.run(process);
  if (!outcome) return complain(program, outcome.error(), kFailed);
  log_info("stopped");
  return kStopped;
}

int with_configuration(const Program& program, const Wish& wish) {
  const auto document = read_settings_file(wish.config);
  if (!document) return complain(program, document.error(), kUsage);
  ProcessSettings settings;
  Schema schema(*document);
  describe_all(program, schema, settings);
  if (const auto verdict = schema.verdict(); !verdict) return complain(program, verdict.error(), kUsage);
  if (const auto armed = arm_crash_point(program.crash_points, settings.crash); !armed)
    return complain(program, armed.error(), kUsage);
  if (wish.check_config) {
    fmt::print("{}", settings_in_force(schema));
    return kStopped;
  }
  if (wish.init) return init(program, settings, wish);
  return serve(program, settings);
}

}  // namespace

int run_program(const Program& program, int argc, char** argv) {
  CLI::App app{std::string(program.purpose), std::string(program.name)};
  app.set_version_flag("--version", fmt::format("{} {}", program.name, troth_version()));
  Wish wish;
  bool reference = false;
  bool list_points = false;
  bool metrics = false;
  app.add_option("--config", wish.config, "Configuration file (TOML)")->type_name("FILE");
  app.add_flag("--check-config", wish.check_config, "Print the settings in force, or what is wrong, and end");
  app.add_flag("--settings-reference", reference, "Print the page that describes every setting, and end");
  app.add_flag("--metrics-reference", metrics, "Print the page that describes every metric, and end");
  app.add_flag("--list-crash-points", list_points, "Print the names that testing.crash_point takes, and end");
  auto* init_command = app.add_subcommand("init", "Make the data directory, once");
  init_command->callback([&wish] { wish.init = true; });
  auto* name =
      init_command->add_option("--name", wish.init_name, "Short name; six random characters are added")
          ->type_name("NAME");
  if (program.kind == OwnerKind::kCoordinator) {
    auto* cluster =
        init_command->add_option("--cluster", wish.init_cluster,
                                 "In place of a name: the cluster, as the first coordinator's init named it");
    cluster->type_name("CLUSTER")->excludes(name);
  } else {
    name->required();
  }
  init_command->fallthrough();
  app.footer(
      fmt::format("First: {0} init --config FILE --name NAME\nThen:  {0} --config FILE\n"
                  "Exit codes: 0 stopped as asked, 1 could not go on, 2 command line or configuration",
                  program.name));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    app.exit(wrong);
    return kUsage;
  }
  if (reference) return print_reference(program);
  if (metrics) {
    fmt::print("{}", metrics_reference(program.name, program.metrics));
    return kStopped;
  }
  if (list_points) return print_crash_points(program);
  if (wish.init && wish.init_name.empty() && wish.init_cluster.empty()) {
    fmt::print(stderr,
               "{}: init needs --name NAME, or --cluster CLUSTER for another coordinator of that cluster\n",
               program.name);
    return kUsage;
  }
  if (wish.config.empty()) {
    fmt::print(stderr, "{}: --config FILE is missing; --help shows how to begin\n", program.name);
    return kUsage;
  }
  return with_configuration(program, wish);
}

}  // namespace troth
