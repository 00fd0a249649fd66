#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/sim/invariants/invariants.h"
#include "tests/sim/invariants/run_end.h"

namespace troth::sim {

bool agrees(const std::set<std::size_t>& reached, const std::set<std::size_t>& otherwise,
            const std::set<std::size_t>& wanted) {
  // All of them, or where it was to be rolled back none, but for those in which it ended otherwise.
  auto all = reached;
  all.insert(otherwise.begin(), otherwise.end());
  return all == wanted || (!otherwise.empty() && reached == otherwise);
}

void check_agreement(const RunEnd& end, Broken& broken) {
  for (const auto& [key, by] : end.committed) {
    const auto found = end.ledger.transfers().find(key);
    if (found == end.ledger.transfers().end()) {
      broken.push_back(
          fmt::format("agreement: request {} was committed, and nobody ever asked for it", key.id.text()));
      continue;
    }
    const auto wanted = found->second.databases();
    for (const auto& [transaction, databases] : by) {
      const auto id = TransactionId::parse(transaction);
      const auto otherwise =
          id ? end.evidence.truth(*id).ended_otherwise(databases) : std::set<std::size_t>();
      // What is in doubt may still follow; that it does is what liveness asks for.
      auto reached = databases;
      if (!end.short_retention) reached.merge(end.in_doubt(transaction));
      if (!agrees(reached, otherwise, wanted))
        broken.push_back(fmt::format("agreement: {} of {} committed in databases {} of {}", transaction,
                                     key.id.text(), fmt::join(databases, ","), fmt::join(wanted, ",")));
    }
  }
}

}  // namespace troth::sim
