#include "participant_agent/runtime/mysql_connection.h"

#include <algorithm>
#include <array>
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
#include "participant_agent/dialect/session_traces.h"
#include "participant_agent/dialect/statement_class.h"
#include "participant_agent/dialect/tokens.h"
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

// What libmariadb makes of these (tried, 3.3): `sslEnforce` takes TLS where the server offers it, and logs in without
// where it does not: check_encrypted() looks afterwards. `sslVerify` compares the server's certificate with `sslCA` and
// with the host's name, and it alone refuses a server without TLS before the password is sent.
void add_tls(sql::ConnectOptionsMap& map, const DatabaseTls& tls) {
  if (tls.mode == DatabaseTlsMode::kOff) return;
  map["sslEnforce"] = true;
  if (!tls.ca.empty()) map["sslCA"] = sql::SQLString(tls.ca);
  if (tls.mode == DatabaseTlsMode::kVerifyCa || tls.mode == DatabaseTlsMode::kVerifyFull)
    map["sslVerify"] = true;
  if (!tls.certificate.empty()) {
    map["sslCert"] = sql::SQLString(tls.certificate);
    map["sslKey"] = sql::SQLString(tls.key);
  }
}

std::unique_ptr<sql::Connection> log_in(const ConnectOptions& options) {
  sql::ConnectOptionsMap map;
  map["hostName"] =
      sql::SQLString(options.socket.empty() ? fmt::format("tcp://{}:{}", options.host, options.port)
                                            : fmt::format("unix://{}", options.socket));
  map["userName"] = sql::SQLString(options.user);
  map["password"] = sql::SQLString(options.password.value());
  map["schema"] = sql::SQLString(options.database);
  map["OPT_CONNECT_TIMEOUT"] = static_cast<int>(options.connect_timeout.count());
  map["OPT_READ_TIMEOUT"] = static_cast<int>(options.read_timeout.count());
  map["OPT_WRITE_TIMEOUT"] = static_cast<int>(options.read_timeout.count());
  map["OPT_CHARSET_NAME"] = sql::SQLString("utf8mb4");
  map["OPT_RECONNECT"] = false;  // [T12]
  map["CLIENT_MULTI_STATEMENTS"] = true;
  // A write counts the rows that it matched, as Postgres does: an update to the same value is no missed row.
  map["CLIENT_FOUND_ROWS"] = true;
  add_tls(map, options.tls);
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
  bool calls_stored_function = false;
  bool counts_rows = false;  // a write without RETURNING: the driver tells how many only this way
  bool may_generate_key = false;
  bool ignores = false;    // IGNORE: what cannot be stored as it is becomes something else, with a warning
  ParameterShapes shapes;  // of the columns that parameters go into
};

constexpr std::string_view kReadKey = "SELECT LAST_INSERT_ID()";

