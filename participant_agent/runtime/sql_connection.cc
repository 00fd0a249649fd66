#include "participant_agent/runtime/sql_connection.h"

#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/runtime/statement_time.h"

namespace troth::agent {
namespace {

using namespace std::chrono_literals;

constexpr int kMostBegins = 3;

ClassifiedError unreadable(Error error) {
  return {.meaning = Meaning::kStatementRefused, .error = std::move(error)};
}

template <typename T>
Answer<T> read_only_row(const TextRows& rows, Result<T> (*parse)(const TextRow&), std::string_view what) {
  if (rows.size() != 1) {
    Error error;
    error.code = ErrorCode::kCorrupt;
    error.effect = Effect::kNone;
    error.message =
        fmt::format("the {} has {} rows instead of one; run `troth install` and look at Troth's tables", what,
                    rows.size());
    return std::unexpected(unreadable(std::move(error)));
  }
  Result<T> read = parse(rows.front());
  if (!read.has_value()) return std::unexpected(unreadable(std::move(read.error())));
  return std::move(*read);
}

template <typename T>
Answer<std::vector<T>> read_rows(const TextRows& rows, Result<T> (*parse)(const TextRow&)) {
  std::vector<T> all;
  all.reserve(rows.size());
  for (const TextRow& row : rows) {
    Result<T> read = parse(row);
    if (!read.has_value()) return std::unexpected(unreadable(std::move(read.error())));
    all.push_back(std::move(*read));
  }
  return all;
}

}  // namespace

Status ResultBudget::take_row(std::size_t bytes) {
  if (rows_left_ == 0) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("the statement returns more than {} rows; select fewer, or raise `max_rows`",
                            limits_.rows_per_statement));
  }
  if (bytes > bytes_left_) {
    return fail(
        ErrorCode::kInvalidArgument, Effect::kNone,
        fmt::format("the branch's results are larger than {} bytes; select less", limits_.bytes_per_branch));
  }
  --rows_left_;
  bytes_left_ -= bytes;
  return {};
}

SqlConnection::SqlConnection(DatabaseKind kind, SessionSettings settings)
    : dialect_(dialect_of(kind)), settings_(std::move(settings)) {}

Answer<void> SqlConnection::set_up() {
  if (const auto done = call(dialect_.set_up_session(settings_)); !done.has_value())
    return std::unexpected(done.error());
  const auto answer = call(dialect_.read_session_identity());
  if (!answer.has_value()) return std::unexpected(answer.error());
  const auto identity = read_only_row(answer->rows, &parse_session_identity, "session's identity");
  if (!identity.has_value()) return std::unexpected(identity.error());
  identity_ = *identity;
  return {};
}

// Troth's own texts leave nothing: a session that only finished branches, or counted, costs no trip.
bool SqlConnection::clean_up() {
  if (condition_ != ConnectionCondition::kIdle) return false;
  if (ran_clients_statements_ && !take_away_traces()) return false;
  ran_clients_statements_ = false;
  return condition_ == ConnectionCondition::kIdle;
}

std::unexpected<ClassifiedError> SqlConnection::failed(Speaker speaker, const DatabaseError& reported) {
  ClassifiedError classified = classify_error(kind(), speaker, reported);
  if (reported.connection_lost || classified.meaning == Meaning::kConnectionLost)
    condition_ = ConnectionCondition::kLost;
  return std::unexpected(std::move(classified));
}

// -- A branch ----------------------------------------------------------------------------------------------

WorkResult SqlConnection::measured(const BranchWork& work, const std::function<WorkResult()>& steps) {
  comment_ = work.comment;
  times_ = {};
  WorkResult result = steps();
  result.times = times_;
  comment_.clear();
  return result;
}

void SqlConnection::took(std::optional<Duration>& step, Instant since) {
  step = step.value_or(Duration{}) + (boot_now() - since);
}

WorkResult SqlConnection::run_branch(const BranchWork& work) {
  return measured(work, [&] { return run_steps(work); });
}

