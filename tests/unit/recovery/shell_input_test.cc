#include "recovery/shell_input.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "participant_agent/dialect/tokens.h"

namespace troth::recovery {
namespace {

using agent::DatabaseKind;

DatabaseKind kind_of(std::string_view resource) {
  return resource == "my" ? DatabaseKind::kMysql : DatabaseKind::kPostgres;
}

std::vector<TypedItem> items_of(ShellInput& input, std::string_view text) {
  std::vector<TypedItem> items;
  while (true) {
    const auto end = text.find('\n');
    for (auto& item : input.take_line(text.substr(0, end)))
      items.push_back(std::move(item));
    if (end == std::string_view::npos) return items;
    text.remove_prefix(end + 1);
  }
}

std::vector<TypedItem> items_of(std::string_view text) {
  ShellInput input(kind_of);
  return items_of(input, text);
}

std::vector<std::string> statements_of(std::string_view text) {
  std::vector<std::string> statements;
  for (const auto& item : items_of(text))
    statements.push_back(std::get<TypedStatement>(item).sql);
  return statements;
}

using Items = std::vector<TypedItem>;
using Statements = std::vector<std::string>;

TEST(ShellInput, SplitsAtSemicolonsAndKeepsTheLineThatAStatementBeginsOn) {
  EXPECT_EQ(items_of("SELECT 1; SELECT\n 2\n;\n\nSELECT 3;"),
            (Items{TypedStatement{"", "SELECT 1", 1}, TypedStatement{"", "SELECT\n 2", 1},
                   TypedStatement{"", "SELECT 3", 5}}));
}

TEST(ShellInput, ReadsTheResourceBeforeAStatement) {
  EXPECT_EQ(items_of("pg: SELECT 1; my:SELECT 2;\nacc-1_x:\n  SELECT 3;"),
            (Items{TypedStatement{"pg", "SELECT 1", 1}, TypedStatement{"my", "SELECT 2", 1},
                   TypedStatement{"acc-1_x", "SELECT 3", 2}}));
  EXPECT_EQ(items_of("a::int; b := 1;"),
            (Items{TypedStatement{"", "a::int", 1}, TypedStatement{"", "b := 1", 1}}));
  EXPECT_EQ(items_of("SELECT pg: x;"), (Items{TypedStatement{"", "SELECT pg: x", 1}}));
}

TEST(ShellInput, TakesCommandsAndWordsByTheLine) {
  EXPECT_EQ(items_of("\\on my\ncommit\n  ROLLBACK  \nBegin;"),
            (Items{TypedCommand{"\\on my", 1}, TypedStatement{"", "commit", 2},
                   TypedStatement{"", "ROLLBACK", 3}, TypedStatement{"", "Begin", 4}}));
  // In the middle of a statement a word is the statement's own, and a command is still a command.
  EXPECT_EQ(items_of("SELECT CASE WHEN true THEN 1\nEND\n\\help\n;"),
            (Items{TypedCommand{"\\help", 3}, TypedStatement{"", "SELECT CASE WHEN true THEN 1\nEND", 1}}));
  EXPECT_EQ(items_of("SELECT '\n\\on\ncommit\n';"),
            (Items{TypedStatement{"", "SELECT '\n\\on\ncommit\n'", 1}}));
}

TEST(ShellInput, SemicolonsInsideOfStringsNamesAndCommentsEndNothing) {
  EXPECT_EQ(statements_of("SELECT 'a;''b;', \"c;\" /* d; /* e; */ f; */ -- g;\n, $$h;$$, $x$i;$$;$x$;"),
            (Statements{"SELECT 'a;''b;', \"c;\" /* d; /* e; */ f; */ -- g;\n, $$h;$$, $x$i;$$;$x$"}));
  EXPECT_EQ(statements_of("my: SELECT 'a\\';b', \"c\\\";d\", `e;` # f;\n, 1 -- g;\n, 2--3;"),
            (Statements{"SELECT 'a\\';b', \"c\\\";d\", `e;` # f;\n, 1 -- g;\n, 2--3"}));
}

TEST(ShellInput, ABackslashInAStringIsTheDatabasesMatter) {
  EXPECT_EQ(statements_of("SELECT 'a\\'; SELECT 2;"), (Statements{"SELECT 'a\\'", "SELECT 2"}));
  EXPECT_EQ(statements_of("SELECT E'a\\';b'; SELECT e'\\\\';"),
            (Statements{"SELECT E'a\\';b'", "SELECT e'\\\\'"}));
  EXPECT_EQ(statements_of("SELECT E'a'\n '\\';';"), (Statements{"SELECT E'a'\n '\\';'"}));
  EXPECT_EQ(statements_of("SELECT E'a' '\\'; x;"), (Statements{"SELECT E'a' '\\'", "x"}));
  EXPECT_EQ(statements_of("my: SELECT 'a\\\n;';"), (Statements{"SELECT 'a\\\n;'"}));
}

TEST(ShellInput, DollarsInNamesAndPlaceholdersOpenNothing) {
  EXPECT_EQ(statements_of("SELECT a$b$ FROM t; SELECT $1; SELECT $1$2;"),
            (Statements{"SELECT a$b$ FROM t", "SELECT $1", "SELECT $1$2"}));
  EXPECT_EQ(statements_of("my: SELECT '$$'; my: SELECT $$;"), (Statements{"SELECT '$$'", "SELECT $$"}));
}

TEST(ShellInput, CommentsBeforeAStatementAreNotPartOfIt) {
  EXPECT_EQ(items_of("-- transfer; of rent\n# and more;\n/* a;\n b; */ pg: SELECT 1; -- behind;\n;;"),
            (Items{TypedStatement{"pg", "SELECT 1", 4}}));
  // What some servers run is shown to the agent, which refuses it.
  EXPECT_EQ(statements_of("/*!40000 SELECT 1 */;"), (Statements{"/*!40000 SELECT 1 */"}));
}

TEST(ShellInput, SaysWhatItWaitsFor) {
  ShellInput input(kind_of);
  const auto after = [&](std::string_view line) {
    static_cast<void>(input.take_line(line));
    return input.waits_for();
  };
  EXPECT_EQ(after(""), ' ');
  EXPECT_EQ(after("SELECT"), '-');
  EXPECT_EQ(after("'a"), '\'');
  EXPECT_EQ(after("', \"b"), '"');
  EXPECT_EQ(after("\" /* c"), '*');
  EXPECT_EQ(after("*/ $t$"), '$');
  EXPECT_EQ(after("$t$;"), ' ');
  EXPECT_EQ(after("pg:"), '-');
  EXPECT_TRUE(input.is_waiting());
  input.clear();
  EXPECT_EQ(after("my: `d"), '`');
  input.clear();
  EXPECT_FALSE(input.is_waiting());
}

TEST(ShellInput, ALineEndOfWindowsIsNoPartOfTheStatement) {
  EXPECT_EQ(items_of("commit\r\nSELECT\r\n1;\r"),
            (Items{TypedStatement{"", "commit", 1}, TypedStatement{"", "SELECT\n1", 2}}));
}

TEST(ShellInput, AStatementWithoutEndIsThrownAwayAndNamed) {
  ShellInput input(kind_of);
  static_cast<void>(input.take_line("SELECT 1,"));
  const std::string line(1U << 20, 'x');
  for (std::size_t i = 0; i <= ShellInput::kLongestStatement >> 20; ++i)
    EXPECT_TRUE(input.take_line(line).empty());
  EXPECT_EQ(input.take_line("; SELECT 2;"), (Items{StatementTooLong{1}, TypedStatement{"", "SELECT 2", 35}}));
}

// The agent refuses a text of several statements: what the shell sends must be one in the agent's eyes, and
// what the agent reads as one the shell must not cut.
TEST(ShellInput, ReadsStringsAndCommentsAsTheAgentDoes) {
  const std::vector<std::string> pieces = {
      "SELECT",      " ",       "'a;b'", "'a''b;'", "E'\\';'",      "'x\\'", "\"n;\"", "`q;`",
      "/* c; */",    "-- l;\n", "#h;\n", "$$d;$$",  "$t$;$t$",      "a$b$",  "$1",     "1.5e3",
      "_utf8'\\';'", "@`v;`",   "@'w;'", "\n",      "E'a'\n'\\';'", "2--3\n"};
  std::uint32_t seed = 7;
  const auto next = [&seed](std::size_t below) {
    seed = seed * 1'664'525U + 1'013'904'223U;
    return (seed >> 8) % below;
  };
  int compared = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto kind = round % 2 == 0 ? DatabaseKind::kPostgres : DatabaseKind::kMysql;
    std::string sql = "SELECT 1 ";
    for (std::size_t i = 0, count = 1 + next(5); i < count; ++i)
      sql += pieces[next(pieces.size())];
    const auto tokens = agent::tokens_of(kind, sql);
    if (!tokens) continue;  // something in it is not closed
    const bool one = std::ranges::none_of(*tokens, [](const agent::Token& token) {
      return token.kind == agent::Token::Kind::kPunctuation && token.text == ";";
    });
    ShellInput input([kind](std::string_view) { return kind; });
    const auto items = items_of(input, sql + "\n;");
    const auto whole = sql.substr(0, sql.find_last_not_of(" \n") + 1);
    EXPECT_EQ(items == (Items{TypedStatement{"", whole, 1}}) && !input.is_waiting(), one) << sql;
    ++compared;
  }
  EXPECT_GT(compared, 5'000);
}

}  // namespace
}  // namespace troth::recovery
