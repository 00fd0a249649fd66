// A session: its set-up, a statement by itself, and what a branch left behind. A branch in one trip is in
// mysql_connection_whole.cc.
#include "participant_agent/runtime/mysql_connection.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "participant_agent/dialect/session_traces.h"
#include "participant_agent/runtime/mysql_rows.h"
#include "participant_agent/runtime/mysql_values.h"

namespace troth::agent {
namespace {

// MySQL says of a character that a column's set has not neither column nor parameter: here are those it may mean.
std::string parameters_meant(int code, const std::vector<Value>& parameters) {
  constexpr int kNoSuchCharacter = 3988;
  if (code != kNoSuchCharacter) return {};
  std::string meant;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto* text = std::get_if<Text>(&parameters[i].is);
    const bool past_ascii = text != nullptr && std::ranges::any_of(text->text, [](char c) { return c < 0; });
    if (past_ascii) meant += fmt::format("{}parameter {}", meant.empty() ? " (" : ", ", i + 1);
  }
  return meant.empty() ? meant : meant + ": characters that the column's character set has not)";
}

std::unexpected<ClassifiedError> refused(Error error) {
  return std::unexpected(ClassifiedError{.meaning = Meaning::kStatementRefused, .error = std::move(error)});
}

// Those behind the first, as of a CALL: none is the client's. False: the driver failed.
bool skip_other_results(MYSQL_STMT& statement) {
  mysql_stmt_free_result(&statement);
  while (mysql_stmt_more_results(&statement) != 0) {
    if (mysql_stmt_next_result(&statement) > 0) return false;
    mysql_stmt_free_result(&statement);
  }
  return last_error_of(statement).vendor_code == 0;
}

}  // namespace

MysqlConnection::MysqlConnection(DatabaseKind kind, const ConnectOptions& options, MysqlHandle connection)
    : SqlConnection(kind, options.settings),
      connection_(std::move(connection)),
      statements_(kind, *connection_, options.statement_cache),
      answers_(*connection_, kind) {}

MysqlConnection::~MysqlConnection() {
  if (cancellation_ != nullptr) cancellation_->forget_socket();
}

// -- Set-up ------------------------------------------------------------------------------------------------

// Before anything of ours runs on it.
Answer<void> MysqlConnection::check_encrypted() {
  if (mysql_get_ssl_cipher(connection_.get()) != nullptr) return {};
  ClassifiedError plain;
  plain.error.code = ErrorCode::kUnavailable;
  plain.error.effect = Effect::kNone;
  plain.error.message = "the session is not encrypted, and the resource's `tls` asks for it";
  return std::unexpected(std::move(plain));
}

Answer<void> MysqlConnection::get_ready(const ConnectOptions& options) {
  const auto version = call({"SELECT VERSION(), @@max_allowed_packet"});
  if (!version.has_value()) return std::unexpected(version.error());
  const std::string name = version->rows.at(0).at(0).value_or("");
  most_packet_bytes_ = std::strtoull(version->rows.at(0).at(1).value_or("0").c_str(), nullptr, 10);
  const bool is_mariadb = name.find("MariaDB") != std::string::npos;
  if (is_mariadb != (kind() == DatabaseKind::kMariadb)) {
    ClassifiedError wrong;
    wrong.error.code = ErrorCode::kInvalidArgument;
    wrong.error.effect = Effect::kNone;
    wrong.error.message =
        fmt::format("the server is {}, not {}; mend the resource's `kind`", name, name_of(kind()));
    return std::unexpected(std::move(wrong));
  }
  if (options.tls.mode >= DatabaseTlsMode::kRequire) {
    if (Answer<void> encrypted = check_encrypted(); !encrypted.has_value()) return encrypted;
  }
  if (Answer<void> ready = set_up(); !ready.has_value()) return ready;
  cancellation_ =
      std::make_shared<MysqlCancellation>(kind(), options, session_identity().connection, *connection_);
  can_be_carried_ = options.socket.empty() && mysql_get_ssl_cipher(connection_.get()) == nullptr &&
                    cancellation_->socket() >= 0;
  return watch_session_state();
}

std::optional<int> MysqlConnection::descriptor() const {
  return can_be_carried_ ? std::optional(cancellation_->socket()) : std::nullopt;
}

// -- Texts and errors --------------------------------------------------------------------------------------