WorkResult SqlConnection::run_steps(const BranchWork& work) {
  if (condition_ == ConnectionCondition::kTied) {
    Error busy;
    busy.code = ErrorCode::kBusy;
    busy.effect = Effect::kNone;
    busy.retryable = true;
    busy.message =
        fmt::format("session {} holds a prepared branch until that ends", identity_.connection.value);
    return {.outcome = Refused{.error = std::move(busy)}, .results = {}, .session = identity_};
  }
  if (std::optional<WorkResult> whole = run_whole(work); whole.has_value()) return std::move(*whole);
  const auto beginning = work.writes() ? Beginning::kMarked : Beginning::kReadOnly;
  if (std::optional<WorkResult> ended = begin(work, beginning); ended.has_value()) return std::move(*ended);
  std::vector<StatementResult> results;
  if (std::optional<Error> error = run_statements(work, results); error.has_value())
    return refuse(work, std::move(*error));
  reach(CrashPoint::kAfterStatements);

  const BranchId& branch = work.start.id;
  Texts texts;
  switch (work.ending) {
    case BranchEnding::kPrepare: texts = dialect_.prepare(branch); break;
    case BranchEnding::kCommitOnePhase: texts = dialect_.commit_one_phase(branch); break;
    case BranchEnding::kReadOnly: texts = dialect_.end_read_only(); break;
    case BranchEnding::kHoldReadOnly:
      condition_ = ConnectionCondition::kTied;
      return {.outcome = ReadOnlyDone{}, .results = std::move(results), .session = identity_};
  }
  if (work.ending == BranchEnding::kCommitOnePhase) reach(CrashPoint::kBeforeOnePhaseCommit);
  const Instant ending_began = boot_now();
  if (const Answer<void> ended = end_branch(texts, work.ending, results); !ended.has_value())
    return refuse(work, ended.error().error, /*ending_sent=*/true);
  took(times_.ending, ending_began);
  if (work.ending == BranchEnding::kPrepare && stopped_at_the_end()) return take_back_late(work);

  WorkResult result{.outcome = ReadOnlyDone{}, .results = std::move(results), .session = identity_};
  if (work.ending == BranchEnding::kCommitOnePhase) result.outcome = CommittedOnePhase{};
  if (work.ending == BranchEnding::kPrepare) {
    result.outcome = Prepared{.tied = dialect_.ties_prepared_branches()};
    if (dialect_.ties_prepared_branches()) condition_ = ConnectionCondition::kTied;
  }
  return result;
}

std::optional<WorkResult> SqlConnection::prepare_for_branches(const BranchWork& work) {
  if (prepared_for_branches_) return std::nullopt;
  const Texts own = dialect_.prepare_for_branches();
  if (const auto ready = own.empty() ? Answer<TextAnswer>() : call(own); !ready.has_value())
    return refuse_begin(work, ready.error());
  prepared_for_branches_ = true;
  return std::nullopt;
}

std::optional<WorkResult> SqlConnection::begin(const BranchWork& work, Beginning beginning) {
  const Instant began = boot_now();
  const bool marks = beginning == Beginning::kMarked;
  if (auto ended = prepare_for_branches(work); ended.has_value()) return ended;
  const Texts texts = marks                               ? dialect_.begin_branch(work.start)
                      : beginning == Beginning::kUnmarked ? dialect_.begin_unmarked(work.start)
                                                          : dialect_.begin_read_only(work.start);
  for (int attempt = 1;; ++attempt) {
    const Instant sent = boot_now();
    if (auto ended = begin_once(work, texts); ended.has_value()) return ended;
    const bool waited =
        marks && dialect_.begins_again_after_wait() && boot_now() - sent > settings_.begin_had_to_wait;
    if (marks) reach(CrashPoint::kAfterMarker);
    if (!waited || attempt == kMostBegins) {
      took(times_.begin, began);
      return std::nullopt;
    }
    if (!roll_back(work)) return refuse(work, {});
  }
}

Texts SqlConnection::commented(const Texts& texts) const {
  Texts all;
  for (const std::string& text : texts)
    all.push_back(comment_ + text);
  return all;
}

std::optional<WorkResult> SqlConnection::begin_once(const BranchWork& work, const Texts& texts) {
  const Answer<TextAnswer> begun = comment_.empty() ? call(texts) : call(commented(texts));
  if (!begun.has_value()) {
    // Only the marker can meet a duplicate key here.
    if (begun.error().meaning == Meaning::kDuplicateKey) return marker_taken(work, begun.error());
    return refuse_begin(work, begun.error());
  }
  if (Status passed = check_guard_of(work, begun->rows); !passed.has_value())
    return refuse(work, std::move(passed.error()));
  return std::nullopt;
}

