#include "recovery/schema_upgrade.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/schema.h"

namespace troth::recovery {
namespace {

using agent::MarkerRow;
using agent::MarkerState;

Error error_of(ErrorCode code, const std::string& resource, std::string message) {
  Error error;
  error.code = code;
  error.effect = Effect::kNone;
  error.message = std::move(message);
  error.resource = resource;
  return error;
}

// The row that keeps the request: a commit in one phase first, for of that no coordinator has a record; a barrier last,
// for what it kept from happening happened.
int claim_of(const MarkerRow& row) {
  if (row.state == MarkerState::kBarred || row.state == MarkerState::kUndone) return 0;
  const auto id = TransactionId::parse(row.transaction);
  return id && id->is_one_phase() ? 2 : 1;
}

// Of one request.
struct Repeated {
  std::vector<std::string> stands_in;
  std::vector<std::string> statements;
};

Repeated describe(agent::DatabaseKind kind, std::vector<MarkerRow> rows) {
  std::ranges::stable_sort(rows, std::ranges::greater{}, claim_of);
  const auto* table = kind == agent::DatabaseKind::kPostgres ? "troth.troth_branch" : "troth_branch";
  Repeated repeated;
  for (const auto& row : rows) {
    if (!repeated.stands_in.empty()) {
      repeated.statements.push_back(fmt::format(
          "UPDATE {} SET client = NULL, request_id = NULL WHERE transaction = '{}' AND branch = {};", table,
          row.transaction, row.branch.value));
    }
    repeated.stands_in.push_back(
        fmt::format("{} (branch {}, {})", row.transaction, row.branch.value, name_of(row.state)));
  }
  return repeated;
}

}  // namespace

Error unread_calls(agent::DatabaseKind kind, const std::string& resource,
                   const std::vector<MarkerRow>& rows) {
  std::map<RequestKey, std::vector<MarkerRow>> by_request;
  for (const auto& row : rows)
    if (row.request) by_request[*row.request].push_back(row);
  std::vector<std::string> requests;
  std::vector<std::string> statements;
  for (const auto& [key, of_request] : by_request) {
    const auto repeated = describe(kind, of_request);
    requests.push_back(fmt::format("request_id {} of client '{}' stands in {}", key.id.text(), key.client,
                                   fmt::join(repeated.stands_in, " and in ")));
    statements.insert(statements.end(), repeated.statements.begin(), repeated.statements.end());
  }
  const bool more = by_request.size() >= agent::kRepeatedRequestsShown;
  return error_of(ErrorCode::kRequestIdReused, resource,
                  fmt::format("version {} of Troth's tables holds each request once, and here {}{}. An older "
                              "version let a request "
                              "commit as two transactions: see what each of them did, and set right what was "
                              "done twice. Then take the "
                              "request from all but one of its rows, in the resource's own database, and "
                              "install again; each row goes on "
                              "proving its branch: {}",
                              agent::kSchemaVersion, fmt::join(requests, "; "),
                              more ? "; and perhaps more" : "", fmt::join(statements, " ")));
}

Error tables_in_use(const std::string& resource, const std::string& reason) {
  return error_of(
      ErrorCode::kBusy, resource,
      fmt::format("Troth's tables in {} are in use: {}. Start the agent of the release that made them, wait "
                  "until `troth in-doubt` shows nothing of {}, stop it, and install again",
                  resource, reason, resource));
}

Error tables_too_new(const std::string& resource, std::uint32_t version) {
  return error_of(
      ErrorCode::kInvalidArgument, resource,
      fmt::format("{} holds version {} of Troth's tables, and this tool makes version {}: use the tool of "
                  "its release",
                  resource, version, agent::kSchemaVersion));
}

}  // namespace troth::recovery
