#include "participant_agent/runtime/mysql_connection.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cppconn/connection.h>
#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/metadata.h>
#include <cppconn/parameter_metadata.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.h"
#include "participant_agent/dialect/statement_class.h"
#include "participant_agent/runtime/mysql_binding.h"
#include "participant_agent/runtime/mysql_values.h"
#include "participant_agent/runtime/sql_connection.h"
#include "participant_agent/runtime/statement_cache.h"

namespace troth::agent {
namespace {

sql::Driver& driver() {
  static sql::Driver* const kDriver = get_driver_instance();
  return *kDriver;
}

std::unique_ptr<sql::Connection> log_in(const ConnectOptions& options) {
  sql::ConnectOptionsMap map;
  map["hostName"] =
      sql::SQLString(options.socket.empty() ? fmt::format("tcp://{}:{}", options.host, options.port)
                                            : fmt::format("unix://{}", options.socket));
  map["userName"] = sql::SQLString(options.user);
  map["password"] = sql::SQLString(options.password);
  map["schema"] = sql::SQLString(options.database);
  map["OPT_CONNECT_TIMEOUT"] = static_cast<int>(options.connect_timeout.count());
  map["OPT_READ_TIMEOUT"] = static_cast<int>(options.read_timeout.count());
  map["OPT_WRITE_TIMEOUT"] = static_cast<int>(options.read_timeout.count());
  map["OPT_CHARSET_NAME"] = sql::SQLString("utf8mb4");
  map["OPT_RECONNECT"] = false;  // [T12]
  map["CLIENT_MULTI_STATEMENTS"] = true;
  // A write counts the rows that it matched, as Postgres does: an update to the same value is no missed row.
  map["CLIENT_FOUND_ROWS"] = true;
  return std::unique_ptr<sql::Connection>(driver().connect(map));
}

class MysqlCancellation final : public Cancellation {
 public:
  MysqlCancellation(DatabaseKind kind, ConnectOptions options, ConnectionId session)
      : kind_(kind), options_(std::move(options)), session_(session) {
    options_.read_timeout = options_.connect_timeout;
  }

  void interrupt() noexcept override {
    try {
      const DriverThread driver_thread;
      const auto connection = log_in(options_);
      const std::unique_ptr<sql::Statement> statement(connection->createStatement());
      for (const std::string& text : dialect_of(kind_).cancel_statement(session_))
        statement->execute(text);
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
      // Nothing follows from a failure: the request is repeated.
    }
  }

  // The driver shows no socket: its read timeout does it.
  void break_off() noexcept override {}

