#include "participant_agent/runtime/resource.h"

#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/server_identity.h"

namespace troth::agent {
namespace {

constexpr Duration kTaskTimeout = std::chrono::seconds(30);  // of what the agent itself does on a session
constexpr Duration kRetry = std::chrono::seconds(1);
constexpr Duration kSessionPoll = std::chrono::milliseconds(100);
constexpr Duration kDefaultWork = std::chrono::seconds(30);

SessionPoolOptions pool_options(const ResourceSettings& settings, std::size_t sessions) {
  SessionPoolOptions options;
  options.resource = ResourceName{settings.name};
  options.sessions = sessions;
  options.tied_sessions = settings.tied_sessions;
  options.queue_limit = settings.queue;
  return options;
}

// Sessions that finish branches: as many as may ever be needed at once, within reason.
std::size_t finishing_sessions(const ResourceSettings& settings) {
  return std::clamp<std::size_t>(settings.sessions / 2, 2, 16);
}

OpenConnection tracked(const Resource::Opener& open, const std::shared_ptr<OwnSessions>& own) {
  return [open, own] {
    auto connection = open();
    if (connection) own->add(**connection);
    return connection;
  };
}

template <typename T>
Result<T> result_of(Answer<T> answer) {
  if (answer) {
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return *std::move(answer);
    }
  }
  return std::unexpected(std::move(answer.error().error));
}

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

// [T9] A barrier proves something only on the server that the journal knows, writable and not set back.
std::optional<std::string> cannot_prove(DatabaseConnection& connection, const OwnershipMemory& memory) {
  const auto server = connection.read_server(memory.gtid);
  if (!server) return server.error().error.message;
  const auto verdict = compare_server(memory, *server);
  if (verdict.kind != ServerVerdict::Kind::kSame) return verdict.reason;
  return std::nullopt;
}

}  // namespace

Resource::Resource(asio::io_context& loop, Options options, Owner owner)
    : loop_(loop),
      name_(options.ownership.resource),
      options_(std::move(options)),
      owner_(std::move(owner)),
      ownership_(options_.ownership, options_.memory),
      survey_timer_(loop),
      timer_(loop),
      took_over_(options_.ownership.take_over),
      work_(pool_options(options_.settings, options_.settings.sessions),
            tracked(options_.open, own_sessions_), [&loop](auto done) { asio::post(loop, std::move(done)); }),
      finishing_(pool_options(options_.settings, finishing_sessions(options_.settings)),
                 tracked(options_.open_finishing, own_sessions_),
                 [&loop](auto done) { asio::post(loop, std::move(done)); }),
      control_(pool_options(options_.settings, 1), tracked(options_.open_finishing, own_sessions_),
               [&loop](auto done) { asio::post(loop, std::move(done)); }) {}

Resource::~Resource() {
  shut_down();
}

void Resource::start() {
  for (const auto& effect : ownership_.start()) {
    std::visit([this](const auto& one) { carry_out(one); }, effect);
  }
}

void Resource::shut_down() {
  if (std::exchange(shut_down_, true)) return;
  timer_.cancel();
  survey_timer_.cancel();
  work_.shut_down();
  finishing_.shut_down();
  control_.shut_down();
}

std::string Resource::identity() const {
  const auto& identity = ownership_.memory().identity;
  return identity ? identity->server + "/" + identity->installation : std::string{};
}

// ---- tasks

template <typename T>
void Resource::on_finishing(std::optional<BranchId> branch, std::function<Result<T>(DatabaseConnection&)> run,
                            std::function<void(Result<T>)> done) {
  auto& pool = branch && tied_.contains(*branch) ? work_ : finishing_;
  pool.submit<T>(boot_now() + kTaskTimeout, std::move(branch), std::move(run),
                 [this, done = std::move(done)](Result<T> result, BackendFate fate) {
                   if (shut_down_) return;
                   noticed(fate);
                   done(std::move(result));
                 });
}

template <typename T>
void Resource::on_control(std::function<Result<T>(DatabaseConnection&)> run,
                          std::function<void(Result<T>)> done) {
  control_.submit<T>(boot_now() + kTaskTimeout, std::nullopt, std::move(run),
                     [this, done = std::move(done)](Result<T> result, BackendFate fate) {
                       if (shut_down_) return;
                       noticed(fate);
                       done(std::move(result));
                     });
}

// A connection was lost: the server that the next one reaches may be another, or the same one set back.
void Resource::noticed(BackendFate fate) {
  if (fate != BackendFate::kAlive) step(Disconnected{"a connection to it was lost"});
}

