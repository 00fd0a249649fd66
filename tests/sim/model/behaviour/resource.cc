#include "tests/sim/model/behaviour/resource.h"

#include <algorithm>

#include <fmt/format.h>

namespace troth::sim {

using namespace agent;

std::string text_of(const Case& one) {
  return fmt::format("{}_{}", name_of(one.kind), one.seed);
}

std::vector<Case> cases_of(const std::vector<DatabaseKind>& kinds) {
  std::vector<Case> cases;
  for (const DatabaseKind kind : kinds) {
    for (int seed = 0; seed < Resource::seeds(); ++seed)
      cases.push_back({.kind = kind, .seed = seed});
  }
  return cases;
}

std::string describe(const WorkResult& result) {
  struct Describer {
    std::string operator()(const Refused& refused) const {
      return fmt::format("refused ({}): {}", name_of(refused.error.code), refused.error.message);
    }
    std::string operator()(const Prepared&) const { return "prepared"; }
    std::string operator()(const ReadOnlyDone&) const { return "read-only"; }
    std::string operator()(const CommittedOnePhase&) const { return "committed"; }
    std::string operator()(const StatementDone&) const { return "statement done"; }
    std::string operator()(const MarkerTaken& taken) const {
      return fmt::format("marker taken, {} rows", taken.rows.size());
    }
    std::string operator()(const Lost& lost) const {
      return fmt::format("lost ({}): {}", lost.ending_sent ? "ending sent" : "ending not sent",
                         lost.error.message);
    }
  };
  return std::visit(Describer{}, result.outcome);
}

ErrorCode code_of(const WorkResult& result) {
  if (const auto* refused = std::get_if<Refused>(&result.outcome); refused != nullptr)
    return refused->error.code;
  ADD_FAILURE() << "not refused: " << describe(result);
  return ErrorCode::kInternal;
}

bool lists(DatabaseConnection& connection, const BranchId& branch) {
  const Answer<PreparedList> list = connection.list_prepared();
  if (!list.has_value()) {
    ADD_FAILURE() << list.error().error.message;
    return false;
  }
  return std::ranges::any_of(list->branches, [&](const PreparedRow& row) { return row.branch == branch; });
}

}  // namespace troth::sim
