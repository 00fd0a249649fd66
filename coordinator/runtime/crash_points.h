// coordinator/runtime/crash_points.h
//
// Where the coordinator can be made to die on the commit path. tests/faults kills at each of them and fails
// when one is never reached.
#pragma once

#include <cstdint>
#include <utility>

#include "base/runtime/crash_points.h"

namespace troth::coordinator {

enum class CrashPoint : std::uint8_t {
  kBeforeStatementSent,  // of an interactive transaction
  kAfterStatementReply,
  kAfterAdmission,  // the transaction has its id, nobody has heard of it
  kAfterFirstPrepareSent,
  kAfterPreparesSent,
  kAfterFirstVote,
  kBeforeChoose,          // every vote is here, the store has heard nothing
  kAfterChooseSubmitted,  // the record is on its way to the disk
  kAfterChooseDurable,    // decided, and nobody has heard it
  kBeforeDecidedAnswer,
  kAfterFirstCommitSent,
  kAfterCommitsSent,
  kAfterFirstAcknowledgement,
  kBeforeAppliedAnswer,
  kAfterAnswer,
  kBeforeEnd,
  kAfterEndDurable,
  kAfterEndedTold,
  kBeforeRollbackSent,
  kAfterRollbackSent,
  kBeforeAbortAnswer,
  kAfterOnePhaseSent,
  kAfterOnePhaseReply,
  kAfterSettleSent,
  kAfterSettleReply,
  kAfterRegistrationDurable,
};

inline constexpr auto kCrashPoints = crash_point_names<CrashPoint>({
    {CrashPoint::kBeforeStatementSent, "coordinator.before_statement_sent"},
    {CrashPoint::kAfterStatementReply, "coordinator.after_statement_reply"},
    {CrashPoint::kAfterAdmission, "coordinator.after_admission"},
    {CrashPoint::kAfterFirstPrepareSent, "coordinator.after_first_prepare_sent"},
    {CrashPoint::kAfterPreparesSent, "coordinator.after_prepares_sent"},
    {CrashPoint::kAfterFirstVote, "coordinator.after_first_vote"},
    {CrashPoint::kBeforeChoose, "coordinator.before_choose"},
    {CrashPoint::kAfterChooseSubmitted, "coordinator.after_choose_submitted"},
    {CrashPoint::kAfterChooseDurable, "coordinator.after_choose_durable"},
    {CrashPoint::kBeforeDecidedAnswer, "coordinator.before_decided_answer"},
    {CrashPoint::kAfterFirstCommitSent, "coordinator.after_first_commit_sent"},
    {CrashPoint::kAfterCommitsSent, "coordinator.after_commits_sent"},
    {CrashPoint::kAfterFirstAcknowledgement, "coordinator.after_first_acknowledgement"},
    {CrashPoint::kBeforeAppliedAnswer, "coordinator.before_applied_answer"},
    {CrashPoint::kAfterAnswer, "coordinator.after_answer"},
    {CrashPoint::kBeforeEnd, "coordinator.before_end"},
    {CrashPoint::kAfterEndDurable, "coordinator.after_end_durable"},
    {CrashPoint::kAfterEndedTold, "coordinator.after_ended_told"},
    {CrashPoint::kBeforeRollbackSent, "coordinator.before_rollback_sent"},
    {CrashPoint::kAfterRollbackSent, "coordinator.after_rollback_sent"},
    {CrashPoint::kBeforeAbortAnswer, "coordinator.before_abort_answer"},
    {CrashPoint::kAfterOnePhaseSent, "coordinator.after_one_phase_sent"},
    {CrashPoint::kAfterOnePhaseReply, "coordinator.after_one_phase_reply"},
    {CrashPoint::kAfterSettleSent, "coordinator.after_settle_sent"},
    {CrashPoint::kAfterSettleReply, "coordinator.after_settle_reply"},
    {CrashPoint::kAfterRegistrationDurable, "coordinator.after_registration_durable"},
});

inline void reach(CrashPoint point) {
  reach_crash_point(kCrashPoints[std::to_underlying(point)]);
}

}  // namespace troth::coordinator