Status SqlConnection::check_guard_of(const BranchWork& work, const TextRows& rows) const {
  const Answer<GuardRow> guard = read_only_row(rows, &parse_guard, "guard of a branch");
  if (!guard.has_value()) return std::unexpected(guard.error().error);
  return check_guard(*guard, work.mine, work.start, work.writes() && work.durability_required);
}

std::optional<Error> SqlConnection::run_statements(const BranchWork& work,
                                                   std::vector<StatementResult>& results) {
  const Instant began = boot_now();
  begin_statements();
  ResultBudget budget(work.limits);
  std::uint32_t number = 0;
  for (const Statement& statement : work.statements) {
    auto ran = run_one(work, statement, ++number, budget);
    if (!ran.has_value()) return std::move(ran.error());
    results.push_back(std::move(*ran));
  }
  took(times_.statements, began);
  return std::nullopt;
}

std::expected<StatementResult, Error> SqlConnection::run_one(const BranchWork& work,
                                                             const Statement& statement, std::uint32_t number,
                                                             ResultBudget& budget) {
  ran_clients_statements_ = true;
  Error error;
  error.code = ErrorCode::kTimeout;
  error.effect = Effect::kNone;
  if (cancellation()->requested()) {
    error.message = "the branch's time was up before this statement";
  } else {
    budget.next_statement();
    StatementTime time(work, dialect_.server_times_statements(), cancellation());
    Answer<StatementResult> result = execute(statement, budget);
    if (time.is_up() && condition_ != ConnectionCondition::kLost) {
      error = StatementTime::error(work);
    } else if (!result.has_value()) {
      error = std::move(result.error().error);
      // [T11] What the statement did goes with the branch.
      if (condition_ != ConnectionCondition::kLost) error.effect = Effect::kNone;
    } else if (!inside_transaction()) {
      condition_ = ConnectionCondition::kDoubtful;
      error.code = ErrorCode::kForbiddenStatement;
      error.effect = Effect::kUnknown;
      error.message = "the statement ended the branch's transaction; a branch must leave that to Troth";
    } else if (Status met = check_expectation(statement, number, *result); !met.has_value()) {
      error = std::move(met.error());
    } else {
      reach(CrashPoint::kAfterStatement);
      return std::move(*result);
    }
  }
  error.statement = number;
  return std::unexpected(std::move(error));
}

WorkResult SqlConnection::refuse(const BranchWork& work, Error error, bool ending_sent) {
  const bool left_transaction = error.code == ErrorCode::kForbiddenStatement;
  const bool cancelled = cancellation()->requested();
  if (cancelled && error.code != ErrorCode::kTimeout) {
    error.code = ErrorCode::kTimeout;
    error.message = fmt::format("the branch's time was up: {}", error.message);
  }
  error.branch = work.start.id.branch.value;
  WorkResult result{.outcome = Refused{}, .results = {}, .session = identity_};
  bool rolled_back = roll_back(work);
  if (rolled_back && (ending_sent || left_transaction)) {
    // The end failed, so nothing should stand; a statement that slipped past every guard may have committed.
    Answer<std::vector<MarkerRow>> rows = read_markers(work.start.id, {});
    if (rows.has_value() && !rows->empty()) {
      result.outcome = MarkerTaken{.rows = std::move(*rows)};
      return result;
    }
    rolled_back = rows.has_value();
  }
  if (rolled_back) {
    error.effect = Effect::kNone;
    result.outcome = Refused{.error = std::move(error)};
  } else {
    // Whether the rollback happened cannot be seen from here; only the end of the server's session is sure.
    condition_ = ConnectionCondition::kLost;
    error.effect = Effect::kUnknown;
    result.outcome = Lost{.error = std::move(error), .ending_sent = ending_sent};
  }
  return result;
}

