// tests/sim/invariants/step_invariants.h
//
// What must hold at every step: each new happening is judged by what was known before it. One file each; a test shows of
// each that it can fail (step_invariants_test.cc).
#pragma once

#include "tests/sim/invariants/evidence.h"
#include "tests/sim/invariants/invariants.h"

namespace troth::sim {

// [T1] A commit record is proposed only after each branch of its transaction voted yes or read-only, and names those of the
// yes.
void judge_votes(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T2] Nobody hears "commit" before the store has chosen it durably; of one phase, before its marker stands.
void judge_commit_heard(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T3] What was told "not committed" is never committed, by anybody.
void judge_not_committed(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T3] No two of store, journals and databases contradict each other about a transaction.
void judge_contradiction(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T5] [T6] No floor passes what may yet be decided or asked for, and nothing durable is forgotten above it.
void judge_floors(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T8] An agent's epoch only rises, and is durable before anything is answered under it.
void judge_epochs(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T6] [T7] A marker keeps its state, and goes only below its resource's floor.
void judge_markers(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T6] An acknowledged commit is in the database and in the agent's journal.
void judge_acknowledgement(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T6] A record is ended only when each of its branches was acknowledged, or vouched for by an operator; until then the
// coordinator knows it as open, whatever is forgotten.
void judge_ends(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T6] Who hears that a transaction is applied finds it committed in every database.
void judge_applied(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T2] [T5] What an agent hears of a branch in doubt: commit of what is chosen only, abort of nothing that is, and of nothing
// that is not ended that it is too old.
void judge_inquiries(const Evidence& evidence, const Happening& happening, Broken& broken);
// [T7] [T9] Nobody says that one-phase work never commits before its barrier stands, and it is not begun after that.
void judge_one_phase(const Evidence& evidence, const Happening& happening, Broken& broken);
// Attack 45: no resource waits for an operator unless something was lost, whatever crashes.
void judge_ownership(const Evidence& evidence, const Happening& happening, Broken& broken);
// At most one commit ever for each (client, request_id), none for a barred one, and none where nothing was to stand.
void judge_requests(const Evidence& evidence, const Happening& happening, Broken& broken);

// An operator's decision is in the store and in the agent's journal before it is done, and what came of it is told as that.
void judge_resolutions(const Evidence& evidence, const Happening& happening, Broken& broken);

// [T9] On a server that was set back nothing is proved from absence before an operator let it be used: no barrier is asked for.
void judge_set_back(const Evidence& evidence, const Happening& happening, Broken& broken);

// All of them, then it is noted.
void judge(Evidence& evidence, const Happening& happening, Broken& broken);

}  // namespace troth::sim