void Resource::later(Duration delay, std::function<void()> action) {
  const auto timer = std::make_shared<asio::steady_timer>(loop_, delay);
  timer->async_wait([this, timer, action = std::move(action)](const asio::error_code& stopped) {
    if (!stopped && !shut_down_) action();
  });
}

void Resource::report(const BranchId& id, BranchInput input) {
  owner_.table(BranchReported{id, std::move(input)});
}

// ---- ownership

void Resource::journal_durable(JournalTicket through) {
  step(OwnershipDurable{through});
}

void Resource::allow_take_over() {
  took_over_ = true;
  step(TakeOverAllowed{});
}

void Resource::step(const OwnershipInput& input) {
  if (shut_down_) return;
  const auto effects = ownership_.step(input, boot_now(), owner_.journal());
  for (const auto& effect : effects)
    std::visit([this](const auto& one) { carry_out(one); }, effect);
  set_timer();
}

void Resource::set_timer() {
  const auto wakes = ownership_.wakes_at();
  if (!wakes) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::max(*wakes - boot_now(), Duration::zero()));
  timer_.async_wait([this](const asio::error_code& stopped) {
    if (!stopped) step(OwnershipTicked{});
  });
}

void Resource::carry_out(const Connect&) {
  on_control<bool>([](DatabaseConnection&) { return true; },
                   [this](const Result<bool>& connected) {
                     if (connected) return step(Connected{});
                     log_warning("resource cannot be reached",
                                 {{"resource", name_}, {"why", connected.error().message}});
                     step(Disconnected{connected.error().message});
                   });
}

void Resource::carry_out(const ReadServer& effect) {
  on_control<ServerRow>(
      [gtid = effect.known_gtid](DatabaseConnection& connection) {
        return result_of(connection.read_server(gtid));
      },
      [this](Result<ServerRow> row) {
        if (row) return step(ServerRead{*std::move(row)});
        step(ServerUnread{std::move(row.error())});
      });
}

void Resource::carry_out(const ClaimRow& effect) {
  reach(CrashPoint::kAfterClaimDurable);
  on_control<bool>(
      [effect](DatabaseConnection& connection) {
        return result_of(connection.claim_owner(effect.expected, effect.claimed));
      },
      [this](const Result<bool>& won) {
        reach(CrashPoint::kAfterOwnerRaised);
        step(RowChanged{won ? std::optional(*won) : std::nullopt});
      });
}

void Resource::carry_out(const RaiseCounter& effect) {
  on_control<bool>(
      [effect](DatabaseConnection& connection) {
        return result_of(connection.raise_counter(effect.mine, effect.counter));
      },
      [this](const Result<bool>& won) { step(RowChanged{won ? std::optional(*won) : std::nullopt}); });
}

void Resource::carry_out(const ListSessions&) {
  reach(CrashPoint::kAfterOwnsDurable);
  on_control<std::vector<RoleSession>>(
      [](DatabaseConnection& connection) { return result_of(connection.list_role_sessions()); },
      [this](const Result<std::vector<RoleSession>>& sessions) {
        if (!sessions) return step(Disconnected{sessions.error().message});
        SessionsListed listed;
        for (const auto& session : *sessions) {
          if (!own_sessions_->holds(session.connection)) listed.others.push_back(session.connection);
        }
        step(listed);
      });
}

void Resource::carry_out(const EndSessions& effect) {
  log_warning("ending other sessions of the role",
              {{"resource", name_}, {"sessions", effect.sessions.size()}});
  on_control<bool>(
      [sessions = effect.sessions](DatabaseConnection& connection) {
        const auto server_start = connection.session_identity().server_start;
        for (const auto session : sessions) {
          if (const auto ended = connection.end_session({session, server_start}); !ended)
            return result_of(ended);
        }
        return Result<bool>(true);
      },
      [this](const Result<bool>& ended) {
        if (!ended)
          log_warning("a session could not be ended", {{"resource", name_}, {"why", ended.error().message}});
      });
}

void Resource::carry_out(const Serve& effect) {
  reach(CrashPoint::kAfterSessionsEnded);
  mine_ = effect.mine;
  log_info("resource serves", {{"resource", name_}, {"incarnation", mine_.incarnation}});
  owner_.table(ResourceServing{name_});
  owner_.on_serving();
  begin_survey();
}

void Resource::carry_out(const Stop& effect) {
  log_warning("resource does not serve", {{"resource", name_}, {"why", effect.reason.message}});
  owner_.table(ResourceStopped{name_, effect.reason});
}

