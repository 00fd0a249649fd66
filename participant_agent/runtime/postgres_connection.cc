#include "participant_agent/runtime/postgres_connection.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <libpq-fe.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "participant_agent/dialect/postgres_pipeline.h"
#include "participant_agent/dialect/statement_class.h"
#include "participant_agent/runtime/postgres_answers.h"
#include "participant_agent/runtime/postgres_login.h"
#include "participant_agent/runtime/postgres_values.h"
#include "participant_agent/runtime/sql_connection.h"
#include "participant_agent/runtime/statement_cache.h"

namespace troth::agent {
namespace {

std::string field_of(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? std::string() : std::string(text);
}

std::string first_line(std::string_view message) {
  if (message.starts_with("ERROR:  ")) message.remove_prefix(8);
  if (message.starts_with("FATAL:  ")) message.remove_prefix(8);
  return std::string(message.substr(0, message.find('\n')));
}

// Those that initdb makes; what CREATE makes comes behind.
bool is_built_in(std::uint32_t type) {
  constexpr std::uint32_t kFirstOther = 16'384;
  return type < kFirstOther;
}

struct PreparedText {
  std::string name;  // under which the server keeps it
  ParameterShapes shapes;
  bool returns_rows = true;
};

class PostgresConnection final : public SqlConnection {
 public:
  // Throws what libpqxx throws.
  explicit PostgresConnection(const ConnectOptions& options)
      : SqlConnection(DatabaseKind::kPostgres, options.settings),
        connection_(connection_string(options)),
        texts_(std::in_place, connection_),
        answers_(libpq()),
        cancellation_(std::make_shared<PostgresCancellation>(libpq())),
        prepared_(options.statement_cache) {
    // Whoever may wait does it in libpq all the same.
    if (PQsetnonblocking(libpq(), 1) != 0) throw pqxx::broken_connection("the socket cannot be set up");
  }

  ~PostgresConnection() override {
    cancellation_->forget_socket();
    texts_.reset();
  }

  using SqlConnection::set_up;

  [[nodiscard]] std::shared_ptr<Cancellation> cancellation() const override { return cancellation_; }

 protected:
  void begin_statements() override { cleaned_.reset(); }

  Answer<TextAnswer> call(const Texts& texts) override {
    TextAnswer answer;
    try {
      pqxx::result result;
      for (const std::string& text : texts)
        result = texts_->exec(text);
      answer.changed = result.affected_rows();
      for (const auto& row : result) {
        TextRow& copy = answer.rows.emplace_back();
        for (const auto& field : row)
          copy.push_back(field.is_null() ? std::nullopt
                                         : std::optional(std::string(field.c_str(), field.size())));
      }
    } catch (const pqxx::insufficient_privilege& error) {
      // libpqxx 6 drops the SQLSTATE of this one and the next, which would read as a lost connection.
      return call_failed(Speaker::kAgent, "42501", error.what());
    } catch (const pqxx::serialization_failure& error) {
      return call_failed(Speaker::kAgent, "40001", error.what());
    } catch (const pqxx::deadlock_detected& error) {
      return call_failed(Speaker::kAgent, "40P01", error.what());
    } catch (const pqxx::sql_error& error) {
      return call_failed(Speaker::kAgent, error.sqlstate(), error.what());
    } catch (const std::exception& error) {
      // A loss may come without a SQLSTATE ("Could not obtain client encoding"); whatever else libpqxx throws
      // leaves a session that nobody understands.
      return failed(Speaker::kAgent, {.sqlstate = {},
                                      .vendor_code = 0,
                                      .message = first_line(error.what()),
                                      .constraint = {},
                                      .connection_lost = true});
    }
    return answer;
  }

  // [T9] PREPARE TRANSACTION in a doomed transaction rolls back and reports success, of ROLLBACK: the
  // command's tag would tell, which libpqxx hides. The transaction's status before and after tells the same:
  // a text that began inside a sound transaction, raised no error (an error ends the text) and left none
  // open, prepared it.
  Answer<void> end_branch(const Texts& texts, BranchEnding /*ending*/,
                          std::vector<StatementResult>& /*results*/) override {
    if (PQtransactionStatus(libpq()) != PQTRANS_INTRANS) {
      return failed(Speaker::kAgent, {.sqlstate = "25P02",
                                      .vendor_code = 0,
                                      .message = "the branch's transaction is not sound any more",
                                      .constraint = {},
                                      .connection_lost = false});
    }
    if (const auto answer = call(texts); !answer.has_value()) return std::unexpected(answer.error());
    CHECK(PQtransactionStatus(libpq()) == PQTRANS_IDLE, "Postgres left a transaction open behind `{}`",
          texts.back());
    return {};
  }

