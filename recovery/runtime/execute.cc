// troth execute: several statements in several resources, all or nothing.
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "base/runtime/clock.h"
#include "base/runtime/request_ids.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/peers.h"
#include "recovery/runtime/statement_results.h"
#include "recovery/runtime/values.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

// When the caller named no timeout: longer than any that a coordinator would use by itself.
constexpr Duration kLongWait = std::chrono::minutes(10);
// On top of a named timeout: the coordinator's own answer comes first.
constexpr Duration kAnswerSlack = std::chrono::seconds(10);

Result<wire::Statement> statement_of(const StatementSpec& spec) {
  wire::Statement statement;
  statement.sql = spec.sql;
  for (const auto& text : spec.parameters) {
    auto value = parse_parameter(text);
    if (!value) return std::unexpected(std::move(value.error()));
    statement.parameters.push_back(std::move(*value));
  }
  if (spec.expect_rows || spec.expect_at_least) {
    wire::ExpectRows expect;
    if (spec.expect_rows) expect.__set_exactly(*spec.expect_rows);
    if (spec.expect_at_least) expect.__set_at_least(*spec.expect_at_least);
    statement.__set_expect_rows(expect);
  }
  return statement;
}

Result<wire::ExecuteRequest> request_of(const ExecuteCommand& command, const Surroundings& around) {
  wire::ExecuteRequest request;
  for (const auto& branch : command.branches) {
    wire::BranchWork work;
    work.resource = branch.resource;
    work.read_only = branch.read_only;
    for (const auto& spec : branch.statements) {
      auto statement = statement_of(spec);
      if (!statement) return std::unexpected(std::move(statement.error()));
      work.statements.push_back(std::move(*statement));
    }
    request.branches.push_back(std::move(work));
  }
  wire::ExecuteOptions options;
  options.__set_acknowledgement(command.acknowledge == Acknowledge::kDecided
                                    ? wire::Acknowledgement::DECIDED
                                    : wire::Acknowledgement::APPLIED);
  options.__set_isolation(isolation_of(command.isolation));
  if (command.timeout_ms) options.__set_timeout_ms(*command.timeout_ms);
  if (command.statement_timeout_ms) options.__set_statement_timeout_ms(*command.statement_timeout_ms);
  if (command.max_rows) options.__set_max_rows(*command.max_rows);
  request.__set_options(options);
  request.client_name = around.client_name(command.client_name);
  if (!command.label.empty()) request.__set_label(command.label);
  if (command.request_id.empty()) {
    request.__set_request_id(new_request_id(wall_now()).text());
  } else {
    const auto id = RequestId::parse(command.request_id);
    if (!id) return std::unexpected(id.error());
    request.__set_request_id(id->text());
  }
  return request;
}

std::string answer_text(const wire::ExecuteResult& result, const std::string& request_id) {
  std::string text = fmt::format(
      "committed {}{}\nrequest_id {}\n", result.transaction_id,
      result.already_committed ? " (by an earlier attempt; its rows are not kept)" : "", request_id);
  for (const auto& resource : result.pending_resources)
    text += fmt::format("not yet applied in {}: it will be, by itself\n", resource);
  for (const auto& branch : result.branches) {
    for (std::size_t i = 0; i < branch.statements.size(); ++i) {
      text += fmt::format("\n{}, statement {}:\n", branch.resource, i + 1);
      text += text_of(branch.statements[i], "  ");
    }
  }
  return text;
}

Json answer_json(const wire::ExecuteResult& result, const std::string& request_id) {
  Json branches = Json::array();
  for (const auto& branch : result.branches) {
    Json statements = Json::array();
    for (const auto& statement : branch.statements)
      statements.push_back(json_of(statement));
    branches.push_back({{"resource", branch.resource}, {"statements", std::move(statements)}});
  }
  return {{"outcome", "committed"},
          {"transaction_id", result.transaction_id},
          {"request_id", request_id},
          {"already_committed", result.already_committed},
          {"acknowledged", result.acknowledged == wire::Acknowledgement::DECIDED ? "decided" : "applied"},
          {"pending_resources", result.pending_resources},
          {"branches", std::move(branches)}};
}

// What to do about an answer that did not come: the same request_id again can commit at most once.
std::string advice_for(const Error& error, const wire::ExecuteRequest& request) {
  if (error.effect != Effect::kUnknown) return {};
  return fmt::format(
      "run the same command again with --request-id {0} --client-name {1} (it commits at most once), or ask: "
      "troth status --request-id {0} --client-name {1}",
      request.request_id, request.client_name);
}

}  // namespace

ExitCode run(const ExecuteCommand& command, const Surroundings& around, Console& console) {
  const auto request = request_of(command, around);
  if (!request) return console.refuse_usage(request.error().message);
  const auto coordinator = channel_to_coordinator(around);
  if (!coordinator) return console.refuse_usage(coordinator.error().message);
  const auto wait = command.timeout_ms
                        ? Duration(std::chrono::milliseconds(*command.timeout_ms)) + kAnswerSlack
                        : kLongWait;
  const auto result = (*coordinator)->call<wire::Transactions_execute>(*request, wait);
  if (!result)
    return console.complain(
        result.error(), {.advice = advice_for(result.error(), *request), .request_id = request->request_id});
  console.answer([&] { return answer_text(*result, request->request_id); },
                 [&] { return answer_json(*result, request->request_id); });
  return ExitCode::kDone;
}

}  // namespace troth::recovery
