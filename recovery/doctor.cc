#include "recovery/doctor.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "participant_agent/dialect/schema.h"
#include "recovery/text_table.h"

namespace troth::recovery {
namespace {

constexpr std::int64_t kNoteAheadMs = 1000;
constexpr std::int64_t kErrorAheadMs = 300'000;  // request_ids from further ahead are refused
constexpr std::size_t kListed = 8;

void judge_clock(std::optional<std::int64_t> ahead_ms, const std::string& where,
                 std::vector<Finding>& findings) {
  if (!ahead_ms || std::abs(*ahead_ms) <= kNoteAheadMs) return;
  const auto* id = std::abs(*ahead_ms) >= kErrorAheadMs ? "clock-far-apart" : "clock-apart";
  findings.push_back(found(id, where,
                           fmt::format("its clock is {} {} this machine's", age_text(std::abs(*ahead_ms)),
                                       *ahead_ms > 0 ? "ahead of" : "behind")));
}

bool says(const std::string& message, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words,
                             [&](std::string_view word) { return message.find(word) != std::string::npos; });
}

Finding judge_not_reached(const ConfiguredResource& resource, const std::string& message) {
  const auto where = where_of(resource);
  if (says(message, {"unsupported startup parameter"})) {
    return found("pooler-refuses-login", where, message, {{"resource", resource.name}});
  }
  if (says(message,
           {"authentication failed", "pg_hba.conf", "not permitted to log in", "no password supplied",
            "Access denied", "is not allowed to connect", "no such user", "password file"})) {
    return found("login-refused", where, message, {{"role", resource.role}});
  }
  return found("unreachable", where, message, {{"resource", resource.name}, {"config", resource.config}});
}

template <typename Server>
void judge_rights(const ResourceFacts& facts, const Server& server, std::string_view grantee,
                  std::vector<Finding>& findings) {
  for (const bool troths : {true, false}) {
    std::vector<std::string> objects, grants;
    for (const MissingRight& missing : server.missing) {
      if (missing.troths != troths) continue;
      objects.push_back(fmt::format("{} on {}", missing.rights, missing.object));
      grants.push_back(fmt::format("GRANT {} ON {} TO {}", missing.rights, missing.object, grantee));
    }
    if (objects.empty()) continue;
    findings.push_back(found(troths ? "troth-privileges" : "table-privileges", where_of(facts.configured),
                             fmt::format("{} lacks {}", facts.configured.role, listed(objects)),
                             {{"grants", fmt::format("{}", fmt::join(grants, "; "))}}));
  }
}

template <typename Server>
void judge_prepared(const ResourceFacts& facts, const Server& server, const Patience& patience,
                    std::vector<Finding>& findings) {
  for (const PreparedSeen& prepared : server.prepared) {
    const bool old = prepared.age_s && *prepared.age_s * 1000 >= patience.older_ms;
    // Where the server does not tell the age, Troth's own branches are the coordinator's to judge (in-doubt-old).
    const bool told = prepared.troths ? old : old || !prepared.age_s;
    if (!told) continue;
    const auto age = prepared.age_s ? fmt::format(", {} old", age_text(*prepared.age_s * 1000)) : "";
    const auto owner = prepared.owner.empty() ? "" : fmt::format(" of {}", prepared.owner);
    findings.push_back(found(prepared.troths ? "prepared-old" : "prepared-stranger",
                             where_of(facts.configured), fmt::format("{}{}{}", prepared.name, owner, age),
                             {{"older", fmt::format("{}", patience.older_ms)},
                              {"owner", prepared.owner.empty() ? "who prepared it" : prepared.owner},
                              {"ending", prepared.ending}}));
  }
}

void judge_installation(const ResourceFacts& facts, std::vector<Finding>& findings) {
  const auto& resource = facts.configured;
  if (!facts.installed) {
    findings.push_back(found("not-installed", where_of(resource), "Troth's tables are not there",
                             {{"resource", resource.name}, {"config", resource.config}}));
  } else if (facts.schema_version && *facts.schema_version != agent::kSchemaVersion) {
    findings.push_back(found("schema-version", where_of(resource),
                             fmt::format("Troth's tables are of version {}, this tool makes version {}",
                                         *facts.schema_version, agent::kSchemaVersion),
                             {{"resource", resource.name}, {"config", resource.config}}));
  }
}

void append(std::vector<Finding>& findings, std::vector<Finding> more) {
  std::ranges::move(more, std::back_inserter(findings));
}

}  // namespace

