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
#include "thrift/gen/agents_methods.h"
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

// What the branch is now.
struct Ended {
  std::string state;
  std::string detail;
};

Result<Ended> end_through_coordinator(const Resolution& resolution, const ResolveCommand& command,
                                      const Surroundings& around, rpc::BlockingChannel& coordinator) {
  wire::ResolveRequest request;
  request.transaction_id = resolution.transaction;
  request.resource = resolution.resource.value;
  request.branch = static_cast<std::int32_t>(resolution.branch.value);
  request.commit = resolution.wish == Wish::kCommit;
  request.reason = command.reason;
  request.operator_name = around.operator_name;
  auto reply = coordinator.call<wire::Administration_resolve>(request, kPatiently);
  if (!reply) return std::unexpected(std::move(reply.error()));
  return Ended{reply->state, reply->detail};
}

Result<Ended> end_at_agent(const Resolution& resolution, const ResolveCommand& command,
                           const Surroundings& around, rpc::BlockingChannel& agent) {
  wire::ResolveBranchRequest request;
  request.transaction_id = resolution.transaction;
  request.resource = resolution.resource.value;
  request.branch = static_cast<std::int32_t>(resolution.branch.value);
  request.commit = resolution.wish == Wish::kCommit;
  request.reason = command.reason;
  request.operator_name = around.operator_name;
  auto reply = agent.call<wire::Agent_resolve_branch>(request, kPatiently);
  if (!reply) return std::unexpected(std::move(reply.error()));
  return Ended{std::string(name_of_end(reply->outcome)), reply->detail};
}

// A judged wish, and the way to fulfil it.
struct Prepared {
  Resolution resolution;
  Decision decision = Decision::kUnknown;
  Assessment assessment;
  Peer peer;
};

Result<Prepared> prepare(const ResolveCommand& command, const Surroundings& around) {
  const bool at_agent = !command.agent.empty();
  auto peer = at_agent ? channel_to_agent(command.agent, around) : channel_to_coordinator(around);
  if (!peer) return std::unexpected(std::move(peer.error()));
  Prepared prepared{.peer = std::move(*peer)};
  if (at_agent) {
    prepared.resolution = {.transaction = command.transaction,
                           .resource = {command.resource},
                           .branch = {command.branch},
                           .wish = command.wish};
  } else {
    auto resolution = find_branch(command, *prepared.peer);
    if (!resolution) return std::unexpected(std::move(resolution.error()));
    prepared.resolution = std::move(*resolution);
    auto decision = ask_decision(command.transaction, *prepared.peer);
    if (!decision) return std::unexpected(std::move(decision.error()));
    prepared.decision = *decision;
  }
  prepared.assessment = assess(prepared.resolution, prepared.decision);
  if (auto permitted = permit(command, prepared.assessment); !permitted)
    return std::unexpected(std::move(permitted.error()));
  return prepared;
}

std::string text_of(const Prepared& prepared, const Ended& ended) {
  const auto& resolution = prepared.resolution;
  auto text =
      fmt::format("{}\nbranch {} of {} in {}: {}\n", prepared.assessment.explanation, resolution.branch.value,
                  resolution.transaction, resolution.resource.value, ended.state);
  return ended.detail.empty() ? text : text + ended.detail + "\n";
}

Json json_of(const Prepared& prepared, const Ended& ended) {
  return {{"transaction_id", prepared.resolution.transaction},
          {"branch", prepared.resolution.branch.value},
          {"resource", prepared.resolution.resource.value},
          {"decision", name_of(prepared.decision)},
          {"judgement", prepared.assessment.explanation},
          {"state", ended.state},
          {"detail", ended.detail}};
}

}  // namespace

ExitCode run(const ResolveCommand& command, const Surroundings& around, Console& console) {
  if (around.operator_name.empty())
    return console.refuse_usage("no operator is named for the audit trail: give --operator NAME");
  const auto prepared = prepare(command, around);
  if (!prepared) return console.complain(prepared.error());
  const auto ended = command.agent.empty()
                         ? end_through_coordinator(prepared->resolution, command, around, *prepared->peer)
                         : end_at_agent(prepared->resolution, command, around, *prepared->peer);
  if (!ended)
    return console.complain(ended.error(), {.advice = "look at `troth in-doubt` before you try again"});
  console.answer([&] { return text_of(*prepared, *ended); }, [&] { return json_of(*prepared, *ended); });
  const bool contradicts = prepared->assessment.judgement == Judgement::kContradicts;
  return contradicts ? ExitCode::kAttention : ExitCode::kDone;
}

}  // namespace troth::recovery
