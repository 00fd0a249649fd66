#include "participant_agent/dialect/statement_class.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "participant_agent/dialect/tokens.h"

namespace troth::agent {
namespace {

using Kind = StatementClass::Kind;
using Tokens = std::span<const Token>;

struct Refusal {
  std::string_view keyword;
  std::string_view reason;
};

constexpr std::string_view kControl =
    "Troth begins, prepares and ends the branch itself; leave transaction control out";
constexpr std::string_view kSession =
    "it would change the session, which the next branch uses; use the call's options, or the role's own "
    "settings";
constexpr std::string_view kPrepared =
    "Troth prepares statements itself; send the statement and its parameters";
constexpr std::string_view kImplicit =
    "this database commits it implicitly, so it cannot be a part of a transaction";
constexpr std::string_view kOutside = "the database cannot run it inside a transaction";
constexpr std::string_view kUnpreparable = "a transaction that did it cannot be prepared";
constexpr std::string_view kTransfer =
    "bulk transfer needs a connection of its own; use INSERT with parameters";
constexpr std::string_view kCursor = "a cursor outlives its call; read the rows with one SELECT";
constexpr std::string_view kProcedure =
    "it may return several results, which the driver cannot walk; send the statements themselves";
constexpr std::string_view kBlock = "it takes no parameters and returns nothing; call a function with SELECT";

constexpr auto kRefusedByAll = std::to_array<Refusal>({
    {"BEGIN", kControl}, {"START", kControl},    {"COMMIT", kControl},    {"END", kControl},
    {"ABORT", kControl}, {"ROLLBACK", kControl}, {"SAVEPOINT", kControl}, {"RELEASE", kControl},
    {"XA", kControl},    {"PREPARE", kPrepared}, {"EXECUTE", kPrepared},  {"DEALLOCATE", kPrepared},
    {"SET", kSession},   {"RESET", kSession},    {"DISCARD", kSession},   {"USE", kSession},
    {"DO", kBlock},      {"DECLARE", kCursor},   {"FETCH", kCursor},      {"MOVE", kCursor},
    {"CLOSE", kCursor},  {"COPY", kTransfer},    {"LOAD", kTransfer},     {"IMPORT", kTransfer},
});

constexpr auto kRefusedByPostgres = std::to_array<Refusal>({
    {"LISTEN", kUnpreparable},
    {"UNLISTEN", kUnpreparable},
    {"NOTIFY", kUnpreparable},
    {"VACUUM", kOutside},
    {"CHECKPOINT", kOutside},
    {"CLUSTER", kOutside},
    {"REINDEX", kOutside},
});

constexpr auto kRefusedByInnodb = std::to_array<Refusal>({
    {"CREATE", kImplicit},   {"ALTER", kImplicit},   {"DROP", kImplicit},      {"TRUNCATE", kImplicit},
    {"RENAME", kImplicit},   {"GRANT", kImplicit},   {"REVOKE", kImplicit},    {"ANALYZE", kImplicit},
    {"OPTIMIZE", kImplicit}, {"REPAIR", kImplicit},  {"CHECK", kImplicit},     {"FLUSH", kImplicit},
    {"CACHE", kImplicit},    {"INSTALL", kImplicit}, {"UNINSTALL", kImplicit}, {"CHANGE", kImplicit},
    {"STOP", kImplicit},     {"PURGE", kImplicit},   {"LOCK", kImplicit},      {"UNLOCK", kImplicit},
    {"KILL", kSession},      {"HANDLER", kCursor},   {"CALL", kProcedure},     {"BINLOG", kSession},
    {"SHUTDOWN", kSession},  {"RESTART", kSession},  {"HELP", kSession},
});

constexpr auto kPostgresReads =
    std::to_array<std::string_view>({"SELECT", "VALUES", "TABLE", "WITH", "SHOW", "EXPLAIN"});
constexpr auto kPostgresWrites = std::to_array<std::string_view>(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CALL", "LOCK", "CREATE", "ALTER", "DROP", "COMMENT",
     "GRANT", "REVOKE", "REFRESH", "ANALYZE"});
constexpr auto kInnodbReads = std::to_array<std::string_view>(
    {"SELECT", "VALUES", "TABLE", "WITH", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"});
constexpr auto kInnodbWrites = std::to_array<std::string_view>({"INSERT", "UPDATE", "DELETE", "REPLACE"});

// Anywhere in a read, these make it more than a plain one. A column of such a name only costs a marker.
constexpr auto kWritingWords = std::to_array<std::string_view>(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "INTO", "ANALYZE", "NEXTVAL", "SETVAL",
     // Postgres lets a READ ONLY transaction send these, and a reading branch ends before the others have voted.
     "PG_NOTIFY", "PG_LOGICAL_EMIT_MESSAGE"});
constexpr auto kLockingWords = std::to_array<std::string_view>({"UPDATE", "SHARE"});
constexpr auto kTrothTables =
    std::to_array<std::string_view>({"TROTH_BRANCH", "TROTH_OWNER", "TROTH_FLOOR", "TROTH_SCHEMA_VERSION"});

bool holds(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kForbiddenStatement, Effect::kNone, std::move(message));
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return result;
}

std::optional<std::string_view> reason_against(std::span<const Refusal> refusals, std::string_view keyword) {
  const auto found = std::ranges::find(refusals, keyword, &Refusal::keyword);
  if (found == refusals.end()) return std::nullopt;
  return found->reason;
}

std::optional<std::string_view> reason_against(DatabaseKind kind, std::string_view keyword) {
  if (const auto reason = reason_against(kRefusedByAll, keyword)) return reason;
  return kind == DatabaseKind::kPostgres ? reason_against(kRefusedByPostgres, keyword)
                                         : reason_against(kRefusedByInnodb, keyword);
}

// The first word behind opening parentheses.
Result<std::string_view> first_keyword(Tokens tokens) {
  for (const auto& token : tokens) {
    if (token.kind == Token::Kind::kPunctuation && token.text == "(") continue;
    if (token.kind == Token::Kind::kWord) return std::string_view(token.text);
    return refuse("the statement does not begin with a keyword");
  }
  return refuse("the statement is empty");
}

// One statement; a last semicolon is allowed.
Status check_single(Tokens tokens) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i].kind == Token::Kind::kPunctuation && tokens[i].text == ";")
      return refuse("the text holds several statements; send each as a statement of its own");
  }
  return {};
}