  // What a function prepared by itself has a name that Troth does not know: the session goes.
  [[nodiscard]] bool take_away_traces() override {
    if (const std::optional<bool> cleaned = std::exchange(cleaned_, std::nullopt); cleaned.has_value())
      return *cleaned;
    const auto answer = call(reset_session());
    return answer.has_value() && is_clean(answer->rows);
  }

  void leave_transaction() override {
    if (PQtransactionStatus(libpq()) != PQTRANS_IDLE && !call({"ROLLBACK"}).has_value()) doubt();
  }

  [[nodiscard]] bool inside_transaction() const override {
    return PQtransactionStatus(libpq()) == PQTRANS_INTRANS;
  }

  Answer<StatementResult> execute(const Statement& statement, ResultBudget& budget) override {
    const Answer<const PreparedText*> prepared = prepare(statement.sql);
    if (!prepared.has_value()) return std::unexpected(prepared.error());
    if (Status fits = check_parameters(statement.parameters, (*prepared)->shapes); !fits.has_value())
      return std::unexpected(ClassifiedError{.meaning = Meaning::kStatementRefused, .error = fits.error()});
    if (!send(statement, **prepared) || PQsetSingleRowMode(libpq()) == 0) return libpq_failed();
    Answer<StatementResult> read = read_results(budget);
    if (!read.has_value() || !inside_transaction()) return read;
    if (Answer<void> named = name_columns(*read); !named.has_value()) return std::unexpected(named.error());
    return read;
  }

  // What cannot be prepared by itself, or does not fit its parameters, goes step by step, where it is told as it should
  // be.
  [[nodiscard]] bool takes_whole(const BranchWork& work) override {
    if (!is_small(work)) return false;
    const bool all_known = std::ranges::all_of(
        work.statements, [&](const Statement& each) { return prepared_.find(each.sql) != nullptr; });
    // Preparing waits for a table that is being altered: no longer than the statement itself may.
    if (!all_known) {
      leaves_traces();
      const Texts limits = set_limits(work.start, "SESSION");
      if (!limits.empty() && !call(limits).has_value()) return false;
    }
    return std::ranges::all_of(work.statements, [&](const Statement& statement) {
      const Answer<const PreparedText*> known = prepare(statement.sql);
      return known.has_value() && check_parameters(statement.parameters, (*known)->shapes).has_value();
    });
  }

  void send_whole(const BranchWork& work) override {
    const PipelineSteps beginning = pipeline_beginning(work.start, work.writes());
    const PipelineSteps ending = pipeline_ending(work.start.id, work.writes());
    const PipelineSteps cleaning = pipeline_cleaning();
    began_ = boot_now();
    sent_ = {.beginning = beginning.size(), .ending = ending.size(), .cleaning = cleaning.size()};
    bool sent = PQenterPipelineMode(libpq()) != 0;
    for (const PipelineStep& step : beginning)
      sent = sent && send(step);
    for (const Statement& statement : work.statements)
      sent = sent && send(statement, *prepared_.find(statement.sql));
    for (const PipelineStep& step : ending)
      sent = sent && send(step);
    // An error skips it with all the rest.
    for (const PipelineStep& step : cleaning)
      sent = sent && send(step);
    sent_.all = sent && PQpipelineSync(libpq()) != 0;
    answers_.expect(beginning.size() + work.statements.size() + ending.size() + cleaning.size(),
                    /*up_to_sync=*/true);
  }

