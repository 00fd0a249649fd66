// participant_agent/runtime/sql_connection.h
//
// A connection that speaks through a dialect: the order of a branch's steps is here, once for all three
// databases; how texts and statements reach the server is the driver's business (the protected methods).
//
//   begin + marker + guard --> statements --> prove, make durable, prepare --> yes
//        |                        |                     |
//        '--- any failure: roll back, see it rolled back ---> no
//
// Round trips: one for the begin, one for each statement, one for the end (the texts of a step travel
// together); or one for all, where the driver can send a branch whole: what failed is known only behind the
// prepare then, and taken back. runtime/README.md has the table.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "participant_agent/dialect/catalogue.h"
#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

// What is left of a branch's limits; taken by every row that comes back.
class ResultBudget {
 public:
  explicit ResultBudget(const ResultLimits& limits) : limits_(limits), bytes_left_(limits.bytes_per_branch) {}

  void next_statement() { rows_left_ = limits_.rows_per_statement; }
  // invalid_argument, effect none, naming the limit that the row is past.
  [[nodiscard]] Status take_row(std::size_t bytes);

 private:
  ResultLimits limits_;
  std::uint64_t rows_left_ = 0;
  std::uint64_t bytes_left_ = 0;
};

class SqlConnection : public DatabaseConnection {
 public:
  [[nodiscard]] DatabaseKind kind() const final { return dialect_.kind(); }
  [[nodiscard]] SessionIdentity session_identity() const final { return identity_; }
  [[nodiscard]] ConnectionCondition condition() const final { return condition_; }
  [[nodiscard]] bool clean_up() final;

  [[nodiscard]] bool start_branch(const BranchWork& work) final;
  [[nodiscard]] bool start_finishing(const BranchId& branch, PreparedEnding ending) final;
  [[nodiscard]] Arrival arrived() final;

  [[nodiscard]] WorkResult run_branch(const BranchWork& work) final;
  [[nodiscard]] WorkResult run_statement(const BranchWork& work, const OpenStatement& statement) final;
  [[nodiscard]] WorkResult prepare_open(const BranchWork& work, bool marked, bool hold) final;
  [[nodiscard]] WorkResult roll_back_open(const BranchWork& work) final;
  [[nodiscard]] Answer<void> release_held() final;
  [[nodiscard]] Answer<void> finish_prepared(const BranchId& branch, PreparedEnding ending) final;
  [[nodiscard]] Answer<std::vector<MarkerRow>> read_markers(const BranchId& branch,
                                                            const std::optional<RequestKey>& request) final;
  [[nodiscard]] Answer<void> mark_resolved(const BranchId& branch) final;
  [[nodiscard]] Answer<void> insert_barrier(const BranchId& branch, EpochNumber epoch,
                                            std::chrono::milliseconds wait) final;
  [[nodiscard]] Answer<void> insert_request_barrier(const RequestKey& request, EpochNumber epoch,
                                                    std::chrono::milliseconds wait) final;
  [[nodiscard]] Answer<PreparedList> list_prepared() final;
  [[nodiscard]] Answer<std::vector<RoleSession>> list_role_sessions() final;
  [[nodiscard]] Answer<bool> end_session(const SessionIdentity& session) final;
  [[nodiscard]] Answer<ServerRow> read_server(const std::string& known_gtid) final;
  [[nodiscard]] Answer<bool> claim_owner(const OwnerRow& expected, const OwnerRow& claimed) final;
  [[nodiscard]] Answer<bool> raise_counter(const OwnerRow& mine, std::uint64_t counter) final;
  [[nodiscard]] Answer<void> raise_floors(const ClusterId& cluster, const Floors& floors) final;
  [[nodiscard]] Answer<std::uint64_t> delete_markers(const ClusterId& cluster, const Floors& floors,
                                                     std::uint32_t limit) final;
  [[nodiscard]] Answer<void> run_texts(const Texts& texts) final;
  [[nodiscard]] Answer<TextRows> ask_texts(const Texts& texts) final;

 protected:
  SqlConnection(DatabaseKind kind, SessionSettings settings);

  // The answer of the last text: its rows, or how many rows it changed.
  struct TextAnswer {
    TextRows rows;
    std::uint64_t changed = 0;
  };