// Without a number nobody understands it.
std::unexpected<ClassifiedError> MysqlConnection::driver_failed(Speaker speaker,
                                                                const DatabaseError& reported) {
  if (reported.vendor_code == 0) doubt();
  return failed(speaker, reported);
}

std::unexpected<ClassifiedError> MysqlConnection::statement_failed(DatabaseError reported,
                                                                   const Statement& statement) {
  reported.message += parameters_meant(reported.vendor_code, statement.parameters);
  return driver_failed(Speaker::kClient, reported);
}

Answer<SqlConnection::TextAnswer> MysqlConnection::call(const Texts& texts) {
  answers_.send(texts);
  TextAnswer last;
  while (answers_.left() > 0) {
    auto answer = answers_.next();
    if (!answer.has_value()) return driver_failed(Speaker::kAgent, answer.error());
    last = {.rows = std::move(answer->rows), .changed = answer->has_rows ? 0 : answer->changed};
  }
  return last;
}

Answer<SqlConnection::TextAnswer> MysqlConnection::read_text() {
  auto answer = answers_.next();
  if (!answer.has_value()) return driver_failed(Speaker::kAgent, answer.error());
  return TextAnswer{.rows = std::move(answer->rows), .changed = answer->changed};
}

// -- A statement by itself ---------------------------------------------------------------------------------

void MysqlConnection::begin_statements() {
  tables_possible_ = false;
  found_clean_.reset();
}

Answer<StatementResult> MysqlConnection::execute(const Statement& statement, ResultBudget& budget) {
  const std::string sql = cast_decimals(kind(), statement.sql, statement.parameters);
  // A text with a comment of its branch comes once: what was prepared of it goes with this call.
  std::optional<PreparedText> once;
  PreparedText* known = comment().empty() ? statements_.find(sql) : nullptr;
  if (known == nullptr) {
    Answer<LearnedColumns> learned = learn(statement.sql, sql);
    if (!learned.has_value()) return std::unexpected(learned.error());
    auto fresh = statements_.prepare(comment(), sql, std::move(*learned));
    if (!fresh.has_value()) return statement_failed(fresh.error(), statement);
    known = comment().empty() ? &statements_.keep(sql, std::move(*fresh)) : &once.emplace(std::move(*fresh));
  }
  if (known->parameters != statement.parameters.size()) {
    return driver_failed(Speaker::kClient,
                         {.sqlstate = "HY000",
                          .vendor_code = 0,
                          .message = fmt::format("the server counts {} parameters in the text, {} were given",
                                                 known->parameters, statement.parameters.size()),
                          .constraint = {},
                          .connection_lost = false});
  }
  if (Status fits = check_parameters(statement.parameters, known->shapes); !fits.has_value())
    return refused(fits.error());
  if (Status fits = check_packet(statement.parameters); !fits.has_value()) return refused(fits.error());
  return run(*known, statement, budget);
}

// Of its table, in one trip at most. `cast`: the text with casts around its decimals.
Answer<LearnedColumns> MysqlConnection::learn(const std::string& sql, const std::string& cast) {
  LearnedColumns learned;
  const auto assignments = assignments_of(kind(), sql);
  // A text with a comment of its branch goes step by step.
  if (comment().empty()) learned.writable = WritableText::of(cast);
  const bool meets_columns = learned.writable.has_value() && learned.writable->table().has_value();
  if (!assignments.has_value() && !meets_columns) return learned;
  const TableName& table = assignments.has_value() ? assignments->table : *learned.writable->table();
  const Answer<std::vector<ColumnShape>> columns = read_columns_of(table);
  if (!columns.has_value()) return std::unexpected(columns.error());
  if (assignments.has_value()) learned.shapes = shapes_of(*assignments, *columns);
  if (meets_columns &&
      (table != *learned.writable->table() || !learned.writable->learn(*columns, learned.shapes)))
    learned.writable.reset();
  return learned;
}

Answer<StatementResult> MysqlConnection::run(PreparedText& prepared, const Statement& statement,
                                             ResultBudget& budget) {
  if (prepared.touches_session) doubt();
  if (kind() == DatabaseKind::kMariadb && prepared.calls_stored_function) tables_possible_ = true;
  MYSQL_STMT& running = *prepared.statement;
  BoundParameters bound(kind(), statement.parameters);
  if (!bound.bind_to(running) || mysql_stmt_execute(&running) != 0)
    return statement_failed(last_error_of(running), statement);
  Answer<StatementResult> read = read_result(prepared, statement, budget);
  if (read.has_value() && prepared.ignores) {
    if (Answer<void> as_sent = check_warnings(); !as_sent.has_value())
      return std::unexpected(as_sent.error());
  }
  return read;
}

