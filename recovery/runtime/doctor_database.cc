#include "recovery/runtime/doctor_database.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "recovery/doctor_questions.h"

namespace troth::recovery {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAnswerWithin = 15s;
// Of a schema with more tables the first ones are tried.
constexpr std::size_t kTriedTables = 200;

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
}

template <typename Facts>
void ask_all(DatabaseAsker& asker, agent::DatabaseConnection& session,
             const std::vector<Question<Facts>>& questions, ResourceFacts& resource, Facts& facts) {
  for (const auto& question : questions) {
    const auto rows = asker.ask(session, question.text);
    if (rows) {
      question.read(*rows, resource, facts);
    } else if (question.refused != nullptr && session.condition() != agent::ConnectionCondition::kLost) {
      question.refused(facts);
    } else {
      resource.unanswered.push_back({std::string(question.about), rows.error().error.message});
    }
  }
}

void try_rights(DatabaseAsker& asker, agent::DatabaseConnection& session, ResourceFacts& resource,
                InnodbFacts& facts) {
  for (std::size_t i = 0; i < facts.tables.size() && i < kTriedTables; ++i) {
    const auto& table = facts.tables[i];
    std::string missing;
    for (const auto& probe : right_probes(table)) {
      const auto tried = asker.ask(session, probe.text);
      if (tried || !means_missing_right(tried.error().error.vendor_code.value_or(0))) continue;
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", probe.right);
    }
    if (missing.empty()) continue;
    facts.missing.push_back({.object = fmt::format("`{}`.`{}`", resource.configured.database, table.name),
                             .rights = missing,
                             .troths = table.troths});
  }
  if (facts.tables.size() > kTriedTables) {
    resource.unanswered.push_back({"rights on tables", fmt::format("only the first {} of {} were tried",
                                                                   kTriedTables, facts.tables.size())});
  }
}

// Half of the trip is taken for the way there.
void compare_clocks(DatabaseAsker& asker, agent::DatabaseConnection& session, ResourceFacts& resource) {
  const auto before = wall_ms();
  const auto rows = asker.ask(session, clock_question(asker.kind()));
  const auto after = wall_ms();
  if (!rows || rows->empty() || rows->front().empty()) return;
  const auto theirs = std::strtoll(rows->front().front().value_or("0").c_str(), nullptr, 10);
  resource.clock_ahead_ms = theirs - (before + after) / 2;
}

void read_schema_version(DatabaseAsker& asker, agent::DatabaseConnection& session, ResourceFacts& resource) {
  if (!resource.installed) return;
  const auto rows = asker.ask(session, schema_version_question(asker.kind()));
  if (!rows || rows->empty()) return;  // the missing right is a finding of its own
  resource.schema_version = std::strtoll(rows->front().front().value_or("0").c_str(), nullptr, 10);
}

}  // namespace

DatabaseAsker::DatabaseAsker(agent::DatabaseKind kind, agent::ConnectOptions options)
    : kind_(kind), options_(std::move(options)), watch_({.repeat_after = 1s, .break_off_after = 3s}) {}

Result<DatabaseAsker::Session> DatabaseAsker::open_in(const std::string& database) const {
  auto options = options_;
  options.database = database;
  return agent::connect_to(kind_, options);
}

agent::Answer<agent::TextRows> DatabaseAsker::ask(agent::DatabaseConnection& session,
                                                  const std::string& text) {
  const auto ticket = watch_.watch(boot_now() + kAnswerWithin, session.cancellation());
  auto answer = session.ask_texts({text});
  watch_.forget(ticket);
  return answer;
}

ResourceFacts gather(const ConfiguredResource& configured, DatabaseAsker& asker) {
  ResourceFacts resource{.configured = configured, .server = NotReached{}};
  const auto opened = asker.open();
  if (!opened) {
    resource.server = NotReached{opened.error().message};
    return resource;
  }
  auto& session = **opened;
  if (asker.kind() == agent::DatabaseKind::kPostgres) {
    PostgresFacts facts;
    ask_all(asker, session, postgres_questions(), resource, facts);
    resource.server = std::move(facts);
  } else {
    InnodbFacts facts;
    ask_all(asker, session, innodb_questions(asker.kind()), resource, facts);
    try_rights(asker, session, resource, facts);
    resource.server = std::move(facts);
  }
  read_schema_version(asker, session, resource);
  compare_clocks(asker, session, resource);
  resource.sessions = try_sessions(asker);
  return resource;
}

}  // namespace troth::recovery