  // Sends the texts in as few trips as the driver allows; the first error ends the list.
  [[nodiscard]] virtual Answer<TextAnswer> call(const Texts& texts) = 0;
  // A call outside of a branch failed: ends a transaction that its texts may have left open.
  virtual void leave_transaction() {}
  // The branch stands; its statements follow.
  virtual void begin_statements() {}
  [[nodiscard]] virtual Answer<StatementResult> execute(const Statement& statement, ResultBudget& budget) = 0;
  // The result is told before the branch ends: what is usually read with the end is read now.
  [[nodiscard]] virtual Answer<void> complete(StatementResult& /*result*/) { return {}; }
  // The same as `call`, for the texts that prepare or commit a branch: success means that it is so.
  [[nodiscard]] virtual Answer<void> end_branch(const Texts& texts, BranchEnding ending,
                                                std::vector<StatementResult>& results) = 0;

  // How far a branch came that was sent whole. Nothing behind a failed step has run.
  struct WholeBranch {
    bool begun = false;                    // the marker stands, where there is one
    Duration begun_after{};                // its time, with all before it
    TextRows guard;                        // there where nothing failed
    std::vector<StatementResult> results;  // of the statements that ran
    std::optional<ClassifiedError>
        error;                      // of the step that failed; none: it has ended as `work.ending` says
    std::optional<Error> too_much;  // a result past a limit, which stops nothing by itself
    // A text of Troth's own failed between begin and end, in a session that the statements may have spoiled for it: step
    // by step the same work may well run.
    bool steps_instead = false;
  };
  // May this work be sent whole, as the very next call? What it needs on the server stands then. False: nothing has
  // run; it then goes step by step, which also prepares its statements.
  [[nodiscard]] virtual bool takes_whole(const BranchWork& /*work*/) { return false; }
  // What goes wrong while it is sent is told when it is read.
  virtual void send_whole(const BranchWork& work);
  [[nodiscard]] virtual WholeBranch read_whole(const BranchWork& work, ResultBudget& budget);

  // For those that have a descriptor. May this work be sent whole without asking the server anything, and is its answer
  // small?
  [[nodiscard]] virtual bool is_ready_for(const BranchWork& /*work*/) { return false; }
  // One text, answered by nothing but success.
  virtual void send_text(const std::string& /*text*/) {}
  [[nodiscard]] virtual Answer<TextAnswer> read_text() { return {}; }
  // Takes what has come of what was sent, cleaning included. kWell: all of it, and all of it good.
  [[nodiscard]] virtual Arrival take_arrived() { return Arrival::kIll; }

  // Into which columns the statement's parameters go as they are. Costs a trip where there are such; kept with
  // the prepared statement.
  [[nodiscard]] Answer<ParameterShapes> read_shapes(const std::string& sql);
  [[nodiscard]] Answer<std::vector<ColumnShape>> read_columns_of(const TableName& table);
  // Is the session still inside the transaction that `begin` opened, as far as the driver can tell for free?
  [[nodiscard]] virtual bool inside_transaction() const = 0;

  // Takes away what a client's statements may have left; false: that cannot be told or done.
  [[nodiscard]] virtual bool take_away_traces() = 0;
  // Ends the branch that this session is tied to; the session is cleaned next.
  [[nodiscard]] virtual Answer<void> finish_tied(const Texts& texts);
  [[nodiscard]] Texts reset_session() const { return dialect_.reset_session(settings_); }

  [[nodiscard]] const Dialect& dialect() const { return dialect_; }
  // Of the branch that runs: in front of a client's statement, which is new to the server then each time.
  [[nodiscard]] const std::string& comment() const { return comment_; }
  // After the login: sets the session up and reads its identity.
  [[nodiscard]] Answer<void> set_up();
  // What the driver caught, in Troth's words; notes when the connection went.
  [[nodiscard]] std::unexpected<ClassifiedError> failed(Speaker speaker, const DatabaseError& reported);
  // What is set now must be taken away behind this branch.
  void leaves_traces() { ran_clients_statements_ = true; }
  [[nodiscard]] bool has_traces() const { return ran_clients_statements_; }
  // The session is closed after this branch; a tied one when the branch has ended.
  void doubt() {
    doubted_ = true;
    if (condition_ == ConnectionCondition::kIdle) condition_ = ConnectionCondition::kDoubtful;
  }

