// participant_agent/branch_messages.h
//
// What a branch can hear (past participles) and what it may ask for (imperatives).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "participant_agent/journal_records.h"
#include "participant_agent/work.h"

namespace troth::agent {

// -- What running the work came to --------------------------------------------------------------------------

// PREPARE TRANSACTION / XA PREPARE was acknowledged.
struct WorkPrepared {
  std::vector<StatementResult> results;
};
// The one-phase COMMIT was acknowledged.
struct WorkCommitted {
  std::vector<StatementResult> results;
};
// Every statement of a read-only branch ran. With RunWork::hold the transaction is still open.
struct WorkRead {
  std::vector<StatementResult> results;
};
// Refused, and certainly over: the database said so, and the session is idle or has ended in good order.
struct WorkFailed {
  Error error;
};
// The marker's key is taken by one of these; the branch is over.
struct MarkerCollided {
  std::vector<MarkerRow> rows;
};
// The connection broke, or the session does not answer: it may still be running, and where the prepare or the
// commit had been sent, it may still take effect.
struct WorkLost {
  Error error;
  bool ending_sent = true;
};
using WorkOutcome = std::variant<WorkPrepared, WorkCommitted, WorkRead, WorkFailed, MarkerCollided, WorkLost>;

// -- Inputs -------------------------------------------------------------------------------------------------

struct WorkRequested {};
// The session that runs the work; before the first statement.
struct SessionBound {
  SessionIdentity session;
};
struct WorkFinished {
  WorkOutcome outcome;
};
// The next statement of an interactive branch, or a question after the last one's answer. `marks`: it may write or
// lock. `timeout`: what is left of the transaction.
struct StatementRequested {
  NumberedStatement statement;
  bool marks = false;
  Duration timeout{};
};
// It ran, and the branch is open for the next; any other outcome of it is a WorkFinished.
struct StatementRan {
  StatementResult result;
};
// The prepare of an interactive branch. [T12] `statements`: how many of it the leader heard the answers of.
struct PrepareRequested {
  std::uint32_t statements = 0;
  Duration timeout{};
};
// The server no longer lists the branch's session.
struct SessionEnded {};
struct CommitRequested {};
struct RollbackRequested {};
// Find out how a one-phase branch ended, and make sure that it never happens if it did not.
struct SettleRequested {};
struct ResolveRequested {
  bool commit = false;
  std::string reason;
  std::string operator_name;
};
// The group no longer knows the transaction: it is below the floor and not open.
struct TooOldTold {};
// The resource was set back since the branch began, and an operator lets it be used [T5].
struct SetBackUnderneath {};
struct FinishAttempted {
  enum class Outcome : std::uint8_t {
    kDone,
    kUnknownXid,
    kHeld,  // the server lists the branch and does not let go of it: another session holds it (MariaDB)
    kFailed,
  };
  Outcome outcome = Outcome::kFailed;
  std::string detail;
};
// The session that held the branch is gone; with a detail: it may still be there.
struct HolderEnded {
  std::optional<std::string> trouble;
};
// The database lists it as prepared, twice, and in between this agent took it for ended: what ended it there was
// lost with a server that was set back.
struct FoundPreparedAgain {};
// nullopt: could not be read now.
struct MarkersRead {
  std::optional<std::vector<MarkerRow>> rows;
};
struct BarrierAttempted {
  enum class Outcome : std::uint8_t {
    kCommitted,  // on a writable server that was not set back
    kCollided,   // the key is taken: read the markers
    kUndecided,  // it had to wait, or may not be used as proof now
  };
  Outcome outcome = Outcome::kUndecided;
  std::string detail;
};
// With a detail: the marker may not say so yet.
struct ResolutionMarked {
  std::optional<std::string> trouble;
};
struct TimePassed {};

using BranchInput =
    std::variant<WorkRequested, SessionBound, WorkFinished, StatementRequested, StatementRan,
                 PrepareRequested, SessionEnded, CommitRequested, RollbackRequested, SettleRequested,
                 ResolveRequested, TooOldTold, SetBackUnderneath, HolderEnded, FoundPreparedAgain,
                 FinishAttempted, MarkersRead, BarrierAttempted, ResolutionMarked, TimePassed>;

// -- Effects ------------------------------------------------------------------------------------------------

// Take a session (report SessionBound), run all of the work, report WorkFinished.
struct RunWork {
  bool read_only = false;
  bool hold = false;  // leave the read-only transaction open until ReleaseSession
  bool operator==(const RunWork&) const = default;
};
// The last of the work's statements, on the branch's session; report StatementRan, or WorkFinished when the branch
// is over. `first`: take a session (report SessionBound) and begin. `marks`: the marker goes before it.
struct RunStatement {
  std::uint32_t number = 0;
  bool first = false;
  bool marks = false;
  bool operator==(const RunStatement&) const = default;
};
// Of an open branch, on its session; report WorkFinished. `marked`: its marker stands already; else a branch that
// has written nothing is read-only, and with `hold` left open until ReleaseSession.
struct PrepareOpen {
  bool marked = false;
  bool hold = false;
  bool operator==(const PrepareOpen&) const = default;
};
// Roll the open branch back, on its session; report WorkFinished.
struct RollBackOpen {
  bool operator==(const RollBackOpen&) const = default;
};
// Interrupt the running statement; the outcome still comes as WorkFinished.
struct CancelWork {
  bool operator==(const CancelWork&) const = default;
};
// End the branch's session at the server; report SessionEnded when it is no longer listed there. Work that
// has not begun by then must never begin.
struct EndSession {
  bool operator==(const EndSession&) const = default;
};
// End the held read-only transaction.
struct ReleaseSession {
  bool operator==(const ReleaseSession&) const = default;
};
struct FinishPrepared {
  bool commit = false;
  JournalTicket after;  // an operator's reason is durable before it is done
  bool operator==(const FinishPrepared&) const = default;
};
// End the session that holds the prepared branch; report HolderEnded when it is gone (orphans.h: holders).
struct EndHolder {
  bool operator==(const EndHolder&) const = default;
};
// By branch and by the work's request key.
struct ReadMarkers {
  bool operator==(const ReadMarkers&) const = default;
};
// Compare the server's identity and counter on the same session first.
struct InsertBarrier {
  bool operator==(const InsertBarrier&) const = default;
};
// An operator's commit stands: make its marker say whose word it was; report ResolutionMarked.
struct MarkResolved {
  bool operator==(const MarkResolved&) const = default;
};
// Ask the group how the transaction ended.
struct Inquire {
  bool operator==(const Inquire&) const = default;
};
struct AnswerVote {
  VoteAnswer answer;
  JournalTicket after;
  bool operator==(const AnswerVote&) const = default;
};
struct AnswerFinish {
  FinishAnswer answer;
  JournalTicket after;
  bool operator==(const AnswerFinish&) const = default;
};
struct AnswerStatement {
  StatementAnswer answer;
  JournalTicket after;
  bool operator==(const AnswerStatement&) const = default;
};
// Answers the call that was just stepped, and no other.
struct Refuse {
  Error error;
  JournalTicket after;
  bool operator==(const Refuse&) const = default;
};

using BranchEffect =
    std::variant<RunWork, RunStatement, PrepareOpen, RollBackOpen, AnswerStatement, CancelWork, EndSession,
                 ReleaseSession, FinishPrepared, EndHolder, ReadMarkers, InsertBarrier, MarkResolved, Inquire,
                 AppendJournal, AnswerVote, AnswerFinish, Refuse>;

}  // namespace troth::agent
