#include "participant_agent/runtime/mysql_whole.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "participant_agent/dialect/branch_check.h"
#include "participant_agent/dialect/literals.h"
#include "participant_agent/runtime/mysql_values.h"

namespace troth::agent {
namespace {

// The connection's character set, as a bound text is in: SET NAMES and the introducer choose one collation. MariaDB with
// EMPTY_STRING_IS_NULL makes a null of an empty text that is bound, and of this literal.
std::string text_of(std::string_view text) {
  if (text.empty()) return "''";
  return fmt::format("_utf8mb4 X'{}'", hexadecimal(text));
}

// A sign is an operator of its own.
std::string in_parentheses(std::string number) {
  return number.starts_with('-') ? fmt::format("({})", number) : number;
}

struct Literal {
  DatabaseKind kind;

  std::optional<std::string> operator()(const Null&) const { return "NULL"; }
  std::optional<std::string> operator()(bool b) const { return b ? "1" : "0"; }
  std::optional<std::string> operator()(std::int64_t n) const { return in_parentheses(std::to_string(n)); }
  std::optional<std::string> operator()(std::uint64_t n) const {
    return fmt::format("CAST({} AS UNSIGNED)", n);
  }
  // 17 digits, and an exponent, without which it were a decimal.
  std::optional<std::string> operator()(double d) const { return in_parentheses(fmt::format("{:.16e}", d)); }
  // Without the introducer it were a number where one is expected.
  std::optional<std::string> operator()(const Bytes& bytes) const {
    return fmt::format("_binary X'{}'", hexadecimal(bytes.octets));
  }
  std::optional<std::string> operator()(const Decimal& decimal) const {
    return text_of(decimal_text(kind, decimal));
  }
  std::optional<std::string> operator()(const TimestampTz& stamp) const {
    return text_of(timestamp_in_utc(stamp.text).value_or(stamp.text));
  }
  std::optional<std::string> operator()(const Array&) const { return std::nullopt; }
  template <typename Tag>
  std::optional<std::string> operator()(const Texted<Tag>& texted) const {
    return text_of(texted.text);
  }
};

// MariaDB takes expressions where MySQL takes variables only.
bool takes_expressions(DatabaseKind kind) {
  return kind == DatabaseKind::kMariadb;
}

Texts run_numbered(DatabaseKind kind, const WholeStatement& statement) {
  const std::vector<std::string>& literals = statement.literals;
  std::string execute = fmt::format("EXECUTE troth_s{}", statement.number);
  std::string assign;
  for (std::size_t i = 0; i < literals.size(); ++i) {
    execute += i == 0 ? " USING " : ", ";
    if (takes_expressions(kind)) {
      execute += literals[i];
    } else {
      execute += fmt::format("@troth_p{}", i + 1);
      assign += fmt::format("{}@troth_p{} = {}", i == 0 ? "SET " : ", ", i + 1, literals[i]);
    }
  }
  if (assign.empty()) return {std::move(execute)};
  return {std::move(assign), std::move(execute)};
}

}  // namespace

std::optional<std::string> literal_of(DatabaseKind kind, const Value& value) {
  return std::visit(Literal{kind}, value.is);
}

Texts prepare_numbered(DatabaseKind kind, unsigned number, std::string_view sql) {
  if (takes_expressions(kind)) return {fmt::format("PREPARE troth_s{} FROM {}", number, text_of(sql))};
  return {fmt::format("SET @troth_sql = {}", text_of(sql)),
          fmt::format("PREPARE troth_s{} FROM @troth_sql", number), "SET @troth_sql = NULL"};
}

Texts forget_prepared_text(DatabaseKind kind) {
  if (takes_expressions(kind)) return {};
  return {"SET @troth_sql = NULL"};
}

Texts forget_parameters(DatabaseKind kind, std::size_t count) {
  if (takes_expressions(kind) || count == 0) return {};
  std::string forget;
  for (std::size_t i = 1; i <= count; ++i)
    forget += fmt::format("{}@troth_p{} = NULL", i == 1 ? "SET " : ", ", i);
  return {std::move(forget)};
}

WholeTexts whole_texts(DatabaseKind kind, Texts beginning, const std::vector<WholeStatement>& statements,
                       Texts ending, std::size_t forgets) {
  WholeTexts whole;
  const auto append = [&whole](Texts texts) {
    std::ranges::move(texts, std::back_inserter(whole.texts));
    return texts.size();
  };
  whole.begins = append(std::move(beginning));
  for (const WholeStatement& statement : statements) {
    const std::size_t texts =
        append(statement.written.empty() ? run_numbered(kind, statement) : Texts{statement.written});
    whole.steps.push_back({.before = texts - 1, .may_generate_key = statement.may_generate_key});
  }
  whole.forgets = append(forget_parameters(kind, forgets));
  whole.texts.emplace_back(kCheck);
  whole.ends = append(std::move(ending));
  return whole;
}

}  // namespace troth::agent
