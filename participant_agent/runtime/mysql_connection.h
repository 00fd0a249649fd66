// participant_agent/runtime/mysql_connection.h
//
// A session of a MySQL or MariaDB schema, through libmariadb.
//
// The texts of one step travel as one call (CLIENT_MULTI_STATEMENTS). A client's statement is in one only where its words
// can be nothing else there (dialect/written_out.h): else it is prepared, and the servers refuse several statements there.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "participant_agent/runtime/mysql_answers.h"
#include "participant_agent/runtime/mysql_login.h"
#include "participant_agent/runtime/mysql_statements.h"
#include "participant_agent/runtime/mysql_whole.h"
#include "participant_agent/runtime/sql_connection.h"
#include "participant_agent/runtime/statement_time.h"

namespace troth::agent {

class MysqlConnection final : public SqlConnection {
 public:
  MysqlConnection(DatabaseKind kind, const ConnectOptions& options, MysqlHandle connection);
  ~MysqlConnection() override;

  // Refuses a server of the other kind, then sets the session up.
  [[nodiscard]] Answer<void> get_ready(const ConnectOptions& options);

  [[nodiscard]] std::shared_ptr<Cancellation> cancellation() const override { return cancellation_; }
  [[nodiscard]] std::optional<int> descriptor() const override;
  [[nodiscard]] bool arrives_unseen() const override { return answers_.arrives_unseen(); }

 protected:
  Answer<TextAnswer> call(const Texts& texts) override;
  void begin_statements() override;
  Answer<StatementResult> execute(const Statement& statement, ResultBudget& budget) override;
  Answer<void> end_branch(const Texts& texts, BranchEnding ending,
                          std::vector<StatementResult>& results) override;
  Answer<void> finish_tied(const Texts& texts) override;
  // XA END by the branch's name, at the end, fails unless the session is still inside it.
  [[nodiscard]] bool inside_transaction() const override { return true; }
  [[nodiscard]] bool take_away_traces() override;

  [[nodiscard]] bool takes_whole(const BranchWork& work) override;
  void send_whole(const BranchWork& work) override;
  WholeBranch read_whole(const BranchWork& work, ResultBudget& budget) override;

  [[nodiscard]] bool is_ready_for(const BranchWork& work) override;
  void send_text(const std::string& text) override { answers_.send({text}); }
  Answer<TextAnswer> read_text() override;
  [[nodiscard]] Arrival take_arrived() override;

 private:
  std::unexpected<ClassifiedError> driver_failed(Speaker speaker, const DatabaseError& reported);
  std::unexpected<ClassifiedError> statement_failed(DatabaseError reported, const Statement& statement);

  // -- A statement by itself
  Answer<void> check_encrypted();
  Answer<LearnedColumns> learn(const std::string& sql, const std::string& cast);
  Answer<StatementResult> run(PreparedText& prepared, const Statement& statement, ResultBudget& budget);
  Answer<StatementResult> read_result(PreparedText& prepared, const Statement& statement,
                                      ResultBudget& budget);
  [[nodiscard]] Status check_packet(const std::vector<Value>& parameters) const;
  Answer<void> check_warnings();

  // -- What a branch left in the session
  Answer<void> watch_session_state();
  Answer<void> prepare_looks(const std::vector<std::string>& settings, bool variables);
  Answer<void> walk_and_look(Texts texts);
  [[nodiscard]] bool same(const Texts& look, const TextRows& clean);
  [[nodiscard]] bool is_clean();
  // Does not know whether the branch it ran left anything, or knows that it did.
  [[nodiscard]] bool must_be_looked_at() const;

  // -- A branch in one trip
  struct Known {
    PreparedText* text = nullptr;
    std::string sql;
    bool is_written = false;  // with its values; else it runs by its number
  };
  // Nothing: it goes step by step.
  [[nodiscard]] std::optional<std::vector<Known>> plan_whole(const BranchWork& work);
  [[nodiscard]] bool is_all_prepared(const std::vector<Known>& statements, const BranchWork& work) const;
  [[nodiscard]] bool prepare_all(const std::vector<Known>& statements, const ClusterId& cluster);
  [[nodiscard]] bool write_whole(const std::vector<Known>& statements, const BranchWork& work);
  [[nodiscard]] bool fits_whole(std::size_t bytes) const;
  // The next answers of Troth's own; false: the branch came no further.
  [[nodiscard]] bool read_own(std::size_t count, WholeBranch& whole);
  [[nodiscard]] bool read_step(const BranchWork& work, const WholeTexts::Step& step, WholeBranch& whole);
  [[nodiscard]] bool read_check(const WholeTexts& sent, WholeBranch& whole);
  // The time of a statement begins with the answer before it; a later one's is not taken back.
  void time_step(const BranchWork& work, std::size_t step);
  void time_arrived(std::size_t answers);

  const MysqlHandle connection_;
  MysqlStatements statements_;  // goes before the connection does
  MysqlAnswers answers_;
  std::shared_ptr<MysqlCancellation> cancellation_;
  bool can_be_carried_ = false;  // see MysqlAnswers::arrived
  std::size_t most_packet_bytes_ = 0;

  TextRows clean_state_;  // what `kLook` answered on the fresh session
  TextRows clean_tables_;
  std::string check_look_;  // the expression in a branch's check
  std::string clean_check_;
  std::optional<bool> found_clean_;  // by a look that came with the last branch
  bool tables_possible_ = false;

  WholeTexts whole_;      // sent next, or last
  bool on_loop_ = false;  // it is an event loop that waits for its answers
  const BranchWork* sent_work_ = nullptr;
  Instant whole_began_{};
  std::optional<Instant> begun_at_;  // its marker stood, as an event loop saw
  bool changed_session_ = false;     // a client's statement in it, as far as the server tells
  std::optional<StatementTime> time_;
  std::size_t timed_steps_ = 0;    // so many statements have begun; the last one's time is `time_`
  ClusterId check_of_;             // whose check is prepared
  bool refused_check_ = false;     // the server would not
  std::size_t variables_set_ = 0;  // of `troth_p1` and so on: so many may hold a parameter
};

// `kind`: what the configuration says; a server of the other kind is refused.
[[nodiscard]] Result<std::unique_ptr<DatabaseConnection>> connect_to_mysql(DatabaseKind kind,
                                                                           const ConnectOptions& options);

}  // namespace troth::agent
