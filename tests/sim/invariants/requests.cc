#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {
namespace {

void carries(const Evidence& evidence, const RequestKey& request, const TransactionId& id,
             std::string_view what, Broken& broken) {
  if (evidence.store.barred.contains(request))
    broken.push_back(
        fmt::format("T3: the store has request {} as barred, and {} {}", request.id.text(), id.text(), what));
  if (evidence.barred.contains(request))
    broken.push_back(fmt::format("T3: {} was told that {} is barred, and {} {}", request.client,
                                 request.id.text(), id.text(), what));
  const auto found = evidence.carried.find(request);
  if (found == evidence.carried.end()) return;
  for (const auto& other : found->second)
    if (other != id)
      broken.push_back(fmt::format("request {} of {} is committed as {}, and {} {}", request.id.text(),
                                   request.client, other.text(), id.text(), what));
}

// Its client is told that nothing of it has committed, and nothing will.
void never(const Evidence& evidence, const RequestKey& request, std::string_view what, Broken& broken) {
  const auto found = evidence.carried.find(request);
  if (found == evidence.carried.end()) return;
  // What a restored store has no record of, only the resources can tell, and they were not asked.
  if (std::ranges::any_of(found->second, [&](const auto& id) { return evidence.truth(id).decision_lost; }))
    return;
  broken.push_back(fmt::format("T3: {} is told that {} {}, and it is committed as {}", request.client,
                               request.id.text(), what, found->second.begin()->text()));
}

}  // namespace

void judge_requests(const Evidence& evidence, const Happening& happening, Broken& broken) {
  if (const auto* appended = std::get_if<StoreAppended>(&happening)) {
    const auto* commit = std::get_if<coordinator::store::CommitRecord>(&appended->record);
    if (commit != nullptr && commit->request)
      carries(evidence, *commit->request, commit->transaction, "is proposed", broken);
  } else if (const auto* stands = std::get_if<MarkerStands>(&happening)) {
    const auto id = transaction_of(stands->row);
    if (id && stands->row.request && stands->row.state == agent::MarkerState::kCommitted)
      carries(evidence, *stands->row.request, *id, "commits", broken);
  } else if (const auto* barred = std::get_if<ToldBarred>(&happening)) {
    never(evidence, barred->request, "is barred", broken);
  } else if (const auto* none = std::get_if<ToldNothingStands>(&happening)) {
    never(evidence, none->request, "stands nowhere", broken);
  }
}

}  // namespace troth::sim
