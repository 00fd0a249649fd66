#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_votes(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto* appended = std::get_if<StoreAppended>(&happening);
  const auto* commit =
      appended == nullptr ? nullptr : std::get_if<coordinator::store::CommitRecord>(&appended->record);
  // One that is copied forward was judged when it was new.
  if (commit == nullptr || evidence.store.commits.contains(commit->transaction)) return;
  const auto& id = commit->transaction;
  const auto& truth = evidence.truth(id);
  const auto complain = [&](std::string_view what, DatabaseNumber database) {
    broken.push_back(
        fmt::format("T1: commit of {} is proposed, and database {} {}", id.text(), database.value + 1, what));
  };
  std::set<DatabaseNumber> named;
  for (const auto& branch : commit->branches) {
    const auto database = evidence.database(branch.resource);
    if (!database) {
      broken.push_back(fmt::format("T1: commit of {} names resource number {}, which was never registered",
                                   id.text(), branch.resource.value));
      continue;
    }
    named.insert(*database);
    if (!truth.yes.contains(*database)) complain("never voted yes", *database);
  }
  if (!commit->request) return;
  const auto asked = evidence.ledger->transfers().find(*commit->request);
  if (asked == evidence.ledger->transfers().end()) {
    broken.push_back(fmt::format("T1: commit of {} is of a request that nobody sent", id.text()));
    return;
  }
  for (const auto wanted : asked->second.databases()) {
    const DatabaseNumber database{wanted};
    if (!named.contains(database) && !truth.read_only.contains(database))
      complain("is not in it, and never voted read-only", database);
  }
}

}  // namespace troth::sim
