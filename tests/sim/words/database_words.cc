#include "tests/sim/words/database_words.h"

#include <array>
#include <string_view>
#include <type_traits>

#include <fmt/format.h>

namespace troth::sim {
namespace {

std::string branch_words(const BranchId& branch) {
  return fmt::format(" {} branch {}", branch.transaction.text(), branch.branch.value);
}

std::string detail(const Request& request) {
  return std::visit(
      [](const auto& each) -> std::string {
        using R = std::decay_t<decltype(each)>;
        if constexpr (requires { each.work.start.id; }) {
          return branch_words(each.work.start.id);
        } else if constexpr (std::is_same_v<R, FinishPrepared>) {
          return branch_words(each.branch) +
                 (each.ending == agent::PreparedEnding::kCommit ? ", commit" : ", roll back");
        } else if constexpr (requires { each.branch; }) {
          return branch_words(each.branch);
        } else if constexpr (std::is_same_v<R, InsertRequestBarrier>) {
          return " " + each.request.id.text();
        } else {
          return {};
        }
      },
      request);
}

std::string words(const agent::WorkResult& result) {
  return std::visit(
      [](const auto& outcome) -> std::string {
        using O = std::decay_t<decltype(outcome)>;
        if constexpr (std::is_same_v<O, agent::Refused>) {
          return "refused: " + outcome.error.message;
        } else if constexpr (std::is_same_v<O, agent::Prepared>) {
          return "prepared";
        } else if constexpr (std::is_same_v<O, agent::ReadOnlyDone>) {
          return "read only";
        } else if constexpr (std::is_same_v<O, agent::CommittedOnePhase>) {
          return "committed in one phase";
        } else if constexpr (std::is_same_v<O, agent::StatementDone>) {
          return "statement done";
        } else if constexpr (std::is_same_v<O, agent::MarkerTaken>) {
          return "the marker's key is taken";
        } else {
          return "lost: " + outcome.error.message;
        }
      },
      result.outcome);
}

}  // namespace

std::string words_of(const Request& request) {
  // As the requests stand in requests.h.
  constexpr std::array<std::string_view, std::variant_size_v<Request>> kNames{
      "run branch",      "run statement",  "prepare open",   "roll back open", "release held",
      "finish prepared", "read markers",   "insert barrier", "bar a request",  "list prepared",
      "list sessions",   "end session",    "read server",    "claim owner",    "raise counter",
      "raise floors",    "delete markers", "clean up"};
  return std::string(kNames[request.index()]) + detail(request);
}

std::string words_of(const Reply& reply) {
  return std::visit(
      [](const auto& each) -> std::string {
        using R = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<R, agent::WorkResult>) {
          return words(each);
        } else {
          if (!each)
            return fmt::format("{}: {}", agent::name_of(each.error().meaning), each.error().error.message);
          if constexpr (std::is_same_v<R, agent::Answer<std::vector<agent::MarkerRow>>>) {
            std::string rows;
            for (const auto& row : *each)
              rows += fmt::format(" {} {}", row.transaction, agent::name_of(row.state));
            return rows.empty() ? "no marker" : "markers:" + rows;
          } else if constexpr (std::is_same_v<R, agent::Answer<agent::PreparedList>>) {
            return fmt::format("{} are prepared", each->branches.size());
          } else {
            return "done";
          }
        }
      },
      reply);
}

}  // namespace troth::sim
