// troth doctor: what is wrong, or will be, with databases, directories, clocks and the cluster.
#include "recovery/doctor.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/nearest_name.h"
#include "base/runtime/clock.h"
#include "base/runtime/process.h"
#include "base/runtime/secret.h"
#include "base/runtime/settings_file.h"
#include "base/version.h"
#include "coordinator/runtime/settings.h"
#include "participant_agent/runtime/settings.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/doctor_database.h"
#include "recovery/runtime/doctor_directory.h"
#include "recovery/runtime/peers.h"
#include "recovery/text_table.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

// Of a resource's three pools: branches, tied ones beside them, half as many to finish, and one that counts.
std::int64_t connections_of(const agent::ResourceSettings& resource) {
  const auto finishing = std::clamp<std::size_t>(resource.sessions / 2, 2, 16);
  return static_cast<std::int64_t>(resource.sessions + resource.tied_sessions + finishing + 1);
}

class Examination {
 public:
  Examination(const DoctorCommand& command, const Surroundings& around)
      : command_(command), around_(around) {}

  // An error: the command names what is not there, or a configuration that cannot be read.
  Status run() {
    if (!command_.config.empty()) {
      if (Status done = examine_configuration(); !done) return done;
    }
    if (!command_.log.empty()) {
      DirectoryFacts known{.path = command_.log, .log = command_.log};
      take_directory(look_at(std::move(known), std::nullopt));
    }
    const auto machine = look_at_machine();
    take("this machine", summary_of(machine), examine(machine));
    if (!around_.coordinator.empty()) {
      if (Status done = examine_cluster(); !done) return done;
    }
    put_in_order(findings_);
    return {};
  }

  [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }

  struct Examined {
    std::string where;
    std::string seen;
  };
  [[nodiscard]] const std::vector<Examined>& examined() const { return examined_; }

 private:
  void take(std::string where, std::string seen, std::vector<Finding> findings) {
    examined_.push_back({std::move(where), std::move(seen)});
    std::ranges::move(findings, std::back_inserter(findings_));
  }

  void take_directory(const DirectoryFacts& facts) {
    take("directory " + facts.path, summary_of(facts), examine(facts));
  }

  // An agent's configuration has resources, a coordinator's has none.
  Status examine_configuration() {
    const auto document = read_settings_file(command_.config);
    if (!document) return std::unexpected(document.error());
    const bool is_agents =
        std::ranges::find(document->root, "resource", &SettingsEntry::key) != document->root.end();
    ProcessSettings process;
    Schema schema(*document);
    describe(schema, process);
    if (is_agents) {
      agent::AgentSettings settings;
      agent::describe(schema, settings);
      if (Status verdict = schema.verdict(); !verdict) return verdict;
      return examine_agent(process, settings);
    }
    coordinator::CoordinatorSettings settings;
    coordinator::describe(schema, settings);
    if (Status verdict = schema.verdict(); !verdict) return verdict;
    if (!command_.resources.empty()) {
      return fail(ErrorCode::kUnknownResource, Effect::kNone,
                  fmt::format("{} is a coordinator's, and names no resource", command_.config));
    }
    examine_data(process,
                 {.program = "troth-coordinator",
                  .size_setting = "decision_log.log_bytes",
                  .log_bytes = settings.log_bytes,
                  .segment_bytes = settings.segment_bytes},
                 OwnerKind::kCoordinator);
    return {};
  }

  void examine_data(const ProcessSettings& process, DirectoryFacts known, OwnerKind kind) {
    known.path = process.data_directory;
    known.log = process.data_directory + "/log";
    known.config = command_.config;
    take_directory(look_at(std::move(known), kind));
  }

