// participant_agent/runtime/crash_points.h
//
// Where the agent can be made to die, or to stand still so that its database can be killed. tests/faults goes
// through all of them and fails when one is never reached.
#pragma once

#include <cstdint>
#include <utility>

#include "base/runtime/crash_points.h"

namespace troth::agent {

enum class CrashPoint : std::uint8_t {
  kAfterPrepareReceived,    // the epoch is durable, no session has the work
  kAfterWorkStarted,        // a session runs it
  kAfterMarker,             // the marker row stands in the open transaction
  kAfterStatement,          // one of the client's statements ran; the n-th time is after the n-th one
  kAfterStatements,         // every statement ran, nothing is prepared
  kAfterStatementReceived,  // of an interactive branch; no session has it
  kAfterStatementRan,       // of an interactive branch; its answer is not sent
  kBeforeTakenBack,         // prepared in one trip, and found wrong afterwards
  kAfterPrepareDurable,     // the database holds the prepared branch, nobody knows
  kAfterVoteDurable,        // database and journal have it, the vote is not sent
  kAfterVoteSent,
  kBeforeOnePhaseCommit,  // the one-phase branch is about to commit
  kAfterOnePhaseCommit,   // it committed, nobody knows
  kAfterNo,               // a no is about to be told
  kAfterCommitReceived,   // nothing has begun
  kAfterCommitStarted,    // the database is committing
  kAfterCommitApplied,    // it has committed, the journal may not have it
  kAfterCommitDurable,    // both have it, the acknowledgement is not sent
  kAfterAcknowledgement,
  kAfterRollbackReceived,
  kAfterRollbackApplied,    // rolled back, not yet told
  kAfterBarrier,            // the barrier is committed, not yet told
  kBeforeResolutionMarked,  // an operator's commit stands, and its marker does not say whose it was
  kAfterSettleReceived,
  kAfterClaimDurable,  // the journal says claiming, the owner row is untouched
  kAfterOwnerRaised,   // the row is raised, the journal does not say owns
  kAfterOwnsDurable,
  kAfterSessionsEnded,  // every other session of the role is gone
  kAfterInquiry,        // the coordinator's answer about a branch in doubt is here
  kAfterFloorRaised,    // floors committed, rows not yet deleted
};

inline constexpr auto kCrashPoints = crash_point_names<CrashPoint>({
    {CrashPoint::kAfterPrepareReceived, "agent.after_prepare_received"},
    {CrashPoint::kAfterWorkStarted, "agent.after_work_started"},
    {CrashPoint::kAfterMarker, "agent.after_marker"},
    {CrashPoint::kAfterStatement, "agent.after_statement"},
    {CrashPoint::kAfterStatements, "agent.after_statements"},
    {CrashPoint::kAfterStatementReceived, "agent.after_statement_received"},
    {CrashPoint::kAfterStatementRan, "agent.after_statement_ran"},
    {CrashPoint::kBeforeTakenBack, "agent.before_taken_back"},
    {CrashPoint::kAfterPrepareDurable, "agent.after_prepare_durable"},
    {CrashPoint::kAfterVoteDurable, "agent.after_vote_durable"},
    {CrashPoint::kAfterVoteSent, "agent.after_vote_sent"},
    {CrashPoint::kBeforeOnePhaseCommit, "agent.before_one_phase_commit"},
    {CrashPoint::kAfterOnePhaseCommit, "agent.after_one_phase_commit"},
    {CrashPoint::kAfterNo, "agent.after_no"},
    {CrashPoint::kAfterCommitReceived, "agent.after_commit_received"},
    {CrashPoint::kAfterCommitStarted, "agent.after_commit_started"},
    {CrashPoint::kAfterCommitApplied, "agent.after_commit_applied"},
    {CrashPoint::kAfterCommitDurable, "agent.after_commit_durable"},
    {CrashPoint::kAfterAcknowledgement, "agent.after_acknowledgement"},
    {CrashPoint::kAfterRollbackReceived, "agent.after_rollback_received"},
    {CrashPoint::kAfterRollbackApplied, "agent.after_rollback_applied"},
    {CrashPoint::kAfterBarrier, "agent.after_barrier"},
    {CrashPoint::kBeforeResolutionMarked, "agent.before_resolution_marked"},
    {CrashPoint::kAfterSettleReceived, "agent.after_settle_received"},
    {CrashPoint::kAfterClaimDurable, "agent.after_claim_durable"},
    {CrashPoint::kAfterOwnerRaised, "agent.after_owner_raised"},
    {CrashPoint::kAfterOwnsDurable, "agent.after_owns_durable"},
    {CrashPoint::kAfterSessionsEnded, "agent.after_sessions_ended"},
    {CrashPoint::kAfterInquiry, "agent.after_inquiry"},
    {CrashPoint::kAfterFloorRaised, "agent.after_floor_raised"},
});

inline void reach(CrashPoint point) {
  reach_crash_point(kCrashPoints[std::to_underlying(point)]);
}

}  // namespace troth::agent
