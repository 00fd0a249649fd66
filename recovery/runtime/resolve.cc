// troth resolve: an operator ends one branch by hand. Facts first, then a judgement, then the act.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/open_work.h"
#include "recovery/resolution.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/facts.h"
#include "recovery/runtime/peers.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

// Which branch is meant: asked of coordinator and agents when the resource was not named.
Result<Resolution> find_branch(const ResolveCommand& command, rpc::BlockingChannel& coordinator) {
  Resolution resolution{.transaction = command.transaction,
                        .resource = {command.resource},
                        .branch = {command.branch},
                        .wish = command.wish};
  if (!command.resource.empty()) return resolution;
  auto report = coordinator.call<wire::Administration_in_doubt>(kPromptly);
  if (!report) return std::unexpected(std::move(report.error()));
  auto resource = resource_of(facts_of(*report), command.transaction, resolution.branch);
  if (!resource) {
    return fail(
        ErrorCode::kUnknownTransaction, Effect::kNone,
        fmt::format("neither the coordinator nor an agent that can be reached lists branch {} of {} as "
                    "open: check `troth in-doubt`, or name its resource with --resource",
                    command.branch, command.transaction));
  }
  resolution.resource = std::move(*resource);
  return resolution;
}

Result<Decision> ask_decision(const std::string& transaction, rpc::BlockingChannel& coordinator) {
  wire::StatusRequest request;
  request.__set_transaction_id(transaction);
  auto reply = coordinator.call<wire::Transactions_status>(request, kPromptly);
  if (!reply) return std::unexpected(std::move(reply.error()));
  return decision_of(reply->state);
}

// Refuses what an operator would regret.
Status permit(const ResolveCommand& command, const Assessment& assessment) {
  const auto refuse = [](std::string message) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
  };
  switch (assessment.judgement) {
    case Judgement::kAgrees:
    case Judgement::kUndecided: return {};
    case Judgement::kTooEarly: return refuse(assessment.explanation);
    case Judgement::kContradicts:
      if (command.against_decision) return {};
      return refuse(assessment.explanation + "; if that is what you want, say --against-decision");
  }
  return {};
}

}  // namespace

ExitCode run(const ResolveCommand& command, const Surroundings& around, Console& console) {
  const auto coordinator = channel_to_coordinator(around.coordinator);
  if (!coordinator) return console.refuse_usage(coordinator.error().message);
  if (around.operator_name.empty())
    return console.refuse_usage("no operator is named for the audit trail: give --operator NAME");
  const auto resolution = find_branch(command, **coordinator);
  if (!resolution) return console.complain(resolution.error());
  const auto decision = ask_decision(command.transaction, **coordinator);
  if (!decision) return console.complain(decision.error());
  const auto assessment = assess(*resolution, *decision);
  if (const auto permitted = permit(command, assessment); !permitted)
    return console.complain(permitted.error());

  wire::ResolveRequest request;
  request.transaction_id = resolution->transaction;
  request.resource = resolution->resource.value;
  request.branch = static_cast<std::int32_t>(resolution->branch.value);
  request.commit = resolution->wish == Wish::kCommit;
  request.reason = command.reason;
  request.operator_name = around.operator_name;
  const auto reply = (*coordinator)->call<wire::Administration_resolve>(request, std::chrono::minutes(2));
  if (!reply)
    return console.complain(reply.error(), {.advice = "look at `troth in-doubt` before you try again"});
  console.answer(
      [&] {
        return fmt::format("{}\nbranch {} of {} in {}: {}\n{}\n", assessment.explanation, request.branch,
                           request.transaction_id, request.resource, reply->state, reply->detail);
      },
      [&] {
        return Json{{"transaction_id", request.transaction_id},
                    {"branch", request.branch},
                    {"resource", request.resource},
                    {"decision", name_of(*decision)},
                    {"judgement", assessment.explanation},
                    {"state", reply->state},
                    {"detail", reply->detail}};
      });
  return assessment.judgement == Judgement::kContradicts ? ExitCode::kAttention : ExitCode::kDone;
}

}  // namespace troth::recovery
