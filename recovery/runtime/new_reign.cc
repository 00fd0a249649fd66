// troth cluster new-reign: a way out for a coordinator whose disk was restored to an older state.
// Acts on the data directory of a stopped coordinator, and reads what the agents have seen.
#include "recovery/new_reign.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/runtime/audit_trail.h"
#include "base/runtime/clock.h"
#include "base/runtime/data_directory.h"
#include "base/runtime/entropy.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/facts.h"
#include "recovery/runtime/offline_store.h"
#include "recovery/runtime/peers.h"
#include "recovery/text_table.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

namespace store = coordinator::store;

// All of them or none: an epoch that one agent has seen already would stop it again.
Result<std::vector<AgentSeen>> ask_agents(const std::vector<std::string>& addresses,
                                          const Surroundings& around) {
  std::vector<AgentSeen> agents;
  for (const auto& address : addresses) {
    const auto agent = channel_to_agent(address, around);
    if (!agent) return std::unexpected(agent.error());
    auto status = (*agent)->call<wire::Agent_agent_status>(kPromptly);
    if (!status) return std::unexpected(std::move(status.error()));
    agents.push_back(seen_of(*status));
  }
  return agents;
}

// The answer of one lookup, or why there is none.
Result<store::Found> look_up(OfflineStore& offline, const TransactionId& id) {
  auto answer = offline.ask(store::Lookup{.key = id});
  if (auto* found = std::get_if<store::Found>(&answer)) return std::move(*found);
  if (auto* unknown = std::get_if<store::Unknown>(&answer))
    return std::unexpected(std::move(unknown->reason));
  return fail(ErrorCode::kInternal, Effect::kNone, "the decision store gave an answer that fits no lookup");
}

// Which of the held transactions the restored store has as commits.
Result<std::set<std::string>> decided_commits(OfflineStore& offline, const ClusterId& cluster,
                                              const std::vector<AgentSeen>& agents) {
  std::set<std::string> commits;
  for (const auto& agent : agents) {
    for (const auto& branch : agent.held) {
      const auto id = TransactionId::parse(branch.transaction);
      if (!id || id->cluster != cluster) {
        return fail(
            ErrorCode::kInvalidArgument, Effect::kNone,
            fmt::format("agent {} holds {}, which is not of cluster {}: check --agent and the directory",
                        agent.agent, branch.transaction, cluster.value));
      }
      auto found = look_up(offline, *id);
      if (!found) return std::unexpected(std::move(found.error()));
      if (found->decision && found->decision->commit() != nullptr) commits.insert(branch.transaction);
    }
  }
  return commits;
}

Result<EpochNumber> stored_epoch(OfflineStore& offline, const ClusterId& cluster) {
  // Any lookup tells the newest epoch of what it was read from [S7].
  auto found = look_up(offline, TransactionId{cluster, {1}, {1}, {}});
  if (!found) return std::unexpected(std::move(found.error()));
  return found->prefix.epoch.number;
}

Result<Epoch> acquire(OfflineStore& offline, EpochNumber above) {
  auto answer =
      offline.ask(store::AcquireEpoch{.nonce = {random_nonce()}, .now = wall_now(), .above = above});
  if (const auto* acquired = std::get_if<store::EpochAcquired>(&answer)) return acquired->epoch;
  if (auto* unknown = std::get_if<store::Unknown>(&answer))
    return std::unexpected(std::move(unknown->reason));
  if (auto* refused = std::get_if<store::Refused>(&answer))
    return std::unexpected(std::move(refused->reason));
  return fail(ErrorCode::kInternal, Effect::kUnknown, "the decision store gave an answer that fits no epoch");
}

std::string table_of(const std::vector<HeldBranch>& branches) {
  TextTable table({"transaction", "branch", "resource", "state", "in the database"});
  for (const auto& branch : branches) {
    table.add({branch.transaction, fmt::format("{}", branch.branch.value), branch.resource.value,
               branch.state, branch.database_id});
  }
  return table.text("  ");
}

