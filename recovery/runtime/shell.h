// recovery/runtime/shell.h
//
// A session of `troth shell`: what is typed or read is run, item by item, and its answer shown.
//
//   shell.cc          the loop, and the commands that touch no transaction
//   shell_work.cc     statements, and the beginning and end of transactions
//   shell_answers.cc  what is shown of it all, as text or as JSON
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/interrupts.h"
#include "recovery/runtime/shell_link.h"
#include "recovery/runtime/shell_transaction.h"
#include "recovery/shell_input.h"
#include "recovery/shell_words.h"
#include "thrift/gen/administration_types.h"

namespace troth::recovery {

class Shell {
 public:
  // All outlive it. `at_terminal`: a person reads and types, and goes on after an error.
  Shell(const ShellCommand& command, ShellLink& link, Interrupts& interrupts, Console& console,
        bool at_terminal);

  // Until it is left: by what is typed, the end of the input, a signal or, where nobody types, an error.
  [[nodiscard]] ExitCode run();

 private:
  ExitCode do_item(const TypedStatement& typed);
  ExitCode do_item(const TypedCommand& typed);
  ExitCode do_item(const StatementTooLong& typed);
  ExitCode do_word(const ShellWord& word);
  ExitCode learn_resources();
  [[nodiscard]] std::vector<std::string> names_of_resources() const;
  [[nodiscard]] bool is_known(const std::string& name) const;
  [[nodiscard]] agent::DatabaseKind kind_of(std::string_view name) const;
  // One that was registered since the shell began is found, too.
  ExitCode need_resource(const std::string& name);
  ExitCode choose(const std::string& name);
  ExitCode set_pages(const std::string& text);
  ExitCode show_status();
  ExitCode show_resources();
  void greet();

  ExitCode begin(const std::string& label);
  ExitCode begin_now(const std::string& label);
  // Whether a statement may run now; begins a transaction where there is none.
  ExitCode need_transaction();
  ExitCode run_statement(const TypedStatement& typed);
  ExitCode statement_failed(const ShellTransaction::Failure& failure);
  ExitCode roll_back_interrupted(const std::string& resource);
  ExitCode commit();
  ExitCode show_commit(const ShellTransaction::Committed& end);
  ExitCode show_commit(const ShellTransaction::NotCommitted& end);
  ExitCode show_commit(const ShellTransaction::GoesOn& end);
  ExitCode show_commit(const ShellTransaction::NotKnown& end);
  ExitCode show_commit(const ShellTransaction::Mixed& end);
  ExitCode roll_back();
  // With --keep-going: what was meant as one transaction is not committed without what failed.
  void give_up_rest();
  // Rolls back what is open, and says so.
  ExitCode leave(std::string_view why);

  ExitCode told_rolled_back(std::string_view why);
  ExitCode show_rows(const std::string& resource, wire::QueryResult page, std::int64_t took_ms);
  void print_rows(const wire::StatementResult& result, std::int64_t first);
  [[nodiscard]] bool pages() const;
  [[nodiscard]] std::string time_text(std::int64_t ms) const;
  ExitCode say(std::string_view text);
  // For people only.
  void print(std::string_view text);
  void print_json(const Json& json);
  // What was typed asks for something impossible; nobody was asked.
  ExitCode refuse(const Error& error);
  // `fate`: of the transaction, in JSON.
  ExitCode complain(const Error& error, Console::Beside beside, std::string_view fate = {});

  const ShellCommand& command_;
  ShellLink& link_;
  Interrupts& interrupts_;
  Console& console_;
  bool at_terminal_;
  ShellTransaction transaction_;
  ShellInput input_;

  std::vector<wire::ResourceStatus> resources_;
  std::string cluster_;
  std::string chosen_;  // resource; may be empty
  std::int64_t page_rows_ = 0;
  bool expanded_ = false;
  bool timing_ = false;

  // Of the item that runs now.
  std::size_t line_ = 0;
  bool was_end_ = false;  // commit or rollback
  bool interrupted_ = false;
  bool quit_ = false;
  ExitCode first_failure_ = ExitCode::kDone;
};

// What is typed asks for something impossible, and nobody was asked.
[[nodiscard]] Error refusal(std::string message);
// Rows of one answer where they are shown all at once.
inline constexpr std::int64_t kRowsAtOnce = 1000;

}  // namespace troth::recovery