  WholeBranch read_whole(const BranchWork& work, ResultBudget& budget) override {
    WholeBranch whole;
    if (!sent_.all) {
      whole.error = pipeline_lost();
      return whole;
    }
    read_beginning(sent_.beginning, whole);
    whole.begun_after = boot_now() - began_;
    for (std::size_t i = 0; i < work.statements.size() && !whole.error.has_value(); ++i)
      read_statement(budget, whole);
    for (std::size_t i = 0; i < sent_.ending && !whole.error.has_value(); ++i)
      read_ending(work.writes() && i + 1 == sent_.ending, whole);
    if (whole.error.has_value()) {
      if (!leave_pipeline() && condition() != ConnectionCondition::kLost) whole.error = pipeline_lost();
      return whole;
    }
    read_cleaning();
    for (StatementResult& result : whole.results) {
      if (const Answer<void> named = name_columns(result);
          !named.has_value() && condition() == ConnectionCondition::kLost)
        whole.error = named.error();
    }
    return whole;
  }

  // -- Carried by an event loop

  [[nodiscard]] std::optional<int> descriptor() const override { return PQsocket(libpq()); }
  [[nodiscard]] bool has_sent() override { return sent_.all && PQflush(libpq()) == 0; }

  // Rows are read one by one, and their types asked for: not on a loop.
  [[nodiscard]] bool is_ready_for(const BranchWork& work) override {
    return is_small(work) && std::ranges::all_of(work.statements, [&](const Statement& statement) {
             const PreparedText* known = prepared_.peek(statement.sql);
             return known != nullptr && !known->returns_rows &&
                    check_parameters(statement.parameters, known->shapes).has_value();
           });
  }

  void send_text(const std::string& text) override {
    sent_ = {.all = PQsendQuery(libpq(), text.c_str()) != 0};
    answers_.expect(1);
  }

  Answer<TextAnswer> read_text() override {
    std::optional<ClassifiedError> refusal;
    if (!sent_.all) refusal = pipeline_lost();
    while (const PostgresResult result = answers_.next()) {
      const ExecStatusType status = PQresultStatus(result.get());
      const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
      if (!good && !refusal.has_value()) refusal = result_failed(result.get(), Speaker::kAgent).error();
    }
    if (!refusal.has_value() && PQstatus(libpq()) != CONNECTION_OK) refusal = pipeline_lost();
    if (refusal.has_value()) return std::unexpected(std::move(*refusal));
    return {};
  }

  [[nodiscard]] Arrival take_arrived() override {
    const Arrival came = has_sent() ? answers_.take_arrived() : Arrival::kIll;
    // libpq has closed it: the loop goes on, and may open others.
    if (PQsocket(libpq()) < 0) cancellation_->forget_socket();
    return came;
  }

 private:
  // The session is not understood any more: nobody knows how far the server read.
  ClassifiedError pipeline_lost() {
    return failed(Speaker::kAgent, {.sqlstate = {},
                                    .vendor_code = 0,
                                    .message = first_line(PQerrorMessage(libpq())),
                                    .constraint = {},
                                    .connection_lost = true})
        .error();
  }

  // The next answer of the pipeline, with the null behind it; null: the connection went.
  PostgresResult next_answer() {
    PostgresResult answer = answers_.next();
    while (answer != nullptr && PQstatus(libpq()) == CONNECTION_OK) {
      const PostgresResult more = answers_.next();
      if (more == nullptr) break;
    }
    return answer;
  }

  // Of one of Troth's own steps; false: the branch came no further.
  bool answered(const PGresult* answer, WholeBranch& whole) {
    const ExecStatusType status = answer == nullptr ? PGRES_FATAL_ERROR : PQresultStatus(answer);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return true;
    whole.error = answer == nullptr || PQstatus(libpq()) != CONNECTION_OK
                      ? pipeline_lost()
                      : result_failed(answer, Speaker::kAgent).error();
    return false;
  }

  void read_beginning(std::size_t steps, WholeBranch& whole) {
    for (std::size_t i = 0; i < steps; ++i) {
      const PostgresResult answer = next_answer();
      if (!answered(answer.get(), whole)) return;
      if (i + 1 != steps) continue;
      whole.begun = true;
      whole.guard = text_rows(answer.get());
    }
  }