// A marker proves a commit: what a service writes there would prove anything.
Status check_tables(Tokens tokens) {
  for (const auto& token : tokens) {
    const bool is_name = token.kind == Token::Kind::kWord || token.kind == Token::Kind::kQuotedName ||
                         token.kind == Token::Kind::kString;
    if (is_name && holds(kTrothTables, upper(token.text)))
      return refuse(fmt::format("{} is Troth's own table; ask `troth status` instead", token.text));
  }
  return {};
}

std::uint32_t count_placeholders(Tokens tokens) {
  std::uint32_t count = 0;
  for (const auto& token : tokens)
    count = std::max(count, token.placeholder);
  return count;
}

bool touches_session(DatabaseKind kind, Tokens tokens) {
  return std::ranges::any_of(tokens, [kind](const Token& token) {
    if (token.kind == Token::Kind::kVariable) return true;
    if (token.kind != Token::Kind::kWord) return false;
    if (kind == DatabaseKind::kPostgres) {
      return token.text == "SET_CONFIG" || token.text == "TEMP" || token.text == "TEMPORARY" ||
             token.text == "CALL" || token.text.starts_with("PG_ADVISORY_") ||
             token.text.starts_with("PG_TRY_ADVISORY_");
    }
    return token.text == "GET_LOCK";
  });
}

// Under another sql_mode than the usual, MySQL reads backslashes and double quotes otherwise than tokens.h:
// where the text holds either, a locking word counts wherever it stands.
bool reading_is_certain(DatabaseKind kind, std::string_view sql) {
  return kind == DatabaseKind::kPostgres || sql.find_first_of("\\\"") == std::string_view::npos;
}

Kind kind_of_read(DatabaseKind kind, std::string_view sql, Tokens tokens) {
  bool writes = false;
  bool locks = false;
  bool after_for = false;
  bool after_key = false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto& token = tokens[i];
    const bool is_word = token.kind == Token::Kind::kWord;
    const bool is_text_function = (token.text == "REPLACE" || token.text == "INSERT") &&
                                  i + 1 < tokens.size() && tokens[i + 1].text == "(";
    // FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE, LOCK IN SHARE MODE
    const bool locking = is_word && holds(kLockingWords, token.text) && (after_for || after_key);
    locks = locks || locking || (is_word && token.text == "SHARE" && kind != DatabaseKind::kPostgres);
    writes = writes || (is_word && !locking && !is_text_function && holds(kWritingWords, token.text));
    after_key = is_word && token.text == "KEY";
    after_for = is_word && (token.text == "FOR" || (after_for && token.text == "NO"));
  }
  if (!locks && !reading_is_certain(kind, sql)) {
    const std::string text = upper(sql);
    locks = text.find("UPDATE") != std::string::npos || text.find("SHARE") != std::string::npos;
  }
  if (writes) return Kind::kWrite;
  return locks ? Kind::kLockingRead : Kind::kRead;
}

bool writes_server_file(Tokens tokens) {
  return std::ranges::any_of(tokens, [](const Token& token) {
    return token.kind == Token::Kind::kWord && (token.text == "OUTFILE" || token.text == "DUMPFILE");
  });
}

}  // namespace

Result<StatementClass> classify(DatabaseKind kind, std::string_view sql) {
  const auto tokens = tokens_of(kind, sql);
  if (!tokens) return std::unexpected(tokens.error());
  const auto keyword = first_keyword(*tokens);
  if (!keyword) return std::unexpected(keyword.error());
  if (const auto reason = reason_against(kind, *keyword))
    return refuse(fmt::format("{} is not allowed in a branch: {}", *keyword, *reason));
  if (auto single = check_single(*tokens); !single) return std::unexpected(single.error());
  if (auto tables = check_tables(*tokens); !tables) return std::unexpected(tables.error());

  const bool postgres = kind == DatabaseKind::kPostgres;
  const bool reads = postgres ? holds(kPostgresReads, *keyword) : holds(kInnodbReads, *keyword);
  const bool writes = postgres ? holds(kPostgresWrites, *keyword) : holds(kInnodbWrites, *keyword);
  if (!reads && !writes) {
    return refuse(
        fmt::format("{} is not a statement that Troth runs in {}", keyword->substr(0, 40), name_of(kind)));
  }
  if (!postgres && writes_server_file(*tokens))
    return refuse("INTO OUTFILE writes a file that no rollback takes back");

  StatementClass result;
  result.kind = reads ? kind_of_read(kind, sql, *tokens) : Kind::kWrite;
  result.returning = writes && std::ranges::any_of(*tokens, [](const Token& token) {
                       return token.kind == Token::Kind::kWord && token.text == "RETURNING";
                     });
  result.placeholders = count_placeholders(*tokens);
  result.touches_session = touches_session(kind, *tokens);
  return result;
}

}  // namespace troth::agent