 private:
  // None: it must go step by step.
  [[nodiscard]] std::optional<WorkResult> run_whole(const BranchWork& work);
  [[nodiscard]] static bool may_go_whole(const BranchWork& work);
  void begin_whole(const BranchWork& work);
  // A branch whose answers have been read: what the agent finds wrong with it.
  struct JudgedBranch {
    WholeBranch whole;
    std::optional<Error> wrong;
    bool waited = false;   // for another's marker; see SessionSettings::begin_had_to_wait
    bool stopped = false;  // see stopped_at_the_end
    [[nodiscard]] bool is_well() const {
      return !whole.error.has_value() && !wrong.has_value() && !waited && !stopped;
    }
  };
  [[nodiscard]] JudgedBranch judge_whole(const BranchWork& work);
  [[nodiscard]] std::optional<Error> find_wrong(const BranchWork& work, WholeBranch& whole) const;
  [[nodiscard]] WorkResult refuse_whole(const BranchWork& work, WholeBranch& whole);
  // It was sent to its end before that was known; a prepared branch is rolled back.
  [[nodiscard]] WorkResult take_back(const BranchWork& work, Error error);
  // It was prepared, and the session was asked to stop: that also stops Postgres' wait for its standby, and Postgres calls
  // the branch prepared all the same. Such a yes may not be told.
  [[nodiscard]] bool stopped_at_the_end() const { return cancellation()->requested(); }
  [[nodiscard]] WorkResult take_back_late(const BranchWork& work);
  [[nodiscard]] WorkResult run_steps(const BranchWork& work);
  [[nodiscard]] WorkResult statement_steps(const BranchWork& work, const OpenStatement& statement);
  [[nodiscard]] WorkResult prepare_steps(const BranchWork& work, bool marked, bool hold);
  // Runs the steps with the branch's comment, and with their times in the result.
  [[nodiscard]] Texts commented(const Texts& texts) const;
  // A step that came to its good end.
  static void took(std::optional<Duration>& step, Instant since);
  [[nodiscard]] WorkResult measured(const BranchWork& work, const std::function<WorkResult()>& steps);
  enum class Beginning : std::uint8_t { kMarked, kUnmarked, kReadOnly };
  // Once for each session: what the server is to plan for them.
  [[nodiscard]] std::optional<WorkResult> prepare_for_branches(const BranchWork& work);
  [[nodiscard]] Status check_guard_of(const BranchWork& work, const TextRows& rows) const;
  // The marker stands where there is one, and the guard is passed, or how the branch ended.
  [[nodiscard]] std::optional<WorkResult> begin(const BranchWork& work, Beginning beginning);
  [[nodiscard]] std::optional<WorkResult> begin_once(const BranchWork& work, const Texts& texts);
  // The same for the marker of a branch that has only read so far.
  [[nodiscard]] std::optional<WorkResult> mark(const BranchWork& work);
  [[nodiscard]] std::expected<StatementResult, Error> run_one(const BranchWork& work,
                                                              const Statement& statement,
                                                              std::uint32_t number, ResultBudget& budget);
  [[nodiscard]] bool is_open(const BranchWork& work) const;
  [[nodiscard]] WorkResult session_is_lost(const BranchWork& work) const;
  [[nodiscard]] std::optional<Error> run_statements(const BranchWork& work,
                                                    std::vector<StatementResult>& results);
  // Rolls back and says so; or that the connection went before that could be seen.
  [[nodiscard]] WorkResult refuse(const BranchWork& work, Error error, bool ending_sent = false);
  [[nodiscard]] WorkResult refuse_begin(const BranchWork& work, const ClassifiedError& why);
  [[nodiscard]] WorkResult marker_taken(const BranchWork& work, const ClassifiedError& why);
  [[nodiscard]] bool roll_back(const BranchWork& work);
  void untie(bool ended);
  // Outside of a branch.
  [[nodiscard]] Answer<TextAnswer> ask(const Texts& texts);
  [[nodiscard]] Answer<void> ask_for_success(const Texts& texts);

  const Dialect& dialect_;
  const SessionSettings settings_;
  SessionIdentity identity_;
  ConnectionCondition condition_ = ConnectionCondition::kIdle;
  std::optional<BranchId> open_;  // the interactive branch that this session is inside of
  bool doubted_ = false;
  bool prepared_for_branches_ = false;
  bool ran_clients_statements_ = false;  // since it was last clean
  std::string comment_;
  WorkTimes times_;  // of the branch that runs

  // What an event loop started: a branch, or the end of one.
  const BranchWork* started_ = nullptr;
  bool finishing_started_ = false;
  Instant whole_sent_{};
  std::optional<JudgedBranch> judged_;  // `started_`, once it has arrived
};

}  // namespace troth::agent