  void read_statement(ResultBudget& budget, WholeBranch& whole) {
    budget.next_statement();
    // What has arrived on a loop has no rows.
    const bool one_by_one = answers_.has_arrived() || PQsetSingleRowMode(libpq()) != 0;
    Answer<StatementResult> read = !one_by_one ? Answer<StatementResult>(std::unexpected(pipeline_lost()))
                                               : read_results(budget, &whole.too_much);
    if (whole.too_much.has_value() && !whole.too_much->statement.has_value())
      whole.too_much->statement = static_cast<std::uint32_t>(whole.results.size() + 1);
    if (read.has_value()) {
      whole.results.push_back(std::move(*read));
    } else {
      whole.error = std::move(read.error());
    }
  }

  // [T9] PREPARE TRANSACTION in a doomed transaction rolls back and says so only in its tag.
  void read_ending(bool prepares, WholeBranch& whole) {
    const PostgresResult answer = next_answer();
    if (!answered(answer.get(), whole) || !prepares) return;
    if (PQcmdStatus(answer.get()) != kPrepared) {
      whole.error = failed(Speaker::kAgent, {.sqlstate = "25P02",
                                             .vendor_code = 0,
                                             .message = "the branch's transaction is not sound any more",
                                             .constraint = {},
                                             .connection_lost = false})
                        .error();
    }
  }

  // Reads what is left, up to the server's Sync; false: the connection went. An error there undoes the cleaning.
  bool leave_pipeline() {
    bool at_end = false;
    for (int nothing = 0; !at_end && nothing < 2;) {
      const PostgresResult result = answers_.next();
      nothing = result == nullptr ? nothing + 1 : 0;
      at_end = result != nullptr && PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC;
      if (result != nullptr && PQresultStatus(result.get()) == PGRES_FATAL_ERROR) cleaned_.reset();
    }
    return at_end && PQexitPipelineMode(libpq()) != 0 && PQstatus(libpq()) == CONNECTION_OK;
  }

  // The vote stands, whatever becomes of it.
  void read_cleaning() {
    bool done = true;
    for (std::size_t i = 0; i < sent_.cleaning && done; ++i) {
      const PostgresResult answer = next_answer();
      const ExecStatusType status = answer == nullptr ? PGRES_FATAL_ERROR : PQresultStatus(answer.get());
      done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
      if (done && i + 1 == sent_.cleaning) cleaned_ = is_clean(text_rows(answer.get()));
    }
    if (!leave_pipeline()) static_cast<void>(pipeline_lost());
  }

  static bool is_clean(const TextRows& rows) { return rows.size() == 1 && rows.front().back() == "0"; }

  bool send(const PipelineStep& step) {
    std::vector<const char*> values;
    values.reserve(step.parameters.size());
    for (const std::optional<std::string>& parameter : step.parameters)
      values.push_back(parameter.has_value() ? parameter->c_str() : nullptr);
    const int count = static_cast<int>(values.size());
    if (step.is_prepared)
      return PQsendQueryPrepared(libpq(), step.sql.c_str(), count, values.data(), nullptr, nullptr, 0) != 0;
    return PQsendQueryParams(libpq(), step.sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0) !=
           0;
  }

  bool send(const Statement& statement, const PreparedText& prepared) {
    std::vector<std::optional<std::string>> texts;
    std::vector<const char*> values;
    std::vector<int> lengths;
    std::vector<int> formats;
    texts.reserve(statement.parameters.size());
    for (const Value& parameter : statement.parameters) {
      // Octets travel as they are; `check_parameters` has seen that they go into a bytea.
      const auto* bytes = std::get_if<Bytes>(&parameter.is);
      texts.push_back(bytes != nullptr ? std::nullopt : to_postgres(parameter));
      const std::string* text = bytes != nullptr ? &bytes->octets : texts.back() ? &*texts.back() : nullptr;
      values.push_back(text == nullptr ? nullptr : text->data());
      lengths.push_back(text == nullptr ? 0 : static_cast<int>(text->size()));
      formats.push_back(bytes != nullptr ? 1 : 0);
    }
    // A text with a comment of its branch comes once: planned, run and forgotten in the same trip.
    const int count = static_cast<int>(values.size());
    const int sent = comment().empty()
                         ? PQsendQueryPrepared(libpq(), prepared.name.c_str(), count, values.data(),
                                               lengths.data(), formats.data(), 0)
                         : PQsendQueryParams(libpq(), (comment() + statement.sql).c_str(), count, nullptr,
                                             values.data(), lengths.data(), formats.data(), 0);
    return sent != 0;
  }

