#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_applied(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto* told = std::get_if<ToldApplied>(&happening);
  if (told == nullptr) return;
  const auto asked = evidence.ledger->transfers().find(told->request);
  if (asked == evidence.ledger->transfers().end()) return;
  const auto& truth = evidence.truth(told->transaction);
  for (const auto wanted : asked->second.databases()) {
    const DatabaseNumber database{wanted};
    const bool is_there = truth.committed.contains(database) || truth.read_only.contains(database);
    // What somebody restored, or decided himself, is as he has made it.
    const bool is_otherwise = evidence.ever_set_back.contains(database) || truth.resolved.contains(database);
    if (!is_there && !is_otherwise)
      broken.push_back(fmt::format("T6: {} hears that {} is applied, and database {} has not committed it",
                                   told->request.client, told->transaction.text(), wanted + 1));
  }
}

}  // namespace troth::sim
