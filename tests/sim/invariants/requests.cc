#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {
namespace {

void carries(const Evidence& evidence, const RequestKey& request, const TransactionId& id,
             std::string_view what, Broken& broken) {
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
    if (const auto found = evidence.carried.find(barred->request); found != evidence.carried.end())
      broken.push_back(fmt::format("T3: {} is told that {} is barred, and it is committed as {}",
                                   barred->request.client, barred->request.id.text(),
                                   found->second.begin()->text()));
  }
}

}  // namespace troth::sim
