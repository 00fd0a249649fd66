// What the branch table asks of a resource: a branch's work, its end, and the proof of it.
#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/sql_comment.h"
#include "participant_agent/runtime/branch_lines.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/runtime/resource.h"
#include "participant_agent/server_identity.h"

namespace troth::agent {
namespace {

constexpr Duration kSessionPoll = std::chrono::milliseconds(100);
constexpr Duration kDefaultWork = std::chrono::seconds(30);

std::chrono::milliseconds in_ms(Duration duration) {
  return std::chrono::ceil<std::chrono::milliseconds>(duration);
}

// What a barrier's insertion came to.
struct BarrierResult {
  BarrierAttempted::Outcome outcome = BarrierAttempted::Outcome::kUndecided;
  std::string detail;
};

BarrierResult judge(const Answer<void>& inserted) {
  if (inserted) return {BarrierAttempted::Outcome::kCommitted, {}};
  const auto& refused = inserted.error();
  if (refused.meaning == Meaning::kDuplicateKey) return {BarrierAttempted::Outcome::kCollided, {}};
  return {BarrierAttempted::Outcome::kUndecided, refused.error.message};
}

// [T9] A barrier proves something only on the server that the journal knows, writable and not set back; and only
// its owner acts on it (attack 45).
std::optional<std::string> cannot_prove(DatabaseConnection& connection, const OwnershipMemory& memory) {
  const auto server = connection.read_server(memory.gtid);
  if (!server) return server.error().error.message;
  const auto verdict = compare_server(memory, *server);
  if (verdict.kind != ServerVerdict::Kind::kSame) return verdict.reason;
  if (!memory.owned || !server->owner.same_owner(*memory.owned))
    return fmt::format("agent {} owns it by now", server->owner.agent.value);
  return std::nullopt;
}

// [T9] An unknown XID that the server lists is held by another session (MariaDB).
Result<FinishAttempted> finish(DatabaseConnection& connection, const BranchId& id, PreparedEnding ending) {
  using Outcome = FinishAttempted::Outcome;
  const auto ended = connection.finish_prepared(id, ending);
  if (ended) return FinishAttempted{Outcome::kDone, {}};
  const auto& why = ended.error();
  if (why.meaning != Meaning::kUnknownXid) return FinishAttempted{Outcome::kFailed, why.error.message};
  if (!dialect_of(connection.kind()).ties_prepared_branches() ||
      connection.condition() == ConnectionCondition::kLost)
    return FinishAttempted{Outcome::kUnknownXid, why.error.message};
  const auto list = connection.list_prepared();
  if (!list) return FinishAttempted{Outcome::kFailed, list.error().error.message};
  const bool listed = std::ranges::find(list->branches, id, &PreparedRow::branch) != list->branches.end();
  if (!listed) return FinishAttempted{Outcome::kUnknownXid, why.error.message};
  return FinishAttempted{Outcome::kHeld, "another session of the server holds the prepared branch"};
}

// Tells the server to end the sessions that may hold a prepared branch; true: none is left.
Result<bool> end_holders(DatabaseConnection& connection, const OwnSessions& own,
                         const OwnershipMemory& memory, const std::optional<SessionIdentity>& journalled) {
  if (auto why = cannot_prove(connection, memory))
    return fail(ErrorCode::kUnavailable, Effect::kNone, *std::move(why));
  const auto settled = own.settled();
  const auto listed = connection.list_role_sessions();
  if (!listed) return std::unexpected(listed.error().error);
  // One of ours that is just being opened would look like another's.
  if (!settled || own.settled() != settled) return false;
  std::set<ConnectionId> in_use;
  for (const auto& session : *listed)
    if (own.holds(session.connection)) in_use.insert(session.connection);
  const auto server_start = connection.session_identity().server_start;
  bool gone = true;
  for (const auto session : holders(journalled, server_start, *listed, in_use)) {
    log_warning("ending the session that holds a prepared branch", {{"session", session}});
    const auto ended = connection.end_session({session, server_start});
    if (!ended) return std::unexpected(ended.error().error);
    gone = gone && *ended;
  }
  return gone;
}

}  // namespace

// ---- a branch's work

void Resource::run_work(const Branch& branch, const RunWork& run) {
  BranchWork task = task_of(branch);
  task.statements = branch.work().statements;
  task.ending = run.read_only
                    ? (run.hold ? BranchEnding::kHoldReadOnly : BranchEnding::kReadOnly)
                    : (branch.is_one_phase() ? BranchEnding::kCommitOnePhase : BranchEnding::kPrepare);
  const auto work = std::make_shared<const BranchWork>(std::move(task));
  run_on_session(
      branch, true, [work](DatabaseConnection& connection) { return connection.run_branch(*work); },
      [work](DatabaseConnection& connection) { return connection.start_branch(*work); });
  reach(CrashPoint::kAfterWorkStarted);
}

void Resource::run_statement(const Branch& branch, const RunStatement& run) {
  OpenStatement statement{branch.work().statements.back(), run.number, run.first, run.marks};
  run_on_session(branch, run.first,
                 [task = task_of(branch), statement = std::move(statement)](DatabaseConnection& connection) {
                   return connection.run_statement(task, statement);
                 });
}

void Resource::prepare_open(const Branch& branch, const PrepareOpen& prepare) {
  run_on_session(branch, false, [task = task_of(branch), prepare](DatabaseConnection& connection) {
    return connection.prepare_open(task, prepare.marked, prepare.hold);
  });
}

void Resource::roll_back_open(const Branch& branch) {
  run_on_session(branch, false, [task = task_of(branch)](DatabaseConnection& connection) {
    return connection.roll_back_open(task);
  });
}

// All but the statements. An interactive branch that may write ends with a prepare.
BranchWork Resource::task_of(const Branch& branch) {
  const auto& work = branch.work();
  BranchWork task;
  task.start.id = branch.id();
  task.start.epoch = work.epoch;
  task.start.request = work.request;
  task.start.digest = work.digest;
  task.start.isolation = work.isolation;
  task.start.statement_timeout =
      in_ms(work.statement_timeout.count() > 0 ? work.statement_timeout : options_.statement_timeout);
  task.start.lock_timeout = options_.settings.lock_timeout;
  task.ending = work.declared_read_only ? BranchEnding::kReadOnly : BranchEnding::kPrepare;
  task.mine = mine_;
  task.one_trip = options_.settings.one_trip;
  task.durability_required = options_.settings.require_durability;
  const auto transaction = branch.id().transaction.text();
  task.comment =
      sql_comment(options_.settings.comment_parts(),
                  {.label = work.label, .traceparent = work.traceparent, .transaction = transaction});
  task.watch = &cancels_;
  task.limits = options_.limits;
  if (work.max_rows > 0)
    task.limits.rows_per_statement = std::min(task.limits.rows_per_statement, work.max_rows);

  return task;
}

void Resource::run_on_session(const Branch& branch, bool binds, RunningWork::Run run,
                              RunningWork::Start start) {
  const auto id = branch.id();
  const auto timeout = branch.work().timeout;
  const auto running = std::make_shared<RunningWork>(std::move(run), std::move(start));
  running_[id] = running;
  SessionTask session;
  session.branch = id;
  session.opens_interactive = binds && branch.is_open();
  session.deadline = boot_now() + (timeout.count() > 0 ? timeout : kDefaultWork);
  // Whose session must be known at once: an open branch's, and one that its prepare ties. Any other's costs no turn of
  // the loop before it is asked for.
  const bool tells = binds && (branch.is_open() || dialect_of(kind()).ties_prepared_branches());
  session.run = [this, id, tells, running](DatabaseConnection& connection) {
    if (tells) {
      asio::post(loop_, [this, id, bound = connection.session_identity()] {
        if (!shut_down_) report(id, SessionBound{bound});
      });
    }
    running->run(connection);
  };
  if (!tells)
    session.start = [running](DatabaseConnection& connection) { return running->start(connection); };
  session.done = [this, id, running](Status status, BackendFate fate) {
    if (!shut_down_) work_done(id, running, std::move(status), fate);
  };
  work_.submit(std::move(session));
}

void Resource::work_done(const BranchId& id, const std::shared_ptr<RunningWork>& running, Status status,
                         BackendFate fate) {
  if (const auto found = running_.find(id); found != running_.end() && found->second == running)
    running_.erase(found);
  if (running->cancel_ticket) cancels_.forget(*running->cancel_ticket);
  noticed(fate);
  if (!status) return report(id, WorkFinished{WorkFailed{std::move(status.error())}});

  auto result = running->take_result();
  if (std::holds_alternative<Lost>(result.outcome)) report(id, SessionBound{result.session});
  measure_work(id, *running, result);
  if (std::holds_alternative<StatementDone>(result.outcome)) {
    reach(CrashPoint::kAfterStatementRan);
    return report(id, StatementRan{std::move(result.results.front())});
  }
  WorkOutcome outcome = WorkRead{};
  if (auto* refused = std::get_if<Refused>(&result.outcome)) {
    if (refused->error.code == ErrorCode::kNotDurable) note_durability(refused->error.message);
    outcome = WorkFailed{std::move(refused->error)};
  } else if (const auto* prepared = std::get_if<Prepared>(&result.outcome)) {
    reach(CrashPoint::kAfterPrepareDurable);
    if (prepared->tied) tied_.insert(id);
    note_durability("");
    outcome = WorkPrepared{std::move(result.results)};
  } else if (std::holds_alternative<ReadOnlyDone>(result.outcome)) {
    outcome = WorkRead{std::move(result.results)};
  } else if (std::holds_alternative<CommittedOnePhase>(result.outcome)) {
    reach(CrashPoint::kAfterOnePhaseCommit);
    note_durability("");
    outcome = WorkCommitted{std::move(result.results)};
  } else if (auto* taken = std::get_if<MarkerTaken>(&result.outcome)) {
    outcome = MarkerCollided{std::move(taken->rows)};
  } else if (auto* lost = std::get_if<Lost>(&result.outcome)) {
    // [T11] Its backend is gone and had not been told to prepare: nothing of the branch stands.
    if (fate == BackendFate::kGone && !lost->ending_sent) {
      lost->error.effect = Effect::kNone;
      outcome = WorkFailed{std::move(lost->error)};
    } else {
      outcome = WorkLost{std::move(lost->error), lost->ending_sent};
    }
  }
  report(id, WorkFinished{std::move(outcome)});
}

void Resource::measure_work(const BranchId& id, RunningWork& running, const WorkResult& result) {
  const auto& times = result.times;
  const auto queued = running.queued();
  meter_.worked(queued, result);
  const auto took = queued + times.begin.value_or(Duration{}) + times.statements.value_or(Duration{}) +
                    times.ending.value_or(Duration{});
  if (options_.slow_branch != Duration{} && took >= options_.slow_branch)
    tell_slow_work(id, name_, owner_.branch ? owner_.branch(id) : nullptr, queued, times);
}

void Resource::cancel_work(const BranchId& id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const auto& running = found->second;
  if (auto cancellation = running->cancel(); cancellation && !running->cancel_ticket) {
    running->cancel_ticket = cancels_.watch(boot_now(), std::move(cancellation));
  }
}

void Resource::end_session(const Branch& branch) {
  const auto id = branch.id();
  auto session = branch.session();
  if (const auto found = running_.find(id); !session && found != running_.end())
    session = found->second->session();
  if (!session) {
    asio::post(loop_, [this, id] {
      if (!shut_down_) report(id, SessionEnded{});
    });
    return;
  }
  end_session_of(id, *session);
}

// [T11] Until the server no longer lists it.
void Resource::end_session_of(const BranchId& id, const SessionIdentity& session) {
  on_control<bool>(
      [session](DatabaseConnection& connection) { return result_of(connection.end_session(session)); },
      [this, id, session](const Result<bool>& gone) {
        if (gone && *gone) {
          tied_.erase(id);
          return report(id, SessionEnded{});
        }
        later(kSessionPoll, [this, id, session] { end_session_of(id, session); });
      });
}

void Resource::release_session(const BranchId& id) {
  SessionTask release;
  release.branch = id;
  release.deadline = boot_now() + kAgentTaskTimeout;
  // A failure leaves the session doubtful, and it is closed: the snapshot is gone either way.
  release.run = [](DatabaseConnection& connection) { static_cast<void>(connection.release_held()); };
  release.done = [](const Status&, BackendFate) {};
  work_.submit(std::move(release));
}

void Resource::finish_prepared(const Branch& branch, bool commit) {
  const auto id = branch.id();
  if (commit) reach(CrashPoint::kAfterCommitStarted);
  const auto ending = commit ? PreparedEnding::kCommit : PreparedEnding::kRollBack;
  const auto answered = std::make_shared<bool>(false);
  const auto began = boot_now();
  if (tied_.contains(id) && branch.session()) {
    later(options_.tied_patience,
          [this, id, session = *branch.session(), answered] { end_silent_session(id, session, answered); });
  }
  on_finishing<FinishAttempted>(
      id, [id, ending](DatabaseConnection& connection) { return finish(connection, id, ending); },
      [this, id, commit, answered, began](Result<FinishAttempted> attempted) {
        if (std::exchange(*answered, true)) return;
        if (!attempted) {
          return report(
              id, FinishAttempted{FinishAttempted::Outcome::kFailed, std::move(attempted.error().message)});
        }
        // Whatever became of it, the session that held the branch does so no more.
        tied_.erase(id);
        if (attempted->outcome == FinishAttempted::Outcome::kDone) {
          meter_.finished(commit, boot_now() - began);
          reach(commit ? CrashPoint::kAfterCommitApplied : CrashPoint::kAfterRollbackApplied);
        }
        report(id, *std::move(attempted));
      },
      [id, ending](DatabaseConnection& connection) { return connection.start_finishing(id, ending); });
}

// A half-open session answers nothing for as long as the driver reads, and the branch keeps its locks (attack 29).
// Its end is seen at the server, and then any session can finish the branch.
void Resource::end_silent_session(const BranchId& id, const SessionIdentity& session,
                                  const std::shared_ptr<bool>& answered) {
  if (*answered) return;
  on_control<bool>(
      [session](DatabaseConnection& connection) { return result_of(connection.end_session(session)); },
      [this, id, session, answered](const Result<bool>& gone) {
        if (*answered) return;
        if (!gone || !*gone) {
          later(kSessionPoll, [this, id, session, answered] { end_silent_session(id, session, answered); });
          return;
        }
        *answered = true;
        tied_.erase(id);
        report(id, FinishAttempted{FinishAttempted::Outcome::kFailed,
                                   "the session that held it did not answer, and was ended"});
      });
}

void Resource::end_holder(const Branch& branch) {
  end_holder_of(branch.id(), branch.session(), boot_now() + kAgentTaskTimeout);
}

void Resource::end_holder_of(const BranchId& id, const std::optional<SessionIdentity>& journalled,
                             Instant give_up) {
  on_control<bool>(
      [own = own_sessions_, memory = ownership_.memory(), journalled](DatabaseConnection& connection) {
        return end_holders(connection, *own, memory, journalled);
      },
      [this, id, journalled, give_up](const Result<bool>& gone) {
        if (!gone) return report(id, HolderEnded{gone.error().message});
        if (*gone) return report(id, HolderEnded{});
        if (boot_now() >= give_up) return report(id, HolderEnded{"the session that holds it does not end"});
        later(kSessionPoll, [this, id, journalled, give_up] { end_holder_of(id, journalled, give_up); });
      });
}

void Resource::read_markers(const Branch& branch) {
  const auto id = branch.id();
  on_finishing<std::vector<MarkerRow>>(
      std::nullopt,
      [id, request = branch.work().request](DatabaseConnection& connection) {
        return result_of(connection.read_markers(id, request));
      },
      [this, id](Result<std::vector<MarkerRow>> rows) {
        report(id, MarkersRead{rows ? std::optional(*std::move(rows)) : std::nullopt});
      });
}

void Resource::mark_resolved(const Branch& branch) {
  const auto id = branch.id();
  on_finishing<bool>(
      std::nullopt,
      [id](DatabaseConnection& connection) -> Result<bool> {
        const auto marked = connection.mark_resolved(id);
        if (!marked) return std::unexpected(marked.error().error);
        return true;
      },
      [this, id](const Result<bool>& marked) {
        report(id, ResolutionMarked{marked ? std::nullopt : std::optional(marked.error().message)});
      });
}

void Resource::insert_barrier(const Branch& branch, EpochNumber epoch) {
  const auto id = branch.id();
  on_finishing<BarrierResult>(
      std::nullopt,
      [id, epoch, wait = in_ms(options_.barrier_wait),
       memory = ownership_.memory()](DatabaseConnection& connection) -> Result<BarrierResult> {
        if (auto why = cannot_prove(connection, memory)) {
          return BarrierResult{BarrierAttempted::Outcome::kUndecided, *std::move(why)};
        }
        return judge(connection.insert_barrier(id, epoch, wait));
      },
      [this, id](Result<BarrierResult> result) {
        reach(CrashPoint::kAfterBarrier);
        if (!result) {
          return report(
              id, BarrierAttempted{BarrierAttempted::Outcome::kUndecided, std::move(result.error().message)});
        }
        report(id, BarrierAttempted{result->outcome, std::move(result->detail)});
      });
}

void Resource::bar_request(const RequestKey& request, EpochNumber epoch,
                           std::function<void(RequestVerdict)> done) {
  on_finishing<RequestVerdict>(
      std::nullopt,
      [request, epoch, wait = in_ms(options_.barrier_wait),
       memory = ownership_.memory()](DatabaseConnection& connection) -> Result<RequestVerdict> {
        if (cannot_prove(connection, memory)) return RequestVerdict{};
        const auto result = judge(connection.insert_request_barrier(request, epoch, wait));
        switch (result.outcome) {
          case BarrierAttempted::Outcome::kCommitted:
            return RequestVerdict{BranchEnd::kRolledBack, std::nullopt};
          case BarrierAttempted::Outcome::kUndecided: return RequestVerdict{};
          case BarrierAttempted::Outcome::kCollided: break;
        }
        // Of no branch: no transaction has sequence 0 of epoch 0.
        const auto rows = connection.read_markers(BranchId{}, request);
        return rows ? judge_request(request, *rows) : RequestVerdict{};
      },
      [done = std::move(done)](Result<RequestVerdict> verdict) {
        done(verdict ? *std::move(verdict) : RequestVerdict{});
      });
}

}  // namespace troth::agent
