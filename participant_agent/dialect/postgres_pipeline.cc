#include "participant_agent/dialect/postgres_pipeline.h"

#include <utility>

#include <fmt/format.h>

#include "participant_agent/dialect/literals.h"
#include "participant_agent/dialect/xid.h"

namespace troth::agent {

std::string_view isolation_clause(Isolation isolation) {
  switch (isolation) {
    case Isolation::kUnset: return "";
    case Isolation::kReadCommitted: return " ISOLATION LEVEL READ COMMITTED";
    case Isolation::kRepeatableRead: return " ISOLATION LEVEL REPEATABLE READ";
    case Isolation::kSerializable: return " ISOLATION LEVEL SERIALIZABLE";
  }
  return "";
}

Texts set_limits(const BranchStart& start, std::string_view scope) {
  Texts texts;
  const auto limit = [&](std::string_view setting, std::chrono::milliseconds timeout) {
    if (timeout.count() > 0) texts.push_back(fmt::format("SET {} {} = {}", scope, setting, timeout.count()));
  };
  limit("statement_timeout", start.statement_timeout);
  limit("lock_timeout", start.lock_timeout);
  return texts;
}

std::string prove_query(std::string_view gid) {
  return fmt::format(
      "SELECT CAST(CASE pg_catalog.current_setting('troth.branch', true) WHEN {0} THEN '1' "
      "ELSE 'the session is not inside branch ' || {0} END AS integer), "
      "pg_catalog.set_config('synchronous_commit', CASE pg_catalog.current_setting('synchronous_commit') "
      "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)",
      gid);
}

std::string pipeline_statements() {
  return fmt::format("PREPARE troth_prove (text) AS {}", prove_query("$1"));
}

PipelineSteps pipeline_beginning(const BranchStart& start, bool writes) {
  const auto& id = start.id;
  const auto& transaction = id.transaction;
  PipelineSteps steps;
  steps.push_back({.sql = fmt::format("BEGIN{} {}", isolation_clause(start.isolation),
                                      writes ? "READ WRITE" : "READ ONLY")});
  // Not by a SELECT: above READ COMMITTED that would take the snapshot before the marker stands, and the guard might not
  // see a floor that has risen since (attack 42).
  steps.push_back({.sql = fmt::format("SET LOCAL troth.branch = '{}'", postgres_gid_of(id))});
  for (std::string& text : set_limits(start, "LOCAL"))
    steps.push_back({.sql = std::move(text)});
  if (writes) {
    std::optional<std::string> client;
    std::optional<std::string> request;
    if (start.request) {
      client = start.request->client;
      request = start.request->id.text();
    }
    steps.push_back(
        {.sql = "troth_marker",
         .is_prepared = true,
         .parameters = {std::to_string(transaction.epoch.value), std::to_string(transaction.sequence.value),
                        std::to_string(id.branch.value), transaction.text(), std::move(client),
                        std::move(request), "\\x" + hexadecimal(octets_of(start.digest)),
                        std::to_string(start.epoch.value)}});
  }
  steps.push_back({.sql = "troth_guard", .is_prepared = true, .parameters = {transaction.cluster.value}});
  return steps;
}

PipelineSteps pipeline_ending(const BranchId& branch, bool writes) {
  if (!writes) return {{.sql = "COMMIT"}};
  const std::string gid = postgres_gid_of(branch);
  return {{.sql = std::string(kOwnRole)},
          {.sql = "troth_prove", .is_prepared = true, .parameters = {gid}},
          {.sql = fmt::format("PREPARE TRANSACTION '{}'", gid)}};
}

PipelineSteps pipeline_cleaning() {
  return {{.sql = "CLOSE ALL"},
          {.sql = "SET SESSION AUTHORIZATION DEFAULT"},
          {.sql = "RESET ALL"},
          {.sql = "UNLISTEN *"},
          {.sql = "DISCARD TEMP"},
          {.sql = "DISCARD SEQUENCES"},
          {.sql = "troth_clean", .is_prepared = true}};
}

}  // namespace troth::agent