void Resource::carry_out(const AppendJournal& effect) {
  owner_.append(effect);
}

// ---- orphans

void Resource::begin_survey() {
  survey_.emplace(options_.cluster);
  carry_out_survey(survey_->start());
}

void Resource::survey(const OrphanInput& input) {
  if (survey_) carry_out_survey(survey_->step(input));
}

void Resource::carry_out_survey(const std::vector<OrphanEffect>& effects) {
  for (const auto& effect : effects) {
    if (std::holds_alternative<ListPrepared>(effect)) {
      on_control<PreparedList>(
          [](DatabaseConnection& connection) { return result_of(connection.list_prepared()); },
          [this](Result<PreparedList> list) {
            if (list) return survey(PreparedListed{std::move(list->branches), list->strangers});
            survey_.reset();
            later(kRetry, [this] {
              if (serves() && !survey_) begin_survey();
            });
          });
    } else if (std::holds_alternative<ListActive>(effect)) {
      asio::post(loop_, [this] {
        if (!shut_down_) survey(ActiveListed{owner_.known_branches()});
      });
    } else if (const auto* ask = std::get_if<AskDecisions>(&effect)) {
      ask_decisions(ask->branches);
    } else if (const auto* orphan = std::get_if<AdoptOrphan>(&effect)) {
      log_warning("orphaned branch found", {{"resource", name_},
                                            {"transaction", orphan->branch.transaction.text()},
                                            {"branch", orphan->branch.branch}});
      owner_.table(PreparedFound{orphan->branch, name_});
    } else if (const auto* done = std::get_if<ReportSurvey>(&effect)) {
      last_survey_ = *done;
      survey_timer_.expires_after(options_.list_interval);
      survey_timer_.async_wait([this](const asio::error_code& stopped) {
        if (!stopped && !shut_down_ && serves()) begin_survey();
      });
    }
  }
}

void Resource::ask_decisions(const std::vector<BranchId>& branches) {
  const auto answers = std::make_shared<DecisionsListed>();
  const auto waiting = std::make_shared<std::size_t>(branches.size());
  // An answer that never comes leaves its branch out; the next survey asks again.
  const auto finished = std::make_shared<bool>(false);
  const auto finish = [this, answers, finished] {
    if (!std::exchange(*finished, true)) survey(*answers);
  };
  for (const auto& branch : branches) {
    owner_.ask_decision(branch, [answers, waiting, branch, finish](GroupDecision decision) {
      answers->decisions[branch] = decision;
      if (--*waiting == 0) finish();
    });
  }
  later(kTaskTimeout, finish);
}

// ---- a branch's work

void Resource::run_work(const Branch& branch, const RunWork& run) {
  const auto& work = branch.work();
  const auto id = branch.id();
  BranchWork task;
  task.start.id = id;
  task.start.epoch = work.epoch;
  task.start.request = work.request;
  task.start.digest = work.digest;
  task.start.isolation = work.isolation;
  task.start.statement_timeout =
      in_ms(work.statement_timeout.count() > 0 ? work.statement_timeout : options_.statement_timeout);
  task.start.lock_timeout = options_.settings.lock_timeout;
  task.statements = work.statements;
  task.ending = run.read_only
                    ? (run.hold ? BranchEnding::kHoldReadOnly : BranchEnding::kReadOnly)
                    : (branch.is_one_phase() ? BranchEnding::kCommitOnePhase : BranchEnding::kPrepare);
  task.mine = mine_;
  task.durability_required = options_.settings.require_durability;
  task.limits = options_.limits;
  if (work.max_rows > 0)
    task.limits.rows_per_statement = std::min(task.limits.rows_per_statement, work.max_rows);

  const auto running = std::make_shared<RunningWork>(std::move(task));
  running_[id] = running;
  SessionTask session;
  session.branch = id;
  session.deadline = boot_now() + (work.timeout.count() > 0 ? work.timeout : kDefaultWork);
  session.run = [this, id, running](DatabaseConnection& connection) {
    asio::post(loop_, [this, id, bound = connection.session_identity()] {
      if (!shut_down_) report(id, SessionBound{bound});
    });
    running->run(connection);
  };
  session.done = [this, id, running](Status status, BackendFate fate) {
    if (!shut_down_) work_done(id, running, std::move(status), fate);
  };
  work_.submit(std::move(session));
  reach(CrashPoint::kAfterWorkStarted);
}

