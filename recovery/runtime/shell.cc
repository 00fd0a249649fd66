// troth shell: an interactive session over several resources, for people and for scripts.
#include "recovery/runtime/shell.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/nearest_name.h"
#include "recovery/runtime/line_source.h"
#include "recovery/runtime/peers.h"
#include "recovery/runtime/reports.h"
#include "recovery/runtime/shell_screen.h"
#include "recovery/runtime/statement_results.h"
#include "recovery/text_table.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/runtime/wire_error.h"

namespace troth::recovery {
namespace {

// A person thinks longer than a service; locks are held meanwhile.
constexpr std::int64_t kTerminalTimeoutMs = 1'800'000;
constexpr std::int64_t kTerminalIdleTimeoutMs = 300'000;
// For an answer when no timeout was named: longer than any that a coordinator takes by itself.
constexpr Duration kLongWait = std::chrono::minutes(65);
constexpr Duration kAnswerSlack = std::chrono::seconds(10);

ShellTransaction::Options options_of(const ShellCommand& command, bool at_terminal) {
  wire::BeginOptions begin;
  begin.__set_isolation(isolation_of(command.isolation));
  begin.read_only = command.read_only;
  auto timeout = command.timeout_ms;
  auto idle = command.idle_timeout_ms;
  if (at_terminal) {
    timeout = timeout.value_or(kTerminalTimeoutMs);
    idle = idle.value_or(std::min(kTerminalIdleTimeoutMs, *timeout));
  }
  if (timeout) begin.__set_timeout_ms(*timeout);
  if (idle) begin.__set_idle_timeout_ms(*idle);
  const auto wait = timeout ? Duration(std::chrono::milliseconds(*timeout)) + kAnswerSlack : kLongWait;
  return {.client_name = command.client_name, .begin = begin, .wait = wait};
}

// The name that a person gave the cluster, without the random part behind it.
std::string short_name_of(const std::string& cluster) {
  return cluster.substr(0, cluster.rfind('-'));
}

}  // namespace

Shell::Shell(const ShellCommand& command, ShellLink& link, Interrupts& interrupts, Console& console,
             bool at_terminal)
    : command_(command),
      link_(link),
      interrupts_(interrupts),
      console_(console),
      at_terminal_(at_terminal),
      transaction_(link, options_of(command, at_terminal)),
      input_([this](std::string_view resource) { return kind_of(resource); }),
      timing_(at_terminal) {
  if (at_terminal) page_rows_ = static_cast<std::int64_t>(std::max<std::size_t>(screen_size().lines, 16) - 6);
}

ExitCode Shell::run() {
  if (const auto code = learn_resources(); code != ExitCode::kDone) return code;
  if (!command_.on.empty()) {
    if (const auto code = choose(command_.on); code != ExitCode::kDone) return code;
  } else if (resources_.size() == 1) {
    chosen_ = resources_[0].name;
  }
  const auto lines =
      at_terminal_
          ? lines_of_terminal(interrupts_, command_.history ? usual_history_file() : "",
                              [this](std::string_view line) { return complete(line, names_of_resources()); })
          : lines_of(STDIN_FILENO, interrupts_);
  if (at_terminal_) greet();
  while (true) {
    const auto read = lines->read(prompt_text(cluster_, chosen_, transaction_.mark(), input_.waits_for()));
    if (std::holds_alternative<LinesEnded>(read)) return leave("the input ended");
    if (std::holds_alternative<LineInterrupted>(read)) {
      if (interrupts_.take() == Interrupt::kLeave) return leave("the shell was told to end");
      if (!at_terminal_) return leave("it was interrupted");
      input_.clear();
      continue;
    }
    for (const auto& item : input_.take_line(std::get<std::string>(read))) {
      was_end_ = interrupted_ = false;
      const auto code = std::visit([this](const auto& typed) { return do_item(typed); }, item);
      console_.flush();
      if (code != ExitCode::kDone && first_failure_ == ExitCode::kDone) first_failure_ = code;
      if (interrupts_.is_leaving()) return leave("the shell was told to end");
      if (quit_) return leave("the shell was left");
      if (code == ExitCode::kDone || at_terminal_) continue;
      if (interrupted_) return leave("it was interrupted");
      if (!command_.keep_going) return leave("of the error");
      give_up_rest();
    }
  }
}

ExitCode Shell::do_item(const TypedStatement& typed) {
  line_ = typed.line;
  const auto word = word_for_shell(typed.sql);
  if (word && typed.resource.empty()) return do_word(*word);
  if (word) {
    return refuse(refusal(fmt::format("{} is for all resources together: write it without `{}:`",
                                      printable(typed.sql), typed.resource)));
  }
  return run_statement(typed);
}

ExitCode Shell::do_item(const TypedCommand& typed) {
  line_ = typed.line;
  const auto word = parse_command(typed.text);
  return word ? do_word(*word) : refuse(word.error());
}

ExitCode Shell::do_item(const StatementTooLong& typed) {
  line_ = typed.line;
  return refuse(refusal(fmt::format("the statement is longer than {} MiB: was a `;` forgotten?",
                                    ShellInput::kLongestStatement >> 20)));
}

ExitCode Shell::do_word(const ShellWord& word) {
  was_end_ = word.verb == Verb::kCommit || word.verb == Verb::kRollback;
  switch (word.verb) {
    case Verb::kBegin: return begin(word.argument);
    case Verb::kCommit: return commit();
    case Verb::kRollback: return roll_back();
    case Verb::kOn: return choose(word.argument);
    case Verb::kStatus: return show_status();
    case Verb::kResources: return show_resources();
    case Verb::kPages: return set_pages(word.argument);
    case Verb::kExpanded:
      expanded_ = !expanded_;
      return say(expanded_ ? "one line for each value" : "tables");
    case Verb::kTiming: timing_ = !timing_; return say(timing_ ? "times are shown" : "times are not shown");
    case Verb::kClear: input_.clear(); return ExitCode::kDone;
    case Verb::kHelp: return say(shell_help());
    case Verb::kQuit: quit_ = true; return ExitCode::kDone;
  }
  return ExitCode::kDone;
}

ExitCode Shell::learn_resources() {
  const auto status = link_.call<wire::Administration_cluster_status>(kPromptly);
  if (!status) {
    static_cast<void>(interrupts_.take());
    return ExitCode::kUnreachable;
  }
  if (!*status) return complain((*status).error(), {});
  resources_ = (*status)->resources;
  cluster_ = short_name_of((*status)->cluster);
  return ExitCode::kDone;
}

std::vector<std::string> Shell::names_of_resources() const {
  std::vector<std::string> names;
  names.reserve(resources_.size());
  for (const auto& resource : resources_)
    names.push_back(resource.name);
  return names;
}

bool Shell::is_known(const std::string& name) const {
  return std::ranges::find(resources_, name, &wire::ResourceStatus::name) != resources_.end();
}

agent::DatabaseKind Shell::kind_of(std::string_view name) const {
  const auto found = std::ranges::find(resources_, name.empty() ? std::string_view(chosen_) : name,
                                       &wire::ResourceStatus::name);
  if (found == resources_.end()) return agent::DatabaseKind::kPostgres;
  return agent::database_kind_of(found->kind).value_or(agent::DatabaseKind::kPostgres);
}

ExitCode Shell::need_resource(const std::string& name) {
  if (is_known(name)) return ExitCode::kDone;
  if (const auto code = learn_resources(); code != ExitCode::kDone || is_known(name)) return code;
  const auto names = names_of_resources();
  const auto nearest = nearest_name(name, names);
  std::string known;
  for (const auto& each : names)
    known += (known.empty() ? "" : ", ") + each;
  return refuse(refusal(fmt::format("there is no resource {}{}; there are: {}", name,
                                    nearest ? fmt::format(", perhaps {}", *nearest) : "",
                                    known.empty() ? "none, start an agent" : known)));
}

ExitCode Shell::choose(const std::string& name) {
  if (const auto code = need_resource(name); code != ExitCode::kDone) return code;
  chosen_ = name;
  return ExitCode::kDone;
}

ExitCode Shell::set_pages(const std::string& text) {
  std::int64_t rows = 0;
  const bool digits =
      text.size() <= 6 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits)
    return refuse(refusal(fmt::format("\\pages takes a number from 0 to 999999, and not '{}'", text)));
  for (const char c : text)
    rows = rows * 10 + (c - '0');
  page_rows_ = rows;
  return say(rows == 0 ? "all rows at once" : fmt::format("pages of {}", counted(rows, "row")));
}

