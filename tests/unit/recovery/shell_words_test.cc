#include "recovery/shell_words.h"

#include <gtest/gtest.h>

namespace troth::recovery {
namespace {

TEST(ShellWords, CommandsAndTheirArguments) {
  EXPECT_EQ(*parse_command("\\on  pg "), (ShellWord{Verb::kOn, "pg"}));
  EXPECT_EQ(*parse_command("\\begin rent for June"), (ShellWord{Verb::kBegin, "rent for June"}));
  EXPECT_EQ(*parse_command("\\begin"), (ShellWord{Verb::kBegin, ""}));
  EXPECT_EQ(*parse_command("\\commit;"), (ShellWord{Verb::kCommit, ""}));
  EXPECT_EQ(*parse_command("\\q"), (ShellWord{Verb::kQuit, ""}));
  EXPECT_EQ(*parse_command("\\?"), (ShellWord{Verb::kHelp, ""}));
}

TEST(ShellWords, AWrongCommandIsRefusedWithTheNearestOne) {
  const auto message = [](std::string_view text) { return parse_command(text).error().message; };
  EXPECT_EQ(message("\\comit"), "there is no command \\comit, perhaps \\commit; \\help lists them");
  EXPECT_EQ(message("\\"), "there is no command \\; \\help lists them");
  EXPECT_EQ(message("\\on"), "\\on needs one word more: \\on RESOURCE");
  EXPECT_EQ(message("\\commit now"), "\\commit takes nothing more, and 'now' stands behind it");
}

TEST(ShellWords, WordsOfATransactionAreTheShells) {
  for (const auto* sql : {"COMMIT", "commit work", "End", "COMMIT  TRANSACTION"})
    EXPECT_EQ(word_for_shell(sql), (ShellWord{Verb::kCommit, ""})) << sql;
  for (const auto* sql : {"ROLLBACK", "abort", "rollback work"})
    EXPECT_EQ(word_for_shell(sql), (ShellWord{Verb::kRollback, ""})) << sql;
  for (const auto* sql : {"BEGIN", "start transaction", "Begin Work"})
    EXPECT_EQ(word_for_shell(sql), (ShellWord{Verb::kBegin, ""})) << sql;
  EXPECT_EQ(word_for_shell("exit"), (ShellWord{Verb::kQuit, ""}));
  for (const auto* sql :
       {"", "SELECT 1", "COMMIT AND CHAIN", "ROLLBACK TO a", "COMMIT PREPARED 'x'", "quit now"})
    EXPECT_EQ(word_for_shell(sql), std::nullopt) << sql;
}

TEST(ShellWords, HelpNamesEachCommand) {
  for (const auto* name : {"on", "begin", "commit", "rollback", "status", "resources", "pages", "x", "timing",
                           "clear", "help", "quit"})
    EXPECT_NE(shell_help().find(std::string("  \\") + name + " "), std::string::npos) << name;
}

TEST(ShellWords, CompletesCommandsAndResources) {
  const std::vector<std::string> resources = {"accounts_pg", "accounts_my", "ledger"};
  const auto offered = [&](std::string_view line) { return complete(line, resources).candidates; };
  using Names = std::vector<std::string>;
  EXPECT_EQ(offered("\\re"), (Names{"\\resources"}));
  EXPECT_EQ(offered("\\on acc"), (Names{"accounts_pg", "accounts_my"}));
  EXPECT_EQ(offered("led"), (Names{"ledger: "}));
  EXPECT_EQ(offered("ledger: SELECT 1; acc"), (Names{"accounts_pg: ", "accounts_my: "}));
  EXPECT_EQ(offered("SELECT acc"), Names{});
  EXPECT_EQ(complete("\\on acc", resources).from, 4);
  EXPECT_EQ(common_beginning({"accounts_pg", "accounts_my"}), "accounts_");
  EXPECT_EQ(common_beginning({}), "");
}

TEST(ShellWords, ThePromptSaysWhereOneIs) {
  EXPECT_EQ(prompt_text("bank", "pg", TransactionMark::kNone, ' '), "bank pg> ");
  EXPECT_EQ(prompt_text("bank", "pg", TransactionMark::kOpen, ' '), "bank pg*> ");
  EXPECT_EQ(prompt_text("bank", "", TransactionMark::kFailed, '-'), "bank!-> ");
  EXPECT_EQ(prompt_text("bank", "pg", TransactionMark::kUnknown, '\''), "bank pg?'> ");
}

}  // namespace
}  // namespace troth::recovery
