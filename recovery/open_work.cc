#include "recovery/open_work.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

namespace troth::recovery {
namespace {

struct Words {
  Attention attention;
  std::string explanation;
  std::string next_step;
};

bool any_branch(const ExplainedTransaction& transaction, std::string_view coordinator_state,
                std::string_view agent_state) {
  return std::ranges::any_of(transaction.branches, [&](const ExplainedBranch& branch) {
    return (!coordinator_state.empty() && branch.coordinator_says == coordinator_state) ||
           (!agent_state.empty() && branch.agent_says == agent_state);
  });
}

std::string resolve_hint(const ExplainedTransaction& transaction, std::string_view what) {
  return fmt::format("troth resolve {} --branch N {} --reason TEXT", transaction.id, what);
}

Words words_for_decided(const ExplainedTransaction& transaction, bool complete) {
  const bool commit = transaction.decision == Decision::kCommit;
  const std::string_view verb = commit ? "commit" : "abort";
  if (complete) {
    return {Attention::kNone,
            fmt::format("{} is decided; the coordinator tells each branch until it has ended", verb),
            "none: it ends by itself"};
  }
  return {Attention::kWaits,
          fmt::format("{} is decided; a branch may be with an agent that cannot be reached now", verb),
          "start the agents that cannot be reached"};
}

Words words_for(const ExplainedTransaction& transaction, bool complete) {
  if (any_branch(transaction, "", "too old")) {
    return {Attention::kOperator,
            "the decision is below the floor, and the agent cannot prove that rolling back is right",
            resolve_hint(transaction, "--commit|--rollback")};
  }
  if (any_branch(transaction, "lost", "") || transaction.decision == Decision::kHeuristic) {
    return {Attention::kOperator, "a branch ended otherwise than decided: the resources disagree",
            "compare the rows in the resources, mend them, and keep the proof (the markers in troth_branch)"};
  }
  if (!transaction.decision) {
    const bool orphan = any_branch(transaction, "", "orphan");
    return {
        Attention::kNone,
        orphan
            ? "found in the database without an entry in the agent's journal, and the coordinator has "
              "nothing "
              "open for it: the agent asks and ends it"
            : "the coordinator has nothing open for it: the agent asks, and ends it as the coordinator says",
        "none: it ends by itself"};
  }
  switch (*transaction.decision) {
    case Decision::kUndecided:
      return {Attention::kNone, "running: votes are being collected; its deadline ends it otherwise",
              "none: it ends by itself"};
    case Decision::kPending:
      return {complete ? Attention::kNone : Attention::kWaits,
              "commit was proposed; whether it was chosen is being found out, and nothing is guessed",
              complete ? "none: it ends by itself" : "start the agents that cannot be reached"};
    case Decision::kCommit:
    case Decision::kAbort: return words_for_decided(transaction, complete);
    case Decision::kTooOld:
      return {Attention::kOperator,
              "the coordinator has forgotten it on purpose, and a resource still holds it",
              resolve_hint(transaction, "--commit|--rollback")};
    case Decision::kHeuristic:
    case Decision::kUnknown: break;
  }
  return {Attention::kWaits, "the coordinator cannot tell its decision now", "ask again"};
}

ExplainedBranch& branch_of(ExplainedTransaction& transaction, const ResourceName& resource,
                           BranchNumber branch) {
  for (auto& known : transaction.branches) {
    if (known.resource == resource && known.branch == branch) return known;
  }
  return transaction.branches.emplace_back(ExplainedBranch{resource, branch, {}, {}, {}, {}});
}

}  // namespace

std::string_view name_of(Decision decision) {
  switch (decision) {
    case Decision::kUndecided: return "undecided";
    case Decision::kPending: return "pending";
    case Decision::kCommit: return "commit";
    case Decision::kAbort: return "abort";
    case Decision::kHeuristic: return "heuristic";
    case Decision::kTooOld: return "too old";
    case Decision::kUnknown: return "unknown";
  }
  return "invalid";
}

std::string_view name_of(Attention attention) {
  switch (attention) {
    case Attention::kNone: return "none";
    case Attention::kWaits: return "waits";
    case Attention::kOperator: return "operator";
  }
  return "invalid";
}

ExplainedWork explain(const OpenWorkFacts& facts, std::int64_t older_than_ms) {
  std::map<std::string, ExplainedTransaction> by_id;
  for (const auto& open : facts.transactions) {
    auto& transaction = by_id[open.id];
    transaction.decision = open.decision;
    transaction.label = open.label;
    transaction.age_ms = open.age_ms;
    for (const auto& branch : open.branches)
      branch_of(transaction, branch.resource, branch.branch).coordinator_says = branch.state;
  }
  for (const auto& held : facts.branches) {
    auto& transaction = by_id[held.transaction];
    transaction.age_ms = std::max(transaction.age_ms, held.age_ms);
    auto& branch = branch_of(transaction, held.resource, held.branch);
    branch.agent_says = held.state;
    branch.waiting_for = held.waiting_for;
    branch.database_id = held.database_id;
  }
  ExplainedWork work;
  work.complete = facts.unreachable_agents.empty();
  for (auto& [id, transaction] : by_id) {
    if (transaction.age_ms < older_than_ms) continue;
    transaction.id = id;
    std::ranges::sort(transaction.branches, {}, [](const auto& b) { return std::tie(b.branch, b.resource); });
    auto words = words_for(transaction, work.complete);
    transaction.attention = words.attention;
    transaction.explanation = std::move(words.explanation);
    transaction.next_step = std::move(words.next_step);
    work.transactions.push_back(std::move(transaction));
  }
  std::ranges::stable_sort(work.transactions, [](const auto& a, const auto& b) {
    return std::tie(b.attention, b.age_ms) < std::tie(a.attention, a.age_ms);
  });
  return work;
}

}  // namespace troth::recovery