Json json_of(const std::vector<HeldBranch>& branches) {
  Json list = Json::array();
  for (const auto& branch : branches) {
    list.push_back({{"transaction_id", branch.transaction},
                    {"branch", branch.branch.value},
                    {"resource", branch.resource.value},
                    {"state", branch.state},
                    {"database_id", branch.database_id}});
  }
  return list;
}

ExitCode stop_before_losses(const NewReignPlan& plan, Console& console) {
  console.answer(
      [&] {
        return fmt::format(
            "nothing was done: the restored store has no record of these, and the new reign would roll them "
            "back:\n{}"
            "A part of one may have committed in another resource. Look there for its marker:\n"
            "  SELECT state FROM troth_branch WHERE transaction = '...'   (Postgres: troth.troth_branch)\n"
            "Where one stands as committed, end the held branch alike:\n"
            "  troth resolve TRANSACTION --branch N --resource R --commit --agent HOST:PORT --reason TEXT\n"
            "Then run this again, with --roll-back-undecided for what remains.\n",
            table_of(plan.losses));
      },
      [&] {
        return Json{{"epoch", nullptr}, {"losses", json_of(plan.losses)}, {"commits", json_of(plan.commits)}};
      });
  return ExitCode::kAttention;
}

// Everything but the answer: refusals are errors, losses stop it.
Result<NewReignPlan> make_plan(const NewReignCommand& command, const Surroundings& around,
                               OfflineStore& offline, const ClusterId& cluster) {
  NewReignFacts facts{.above = {command.above}};
  auto agents = ask_agents(command.agents, around);
  if (!agents) return std::unexpected(std::move(agents.error()));
  facts.agents = std::move(*agents);
  auto commits = decided_commits(offline, cluster, facts.agents);
  if (!commits) return std::unexpected(std::move(commits.error()));
  facts.decided_commits = std::move(*commits);
  auto stored = stored_epoch(offline, cluster);
  if (!stored) return std::unexpected(std::move(stored.error()));
  facts.stored = *stored;
  return plan_new_reign(facts);
}

}  // namespace

ExitCode run(const NewReignCommand& command, const Surroundings& around, Console& console) {
  if (around.operator_name.empty())
    return console.refuse_usage("no operator is named for the audit trail: give --operator NAME");
  const auto data = DataDirectory::open(command.data_directory, OwnerKind::kCoordinator);
  if (!data) return console.complain(data.error());
  const auto offline = OfflineStore::open(*data);
  if (!offline) return console.complain(offline.error());
  const auto& cluster = data->identity().cluster;
  const auto plan = make_plan(command, around, **offline, cluster);
  if (!plan) return console.complain(plan.error());
  if (!plan->losses.empty() && !command.roll_back_undecided) return stop_before_losses(*plan, console);

  const auto audited = append_audit(data->audit_path(), wall_now(), "new-reign",
                                    {{"cluster", cluster},
                                     {"before", fmt::format("epoch {}", plan->stored.value)},
                                     {"above", plan->above},
                                     {"losses", plan->losses.size()},
                                     {"operator", around.operator_name},
                                     {"reason", command.reason}});
  if (!audited) return console.complain(audited.error());
  const auto epoch = acquire(**offline, plan->above);
  if (!epoch) return console.complain(epoch.error());
  const auto noted = append_audit(data->audit_path(), wall_now(), "new-reign-done",
                                  {{"cluster", cluster},
                                   {"operator", around.operator_name},
                                   {"reason", command.reason},
                                   {"after", fmt::format("epoch {}", epoch->number.value)}});
  if (!noted) return console.complain(noted.error());
  console.answer(
      [&] {
        return fmt::format(
            "cluster {} is in epoch {} now: start the coordinator; agents that stopped take up service when "
            "they "
            "hear it\n"
            "{} held by agents will commit, {} will be rolled back\n",
            cluster.value, epoch->number.value,
            counted(static_cast<std::int64_t>(plan->commits.size()), "branch", "branches"),
            plan->losses.size());
      },
      [&] {
        return Json{{"cluster", cluster.value},
                    {"epoch", epoch->number.value},
                    {"commits", json_of(plan->commits)},
                    {"losses", json_of(plan->losses)}};
      });
  return ExitCode::kDone;
}

}  // namespace troth::recovery