  static TextRows text_rows(const PGresult* result) {
    TextRows rows;
    for (int row = 0; row < PQntuples(result); ++row) {
      TextRow& copy = rows.emplace_back();
      for (int column = 0; column < PQnfields(result); ++column) {
        if (PQgetisnull(result, row, column) != 0) {
          copy.emplace_back();
        } else {
          copy.emplace_back(std::in_place, PQgetvalue(result, row, column),
                            static_cast<std::size_t>(PQgetlength(result, row, column)));
        }
      }
    }
    return rows;
  }

  [[nodiscard]] PGconn* libpq() const { return connection_.libpq(); }

  std::unexpected<ClassifiedError> call_failed(Speaker speaker, const std::string& sqlstate,
                                               const std::string& message) {
    return failed(speaker, {.sqlstate = sqlstate,
                            .vendor_code = 0,
                            .message = first_line(message),
                            .constraint = {},
                            .connection_lost = PQstatus(libpq()) != CONNECTION_OK});
  }

  std::unexpected<ClassifiedError> libpq_failed() {
    return call_failed(Speaker::kClient, {}, PQerrorMessage(libpq()));
  }

  std::unexpected<ClassifiedError> result_failed(const PGresult* result, Speaker speaker = Speaker::kClient) {
    DatabaseError reported{.sqlstate = field_of(result, PG_DIAG_SQLSTATE),
                           .vendor_code = 0,
                           .message = field_of(result, PG_DIAG_MESSAGE_PRIMARY),
                           .constraint = field_of(result, PG_DIAG_CONSTRAINT_NAME),
                           .connection_lost = PQstatus(libpq()) != CONNECTION_OK};
    if (reported.message.empty()) reported.message = first_line(PQresultErrorMessage(result));
    // "cached plan must not change result type": a table was altered under a prepared statement.
    const bool outdated_plan = reported.sqlstate == "0A000" || reported.sqlstate == "26000";
    if (outdated_plan && speaker == Speaker::kClient) doubt();
    return failed(speaker, reported);
  }

  // While libpq sends the rest of what is large, it keeps all that the server answers, past every limit.
  [[nodiscard]] bool is_small(const BranchWork& work) const {
    constexpr std::size_t kMostBytes = 32'768;  // below what libpq sends before it is told to
    std::size_t bytes = 0;
    for (const Statement& statement : work.statements) {
      bytes += statement.sql.size();
      for (const Value& value : statement.parameters)
        bytes += size_of(value);
    }
    return bytes <= kMostBytes && work.statements.size() <= prepared_.limit();
  }

  // Valid until the next call.
  Answer<const PreparedText*> prepare(const std::string& sql) {
    if (const PreparedText* known = prepared_.find(sql); known != nullptr) return known;
    Answer<ParameterShapes> assigned = read_shapes(sql);
    if (!assigned.has_value()) return std::unexpected(assigned.error());
    PreparedText prepared{.name = fmt::format("troth_{}", ++last_prepared_), .shapes = std::move(*assigned)};
    const Answer<Description> described = prepare_and_describe(sql, prepared.name);
    if (!described.has_value()) return std::unexpected(described.error());
    // A SELECT of no columns has rows all the same.
    const Result<StatementClass> what = classify(kind(), sql);
    prepared.returns_rows = described->returns_rows || !what.has_value() ||
                            what->kind != StatementClass::Kind::kWrite || what->returning;
    for (std::size_t i = 0; i < described->parameter_types.size(); ++i) {
      Answer<ColumnShape> shape = parameter_of_type(described->parameter_types[i]);
      if (!shape.has_value()) return std::unexpected(shape.error());
      prepared.shapes.push_back({static_cast<std::uint32_t>(i + 1), std::move(*shape)});
    }
    if (const std::optional<PreparedText> gone = prepared_.insert(sql, std::move(prepared));
        gone.has_value()) {
      const PostgresResult dropped(PQexec(libpq(), fmt::format("DEALLOCATE {}", gone->name).c_str()),
                                   &PQclear);
      if (PQresultStatus(dropped.get()) != PGRES_COMMAND_OK) return result_failed(dropped.get());
    }
    return prepared_.find(sql);
  }