Answer<StatementResult> MysqlConnection::read_result(PreparedText& prepared, const Statement& statement,
                                                     ResultBudget& budget) {
  MYSQL_STMT& running = *prepared.statement;
  StatementResult read;
  if (mysql_stmt_field_count(&running) == 0) {
    if (prepared.writes) read.affected = mysql_stmt_affected_rows(&running);
    const std::uint64_t key = mysql_stmt_insert_id(&running);
    if (prepared.may_generate_key && key != 0) read.generated_key = key;
  } else {
    const Result<bool> fetched = read_rows(running, budget, read);
    if (fetched.has_value() && !*fetched) return statement_failed(last_error_of(running), statement);
    if (!fetched.has_value()) {
      // What is left may be long. A late request would meet the next branch.
      doubt();
      cancellation_->interrupt();
      static_cast<void>(skip_other_results(running));
      return refused(fetched.error());
    }
    read.affected = read.rows.size();
  }
  if (!skip_other_results(running)) return statement_failed(last_error_of(running), statement);
  return read;
}

// Past it the server would break the connection off.
Status MysqlConnection::check_packet(const std::vector<Value>& parameters) const {
  constexpr std::size_t kForHeaders = 16'384;
  const std::size_t bytes = packet_bytes(parameters);
  if (bytes + kForHeaders <= most_packet_bytes_) return {};
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("the parameters have {} bytes, which is too near the server's max_allowed_packet, "
                          "{}; raise that, or send less",
                          bytes, most_packet_bytes_));
}

// Duplicates are what IGNORE is for; a value that was cut, rounded or replaced is not.
Answer<void> MysqlConnection::check_warnings() {
  static constexpr std::array<std::string_view, 7> kChanged{"1048", "1264", "1265", "1292",
                                                            "1364", "1366", "1406"};
  const auto counted = call({"SHOW COUNT(*) WARNINGS"});
  if (!counted.has_value()) return std::unexpected(counted.error());
  const auto warnings = call({"SHOW WARNINGS"});
  if (!warnings.has_value()) return std::unexpected(warnings.error());
  const std::string shown = std::to_string(warnings->rows.size());
  if (counted->rows.size() != 1 || counted->rows.front().at(0) != shown) {
    return failed(
        Speaker::kClient,
        {.sqlstate = "22000",
         .vendor_code = 0,
         .message = fmt::format("with IGNORE a value may have been changed: the server shows {} of its "
                                "warnings; raise its max_error_count, or write fewer rows at once",
                                shown),
         .constraint = {},
         .connection_lost = false});
  }
  for (const TextRow& warning : warnings->rows) {
    if (std::ranges::find(kChanged, warning.at(1).value_or("")) == kChanged.end()) continue;
    return failed(Speaker::kClient, {.sqlstate = "22000",
                                     .vendor_code = std::atoi(warning.at(1)->c_str()),
                                     .message = fmt::format("with IGNORE the value would be changed: {}",
                                                            warning.at(2).value_or("")),
                                     .constraint = {},
                                     .connection_lost = false});
  }
  return {};
}

// -- What a branch left in the session ---------------------------------------------------------------------

// Read on the fresh session, compared after every branch.
Answer<void> MysqlConnection::watch_session_state() {
  const auto settings = call(read_session_settings());
  if (!settings.has_value()) return std::unexpected(settings.error());
  std::vector<std::string> names;
  for (const TextRow& row : settings->rows)
    names.push_back(row.at(0).value_or(""));
  if (const Answer<void> prepared = prepare_looks(names, /*variables=*/true); !prepared.has_value()) {
    if (condition() == ConnectionCondition::kLost) return prepared;
    // Without the right to see them, variables that a trigger sets go unseen; `troth install` grants it.
    if (Answer<void> again = prepare_looks(names, /*variables=*/false); !again.has_value()) return again;
  }
  if (kind() == DatabaseKind::kMysql) return {};
  if (const auto prepared = call(prepare_table_look()); !prepared.has_value())
    return std::unexpected(prepared.error());
  auto tables = call({std::string(kTableLook)});
  if (!tables.has_value()) return std::unexpected(tables.error());
  clean_tables_ = std::move(tables->rows);
  return {};
}