std::string where_of(const ConfiguredResource& resource) {
  return "resource " + resource.name;
}

std::string listed(const std::vector<std::string>& names) {
  if (names.size() <= kListed) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kListed, ", "),
                     names.size() - kListed);
}

std::string quoted_name(std::string_view name, char quote) {
  std::string text(1, quote);
  for (const char c : name) {
    if (c == quote) text += quote;
    text += c;
  }
  return text + quote;
}

std::vector<Finding> examine(const ResourceFacts& facts, const Patience& patience) {
  if (const auto* not_reached = std::get_if<NotReached>(&facts.server))
    return {judge_not_reached(facts.configured, not_reached->message)};
  std::vector<Finding> findings;
  judge_installation(facts, findings);
  if (const auto* postgres = std::get_if<PostgresFacts>(&facts.server)) {
    append(findings, examine_postgres(facts, *postgres));
    judge_rights(facts, *postgres, quoted_name(facts.configured.role, '"'), findings);
    judge_prepared(facts, *postgres, patience, findings);
  }
  if (const auto* innodb = std::get_if<InnodbFacts>(&facts.server)) {
    append(findings, examine_innodb(facts, *innodb));
    judge_rights(facts, *innodb, innodb->account, findings);
    judge_prepared(facts, *innodb, patience, findings);
  }
  append(findings, examine_sessions(facts));
  judge_clock(facts.clock_ahead_ms, where_of(facts.configured), findings);
  for (const auto& [about, reason] : facts.unanswered) {
    findings.push_back(found("not-examined", where_of(facts.configured), fmt::format("{}: {}", about, reason),
                             {{"role", facts.configured.role}}));
  }
  return findings;
}

std::vector<Finding> examine(const ClusterFacts& facts, const Patience& patience) {
  const std::string where = fmt::format("coordinator {}", facts.address);
  if (!facts.not_reached.empty())
    return {found("coordinator-unreachable", where, facts.not_reached, {{"address", facts.address}})};
  std::vector<Finding> findings;
  if (facts.version != facts.tool_version) {
    findings.push_back(found("coordinator-version", where,
                             fmt::format("it is {}, this tool {}", facts.version, facts.tool_version)));
  }
  judge_clock(facts.clock_ahead_ms, where, findings);
  for (const auto& resource : facts.resources) {
    const std::string place = "resource " + resource.name;
    if (!resource.connected) {
      findings.push_back(found(
          "agent-unreachable", place,
          fmt::format("agent {} at {} does not answer the coordinator", resource.agent, resource.address),
          {{"address", resource.address}}));
    } else if (resource.state != "serving") {
      findings.push_back(found(
          "resource-not-serving", place,
          resource.detail.empty() ? resource.state : fmt::format("{}: {}", resource.state, resource.detail),
          {{"remedy", resource.remedy.empty() ? "wait, and see `troth resources`" : resource.remedy}}));
    }
    if (resource.in_doubt > 0 && resource.oldest_in_doubt_ms >= patience.older_ms) {
      findings.push_back(found(
          "in-doubt-old", place,
          fmt::format("{} in doubt, the oldest for {}", counted(resource.in_doubt, "branch", "branches"),
                      age_text(resource.oldest_in_doubt_ms)),
          {{"older", fmt::format("{}", patience.older_ms)}}));
    }
  }
  return findings;
}

ExitCode exit_code_of(const std::vector<Finding>& findings) {
  const auto has = [&](Severity severity) {
    return std::ranges::find(findings, severity, &Finding::severity) != findings.end();
  };
  if (has(Severity::kError)) return ExitCode::kAttention;
  return has(Severity::kWarning) ? ExitCode::kWarnings : ExitCode::kDone;
}

}  // namespace troth::recovery
