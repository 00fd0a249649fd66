#include "tests/sim/invariants/step_invariants.h"

namespace troth::sim {

void judge(Evidence& evidence, const Happening& happening, Broken& broken) {
  judge_votes(evidence, happening, broken);
  judge_commit_heard(evidence, happening, broken);
  judge_not_committed(evidence, happening, broken);
  judge_contradiction(evidence, happening, broken);
  judge_floors(evidence, happening, broken);
  judge_epochs(evidence, happening, broken);
  judge_markers(evidence, happening, broken);
  judge_acknowledgement(evidence, happening, broken);
  judge_requests(evidence, happening, broken);
  judge_ends(evidence, happening, broken);
  judge_applied(evidence, happening, broken);
  judge_inquiries(evidence, happening, broken);
  judge_one_phase(evidence, happening, broken);
  judge_ownership(evidence, happening, broken);
  judge_resolutions(evidence, happening, broken);
  judge_set_back(evidence, happening, broken);
  evidence.note(happening);
}

}  // namespace troth::sim
