// troth status: what became of a transaction or a request.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/facts.h"
#include "recovery/runtime/peers.h"
#include "recovery/runtime/reports.h"
#include "recovery/text_table.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

wire::StatusRequest request_of(const StatusCommand& command, const Surroundings& around) {
  wire::StatusRequest request;
  if (!command.transaction.empty()) request.__set_transaction_id(command.transaction);
  if (!command.request_id.empty()) request.__set_request_id(command.request_id);
  request.client_name = around.client_name(command.client_name);
  request.bar = command.bar;
  request.bar_resources = command.bar_resources;
  if (command.timeout_ms) request.__set_timeout_ms(*command.timeout_ms);
  return request;
}

ExitCode exit_code_of(wire::TransactionState::type state) {
  switch (decision_of(state)) {
    case Decision::kCommit: return ExitCode::kDone;
    case Decision::kAbort: return ExitCode::kRefused;
    case Decision::kHeuristic: return ExitCode::kAttention;
    case Decision::kUndecided:
    case Decision::kPending:
    case Decision::kTooOld:
    case Decision::kUnknown: break;
  }
  return ExitCode::kUnknown;
}

}  // namespace

std::string text_of(const wire::StatusReply& reply) {
  std::string text = fmt::format("{}{}{}\n", name_of_state(reply.state),
                                 reply.transaction_id.empty() ? "" : " ", reply.transaction_id);
  if (!reply.label.empty()) text += fmt::format("label {}\n", printable(reply.label));
  if (!reply.detail.empty()) text += fmt::format("{}\n", printable(reply.detail));
  if (reply.branches.empty()) return text;
  TextTable table({"branch", "resource", "state"});
  for (const auto& branch : reply.branches)
    table.add({fmt::format("{}", branch.branch), branch.resource, branch.state});
  return text + table.text("  ");
}

Json json_of(const wire::StatusReply& reply) {
  Json json{{"state", name_of_state(reply.state)}};
  if (!reply.transaction_id.empty()) json["transaction_id"] = reply.transaction_id;
  if (!reply.label.empty()) json["label"] = reply.label;
  if (!reply.detail.empty()) json["detail"] = reply.detail;
  json["branches"] = Json::array();
  for (const auto& branch : reply.branches) {
    json["branches"].push_back(
        {{"branch", branch.branch}, {"resource", branch.resource}, {"state", branch.state}});
  }
  return json;
}

ExitCode run(const StatusCommand& command, const Surroundings& around, Console& console) {
  const auto coordinator = channel_to_coordinator(around);
  if (!coordinator) return console.refuse_usage(coordinator.error().message);
  const auto wait = command.timeout_ms
                        ? Duration(std::chrono::milliseconds(*command.timeout_ms)) + std::chrono::seconds(10)
                        : Duration(std::chrono::minutes(2));
  const auto reply = (*coordinator)->call<wire::Transactions_status>(request_of(command, around), wait);
  if (!reply) return console.complain(reply.error());
  console.answer([&] { return text_of(*reply); }, [&] { return json_of(*reply); });
  return exit_code_of(reply->state);
}

}  // namespace troth::recovery
