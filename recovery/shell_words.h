// recovery/shell_words.h
//
// The words that `troth shell` itself understands: its commands, and those of a transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace troth::recovery {

enum class Verb : std::uint8_t {
  kBegin,
  kCommit,
  kRollback,
  kOn,
  kStatus,
  kResources,
  kPages,
  kExpanded,
  kTiming,
  kClear,
  kHelp,
  kQuit,
};

struct ShellWord {
  Verb verb = Verb::kHelp;
  std::string argument;  // may be empty where the command can do without
  bool operator==(const ShellWord&) const = default;
};

// `\on pg`. Refuses an unknown command with the nearest one, an argument too many and one too few
// (invalid_argument).
[[nodiscard]] Result<ShellWord> parse_command(std::string_view text);

// `BEGIN`, `start transaction`, `COMMIT WORK`, `end`, `rollback`, `abort`, and `help`, `quit`, `exit`: what a
// person types means the shell's own command. nullopt: it is for a database.
[[nodiscard]] std::optional<ShellWord> word_for_shell(std::string_view sql);
// Such a word alone on its line needs no `;`.
[[nodiscard]] bool stands_alone(std::string_view line);

[[nodiscard]] std::string shell_help();

// What may stand in place of the word that ends a line.
struct Completion {
  std::size_t from = 0;  // where that word begins
  std::vector<std::string> candidates;
};
[[nodiscard]] Completion complete(std::string_view line, const std::vector<std::string>& resources);
// What all candidates begin with.
[[nodiscard]] std::string common_beginning(const std::vector<std::string>& candidates);

// Where one is: `bank pg*> `.
enum class TransactionMark : char {
  kNone = '\0',
  kOpen = '*',
  kFailed = '!',   // it has ended by itself, and ROLLBACK (or BEGIN) goes on
  kUnknown = '?',  // commit was called, and has not been answered
};
// `waits_for` as ShellInput says it.
[[nodiscard]] std::string prompt_text(std::string_view cluster, std::string_view resource,
                                      TransactionMark mark, char waits_for);

}  // namespace troth::recovery
