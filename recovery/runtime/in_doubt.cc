// troth in-doubt: what is open, why, and what would end it.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/open_work.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/facts.h"
#include "recovery/runtime/peers.h"
#include "recovery/text_table.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

std::string decision_text(const ExplainedTransaction& transaction) {
  return std::string(transaction.decision ? name_of(*transaction.decision)
                                          : "nothing open at the coordinator");
}

std::string text_of(const ExplainedTransaction& transaction) {
  std::string text =
      fmt::format("{}  {}  {}{}\n", transaction.id, decision_text(transaction), age_text(transaction.age_ms),
                  transaction.label.empty() ? "" : "  label " + printable(transaction.label));
  TextTable table({"branch", "resource", "coordinator", "agent", "waits for", "in the database"});
  for (const auto& branch : transaction.branches) {
    const auto or_dash = [](const std::string& word) { return word.empty() ? std::string("-") : word; };
    table.add({fmt::format("{}", branch.branch.value), branch.resource.value,
               or_dash(branch.coordinator_says), or_dash(branch.agent_says), or_dash(branch.waiting_for),
               or_dash(branch.database_id)});
  }
  return text + table.text("  ") +
         fmt::format("  why:  {}\n  next: {}\n\n", transaction.explanation, transaction.next_step);
}

std::string text_of(const ExplainedWork& work, const std::vector<std::string>& unreachable) {
  std::string text;
  for (const auto& transaction : work.transactions)
    text += text_of(transaction);
  for (const auto& agent : unreachable)
    text += fmt::format("agent {} cannot be reached: what it holds is not in this list\n", agent);
  if (work.transactions.empty())
    text += work.complete ? "nothing is in doubt\n" : "nothing is in doubt with the agents that answered\n";
  return text;
}

Json json_of(const ExplainedTransaction& transaction) {
  Json branches = Json::array();
  for (const auto& branch : transaction.branches) {
    branches.push_back({{"branch", branch.branch.value},
                        {"resource", branch.resource.value},
                        {"coordinator", branch.coordinator_says},
                        {"agent", branch.agent_says},
                        {"waiting_for", branch.waiting_for},
                        {"database_id", branch.database_id}});
  }
  Json json{{"transaction_id", transaction.id},
            {"decision", nullptr},
            {"age_ms", transaction.age_ms},
            {"label", transaction.label},
            {"attention", name_of(transaction.attention)},
            {"explanation", transaction.explanation},
            {"next_step", transaction.next_step},
            {"branches", std::move(branches)}};
  if (transaction.decision) json["decision"] = name_of(*transaction.decision);
  return json;
}

Json json_of(const ExplainedWork& work, const std::vector<std::string>& unreachable) {
  Json transactions = Json::array();
  for (const auto& transaction : work.transactions)
    transactions.push_back(json_of(transaction));
  return {{"transactions", std::move(transactions)},
          {"complete", work.complete},
          {"unreachable_agents", unreachable}};
}

}  // namespace

ExitCode run(const InDoubtCommand& command, const Surroundings& around, Console& console) {
  const auto coordinator = channel_to_coordinator(around);
  if (!coordinator) return console.refuse_usage(coordinator.error().message);
  const auto report = (*coordinator)->call<wire::Administration_in_doubt>(kPromptly);
  if (!report) return console.complain(report.error());
  const auto work = explain(facts_of(*report), command.older_than_ms);
  console.answer([&] { return text_of(work, report->unreachable_agents); },
                 [&] { return json_of(work, report->unreachable_agents); });
  if (!work.transactions.empty()) return ExitCode::kAttention;
  return work.complete ? ExitCode::kDone : ExitCode::kUnknown;
}

}  // namespace troth::recovery