  struct Description {
    std::vector<std::uint32_t> parameter_types;
    bool returns_rows = false;
  };
  // Both in one trip.
  Answer<Description> prepare_and_describe(const std::string& sql, const std::string& as) {
    const char* name = as.c_str();
    Description description;
    const bool sent = PQenterPipelineMode(libpq()) != 0 &&
                      PQsendPrepare(libpq(), name, sql.c_str(), 0, nullptr) != 0 &&
                      PQsendDescribePrepared(libpq(), name) != 0 && PQpipelineSync(libpq()) != 0;
    std::optional<ClassifiedError> refusal;
    bool at_end = !sent;
    for (int nothing = 0; !at_end && nothing < 2;) {
      const PostgresResult result(PQgetResult(libpq()), &PQclear);
      // One null parts the answers; two are the end of a connection that went.
      nothing = result == nullptr ? nothing + 1 : 0;
      if (result == nullptr) continue;
      switch (PQresultStatus(result.get())) {
        case PGRES_PIPELINE_SYNC: at_end = true; break;
        case PGRES_FATAL_ERROR:
          if (!refusal.has_value()) refusal = result_failed(result.get()).error();
          break;
        default:
          for (int i = 0; i < PQnparams(result.get()); ++i)
            description.parameter_types.push_back(PQparamtype(result.get(), i));
          description.returns_rows = description.returns_rows || PQnfields(result.get()) > 0;
      }
    }
    const bool ended = PQexitPipelineMode(libpq()) != 0 && PQstatus(libpq()) == CONNECTION_OK;
    if (refusal.has_value()) return std::unexpected(std::move(*refusal));
    if (!sent || !ended) return libpq_failed();
    return description;
  }

  Answer<ColumnShape> parameter_of_type(std::uint32_t type) {
    if (is_built_in(type)) return shape_of_postgres_type(type, -1);
    const Answer<const ColumnShape*> shape = other_type(type);
    if (!shape.has_value()) return std::unexpected(shape.error());
    return **shape;
  }

  // Every result must be read to its end before the session can be used again, also past the limit.
  // `too_much` (optional) takes what is past a limit, and leaves the result to what the server says.
  Answer<StatementResult> read_results(ResultBudget& budget, std::optional<Error>* too_much = nullptr) {
    StatementResult read;
    std::optional<ClassifiedError> refusal;
    bool past_limit = false;
    const auto take = [&](const PGresult* rows) {
      for (int row = 0; row < PQntuples(rows) && !past_limit; ++row) {
        Status taken = take_row(rows, row, budget, read);
        if (taken.has_value()) continue;
        past_limit = true;
        if (too_much != nullptr) {
          *too_much = std::move(taken.error());
        } else {
          refusal = ClassifiedError{.meaning = Meaning::kStatementRefused, .error = std::move(taken.error())};
        }
      }
      return !past_limit;
    };
    for (;;) {
      const PostgresResult result = answers_.next();
      if (result == nullptr) break;
      switch (PQresultStatus(result.get())) {
        case PGRES_SINGLE_TUPLE:
          if (!past_limit && !take(result.get())) {
            cancellation_->interrupt();
            doubt();
          }
          break;
        case PGRES_TUPLES_OK:
          if (read.columns.empty()) read_columns(result.get(), read);
          // None where they came one by one.
          if (!past_limit) static_cast<void>(take(result.get()));
          read.affected = read.rows.size();
          break;
        case PGRES_COMMAND_OK: read.affected = changed_rows(result.get()); break;
        case PGRES_FATAL_ERROR:
          if (!refusal.has_value()) refusal = result_failed(result.get()).error();
          break;
        default:
          // COPY and its kind: there is no way back that is worth it.
          return failed(Speaker::kClient, {.sqlstate = "0A000",
                                           .vendor_code = 0,
                                           .message = "the statement wants to copy data over the connection",
                                           .constraint = {},
                                           .connection_lost = true});
      }
    }
    if (PQstatus(libpq()) != CONNECTION_OK && !refusal.has_value()) return libpq_failed();
    if (refusal.has_value()) return std::unexpected(std::move(*refusal));
    return read;
  }

