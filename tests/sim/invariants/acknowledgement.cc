#include <fmt/format.h>

#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge_acknowledgement(const Evidence& evidence, const Happening& happening, Broken& broken) {
  const auto* sent = std::get_if<EndSent>(&happening);
  if (sent == nullptr || sent->end != agent::BranchEnd::kCommitted) return;
  const auto& id = sent->branch.transaction;
  const auto& truth = evidence.truth(id);
  // One that only read has nothing to commit.
  if (truth.read_only.contains(sent->database)) return;
  // Where a restored server has it prepared again, the journal knows the end, and it will be ended as it was.
  const bool is_kept = truth.lost.contains(sent->database) || evidence.ever_set_back.contains(sent->database);
  if (!truth.committed.contains(sent->database) && !is_kept)
    broken.push_back(fmt::format("T6: {} acknowledges the commit of {}, and database {} has not committed it",
                                 sent->agent, id.text(), sent->database.value + 1));
  const auto& journal = evidence.journal(sent->agent);
  const auto ended = journal.ended.find(sent->branch);
  if (!journal.learned.contains(sent->branch) &&
      (ended == journal.ended.end() || ended->second != agent::BranchEnd::kCommitted))
    broken.push_back(fmt::format("T6: {} acknowledges the commit of {}, which its journal does not have",
                                 sent->agent, id.text()));
}

}  // namespace troth::sim