void Resource::work_done(const BranchId& id, const std::shared_ptr<RunningWork>& running, Status status,
                         BackendFate fate) {
  if (const auto found = running_.find(id); found != running_.end() && found->second == running)
    running_.erase(found);
  if (running->cancel_ticket) cancels_.forget(*running->cancel_ticket);
  noticed(fate);
  if (!status) return report(id, WorkFinished{WorkFailed{std::move(status.error())}});

  auto result = running->take_result();
  WorkOutcome outcome = WorkRead{};
  if (auto* refused = std::get_if<Refused>(&result.outcome)) {
    outcome = WorkFailed{std::move(refused->error)};
  } else if (const auto* prepared = std::get_if<Prepared>(&result.outcome)) {
    reach(CrashPoint::kAfterPrepareDurable);
    if (prepared->tied) tied_.insert(id);
    outcome = WorkPrepared{std::move(result.results)};
  } else if (std::holds_alternative<ReadOnlyDone>(result.outcome)) {
    outcome = WorkRead{std::move(result.results)};
  } else if (std::holds_alternative<CommittedOnePhase>(result.outcome)) {
    reach(CrashPoint::kAfterOnePhaseCommit);
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
  const auto session = branch.session();
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
  release.deadline = boot_now() + kTaskTimeout;
  // A failure leaves the session doubtful, and it is closed: the snapshot is gone either way.
  release.run = [](DatabaseConnection& connection) { static_cast<void>(connection.release_held()); };
  release.done = [](const Status&, BackendFate) {};
  work_.submit(std::move(release));
}

void Resource::finish_prepared(const Branch& branch, bool commit) {
  const auto id = branch.id();
  if (commit) reach(CrashPoint::kAfterCommitStarted);
  on_finishing<FinishAttempted>(
      id,
      [id, commit](DatabaseConnection& connection) -> Result<FinishAttempted> {
        const auto ended =
            connection.finish_prepared(id, commit ? PreparedEnding::kCommit : PreparedEnding::kRollBack);
        if (ended) return FinishAttempted{FinishAttempted::Outcome::kDone, {}};
        const bool unknown = ended.error().meaning == Meaning::kUnknownXid;
        return FinishAttempted{
            unknown ? FinishAttempted::Outcome::kUnknownXid : FinishAttempted::Outcome::kFailed,
            ended.error().error.message};
      },
      [this, id, commit](Result<FinishAttempted> attempted) {
        if (!attempted) {
          return report(
              id, FinishAttempted{FinishAttempted::Outcome::kFailed, std::move(attempted.error().message)});
        }
        // Whatever became of it, the session that held the branch does so no more.
        tied_.erase(id);
        if (attempted->outcome == FinishAttempted::Outcome::kDone) {
          reach(commit ? CrashPoint::kAfterCommitApplied : CrashPoint::kAfterRollbackApplied);
        }
        report(id, *std::move(attempted));
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
        const auto rows = connection.read_markers(BranchId{}, request);
        return rows ? judge_request(request, *rows) : RequestVerdict{};
      },
      [done = std::move(done)](Result<RequestVerdict> verdict) {
        done(verdict ? *std::move(verdict) : RequestVerdict{});
      });
}

// ---- floors

void Resource::raise_floors(const Floors& floors) {
  on_control<bool>(
      [cluster = options_.cluster, floors](DatabaseConnection& connection) -> Result<bool> {
        const auto raised = connection.raise_floors(cluster, floors);
        if (!raised) return std::unexpected(raised.error().error);
        return true;
      },
      [this, floors](const Result<bool>& raised) {
        reach(CrashPoint::kAfterFloorRaised);
        if (raised) return owner_.table(FloorsCommitted{name_, floors});
        log_warning("floors could not be raised", {{"resource", name_}, {"why", raised.error().message}});
        later(kRetry, [this, floors] {
          if (serves()) raise_floors(floors);
        });
      });
}

void Resource::delete_markers(const Floors& floors, std::uint32_t limit) {
  on_control<std::uint64_t>(
      [cluster = options_.cluster, floors, limit](DatabaseConnection& connection) {
        return result_of(connection.delete_markers(cluster, floors, limit));
      },
      [this, floors, limit](const Result<std::uint64_t>& rows) {
        if (rows) return owner_.table(MarkersDeleted{name_, *rows});
        log_warning("markers could not be deleted", {{"resource", name_}, {"why", rows.error().message}});
        later(kRetry, [this, floors, limit] {
          if (serves()) delete_markers(floors, limit);
        });
      });
}

}  // namespace troth::agent
