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
#include <cppconn/exception.h>
#include <cppconn/metadata.h>
#include <cppconn/parameter_metadata.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>
#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "participant_agent/dialect/branch_check.h"
#include "participant_agent/dialect/session_traces.h"
#include "participant_agent/dialect/statement_class.h"
#include "participant_agent/dialect/tokens.h"
#include "participant_agent/dialect/written_out.h"
#include "participant_agent/runtime/mysql_answers.h"
#include "participant_agent/runtime/mysql_binding.h"
#include "participant_agent/runtime/mysql_login.h"
#include "participant_agent/runtime/mysql_values.h"
#include "participant_agent/runtime/mysql_whole.h"
#include "participant_agent/runtime/sql_connection.h"
#include "participant_agent/runtime/statement_cache.h"
#include "participant_agent/runtime/statement_time.h"

namespace troth::agent {
namespace {

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
  unsigned number = 0;  // under which the server itself has it prepared, for a branch in one trip; 0: not yet
  bool refused_number = false;  // it would not
  std::optional<WritableText> writable;  // with its values, in a branch in one trip

  // What is read before the branch's end, and what closes the session, goes step by step.
  [[nodiscard]] bool goes_whole(DatabaseKind kind) const {
    const bool looks_for_tables = kind == DatabaseKind::kMariadb && calls_stored_function;
    return counts_rows && !ignores && !as_text && !touches_session && !looks_for_tables && !refused_number;
  }
};

std::uint64_t number_in(const std::optional<std::string>& digits) {
  return std::strtoull(digits.value_or("0").c_str(), nullptr, 10);
}

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
        connection_(log_in_to_mysql(options)),
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
    if (tables_possible_ && !same({std::string(kTableLook)}, clean_tables_)) return false;
    return is_clean() || (call(reset_session()).has_value() && is_clean());
  }

  Answer<TextAnswer> call(const Texts& texts) override { return walk(texts, nullptr); }

  void begin_statements() override {
    executed_ = 0;
    tables_possible_ = false;
    key_wanted_of_.reset();
    keys_.clear();
    found_clean_.reset();
  }

  Answer<void> end_branch(const Texts& texts, BranchEnding ending,
                          std::vector<StatementResult>& results) override {
    Texts all = texts;
    if (key_wanted_of_.has_value()) all.insert(all.begin(), std::string(kReadKey));
    std::optional<std::string> key;
    // Tied to a prepared branch, the server takes nothing but that one's end: the look comes behind it.
    const bool ties = ending == BranchEnding::kPrepare && dialect().ties_prepared_branches();
    if (ties) {
      if (const auto answer = walk(all, &key); !answer.has_value()) return std::unexpected(answer.error());
    } else if (Answer<void> ended = walk_and_look(std::move(all), &key); !ended.has_value()) {
      return ended;
    }
    if (key_wanted_of_.has_value()) keep_key(key);
    for (const auto& [result, generated] : keys_)
      results.at(result).generated_key = generated;
    return {};
  }

  Answer<void> finish_tied(const Texts& texts) override {
    // A branch in one trip was looked behind before it was prepared.
    return found_clean_.has_value() ? SqlConnection::finish_tied(texts) : walk_and_look(texts, nullptr);
  }

  Answer<void> complete(StatementResult& result) override {
    if (Answer<void> read = read_wanted_key(); !read.has_value()) return read;
    for (const auto& [number, generated] : keys_)
      result.generated_key = generated;
    keys_.clear();
    return {};
  }

  [[nodiscard]] bool takes_whole(const BranchWork& work) override {
    const Isolation isolation = work.start.isolation;
    const bool plain = isolation == Isolation::kUnset || isolation == Isolation::kReadCommitted;
    if (!plain || refused_check_ || work.ending != BranchEnding::kPrepare || !comment().empty()) return false;
    std::vector<Known> statements;
    std::size_t parameters = 0;
    std::size_t bytes = 0;
    for (const Statement& statement : work.statements) {
      std::string sql = cast_decimals(kind(), statement.sql, statement.parameters);
      PreparedText* known = prepared_.find(sql + signs_of(statement.parameters));
      if (known == nullptr || !known->goes_whole(kind()) ||
          known->parameters != statement.parameters.size() ||
          !check_parameters(statement.parameters, known->shapes).has_value())
        return false;
      parameters += statement.parameters.size();
      bytes += sql.size();
      for (const Value& value : statement.parameters)
        bytes += size_of(value);
      const bool is_written = known->writable.has_value() && known->writable->takes(statement.parameters);
      statements.push_back({.text = known, .sql = std::move(sql), .is_written = is_written});
    }
    if (statements.size() > kMostWholeStatements || parameters > kMostWholeParameters || !fits_whole(bytes) ||
        !prepare_all(statements, work.start.id.transaction.cluster))
      return false;
    std::vector<WholeStatement> whole;
    std::size_t most = variables_set_;
    for (std::size_t i = 0; i < statements.size(); ++i) {
      const PreparedText& known = *statements[i].text;
      std::vector<std::string> literals;
      for (const Value& value : work.statements[i].parameters) {
        std::optional<std::string> literal = literal_of(kind(), value);
        if (!literal.has_value()) return false;
        literals.push_back(std::move(*literal));
      }
      WholeStatement& next = whole.emplace_back();
      next.may_generate_key = known.may_generate_key;
      if (statements[i].is_written) {
        next.written = known.writable->with(literals);
        continue;
      }
      most = std::max(most, literals.size());
      next.number = known.number;
      next.literals = std::move(literals);
    }
    variables_set_ = most;
    // The check comes behind the statements, in the guard's place.
    Texts beginning = dialect().begin_branch(work.start);
    beginning.pop_back();
    whole_ = whole_texts(kind(), std::move(beginning), whole, dialect().prepare(work.start.id), most);
    return true;
  }

  // The driver sends a text when its first answer is read.
  void send_whole(const BranchWork& /*work*/) override {}

  // [T9] The success of XA PREPARE is the yes, here too: it is the last text.
  WholeBranch read_whole(const BranchWork& work, ResultBudget& /*budget*/) override {
    const WholeTexts sent = std::exchange(whole_, {});
    WholeBranch whole;
    const Instant began = boot_now();
    Answers answers(*text_, sent.texts);
    // A statement's time that is up goes on asking: what is left of the text must not wait for nobody.
    std::optional<StatementTime> time;
    try {
      answers.skip(sent.begins);
      whole.begun = true;
      whole.begun_after = boot_now() - began;
      for (const WholeTexts::Step& step : sent.steps) {
        if (!whole.too_much.has_value())
          time.emplace(work, dialect().server_times_statements(), cancellation_);
        if (!read_step(work, step, answers, *time, whole)) return whole;
      }
      if (!whole.too_much.has_value()) time.reset();
      if (!read_check(sent, answers, whole)) return whole;
      answers.skip(sent.ends);
    } catch (const sql::SQLException& error) {
      whole.error = text_failed(error).error();
    }
    return whole;
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
        Answer<Learned> learned = learn(statement.sql, sql);
        if (!learned.has_value()) return std::unexpected(learned.error());
        if (comment().empty())
          known = &prepare(sql, key, std::move(*learned));
        else
          known = &once.emplace(new_prepared(sql, std::move(*learned)));
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
      return statement_failed(error, statement);
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

  // Where the connection went between two answers to a text, the driver finds that "impossible", and gives no number.
  std::unexpected<ClassifiedError> text_failed(const sql::SQLException& error) {
    constexpr int kServerLost = 2013;
    const int code = error.getErrorCode() == 0 ? kServerLost : error.getErrorCode();
    return driver_failed(Speaker::kAgent, error.getSQLState(), code, error.what());
  }
  std::unexpected<ClassifiedError> statement_failed(const sql::SQLException& error,
                                                    const Statement& statement) {
    return driver_failed(Speaker::kClient, error.getSQLState(), error.getErrorCode(),
                         error.what() + parameters_meant(error.getErrorCode(), statement.parameters));
  }

  static std::unexpected<ClassifiedError> refused(Error error) {
    return std::unexpected(ClassifiedError{.meaning = Meaning::kStatementRefused, .error = std::move(error)});
  }

  struct Known {
    PreparedText* text = nullptr;
    std::string sql;
    bool is_written = false;  // with its values; else it runs by its number
  };

  // Twice as many in hexadecimal, and Troth's own texts beside them. Larger values are cheaper in packets of their own.
  [[nodiscard]] bool fits_whole(std::size_t bytes) const {
    constexpr std::size_t kMost = 64'000;
    constexpr std::size_t kOwnTexts = 32'768;
    return bytes <= kMost && 2 * bytes + kOwnTexts <= most_packet_bytes_;
  }

  // One trip for what this session's server has not prepared yet.
  bool prepare_all(const std::vector<Known>& statements, const ClusterId& cluster) {
    Texts texts;
    if (cluster != check_of_)
      texts.push_back(prepare_check(cluster, look_, clean_state_.at(0).at(0).value_or("")));
    std::vector<PreparedText*> fresh;
    for (const auto& [text, sql, is_written] : statements) {
      if (is_written || text->number != 0) continue;
      text->number = free_numbers_.empty() ? ++last_number_ : free_numbers_.back();
      if (!free_numbers_.empty()) free_numbers_.pop_back();
      fresh.push_back(text);
      for (std::string& prepares : prepare_numbered(kind(), text->number, sql))
        texts.push_back(std::move(prepares));
    }
    if (texts.empty()) return true;
    if (walk(texts, nullptr).has_value()) {
      check_of_ = cluster;
      return true;
    }
    // As where the server's prepared statements are used up (1461): on this session they go step by step.
    refused_check_ = cluster != check_of_;
    for (PreparedText* text : fresh) {
      free_numbers_.push_back(std::exchange(text->number, 0));
      text->refused_number = true;
    }
    const Texts forget = forget_prepared_text(kind());
    if (condition() != ConnectionCondition::kLost && !forget.empty() && !walk(forget, nullptr).has_value())
      doubt();
    return false;
  }

  // False: the branch came no further. Past its time it may come further all the same.
  bool read_step(const BranchWork& work, const WholeTexts::Step& step, Answers& answers, StatementTime& time,
                 WholeBranch& whole) {
    const std::size_t number = whole.results.size();
    const Statement& statement = work.statements[number];
    std::optional<ClassifiedError> refused;
    StatementResult result;
    try {
      answers.skip(step.before);
      answers.skip(1);
      if (step.counts) {
        const TextRows counts = answers.next();
        count(step, number_in(counts.at(0).at(0)), number_in(counts.at(0).at(1)), result);
      }
    } catch (const sql::SQLException& error) {
      refused = (error.getErrorCode() == 0 ? text_failed(error) : statement_failed(error, statement)).error();
    }
    if (!whole.too_much.has_value() && time.is_up() && condition() != ConnectionCondition::kLost) {
      whole.too_much = StatementTime::error(work);
      whole.too_much->statement = static_cast<std::uint32_t>(number + 1);
    }
    if (refused.has_value()) {
      whole.error = std::move(refused);
      return false;
    }
    whole.results.push_back(std::move(result));
    return true;
  }

  // False: the branch came no further. What the session has prepared of it may be out of date, or gone: the next session
  // prepares it anew.
  bool read_check(const WholeTexts& sent, Answers& answers, WholeBranch& whole) {
    TextRows rows;
    try {
      answers.skip(sent.forgets);
      if (sent.forgets > 0) variables_set_ = 0;
      rows = answers.next();
    } catch (const sql::SQLException& error) {
      doubt();
      whole.error = text_failed(error).error();
      whole.steps_instead = true;
      return false;
    }
    if (rows.size() != 1) return true;  // As many rows has the guard then, and the branch is taken back.
    Result<BranchCheck> check = parse_check(rows.front());
    if (!check.has_value()) {
      if (!whole.too_much.has_value()) whole.too_much = std::move(check.error());
      return true;
    }
    whole.guard.push_back(std::move(check->guard));
    found_clean_ = check->clean;
    if (!sent.steps.empty() && !sent.steps.back().counts)
      count(sent.steps.back(), check->last_rows, check->last_key, whole.results.back());
    return true;
  }

  static void count(const WholeTexts::Step& step, std::uint64_t rows, std::uint64_t key,
                    StatementResult& result) {
    result.affected = rows;
    if (step.may_generate_key && key != 0) result.generated_key = key;
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

  // One call; `first` (optional) gets the first column of the first text's only row, `answered` (optional) how many
  // texts succeeded.
  Answer<TextAnswer> walk(const Texts& texts, std::optional<std::string>* first,
                          std::size_t* answered = nullptr) {
    TextAnswer answer;
    try {
      Answers answers(*text_, texts);
      for (std::size_t at = 0; at < texts.size(); ++at) {
        TextRows rows = answers.next();
        if (at == 0 && first != nullptr && !rows.empty()) *first = rows.front().at(0);
        if (at + 1 == texts.size()) answer.rows = std::move(rows);
        if (answered != nullptr) ++*answered;
      }
      if (texts.size() == 1 && !answers.has_rows()) answer.changed = text_->getUpdateCount();
    } catch (const sql::SQLException& error) {
      return text_failed(error);
    }
    return answer;
  }

  // Texts behind which the session is looked at in the same trip. A look that fails is made again by clean_up().
  Answer<void> walk_and_look(Texts texts, std::optional<std::string>* first) {
    const std::size_t own = texts.size();
    texts.emplace_back(kLook);
    std::size_t answered = 0;
    auto answer = walk(texts, first, &answered);
    if (answer.has_value()) {
      found_clean_ = answer->rows == clean_state_;
    } else if (answered < own || condition() == ConnectionCondition::kLost) {
      return std::unexpected(answer.error());
    }
    return {};
  }

  struct Learned {
    ParameterShapes shapes;
    std::optional<WritableText> writable;
  };
  // Of its table, in one trip at most. `cast`: the text with casts around its decimals.
  Answer<Learned> learn(const std::string& sql, const std::string& cast) {
    Learned learned;
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

  PreparedText& prepare(const std::string& sql, const std::string& key, Learned learned) {
    const std::optional<PreparedText> gone = prepared_.insert(key, new_prepared(sql, std::move(learned)));
    if (gone.has_value() && gone->number != 0) free_numbers_.push_back(gone->number);
    return *prepared_.find(key);
  }

  // `sql` is what the client wrote, with casts around its decimals.
  PreparedText new_prepared(const std::string& sql, Learned learned) {
    PreparedText prepared;
    prepared.shapes = std::move(learned.shapes);
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
    // Only what the server itself took for one statement with so many parameters.
    if (learned.writable.has_value() && learned.writable->parameters() == prepared.parameters)
      prepared.writable = std::move(learned.writable);
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
    const std::uint64_t generated = number_in(key);
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
    look_ = look_expression(kind(), names, /*variables=*/true);
    if (const auto prepared = call(prepare_look(look_)); !prepared.has_value()) {
      if (condition() == ConnectionCondition::kLost) return std::unexpected(prepared.error());
      // Without the right to see them, variables that a trigger sets go unseen; `troth install` grants it.
      look_ = look_expression(kind(), names, /*variables=*/false);
      if (const auto again = call(prepare_look(look_)); !again.has_value())
        return std::unexpected(again.error());
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

  [[nodiscard]] bool same(const Texts& look, const TextRows& clean) {
    const auto seen = call(look);
    return seen.has_value() && seen->rows == clean;
  }
  // By the look that came with the branch's end, or by a new one.
  [[nodiscard]] bool is_clean() {
    if (const std::optional<bool> found = std::exchange(found_clean_, std::nullopt); found.has_value())
      return *found;
    Texts texts = forget_parameters(kind(), variables_set_);
    texts.emplace_back(kLook);
    if (!same(texts, clean_state_)) return false;
    variables_set_ = 0;
    return true;
  }

  // Declared in this order: statements go before the connection they belong to.
  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> text_;
  StatementCache<PreparedText> prepared_;
  std::shared_ptr<MysqlCancellation> cancellation_;
  std::size_t most_packet_bytes_ = 0;
  std::string look_;  // as this server and role have it
  TextRows clean_state_;
  TextRows clean_tables_;
  std::optional<bool> found_clean_;  // by a look that came with the last branch
  bool tables_possible_ = false;
  // Of the branch that runs: how many statements have, whose LAST_INSERT_ID() is yet to be read, and those
  // read.
  std::size_t executed_ = 0;
  std::optional<std::size_t> key_wanted_of_;
  std::vector<std::pair<std::size_t, std::uint64_t>> keys_;
  // For branches in one trip. `troth_s1` and so on are the clients' statements; a number that is free again is prepared
  // over.
  WholeTexts whole_;   // the next one
  ClusterId check_of_;          // whose check is prepared
  bool refused_check_ = false;  // the server would not
  unsigned last_number_ = 0;
  std::vector<unsigned> free_numbers_;
  std::size_t variables_set_ = 0;  // of `troth_p1` and so on: so many may hold a parameter
};

}  // namespace

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
