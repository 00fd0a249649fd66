// participant_agent/dialect/postgres_pipeline.h
//
// A branch as Postgres' extended protocol takes it in one go: what goes before the client's statements, and behind
// them. The server runs step after step; one that fails makes it skip all behind it up to the Sync.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "participant_agent/dialect/dialect.h"

namespace troth::agent {

struct PipelineStep {
  std::string sql;  // a text; or the name under which `pipeline_statements` prepared one
  bool is_prepared = false;
  std::vector<std::optional<std::string>> parameters;  // as text
};
using PipelineSteps = std::vector<PipelineStep>;

// Prepared by Dialect::prepare_for_branches; names of prepared statements that are Troth's own.
[[nodiscard]] std::string pipeline_statements();

// The last one is the guard.
[[nodiscard]] PipelineSteps pipeline_beginning(const BranchStart& start, bool writes);
// The last one's command tag is `kPrepared`, or it was not prepared.
[[nodiscard]] PipelineSteps pipeline_ending(const BranchId& branch, bool writes);
// Takes away what the client's statements may have left; the last one's only row ends in '0' when that is all.
[[nodiscard]] PipelineSteps pipeline_cleaning();
inline constexpr std::string_view kPrepared = "PREPARE TRANSACTION";

// Behind BEGIN; empty: the database's own.
[[nodiscard]] std::string_view isolation_clause(Isolation isolation);

// A prepared transaction can be finished only by the role that prepared it: whoever a function made of the session, it
// must be the agent's own.
inline constexpr std::string_view kOwnRole = "SET SESSION AUTHORIZATION DEFAULT";

// The statements' times; `scope`: "LOCAL" for the transaction, "SESSION" until the session is cleaned.
[[nodiscard]] Texts set_limits(const BranchStart& start, std::string_view scope);

// Fails (25P02) in a doomed transaction and (22P02) in any other than this branch's, and makes the local
// commit durable, whatever the client's statements set. A stronger remote_apply stays. `gid`: an expression.
[[nodiscard]] std::string prove_query(std::string_view gid);

}  // namespace troth::agent
