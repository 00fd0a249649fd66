#include "recovery/shell_words.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/nearest_name.h"

namespace troth::recovery {
namespace {

enum class Takes : std::uint8_t { kNothing, kOptional, kOne };

struct Known {
  std::string_view name;
  Verb verb;
  Takes takes;
  std::string_view argument;
  std::string_view purpose;
};

constexpr std::array kCommands = {
    Known{"on", Verb::kOn, Takes::kOne, "RESOURCE", "choose the resource of statements that name none"},
    Known{"begin", Verb::kBegin, Takes::kOptional, "[LABEL]",
          "begin a transaction; the first statement does so too"},
    Known{"commit", Verb::kCommit, Takes::kNothing, "", "commit it everywhere, or nowhere"},
    Known{"rollback", Verb::kRollback, Takes::kNothing, "", "roll it back everywhere"},
    Known{"status", Verb::kStatus, Takes::kNothing, "", "the transaction's state and its branches"},
    Known{"resources", Verb::kResources, Takes::kNothing, "", "the resources and their health"},
    Known{"pages", Verb::kPages, Takes::kOne, "ROWS", "show rows in pages of so many; 0: all at once"},
    Known{"x", Verb::kExpanded, Takes::kNothing, "", "one line for each value, or rows as a table again"},
    Known{"timing", Verb::kTiming, Takes::kNothing, "", "say how long each statement took, or no longer"},
    Known{"clear", Verb::kClear, Takes::kNothing, "", "forget the statement that has been begun"},
    Known{"help", Verb::kHelp, Takes::kNothing, "", "this list"},
    Known{"quit", Verb::kQuit, Takes::kNothing, "", "leave; an open transaction is rolled back"},
};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (!is_space(c)) {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

}  // namespace

Result<ShellWord> parse_command(std::string_view text) {
  if (text.starts_with('\\')) text.remove_prefix(1);
  // A `;` behind a command is a habit, and means nothing.
  while (!text.empty() && (is_space(text.back()) || text.back() == ';'))
    text.remove_suffix(1);
  const auto end = static_cast<std::size_t>(std::ranges::find_if(text, is_space) - text.begin());
  const auto name = text.substr(0, end);
  auto argument = text.substr(end);
  while (!argument.empty() && is_space(argument.front()))
    argument.remove_prefix(1);
  const auto known = std::ranges::find(kCommands,
                                       name == "q"   ? "quit"
                                       : name == "?" ? "help"
                                                     : name,
                                       &Known::name);
  if (known == kCommands.end()) {
    std::vector<std::string> names;
    names.reserve(kCommands.size());
    for (const auto& each : kCommands)
      names.emplace_back(each.name);
    const auto nearest = name.empty() ? std::nullopt : nearest_name(name, names);
    return refuse(fmt::format("there is no command \\{}{}; \\help lists them", name,
                              nearest ? fmt::format(", perhaps \\{}", *nearest) : ""));
  }
  if (known->takes == Takes::kOne && argument.empty())
    return refuse(fmt::format("\\{} needs one word more: \\{} {}", name, name, known->argument));
  if (known->takes == Takes::kNothing && !argument.empty())
    return refuse(fmt::format("\\{} takes nothing more, and '{}' stands behind it", name, argument));
  return ShellWord{known->verb, std::string(argument)};
}

std::optional<ShellWord> word_for_shell(std::string_view sql) {
  if (sql.size() > 64) return std::nullopt;
  const auto words = words_of(sql);
  if (words.empty() || words.size() > 2) return std::nullopt;
  const auto& first = words[0];
  const bool alone = words.size() == 1;
  const bool of_transaction = alone || words[1] == "work" || words[1] == "transaction";
  if (of_transaction) {
    if (first == "begin" || (first == "start" && !alone && words[1] == "transaction"))
      return ShellWord{Verb::kBegin, ""};
    if (first == "commit" || first == "end") return ShellWord{Verb::kCommit, ""};
    if (first == "rollback" || first == "abort") return ShellWord{Verb::kRollback, ""};
  }
  if (alone && (first == "quit" || first == "exit")) return ShellWord{Verb::kQuit, ""};
  if (alone && first == "help") return ShellWord{Verb::kHelp, ""};
  return std::nullopt;
}

bool stands_alone(std::string_view line) {
  return word_for_shell(line).has_value();
}

std::string shell_help() {
  std::string text =
      "Statements end with `;` and may span lines.\n"
      "  pg: SELECT ...;    runs in resource pg; without the name, in the one chosen by \\on\n"
      "  COMMIT  ROLLBACK   end the transaction in all resources; the first statement begins one\n"
      "  Ctrl-C             clears the line; while a statement runs, rolls the transaction back\n";
  for (const auto& known : kCommands)
    text += fmt::format("  {:<18} {}\n", fmt::format("\\{} {}", known.name, known.argument), known.purpose);
  return text;
}

Completion complete(std::string_view line, const std::vector<std::string>& resources) {
  Completion completion;
  std::size_t from = line.size();
  while (from > 0 && !is_space(line[from - 1]))
    --from;
  completion.from = from;
  const auto word = line.substr(from);
  const auto before = words_of(line.substr(0, from));
  const auto offer = [&](std::string candidate) {
    if (candidate.starts_with(word)) completion.candidates.push_back(std::move(candidate));
  };
  if (before.empty() && word.starts_with('\\')) {
    for (const auto& known : kCommands)
      offer(fmt::format("\\{}{}", known.name, known.takes == Takes::kNothing ? "" : " "));
  } else if (before.size() == 1 && before[0] == "\\on") {
    for (const auto& resource : resources)
      offer(resource);
  } else if (before.empty() || line[from - 1] == ';' || before.back().ends_with(';')) {
    for (const auto& resource : resources)
      offer(resource + ": ");
  }
  return completion;
}

std::string common_beginning(const std::vector<std::string>& candidates) {
  if (candidates.empty()) return {};
  std::string common = candidates[0];
  for (const auto& candidate : candidates) {
    const auto differ = std::ranges::mismatch(common, candidate).in1;
    common.erase(differ, common.end());
  }
  return common;
}

std::string prompt_text(std::string_view cluster, std::string_view resource, TransactionMark mark,
                        char waits_for) {
  std::string text(cluster);
  if (!resource.empty()) text += fmt::format("{}{}", text.empty() ? "" : " ", resource);
  if (mark != TransactionMark::kNone) text += static_cast<char>(mark);
  if (waits_for != ' ') text += waits_for;
  return text + "> ";
}

}  // namespace troth::recovery