 private:
  const DatabaseKind kind_;
  ConnectOptions options_;
  const ConnectionId session_;
};

struct PreparedText {
  std::unique_ptr<sql::PreparedStatement> statement;
  unsigned parameters = 0;
  bool as_text = false;  // a column's type (JSON) that the driver cannot read in the binary protocol
  bool touches_session = false;
  bool writes = true;
  bool counts_rows = false;  // a write without RETURNING: the driver tells how many only this way
  bool may_generate_key = false;
};

constexpr std::string_view kReadKey = "SELECT LAST_INSERT_ID()";

bool begins_with(std::string_view sql, std::string_view keyword) {
  const std::size_t start = sql.find_first_not_of(" \t\r\n(");
  if (start == std::string_view::npos || sql.size() - start < keyword.size()) return false;
  return std::ranges::equal(sql.substr(start, keyword.size()), keyword,
                            [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
}

class MysqlConnection final : public SqlConnection {
 public:
  // Throws what the driver throws.
  MysqlConnection(DatabaseKind kind, const ConnectOptions& options)
      : SqlConnection(kind, options.settings),
        connection_(log_in(options)),
        text_(connection_->createStatement()),
        prepared_(options.statement_cache) {}

  [[nodiscard]] std::shared_ptr<Cancellation> cancellation() const override { return cancellation_; }

  // Refuses a server of the other kind, then sets the session up.
  Answer<void> get_ready(const ConnectOptions& options) {
    const auto version = call({"SELECT VERSION()"});
    if (!version.has_value()) return std::unexpected(version.error());
    const std::string name = version->rows.at(0).at(0).value_or("");
    const bool is_mariadb = name.find("MariaDB") != std::string::npos;
    if (is_mariadb != (kind() == DatabaseKind::kMariadb)) {
      ClassifiedError wrong;
      wrong.error.code = ErrorCode::kInvalidArgument;
      wrong.error.effect = Effect::kNone;
      wrong.error.message =
          fmt::format("the server is {}, not {}; mend the resource's `kind`", name, name_of(kind()));
      return std::unexpected(std::move(wrong));
    }
    if (Answer<void> ready = set_up(); !ready.has_value()) return ready;
    cancellation_ = std::make_shared<MysqlCancellation>(kind(), options, session_identity().connection);
    return watch_session_state();
  }

 protected:
  // Most branches leave nothing: one look is cheaper than setting everything again.
  [[nodiscard]] bool take_away_traces() override {
    return is_clean() || (SqlConnection::take_away_traces() && is_clean());
  }

  Answer<TextAnswer> call(const Texts& texts) override { return walk(texts, nullptr); }

  void begin_statements() override {
    executed_ = 0;
    key_wanted_of_.reset();
    keys_.clear();
  }

  Answer<void> end_branch(const Texts& texts, BranchEnding /*ending*/,
                          std::vector<StatementResult>& results) override {
    Texts all = texts;
    if (key_wanted_of_.has_value()) all.insert(all.begin(), std::string(kReadKey));
    std::optional<std::string> key;
    if (const auto answer = walk(all, &key); !answer.has_value()) return std::unexpected(answer.error());
    if (key_wanted_of_.has_value()) keep_key(key);
    for (const auto& [result, generated] : keys_)
      results.at(result).generated_key = generated;
    return {};
  }

  Answer<void> complete(StatementResult& result) override {
    if (Answer<void> read = read_wanted_key(); !read.has_value()) return read;
    for (const auto& [number, generated] : keys_)
      result.generated_key = generated;
    keys_.clear();
    return {};
  }

  // XA END by the branch's name, at the end, fails unless the session is still inside it.
  [[nodiscard]] bool inside_transaction() const override { return true; }

  Answer<StatementResult> execute(const Statement& statement, ResultBudget& budget) override {
    try {
      const std::string sql = cast_decimals(kind(), statement.sql, statement.parameters);
      // A text with a comment of its branch comes once: what was prepared of it goes with this call.
      std::optional<PreparedText> once;
      if (!comment().empty()) once = new_prepared(sql);
      PreparedText& prepared = once.has_value() ? *once : prepare(sql);
      if (prepared.parameters != statement.parameters.size()) {
        return driver_failed(Speaker::kClient, "HY000", 0,
                             fmt::format("the server counts {} parameters in the text, {} were given",
                                         prepared.parameters, statement.parameters.size()));
      }
      if (prepared.touches_session) doubt();
      if (prepared.writes) {
        if (Answer<void> read = read_wanted_key(); !read.has_value()) return std::unexpected(read.error());
      }
      const std::size_t number = executed_++;
      if (prepared.may_generate_key) key_wanted_of_ = number;
      if (prepared.as_text) return execute_as_text(comment() + statement.sql, statement.parameters, budget);
      const BoundParameters bound(*prepared.statement, statement.parameters);
      StatementResult read;
      if (prepared.counts_rows) {
        read.affected = static_cast<std::uint32_t>(prepared.statement->executeUpdate());
        return read;
      }
      if (prepared.statement->execute()) {
        const std::unique_ptr<sql::ResultSet> rows(prepared.statement->getResultSet());
        if (Status taken = read_rows(*rows, budget, read); !taken.has_value())
          return std::unexpected(
              ClassifiedError{.meaning = Meaning::kStatementRefused, .error = taken.error()});
        read.affected = read.rows.size();
      }
      return read;
    } catch (const sql::SQLException& error) {
      return driver_failed(Speaker::kClient, error.getSQLState(), error.getErrorCode(), error.what());
    } catch (const std::exception& error) {
      return driver_failed(Speaker::kClient, {}, 0, error.what());
    }
  }

 private:
  // Errors from 2000 on are the client library's own: whatever they are, the session is not understood any
  // more. So is one without a number.
  std::unexpected<ClassifiedError> driver_failed(Speaker speaker, const std::string& sqlstate, int code,
                                                 const std::string& message) {
    const bool clients_own = code >= 2000 && code < 3000;
    if (code == 0) doubt();
    return failed(speaker, {.sqlstate = sqlstate,
                            .vendor_code = code,
                            .message = message,
                            .constraint = {},
                            .connection_lost = clients_own});
  }

  // One call; `first` (optional) gets the first column of the first text's only row.
  Answer<TextAnswer> walk(const Texts& texts, std::optional<std::string>* first) {
    TextAnswer answer;
    try {
      bool has_rows = text_->execute(fmt::format("{}", fmt::join(texts, "; ")));
      for (std::size_t at = 0; at < texts.size(); ++at) {
        if (at > 0) has_rows = text_->getMoreResults();
        const bool is_last = at + 1 == texts.size();
        if (has_rows) {
          const std::unique_ptr<sql::ResultSet> rows(text_->getResultSet());
          TextRows read = read_texts(*rows);
          if (at == 0 && first != nullptr && !read.empty()) *first = read.front().at(0);
          if (is_last) answer.rows = std::move(read);
        } else if (is_last && at == 0) {
          answer.changed = text_->getUpdateCount();
        }
      }
    } catch (const sql::SQLException& error) {
      return driver_failed(Speaker::kAgent, error.getSQLState(), error.getErrorCode(), error.what());
    }
    return answer;
  }

  static TextRows read_texts(sql::ResultSet& rows) {
    TextRows read;
    const unsigned columns = rows.getMetaData()->getColumnCount();
    while (rows.next()) {
      TextRow& row = read.emplace_back();
      for (unsigned column = 1; column <= columns; ++column)
        row.push_back(rows.isNull(column) ? std::nullopt
                                          : std::optional(std::string(rows.getString(column))));
    }
    return read;
  }

  PreparedText& prepare(const std::string& sql) {
    if (PreparedText* known = prepared_.find(sql); known != nullptr) return *known;
    static_cast<void>(prepared_.insert(sql, new_prepared(sql)));
    return *prepared_.find(sql);
  }

  PreparedText new_prepared(const std::string& sql) {
    PreparedText prepared;
    prepared.statement.reset(connection_->prepareStatement(comment() + sql));
    prepared.parameters = prepared.statement->getParameterMetaData()->getParameterCount();
    sql::ResultSetMetaData* columns = prepared.statement->getMetaData();
    for (unsigned column = 1; columns != nullptr && column <= columns->getColumnCount(); ++column)
      prepared.as_text = prepared.as_text || driver_cannot_read(columns->getColumnType(column));
    const Result<StatementClass> statement_class = classify(kind(), sql);
    if (statement_class.has_value()) {
      prepared.writes = statement_class->kind == StatementClass::Kind::kWrite;
      prepared.counts_rows = prepared.writes && !statement_class->returning;
      prepared.touches_session = statement_class->touches_session;
    } else {
      prepared.touches_session = true;
    }
    prepared.may_generate_key = begins_with(sql, "INSERT") || begins_with(sql, "REPLACE");
    return prepared;
  }

  // For the rare result that the driver cannot read in the binary protocol: the server itself prepares, the
  // parameters go into user variables (bound, as ever), the rows come back as text. The session is closed
  // behind it.
  Answer<StatementResult> execute_as_text(const std::string& sql, const std::vector<Value>& parameters,
                                          ResultBudget& budget) {
    doubt();
    std::vector<Value> values{{Text{sql}}};
    values.insert(values.end(), parameters.begin(), parameters.end());
    std::string assign = "SET @troth_sql = ?";
    std::string use;
    for (std::size_t i = 1; i <= parameters.size(); ++i) {
      assign += fmt::format(", @troth_{} = ?", i);
      use += fmt::format("{}@troth_{}", i == 1 ? " USING " : ", ", i);
    }
    const std::unique_ptr<sql::PreparedStatement> assignment(
        connection_->prepareStatement(cast_decimals(kind(), assign, values)));
    const BoundParameters bound(*assignment, values);
    assignment->execute();
    const std::unique_ptr<sql::Statement> text(connection_->createStatement());
    text->execute("PREPARE troth_text FROM @troth_sql");
    StatementResult read;
    if (text->execute("EXECUTE troth_text" + use)) {
      const std::unique_ptr<sql::ResultSet> rows(text->getResultSet());
      if (Status taken = read_rows(*rows, budget, read); !taken.has_value())
        return std::unexpected(
            ClassifiedError{.meaning = Meaning::kStatementRefused, .error = taken.error()});
    }
    read.affected = read.rows.size();
    return read;
  }

  // LAST_INSERT_ID() of an insert costs no trip where it can wait for the branch's end; the next write would
  // overwrite it. A branch begins with 0.
  Answer<void> read_wanted_key() {
    if (!key_wanted_of_.has_value()) return {};
    const auto answer = call({std::string(kReadKey)});
    if (!answer.has_value()) return std::unexpected(answer.error());
    keep_key(answer->rows.at(0).at(0));
    return {};
  }

  void keep_key(const std::optional<std::string>& key) {
    const std::uint64_t generated = std::strtoull(key.value_or("0").c_str(), nullptr, 10);
    if (generated != 0) keys_.emplace_back(*key_wanted_of_, generated);
    key_wanted_of_.reset();
  }

  // What a stored function or a trigger may have set, or a branch left: read on the fresh session, compared
  // after every branch. Reading it frees named locks and forgets the last generated key.
  Answer<void> watch_session_state() {
    const bool mariadb = kind() == DatabaseKind::kMariadb;
    const std::string settings = fmt::format(
        "RELEASE_ALL_LOCKS(), LAST_INSERT_ID(0), CONCAT_WS(',', @@sql_mode, @@autocommit, @@{}, @@time_zone, "
        "@@character_set_client, @@character_set_connection, @@character_set_results, "
        "@@collation_connection, "
        "@@innodb_lock_wait_timeout, @@foreign_key_checks, @@unique_checks, @@sql_auto_is_null, "
        "@@sql_safe_updates, @@sql_select_limit, @@max_sort_length, @@group_concat_max_len, "
        "@@div_precision_increment, @@auto_increment_increment, @@auto_increment_offset, @@lc_time_names, "
        "@@{}, "
        "DATABASE(), CURRENT_ROLE())",
        mariadb ? "tx_isolation" : "transaction_isolation",
        mariadb ? "max_statement_time" : "max_execution_time");
    const std::string variables =
        mariadb ? "information_schema.user_variables WHERE variable_name NOT LIKE 'troth\\_%'"
                : "performance_schema.user_variables_by_thread WHERE thread_id = PS_CURRENT_THREAD_ID() "
                  "AND variable_name NOT LIKE 'troth\\_%'";
    state_query_ = fmt::format("SELECT {}, (SELECT COUNT(*) FROM {})", settings, variables);
    auto state = call({state_query_});
    if (!state.has_value() && condition() != ConnectionCondition::kLost) {
      // Without the right to see them, variables that a trigger sets go unseen; `troth install` grants it.
      state_query_ = fmt::format("SELECT {}", settings);
      state = call({state_query_});
    }
    if (!state.has_value()) return std::unexpected(state.error());
    clean_state_ = std::move(state->rows);
    return {};
  }

  [[nodiscard]] bool is_clean() {
    const auto state = call({state_query_});
    return state.has_value() && state->rows == clean_state_;
  }

  // Declared in this order: statements go before the connection they belong to.
  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> text_;
  StatementCache<PreparedText> prepared_;
  std::shared_ptr<MysqlCancellation> cancellation_;
  std::string state_query_;
  TextRows clean_state_;
  // Of the branch that runs: how many statements have, whose LAST_INSERT_ID() is yet to be read, and those
  // read.
  std::size_t executed_ = 0;
  std::optional<std::size_t> key_wanted_of_;
  std::vector<std::pair<std::size_t, std::uint64_t>> keys_;
};

}  // namespace

DriverThread::DriverThread() {
  driver().threadInit();
}

DriverThread::~DriverThread() {
  driver().threadEnd();
}

Result<std::unique_ptr<DatabaseConnection>> connect_to_mysql(DatabaseKind kind,
                                                             const ConnectOptions& options) {
  const auto where = [&] {
    return fmt::format("{} at {}:{}, schema {}, user {}", name_of(kind),
                       options.socket.empty() ? options.host : options.socket, options.port, options.database,
                       options.user);
  };
  try {
    auto connection = std::make_unique<MysqlConnection>(kind, options);
    if (const Answer<void> ready = connection->get_ready(options); !ready.has_value()) {
      Error error = ready.error().error;
      error.effect = Effect::kNone;
      error.message = fmt::format("{}: {}", where(), error.message);
      return std::unexpected(std::move(error));
    }
    return connection;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnavailable, Effect::kNone, fmt::format("{}: {}", where(), error.what()));
  }
}

}  // namespace troth::agent
