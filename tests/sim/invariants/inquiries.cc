#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_inquiries(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto* answered = std::get_if<InquiryAnswered>(&happening);
  if (answered == nullptr) return;
  const auto& id = answered->branch.transaction;
  const auto& store = evidence.store;
  const auto found = store.commits.find(id);
  const bool is_durable = found != store.commits.end() && found->second.durable;
  const auto complain = [&](std::string_view rule, std::string_view what, std::string_view but) {
    broken.push_back(fmt::format("{}: {} of {} hears {}, and {}", rule, "the agent", id.text(), what, but));
  };
  switch (answered->decision) {
    case agent::GroupDecision::kCommit:
      if (!evidence.truth(id).decided) complain("T2", "commit", "no record of it was ever durable");
      return;
    case agent::GroupDecision::kAbort:
      if (evidence.truth(id).decided) complain("T5", "abort", "its commit was chosen");
      return;
    case agent::GroupDecision::kTooOld:
      if (is_durable && !store.ended.contains(id)) complain("T5", "too old", "its commit is not ended");
      if (position_of(id) >= store.floors.transactions) complain("T5", "too old", "it is above the floor");
      return;
    case agent::GroupDecision::kUndecided: return;
  }
}

}  // namespace troth::sim