// No statement of the client's has run: what failed is Troth's own, and tells nothing of the request.
WorkResult SqlConnection::refuse_begin(const BranchWork& work, const ClassifiedError& why) {
  Error error = why.error;
  if (why.meaning == Meaning::kDuplicateXid) {
    // Nothing was begun, and a rollback by this name would meet the branch that is prepared.
    doubt();
    error.branch = work.start.id.branch.value;
    return {.outcome = Refused{.error = std::move(error)}, .results = {}, .session = identity_};
  }
  if (error.code == ErrorCode::kStatementFailed) error.code = ErrorCode::kUnavailable;
  // What was prepared for this session may be out of date, as after `troth install` of a newer schema, or gone:
  // the next session prepares it anew.
  if (!dialect_.prepare_for_branches().empty()) doubt();
  return refuse(work, std::move(error));
}

WorkResult SqlConnection::marker_taken(const BranchWork& work, const ClassifiedError& why) {
  if (!roll_back(work)) return refuse(work, why.error);
  Answer<std::vector<MarkerRow>> rows = read_markers(work.start.id, work.start.request);
  if (!rows.has_value()) return refuse(work, rows.error().error);
  return {.outcome = MarkerTaken{.rows = std::move(*rows)}, .results = {}, .session = identity_};
}

bool SqlConnection::roll_back(const BranchWork& work) {
  const Texts texts = work.writes() ? dialect_.roll_back_active(work.start.id) : Texts{"ROLLBACK"};
  bool last_succeeded = false;
  for (const std::string& text : texts) {
    if (condition_ == ConnectionCondition::kLost) return false;
    last_succeeded = call({text}).has_value();
  }
  if (last_succeeded && std::exchange(open_, std::nullopt).has_value()) untie(true);
  return last_succeeded;
}

Answer<ParameterShapes> SqlConnection::read_shapes(const std::string& sql) {
  const auto assignments = assignments_of(kind(), sql);
  if (!assignments.has_value()) return ParameterShapes{};
  const Answer<std::vector<ColumnShape>> columns = read_columns_of(assignments->table);
  if (!columns.has_value()) return std::unexpected(columns.error());
  return shapes_of(*assignments, *columns);
}

Answer<std::vector<ColumnShape>> SqlConnection::read_columns_of(const TableName& table) {
  const Answer<TextAnswer> answer = call(read_columns(kind(), table));
  if (!answer.has_value()) return std::unexpected(answer.error());
  std::vector<ColumnShape> columns;
  for (const TextRow& row : answer->rows) {
    Result<ColumnShape> column = parse_column(kind(), row);
    if (!column.has_value()) return std::unexpected(unreadable(std::move(column.error())));
    columns.push_back(std::move(*column));
  }
  return columns;
}

// -- Everything else ---------------------------------------------------------------------------------------

Answer<SqlConnection::TextAnswer> SqlConnection::ask(const Texts& texts) {
  Answer<TextAnswer> answer = std::exchange(finishing_started_, false) ? read_text() : call(texts);
  if (!answer.has_value() && condition_ != ConnectionCondition::kLost) leave_transaction();
  return answer;
}

Answer<void> SqlConnection::ask_for_success(const Texts& texts) {
  if (const auto answer = ask(texts); !answer.has_value()) return std::unexpected(answer.error());
  return {};
}

Answer<void> SqlConnection::release_held() {
  const Answer<void> ended = ask_for_success(dialect_.end_read_only());
  untie(ended.has_value());
  return ended;
}

Answer<void> SqlConnection::finish_tied(const Texts& texts) {
  return ask_for_success(texts);
}

// Where the end failed, only the end of the session is sure: then any session can finish the branch.
void SqlConnection::untie(bool ended) {
  if (condition_ != ConnectionCondition::kTied) return;
  condition_ = ended && !doubted_ ? ConnectionCondition::kIdle : ConnectionCondition::kDoubtful;
}

Answer<void> SqlConnection::finish_prepared(const BranchId& branch, PreparedEnding ending) {
  const bool commits = ending == PreparedEnding::kCommit;
  const Texts texts = commits ? dialect_.commit_prepared(branch) : dialect_.roll_back_prepared(branch);
  const bool cleans_next = condition_ == ConnectionCondition::kTied && ran_clients_statements_;
  const Answer<void> finished = cleans_next ? finish_tied(texts) : ask_for_success(texts);
  untie(finished.has_value());
  return finished;
}