  Status examine_agent(const ProcessSettings& process, const agent::AgentSettings& settings) {
    std::vector<std::string> names;
    names.reserve(settings.resources.size());
    for (const auto& resource : settings.resources)
      names.push_back(resource.name);
    for (const auto& wanted : command_.resources) {
      if (std::ranges::find(names, wanted) != names.end()) continue;
      const auto nearest = nearest_name(wanted, names);
      return fail(ErrorCode::kUnknownResource, Effect::kNone,
                  fmt::format("{} has no resource '{}'{}", command_.config, wanted,
                              nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
    }
    for (const auto& resource : settings.resources) {
      const bool chosen = command_.resources.empty() ||
                          std::ranges::find(command_.resources, resource.name) != command_.resources.end();
      if (chosen) examine_resource(resource);
    }
    examine_data(process,
                 {.program = "troth-agent",
                  .size_setting = "journal.journal_bytes",
                  .log_bytes = settings.journal_bytes,
                  .segment_bytes = settings.segment_bytes},
                 OwnerKind::kAgent);
    return {};
  }

  void examine_resource(const agent::ResourceSettings& resource) {
    ResourceFacts facts{.configured = {.name = resource.name,
                                       .kind = resource.kind,
                                       .config = command_.config,
                                       .role = resource.user,
                                       .database = resource.database,
                                       .sessions = static_cast<std::int64_t>(resource.sessions),
                                       .connections = connections_of(resource)},
                        .server = NotReached{}};
    auto password = read_secret(resource.password);
    if (!password) {
      facts.server = NotReached{"the password file or variable cannot be read: " + password.error().message};
    } else {
      auto options = agent::connect_options_of(resource);
      options.user = resource.user;
      options.password = std::move(*password);
      options.settings.application_name = "troth-doctor";
      options.read_timeout = std::chrono::seconds(30);
      DatabaseAsker asker(resource.kind, std::move(options));
      facts = gather(facts.configured, asker);
    }
    take(where_of(facts.configured), summary_of(facts), examine(facts, patience()));
  }

  Status examine_cluster() {
    const auto coordinator = channel_to_coordinator(around_);
    if (!coordinator) return std::unexpected(coordinator.error());
    ClusterFacts facts{.address = around_.coordinator, .tool_version = std::string(troth_version())};
    const auto clock = [] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
    };
    // Greets, so that the clocks are not compared over the time that connecting takes.
    auto status = (*coordinator)->call<wire::Administration_cluster_status>(kPromptly);
    const auto before = clock();
    if (status) status = (*coordinator)->call<wire::Administration_cluster_status>(kPromptly);
    const auto after = clock();
    if (status) {
      facts.version = status->version;
      // A coordinator of before this field tells nothing.
      if (status->clock_ms != 0) facts.clock_ahead_ms = status->clock_ms - (before + after) / 2;
      for (const auto& resource : status->resources) {
        facts.resources.push_back({.name = resource.name,
                                   .agent = resource.agent_id,
                                   .address = resource.address,
                                   .connected = resource.connected,
                                   .state = resource.health.state,
                                   .detail = resource.health.detail,
                                   .remedy = resource.health.remedy,
                                   .in_doubt = resource.health.in_doubt,
                                   .oldest_in_doubt_ms = resource.health.oldest_in_doubt_ms});
      }
    } else {
      facts.not_reached = status.error().message;
    }
    take("coordinator " + around_.coordinator, summary_of(facts), examine(facts, patience()));
    return {};
  }

  [[nodiscard]] Patience patience() const { return {.older_ms = command_.older_than_ms}; }

  const DoctorCommand& command_;
  const Surroundings& around_;
  std::vector<Finding> findings_;
  std::vector<Examined> examined_;
};

std::int64_t count_of(const std::vector<Finding>& findings, Severity severity) {
  return std::ranges::count(findings, severity, &Finding::severity);
}

std::string text_of(const Examination& examination) {
  const auto& findings = examination.findings();
  std::string text;
  for (const auto& [where, seen] : examination.examined())
    text += fmt::format("{}: {}\n", printable(where), printable(seen));
  if (findings.empty()) return text + "\nnothing to mend\n";
  text += fmt::format("\n{}, {}, {}\n\n", counted(count_of(findings, Severity::kError), "error"),
                      counted(count_of(findings, Severity::kWarning), "warning"),
                      counted(count_of(findings, Severity::kNote), "note"));
  TextTable table({"", "severity", "finding", "where"});
  int number = 0;
  for (const auto& finding : findings)
    table.add(
        {fmt::format("{}", ++number), std::string(name_of(finding.severity)), finding.id, finding.where});
  text += table.text();
  number = 0;
  for (const auto& finding : findings) {
    text += fmt::format("\n{}. {} ({})\n   seen  {}\n   why   {}\n   mend  {}\n         ({})\n", ++number,
                        finding.id, printable(finding.where), printable(finding.seen), finding.why,
                        printable(finding.mend), name_of(finding.remedy));
  }
  return text;
}

Json json_of(const Examination& examination) {
  Json findings = Json::array();
  for (const auto& finding : examination.findings()) {
    findings.push_back({{"finding", finding.id},
                        {"severity", name_of(finding.severity)},
                        {"where", finding.where},
                        {"seen", finding.seen},
                        {"why", finding.why},
                        {"remedy", name_of(finding.remedy)},
                        {"mend", finding.mend}});
  }
  Json examined = Json::array();
  for (const auto& [where, seen] : examination.examined())
    examined.push_back({{"where", where}, {"seen", seen}});
  return {{"examined", std::move(examined)},
          {"errors", count_of(examination.findings(), Severity::kError)},
          {"warnings", count_of(examination.findings(), Severity::kWarning)},
          {"notes", count_of(examination.findings(), Severity::kNote)},
          {"findings", std::move(findings)}};
}

Json json_of_kinds() {
  Json kinds = Json::array();
  for (const auto& kind : finding_kinds()) {
    kinds.push_back({{"finding", kind.id},
                     {"severity", name_of(kind.severity)},
                     {"of", name_of(kind.examined)},
                     {"seen", kind.sees},
                     {"why", kind.why},
                     {"remedy", name_of(kind.remedy)},
                     {"mend", kind.mend}});
  }
  return {{"findings", std::move(kinds)}};
}

}  // namespace

ExitCode run(const DoctorCommand& command, const Surroundings& around, Console& console) {
  if (command.list) {
    console.answer(findings_page, json_of_kinds);
    return ExitCode::kDone;
  }
  if (command.config.empty() && command.log.empty() && around.coordinator.empty())
    return console.refuse_usage("nothing is named to look at: give --config, --log or --coordinator");
  Examination examination(command, around);
  if (const Status done = examination.run(); !done) return console.complain(done.error());
  console.answer([&] { return text_of(examination); }, [&] { return json_of(examination); });
  return exit_code_of(examination.findings());
}

}  // namespace troth::recovery