bool begins_with(std::string_view sql, std::string_view keyword) {
  const std::size_t start = sql.find_first_not_of(" \t\r\n(");
  if (start == std::string_view::npos || sql.size() - start < keyword.size()) return false;
  return std::ranges::equal(sql.substr(start, keyword.size()), keyword,
                            [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
}

// A statement that was bound an unsigned number once binds every later one there as unsigned: the driver keeps the
// flag, and -1 would arrive as 2^64 - 1. So such a statement is prepared by itself.
std::string signs_of(const std::vector<Value>& parameters) {
  std::string signs;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (std::holds_alternative<std::uint64_t>(parameters[i].is))
      signs += fmt::format("\n-- unsigned {}", i + 1);
  return signs;
}

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

bool says_ignore(DatabaseKind kind, std::string_view sql) {
  const auto tokens = tokens_of(kind, sql);
  return !tokens.has_value() || std::ranges::any_of(*tokens, [](const Token& token) {
    return token.kind == Token::Kind::kWord && token.text == "IGNORE";
  });
}

// A read whose words make it a write (EXPLAIN UPDATE, NEXTVAL) returns rows all the same.
bool begins_as_write(std::string_view sql) {
  return begins_with(sql, "INSERT") || begins_with(sql, "UPDATE") || begins_with(sql, "DELETE") ||
         begins_with(sql, "REPLACE");
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
  // Before anything of ours runs on it.
  Answer<void> check_encrypted() {
    const auto cipher = call({"SHOW SESSION STATUS LIKE 'Ssl_cipher'"});
    if (!cipher.has_value()) return std::unexpected(cipher.error());
    if (!cipher->rows.empty() && !cipher->rows.at(0).at(1).value_or("").empty()) return {};
    ClassifiedError plain;
    plain.error.code = ErrorCode::kUnavailable;
    plain.error.effect = Effect::kNone;
    plain.error.message = "the session is not encrypted, and the resource's `tls` asks for it";
    return std::unexpected(std::move(plain));
  }

  Answer<void> get_ready(const ConnectOptions& options) {
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
    cancellation_ = std::make_shared<MysqlCancellation>(kind(), options, session_identity().connection);
    return watch_session_state();
  }

 protected:
  // Most branches leave nothing: one look is cheaper than setting everything again. A temporary table cannot be
  // found by its name.
  [[nodiscard]] bool take_away_traces() override {
    if (tables_possible_ && !same(std::string(kTableLook), clean_tables_)) return false;
    return is_clean() || (call(reset_session()).has_value() && is_clean());
  }

  Answer<TextAnswer> call(const Texts& texts) override { return walk(texts, nullptr); }

  void begin_statements() override {
    executed_ = 0;
    tables_possible_ = false;
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
      const std::string key = sql + signs_of(statement.parameters);
      // A text with a comment of its branch comes once: what was prepared of it goes with this call.
      std::optional<PreparedText> once;
      PreparedText* known = comment().empty() ? prepared_.find(key) : nullptr;
      if (known == nullptr) {
        Answer<ParameterShapes> shapes = read_shapes(statement.sql);
        if (!shapes.has_value()) return std::unexpected(shapes.error());
        if (comment().empty())
          known = &prepare(sql, key, std::move(*shapes));
        else
          known = &once.emplace(new_prepared(sql, std::move(*shapes)));
      }
      const PreparedText& prepared = *known;
      if (prepared.parameters != statement.parameters.size()) {
        return driver_failed(Speaker::kClient, "HY000", 0,
                             fmt::format("the server counts {} parameters in the text, {} were given",
                                         prepared.parameters, statement.parameters.size()));
      }
      if (Status fits = check_parameters(statement.parameters, prepared.shapes); !fits.has_value())
        return refused(fits.error());
      if (Status fits = check_packet(statement.parameters); !fits.has_value()) return refused(fits.error());
      if (prepared.touches_session) doubt();
      if (kind() == DatabaseKind::kMariadb && prepared.calls_stored_function) tables_possible_ = true;
      if (prepared.writes) {
        if (Answer<void> read = read_wanted_key(); !read.has_value()) return std::unexpected(read.error());
      }
      const std::size_t number = executed_++;
      if (prepared.may_generate_key) key_wanted_of_ = number;
      if (prepared.as_text) return execute_as_text(comment() + statement.sql, statement.parameters, budget);
      const BoundParameters bound(kind(), *prepared.statement, statement.parameters);
      StatementResult read;
      if (prepared.counts_rows) {
        read.affected = static_cast<std::uint32_t>(prepared.statement->executeUpdate());
      } else if (prepared.statement->execute()) {
        const std::unique_ptr<sql::ResultSet> rows(prepared.statement->getResultSet());
        if (Status taken = read_rows(*rows, RowForm::kBinary, budget, read); !taken.has_value())
          return refused(taken.error());
        read.affected = read.rows.size();
      } else if (prepared.writes && !prepared.ignores) {
        // WITH before a write, or RETURNING only a name in it.
        const auto counted = call({"SELECT ROW_COUNT()"});
        if (!counted.has_value()) return std::unexpected(counted.error());
        read.affected = std::strtoull(counted->rows.at(0).at(0).value_or("0").c_str(), nullptr, 10);
      }
      if (prepared.ignores) {
        if (Answer<void> as_sent = check_warnings(); !as_sent.has_value())
          return std::unexpected(as_sent.error());
      }
      return read;
    } catch (const sql::SQLException& error) {
      return driver_failed(Speaker::kClient, error.getSQLState(), error.getErrorCode(),
                           error.what() + parameters_meant(error.getErrorCode(), statement.parameters));
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

  static std::unexpected<ClassifiedError> refused(Error error) {
    return std::unexpected(ClassifiedError{.meaning = Meaning::kStatementRefused, .error = std::move(error)});
  }

  // Past it the server would break the connection off.
  [[nodiscard]] Status check_packet(const std::vector<Value>& parameters) const {
    constexpr std::size_t kForHeaders = 16'384;
    const std::size_t bytes = packet_bytes(parameters);
    if (bytes + kForHeaders <= most_packet_bytes_) return {};
    return fail(
        ErrorCode::kInvalidArgument, Effect::kNone,
        fmt::format("the parameters have {} bytes, which is too near the server's max_allowed_packet, {}; "
                    "raise that, or send less",
                    bytes, most_packet_bytes_));
  }

  // Duplicates are what IGNORE is for; a value that was cut, rounded or replaced is not.
  Answer<void> check_warnings() {
    static constexpr std::array<std::string_view, 7> kChanged{"1048", "1264", "1265", "1292",
                                                              "1364", "1366", "1406"};
    const auto warnings = call({"SHOW WARNINGS"});
    if (!warnings.has_value()) return std::unexpected(warnings.error());
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

  PreparedText& prepare(const std::string& sql, const std::string& key, ParameterShapes shapes) {
    static_cast<void>(prepared_.insert(key, new_prepared(sql, std::move(shapes))));
    return *prepared_.find(key);
  }

  // `sql` is what the client wrote, with casts around its decimals.
  PreparedText new_prepared(const std::string& sql, ParameterShapes shapes) {
    PreparedText prepared;
    prepared.shapes = std::move(shapes);
    prepared.statement.reset(connection_->prepareStatement(comment() + sql));
    prepared.parameters = prepared.statement->getParameterMetaData()->getParameterCount();
    sql::ResultSetMetaData* columns = prepared.statement->getMetaData();
    const bool shows_columns = columns != nullptr && columns->getColumnCount() > 0;
    for (unsigned column = 1; columns != nullptr && column <= columns->getColumnCount(); ++column)
      prepared.as_text = prepared.as_text || driver_cannot_read(*columns, column);
    const Result<StatementClass> statement_class = classify(kind(), sql);
    if (statement_class.has_value()) {
      prepared.writes = statement_class->kind == StatementClass::Kind::kWrite;
      prepared.counts_rows = begins_as_write(sql) && !statement_class->returning && !shows_columns;
      prepared.touches_session = statement_class->touches_session;
    } else {
      prepared.touches_session = true;
    }
    prepared.may_generate_key = begins_with(sql, "INSERT") || begins_with(sql, "REPLACE");
    prepared.calls_stored_function = calls_stored_function(kind(), sql);
    prepared.ignores = prepared.writes && says_ignore(kind(), sql);
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
    const BoundParameters bound(kind(), *assignment, values);
    assignment->execute();
    const std::unique_ptr<sql::Statement> text(connection_->createStatement());
    text->execute("PREPARE troth_text FROM @troth_sql");
    StatementResult read;
    if (text->execute("EXECUTE troth_text" + use)) {
      const std::unique_ptr<sql::ResultSet> rows(text->getResultSet());
      if (Status taken = read_rows(*rows, RowForm::kText, budget, read); !taken.has_value())
        return refused(taken.error());
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

  // Read on the fresh session, compared after every branch.
  Answer<void> watch_session_state() {
    const auto settings = call(read_session_settings());
    if (!settings.has_value()) return std::unexpected(settings.error());
    std::vector<std::string> names;
    for (const TextRow& row : settings->rows)
      names.push_back(row.at(0).value_or(""));
    Texts look = prepare_look(kind(), names, /*variables=*/true);
    if (const auto prepared = call(look); !prepared.has_value()) {
      if (condition() == ConnectionCondition::kLost) return std::unexpected(prepared.error());
      // Without the right to see them, variables that a trigger sets go unseen; `troth install` grants it.
      look = prepare_look(kind(), names, /*variables=*/false);
      if (const auto again = call(look); !again.has_value()) return std::unexpected(again.error());
    }
    auto state = call({std::string(kLook)});
    if (!state.has_value()) return std::unexpected(state.error());
    clean_state_ = std::move(state->rows);
    if (kind() == DatabaseKind::kMysql) return {};
    if (const auto prepared = call(prepare_table_look()); !prepared.has_value())
      return std::unexpected(prepared.error());
    auto tables = call({std::string(kTableLook)});
    if (!tables.has_value()) return std::unexpected(tables.error());
    clean_tables_ = std::move(tables->rows);
    return {};
  }

  [[nodiscard]] bool same(const std::string& look, const TextRows& clean) {
    const auto seen = call({look});
    return seen.has_value() && seen->rows == clean;
  }
  [[nodiscard]] bool is_clean() { return same(std::string(kLook), clean_state_); }

  // Declared in this order: statements go before the connection they belong to.
  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> text_;
  StatementCache<PreparedText> prepared_;
  std::shared_ptr<MysqlCancellation> cancellation_;
  std::size_t most_packet_bytes_ = 0;
  TextRows clean_state_;
  TextRows clean_tables_;
  bool tables_possible_ = false;
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