  static std::uint64_t changed_rows(PGresult* result) {
    const std::string_view text = PQcmdTuples(result);
    std::uint64_t changed = 0;
    std::from_chars(text.data(), text.data() + text.size(), changed);
    return changed;
  }

  void read_columns(const PGresult* result, StatementResult& read) const {
    for (int column = 0; column < PQnfields(result); ++column) {
      const std::uint32_t type = PQftype(result, column);
      std::string name(postgres_type_name(type).value_or(""));
      if (name.empty()) name = std::to_string(type);
      read.columns.push_back({PQfname(result, column), std::move(name)});
    }
  }

  Status take_row(const PGresult* result, int number, ResultBudget& budget, StatementResult& read) const {
    if (read.columns.empty()) read_columns(result, read);
    std::size_t bytes = 0;
    const int columns = PQnfields(result);
    for (int column = 0; column < columns; ++column) {
      // Octets arrive as hexadecimal digits.
      constexpr std::uint32_t kBytea = 17;
      const auto length = static_cast<std::size_t>(PQgetlength(result, number, column));
      bytes += sizeof(Value) + (PQftype(result, column) == kBytea ? length / 2 : length);
    }
    if (Status taken = budget.take_row(bytes); !taken.has_value()) return taken;
    std::vector<Value>& row = read.rows.emplace_back();
    row.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      if (PQgetisnull(result, number, column) != 0) {
        row.push_back({Null{}});
      } else {
        const std::string_view text(PQgetvalue(result, number, column),
                                    static_cast<std::size_t>(PQgetlength(result, number, column)));
        row.push_back(from_postgres(PQftype(result, column), text));
      }
    }
    return {};
  }

  // A type that is not built in (an enum, an extension's) is known only to the database; asked once.
  Answer<const ColumnShape*> other_type(std::uint32_t type) {
    auto known = other_types_.find(type);
    if (known != other_types_.end()) return &known->second;
    const auto answer = call(read_postgres_type(type));
    if (!answer.has_value()) return std::unexpected(answer.error());
    ColumnShape shape;
    shape.type = std::to_string(type);
    if (!answer->rows.empty()) {
      Result<ColumnShape> read = parse_postgres_type(answer->rows.front());
      if (read.has_value()) shape = std::move(*read);
    }
    known = other_types_.emplace(type, std::move(shape)).first;
    return &known->second;
  }

  Answer<void> name_columns(StatementResult& read) {
    for (Column& column : read.columns) {
      if (column.type.empty() || column.type.front() < '0' || column.type.front() > '9') continue;
      const Answer<const ColumnShape*> type =
          other_type(static_cast<std::uint32_t>(std::strtoul(column.type.c_str(), nullptr, 10)));
      if (!type.has_value()) return std::unexpected(type.error());
      column.type = (*type)->type;
    }
    return {};
  }

  PinnedConnection connection_;
  std::optional<pqxx::nontransaction> texts_;
  PostgresAnswers answers_;
  const std::shared_ptr<PostgresCancellation> cancellation_;
  StatementCache<PreparedText> prepared_;
  std::uint64_t last_prepared_ = 0;
  std::map<std::uint32_t, ColumnShape> other_types_;
  // What was sent last, in one go: how many steps of each kind.
  struct Sent {
    std::size_t beginning = 0;
    std::size_t ending = 0;
    std::size_t cleaning = 0;
    bool all = false;  // what libpq took; the kernel may still be waited for
  };
  Sent sent_;
  Instant began_{};
  std::optional<bool> cleaned_;  // what the cleaning behind the last whole branch came to
};

}  // namespace

Result<std::unique_ptr<DatabaseConnection>> connect_to_postgres(const ConnectOptions& options) {
  try {
    auto connection = std::make_unique<PostgresConnection>(options);
    if (const Answer<void> ready = connection->set_up(); !ready.has_value())
      return std::unexpected(ready.error().error);
    return connection;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnavailable, Effect::kNone,
                fmt::format("Postgres at {}:{}, database {}, user {}: {}",
                            options.socket.empty() ? options.host : options.socket, options.port,
                            options.database, options.user, first_line(error.what())));
  }
}

}  // namespace troth::agent