Answer<void> MysqlConnection::prepare_looks(const std::vector<std::string>& settings, bool variables) {
  const std::string look = look_expression(kind(), settings, variables);
  check_look_ = kind() == DatabaseKind::kMysql ? untracked_look_expression(variables) : look;
  if (const auto prepared = call(prepare_look(look)); !prepared.has_value())
    return std::unexpected(prepared.error());
  auto state = call({std::string(kLook)});
  if (!state.has_value()) return std::unexpected(state.error());
  clean_state_ = std::move(state->rows);
  const auto check = call({fmt::format("SELECT {} LIMIT 1", check_look_)});
  if (!check.has_value()) return std::unexpected(check.error());
  clean_check_ = check->rows.at(0).at(0).value_or("");
  return {};
}

Answer<void> MysqlConnection::end_branch(const Texts& texts, BranchEnding ending,
                                         std::vector<StatementResult>& /*results*/) {
  // Tied to a prepared branch, the server takes nothing but that one's end: the look comes behind it.
  const bool ties = ending == BranchEnding::kPrepare && dialect().ties_prepared_branches();
  if (!ties) return walk_and_look(texts);
  const auto answer = call(texts);
  return answer.has_value() ? Answer<void>() : std::unexpected(answer.error());
}

Answer<void> MysqlConnection::finish_tied(const Texts& texts) {
  // A branch in one trip was looked behind before it was prepared.
  return found_clean_.has_value() ? SqlConnection::finish_tied(texts) : walk_and_look(texts);
}

// Texts behind which the session is looked at in the same trip. A look that fails is made again by clean_up().
Answer<void> MysqlConnection::walk_and_look(Texts texts) {
  texts.emplace_back(kLook);
  answers_.send(texts);
  while (answers_.left() > 1) {
    if (const auto answer = answers_.next(); !answer.has_value())
      return driver_failed(Speaker::kAgent, answer.error());
  }
  const auto look = answers_.next();
  if (look.has_value()) {
    found_clean_ = look->rows == clean_state_;
  } else if (auto lost = driver_failed(Speaker::kAgent, look.error());
             condition() == ConnectionCondition::kLost) {
    return lost;
  }
  return {};
}

bool MysqlConnection::same(const Texts& look, const TextRows& clean) {
  const auto seen = call(look);
  return seen.has_value() && seen->rows == clean;
}

// By the look that came with the branch's end, or by a new one.
bool MysqlConnection::is_clean() {
  if (const std::optional<bool> found = std::exchange(found_clean_, std::nullopt); found.has_value())
    return *found;
  Texts texts = forget_parameters(kind(), variables_set_);
  texts.emplace_back(kLook);
  if (!same(texts, clean_state_)) return false;
  variables_set_ = 0;
  return true;
}

// Most branches leave nothing: one look is cheaper than setting everything again. A temporary table cannot be found by its
// name.
bool MysqlConnection::take_away_traces() {
  if (tables_possible_ && !same({std::string(kTableLook)}, clean_tables_)) return false;
  return is_clean() || (call(reset_session()).has_value() && is_clean());
}

bool MysqlConnection::must_be_looked_at() const {
  return has_traces() && found_clean_ != std::optional(true);
}

// ----------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<DatabaseConnection>> connect_to_mysql(DatabaseKind kind,
                                                             const ConnectOptions& options) {
  const auto somewhere = [&](Error error) {
    error.effect = Effect::kNone;
    error.message = fmt::format("{} at {}:{}, schema {}, user {}: {}", name_of(kind),
                                options.socket.empty() ? options.host : options.socket, options.port,
                                options.database, options.user, error.message);
    return std::unexpected(std::move(error));
  };
  Result<MysqlHandle> handle = log_in_to_mysql(options);
  if (!handle.has_value()) return somewhere(std::move(handle.error()));
  auto connection = std::make_unique<MysqlConnection>(kind, options, std::move(*handle));
  if (const Answer<void> ready = connection->get_ready(options); !ready.has_value())
    return somewhere(ready.error().error);
  return connection;
}

}  // namespace troth::agent