Answer<std::vector<MarkerRow>> SqlConnection::read_markers(const BranchId& branch,
                                                           const std::optional<RequestKey>& request) {
  const auto answer = ask(dialect_.read_markers(branch, request));
  if (!answer.has_value()) return std::unexpected(answer.error());
  return read_rows(answer->rows, &parse_marker);
}

Answer<void> SqlConnection::mark_resolved(const BranchId& branch) {
  return ask_for_success(dialect_.mark_resolved(branch));
}

Answer<void> SqlConnection::insert_barrier(const BranchId& branch, EpochNumber epoch,
                                           std::chrono::milliseconds wait) {
  return ask_for_success(dialect_.insert_barrier(branch, epoch, wait));
}

Answer<void> SqlConnection::insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                                   std::chrono::milliseconds wait) {
  return ask_for_success(dialect_.insert_request_barrier(request, epoch, wait));
}

Answer<PreparedList> SqlConnection::list_prepared() {
  const auto answer = ask(dialect_.list_prepared());
  if (!answer.has_value()) return std::unexpected(answer.error());
  PreparedList list;
  for (const TextRow& row : answer->rows) {
    if (std::optional<PreparedRow> prepared = dialect_.parse_prepared(row); prepared.has_value()) {
      list.branches.push_back(std::move(*prepared));
    } else {
      ++list.strangers;
    }
  }
  return list;
}

Answer<std::vector<RoleSession>> SqlConnection::list_role_sessions() {
  const auto answer = ask(dialect_.list_role_sessions());
  if (!answer.has_value()) return std::unexpected(answer.error());
  return read_rows(answer->rows, &parse_session);
}

Answer<bool> SqlConnection::end_session(const SessionIdentity& session) {
  // Attack 52: numbers start again with the server; after its restart this one may be a stranger's.
  if (!same_start(session.server_start, identity_.server_start)) return true;
  const auto ended = ask(dialect_.end_session(session.connection));
  if (!ended.has_value() && ended.error().meaning != Meaning::kUnknownSession)
    return std::unexpected(ended.error());
  const Answer<std::vector<RoleSession>> others = list_role_sessions();
  if (!others.has_value()) return std::unexpected(others.error());
  for (const RoleSession& other : *others)
    if (other.connection == session.connection) return false;
  return true;
}

Answer<ServerRow> SqlConnection::read_server(const std::string& known_gtid) {
  const auto answer = ask(dialect_.read_server(known_gtid));
  if (!answer.has_value()) return std::unexpected(answer.error());
  return read_only_row(answer->rows, &parse_server, "server's identity");
}

Answer<bool> SqlConnection::claim_owner(const OwnerRow& expected, const OwnerRow& claimed) {
  const auto answer = ask(dialect_.claim_owner(expected, claimed));
  if (!answer.has_value()) return std::unexpected(answer.error());
  return answer->changed == 1;
}

Answer<bool> SqlConnection::raise_counter(const OwnerRow& mine, std::uint64_t counter) {
  const auto answer = ask(dialect_.raise_counter(mine, counter));
  if (!answer.has_value()) return std::unexpected(answer.error());
  return answer->changed == 1;
}

Answer<void> SqlConnection::raise_floors(const ClusterId& cluster, const Floors& floors) {
  return ask_for_success(dialect_.raise_floors(cluster, floors));
}

Answer<std::uint64_t> SqlConnection::delete_markers(const ClusterId& cluster, const Floors& floors,
                                                    std::uint32_t limit) {
  const auto answer = ask(dialect_.delete_markers(cluster, floors, limit));
  if (!answer.has_value()) return std::unexpected(answer.error());
  return answer->changed;
}

Answer<void> SqlConnection::run_texts(const Texts& texts) {
  for (const std::string& text : texts)
    if (const Answer<void> done = ask_for_success({text}); !done.has_value()) return done;
  return {};
}

Answer<TextRows> SqlConnection::ask_texts(const Texts& texts) {
  Answer<TextAnswer> answer = call(texts);
  if (!answer.has_value()) return std::unexpected(std::move(answer.error()));
  return std::move(answer->rows);
}

}  // namespace troth::agent