ExitCode Shell::show_status() {
  if (transaction_.id().empty()) return say("there is no transaction");
  const auto reply = transaction_.status();
  if (!reply) {
    static_cast<void>(interrupts_.take());
    return ExitCode::kDone;
  }
  if (!*reply) return complain((*reply).error(), {});
  console_.wants_json() ? print_json(json_of(**reply)) : print(text_of(**reply));
  return ExitCode::kDone;
}

ExitCode Shell::show_resources() {
  const auto status = link_.call<wire::Administration_cluster_status>(kPromptly);
  if (!status) {
    static_cast<void>(interrupts_.take());
    return ExitCode::kDone;
  }
  if (!*status) return complain((*status).error(), {});
  resources_ = (*status)->resources;
  console_.wants_json() ? print_json(json_of(**status)) : print(text_of(**status));
  return ExitCode::kDone;
}

void Shell::greet() {
  std::string names;
  for (const auto& resource : resources_)
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", resource.name, resource.kind);
  print(fmt::format("cluster {}: {}\n\\help explains, \\quit leaves\n", cluster_,
                    names.empty() ? "no resource is registered, start an agent" : names));
}

ExitCode run(const ShellCommand& command, const Surroundings& around, Console& console) {
  auto coordinator = coordinator_at(around);
  if (!coordinator) return console.refuse_usage(coordinator.error().message);
  auto named = command;
  named.client_name = around.client_name(command.client_name);
  Interrupts interrupts;
  ShellLink link(std::move(*coordinator), greeting_of_coordinator(around), interrupts);
  return Shell(named, link, interrupts, console, is_at_terminal() && !console.wants_json()).run();
}

}  // namespace troth::recovery
