// troth shell: an interactive session over several resources, for people and for scripts.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/nearest_name.h"
#include "base/runtime/clock.h"
#include "recovery/runtime/commands.h"
#include "recovery/runtime/console.h"
#include "recovery/runtime/line_source.h"
#include "recovery/runtime/peers.h"
#include "recovery/runtime/reports.h"
#include "recovery/runtime/shell_screen.h"
#include "recovery/runtime/shell_transaction.h"
#include "recovery/runtime/statement_results.h"
#include "recovery/shell_input.h"
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
// Rows of one answer where they are shown all at once.
constexpr std::int64_t kRowsAtOnce = 1000;

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

std::string_view word_for(ShellTransaction::Left left) {
  switch (left) {
    case ShellTransaction::Left::kGoesOn: return "goes on";
    case ShellTransaction::Left::kOver: return "ended";
    case ShellTransaction::Left::kNotKnown: return "not known";
  }
  return "";
}

Error refusal(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message)).error();
}

class Shell {
 public:
  Shell(const ShellCommand& command, ShellLink& link, Interrupts& interrupts, Console& console,
        bool at_terminal)
      : command_(command),
        link_(link),
        interrupts_(interrupts),
        console_(console),
        at_terminal_(at_terminal),
        transaction_(link, options_of(command, at_terminal)),
        input_([this](std::string_view resource) { return kind_of(resource); }) {
    timing_ = at_terminal;
    if (at_terminal)
      page_rows_ = static_cast<std::int64_t>(std::max<std::size_t>(screen_size().lines, 16) - 6);
  }

  ExitCode run() {
    if (const auto code = learn_resources(); code != ExitCode::kDone) return code;
    if (!command_.on.empty()) {
      if (const auto code = choose(command_.on); code != ExitCode::kDone) return code;
    } else if (resources_.size() == 1) {
      chosen_ = resources_[0].name;
    }
    const auto lines =
        at_terminal_ ? lines_of_terminal(
                           interrupts_, command_.history ? usual_history_file() : "",
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
        const auto code = std::visit([this](const auto& typed) { return do_item(typed); }, item);
        console_.flush();
        if (code != ExitCode::kDone && first_failure_ == ExitCode::kDone) first_failure_ = code;
        if (quit_) return leave("the shell was left");
        if (code != ExitCode::kDone && !at_terminal_) {
          if (!command_.keep_going) return leave("of the error");
          if (transaction_.is_open()) roll_back_after_error();
        }
      }
    }
  }

 private:
  // ---- what is typed

  ExitCode do_item(const TypedStatement& typed) {
    line_ = typed.line;
    const auto word = word_for_shell(typed.sql);
    if (word && typed.resource.empty()) return do_word(*word);
    if (word) {
      return refuse(refusal(fmt::format("{} is for all resources together: write it without `{}:`",
                                        printable(typed.sql), typed.resource)));
    }
    return run_statement(typed);
  }
  ExitCode do_item(const TypedCommand& typed) {
    line_ = typed.line;
    const auto word = parse_command(typed.text);
    return word ? do_word(*word) : refuse(word.error());
  }
  ExitCode do_item(const StatementTooLong& typed) {
    line_ = typed.line;
    return refuse(refusal(fmt::format("the statement is longer than {} MiB: was a `;` forgotten?",
                                      ShellInput::kLongestStatement >> 20)));
  }

  ExitCode do_word(const ShellWord& word) {
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

  // ---- the resources

  ExitCode learn_resources() {
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

  [[nodiscard]] std::vector<std::string> names_of_resources() const {
    std::vector<std::string> names;
    for (const auto& resource : resources_)
      names.push_back(resource.name);
    return names;
  }

  [[nodiscard]] bool is_known(const std::string& name) const {
    return std::ranges::find(resources_, name, &wire::ResourceStatus::name) != resources_.end();
  }

  [[nodiscard]] agent::DatabaseKind kind_of(std::string_view name) const {
    const auto found = std::ranges::find(resources_, name.empty() ? std::string_view(chosen_) : name,
                                         &wire::ResourceStatus::name);
    if (found == resources_.end()) return agent::DatabaseKind::kPostgres;
    return agent::database_kind_of(found->kind).value_or(agent::DatabaseKind::kPostgres);
  }

  // One that was registered since the shell began is found, too.
  ExitCode need_resource(const std::string& name) {
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

  ExitCode choose(const std::string& name) {
    if (const auto code = need_resource(name); code != ExitCode::kDone) return code;
    chosen_ = name;
    return ExitCode::kDone;
  }

  // ---- the transaction

  ExitCode begin(const std::string& label) {
    if (transaction_.is_open()) {
      return refuse(refusal(fmt::format("{} is open: COMMIT or ROLLBACK it first", transaction_.id())));
    }
    if (transaction_.mark() == TransactionMark::kUnknown) {
      print(fmt::format("{} is left as it is: `troth status {}` tells what became of it\n", transaction_.id(),
                        transaction_.id()));
      transaction_.forget();
    }
    const auto code = begin_now(label);
    if (code == ExitCode::kDone && console_.wants_json())
      print_json({{"line", line_}, {"outcome", "begun"}, {"transaction_id", transaction_.id()}});
    return code;
  }

  ExitCode begin_now(const std::string& label) {
    const auto outcome = transaction_.begin(label);
    if (std::holds_alternative<ShellTransaction::Interrupted>(outcome)) {
      static_cast<void>(interrupts_.take());
      return complain(refusal("interrupted"), {.effect = "no transaction was begun that could commit"});
    }
    if (const auto* failure = std::get_if<ShellTransaction::Failure>(&outcome)) {
      return complain(failure->error,
                      {.advice = "ROLLBACK, then begin anew",
                       .effect = "no transaction was begun",
                       .transaction = "none; what follows is refused until ROLLBACK or BEGIN"});
    }
    print(fmt::format("begun {}\n", transaction_.id()));
    return ExitCode::kDone;
  }

  // Whether a statement may run now; begins a transaction where there is none.
  ExitCode need_transaction() {
    switch (transaction_.mark()) {
      case TransactionMark::kOpen: return ExitCode::kDone;
      case TransactionMark::kNone: return begin_now("");
      case TransactionMark::kFailed:
        return refuse(
            refusal("the transaction has ended, and this would begin another one in the middle of what was "
                    "meant: ROLLBACK (or BEGIN) first"));
      case TransactionMark::kUnknown:
        return refuse(
            refusal(fmt::format("it is not known whether {} has committed: COMMIT asks again; \\begin leaves "
                                "it as it is, and begins another one",
                                transaction_.id())));
    }
    return ExitCode::kDone;
  }

  ExitCode run_statement(const TypedStatement& typed) {
    const auto resource = typed.resource.empty() ? chosen_ : typed.resource;
    if (resource.empty()) {
      return refuse(refusal(fmt::format("which resource? Write `{0}: ...;`, or choose it: \\on {0}",
                                        resources_.empty() ? "RESOURCE" : resources_[0].name)));
    }
    if (const auto code = need_resource(resource); code != ExitCode::kDone) return code;
    if (const auto code = need_transaction(); code != ExitCode::kDone) return code;
    const auto began = boot_now();
    auto outcome = transaction_.query(resource, typed.sql, pages() ? page_rows_ : kRowsAtOnce);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(boot_now() - began);
    if (std::holds_alternative<ShellTransaction::Interrupted>(outcome))
      return roll_back_interrupted(resource);
    if (const auto* failure = std::get_if<ShellTransaction::Failure>(&outcome))
      return statement_failed(*failure);
    return show_rows(resource, std::move(std::get<wire::QueryResult>(outcome)), took.count());
  }

  ExitCode statement_failed(const ShellTransaction::Failure& failure) {
    Console::Beside beside;
    const auto& id = transaction_.id();
    switch (failure.left) {
      case ShellTransaction::Left::kGoesOn:
        beside.effect = "this statement changed nothing";
        beside.transaction =
            fmt::format("{} goes on, with what was done before; COMMIT or ROLLBACK ends it", id);
        break;
      case ShellTransaction::Left::kOver:
        beside.transaction =
            fmt::format("{} has ended: rolled back in all resources; go on with ROLLBACK or BEGIN", id);
        break;
      case ShellTransaction::Left::kNotKnown:
        beside.effect = "nothing is committed, and without COMMIT nothing will be";
        beside.transaction =
            fmt::format("it is not known whether {} goes on: the coordinator does not answer", id);
        break;
    }
    return complain(failure.error, beside, word_for(failure.left));
  }

  ExitCode roll_back_interrupted(const std::string& resource) {
    static_cast<void>(interrupts_.take());
    const auto id = transaction_.id();
    const auto number = transaction_.number_in(resource) + 1;
    const auto status = transaction_.roll_back();
    auto error = fail(ErrorCode::kTimeout, Effect::kNone, "the statement was interrupted").error();
    error.resource = resource;
    error.statement = static_cast<std::uint32_t>(number);
    // What was pasted behind it is not run as another transaction's.
    transaction_.fail_open();
    return complain(
        error,
        {.transaction = status ? fmt::format("{} was rolled back in all resources; go on with ROLLBACK or "
                                             "BEGIN",
                                             id)
                               : fmt::format("{} is not rolled back yet: {}; it never commits, and ends "
                                             "by its idle time",
                                             id, printable(status.error().message))},
        "ended");
  }

  ExitCode commit() {
    switch (transaction_.mark()) {
      case TransactionMark::kNone: return say("there is no transaction");
      case TransactionMark::kFailed:
        transaction_.forget();
        return complain(
            refusal("nothing was committed: the transaction had ended before, and was rolled back"), {},
            "ended");
      case TransactionMark::kOpen:
      case TransactionMark::kUnknown: break;
    }
    const auto outcome = transaction_.commit();
    return std::visit([this](const auto& end) { return show_commit(end); }, outcome);
  }

  ExitCode show_commit(const ShellTransaction::Committed& end) {
    if (console_.wants_json()) {
      print_json({{"line", line_},
                  {"outcome", "committed"},
                  {"transaction_id", end.result.transaction_id},
                  {"acknowledged",
                   end.result.acknowledged == wire::Acknowledgement::DECIDED ? "decided" : "applied"},
                  {"pending_resources", end.result.pending_resources}});
      return ExitCode::kDone;
    }
    print(fmt::format("committed {}\n", end.result.transaction_id));
    for (const auto& resource : end.result.pending_resources)
      print(fmt::format("not yet applied in {}: it will be, by itself\n", resource));
    return ExitCode::kDone;
  }
  ExitCode show_commit(const ShellTransaction::NotCommitted& end) {
    static_cast<void>(
        complain(end.error,
                 {.advice = "begin anew",
                  .transaction = fmt::format("{} is not committed anywhere", transaction_.id())},
                 "ended"));
    // Also where the answer was lost, and the coordinator told it afterwards.
    return ExitCode::kRefused;
  }
  ExitCode show_commit(const ShellTransaction::GoesOn& end) {
    return complain(end.error,
                    {.effect = "nothing is committed yet",
                     .transaction = fmt::format("{} goes on; COMMIT tries again", transaction_.id())},
                    "goes on");
  }
  ExitCode show_commit(const ShellTransaction::NotKnown& end) {
    if (end.interrupted) static_cast<void>(interrupts_.take());
    return complain(end.error,
                    {.advice = fmt::format("COMMIT asks again (it commits at most once); or: troth status {}",
                                           transaction_.id()),
                     .effect = "commit was asked for, and it is not known whether it happened, or will",
                     .transaction = fmt::format("{}: not known", transaction_.id())},
                    "not known");
  }
  ExitCode show_commit(const ShellTransaction::Mixed& end) {
    console_.wants_json() ? print_json(json_of(end.status)) : print(text_of(end.status));
    return ExitCode::kAttention;
  }

  ExitCode roll_back() {
    switch (transaction_.mark()) {
      case TransactionMark::kNone: return say("there is no transaction");
      case TransactionMark::kFailed: transaction_.forget(); return told_rolled_back("it had ended before");
      case TransactionMark::kUnknown:
        return refuse(refusal(fmt::format("commit was called, and {} may have committed: COMMIT asks again",
                                          transaction_.id())));
      case TransactionMark::kOpen: break;
    }
    const auto status = transaction_.roll_back();
    if (status) return told_rolled_back("");
    static_cast<void>(interrupts_.take());
    auto error = status.error();
    error.effect = Effect::kNone;
    return complain(
        error, {.transaction = fmt::format("{} never commits, and ends by its idle time", transaction_.id())},
        "ended");
  }

  void roll_back_after_error() {
    const auto status = transaction_.roll_back();
    transaction_.fail_open();
    if (status)
      told_rolled_back("of the error");
    else
      static_cast<void>(complain(status.error(), {}, "ended"));
  }

  ExitCode told_rolled_back(std::string_view why) {
    if (console_.wants_json()) {
      Json json{{"line", line_}, {"outcome", "rolled back"}, {"transaction_id", transaction_.id()}};
      if (!why.empty()) json["why"] = why;
      print_json(json);
    } else if (transaction_.id().empty()) {
      print("there was no transaction\n");
    } else {
      print(
          fmt::format("rolled back {}{}\n", transaction_.id(), why.empty() ? "" : fmt::format(": {}", why)));
    }
    return ExitCode::kDone;
  }

  ExitCode leave(std::string_view why) {
    auto code = first_failure_;
    if (input_.is_waiting() && !at_terminal_ && first_failure_ == ExitCode::kDone) {
      line_ = input_.begun_at();
      code = refuse(refusal("the input ended inside a statement, which was not run: it needs a `;`"));
    }
    if (at_terminal_) code = ExitCode::kDone;
    if (transaction_.is_open()) {
      const auto status = transaction_.roll_back();
      if (status) {
        static_cast<void>(told_rolled_back(why));
      } else {
        static_cast<void>(complain(status.error(), {}, "ended"));
      }
      if (!at_terminal_ && code == ExitCode::kDone) code = ExitCode::kRefused;
    } else if (transaction_.mark() == TransactionMark::kUnknown) {
      print(fmt::format("not known: {}; `troth status {}` tells\n", transaction_.id(), transaction_.id()));
      code = ExitCode::kUnknown;
    }
    console_.flush();
    return code;
  }

  // ---- what is shown

  ExitCode show_rows(const std::string& resource, wire::QueryResult page, std::int64_t took_ms) {
    if (page.result.columns.empty() && !console_.wants_json()) {
      auto text = counted(page.result.affected_rows, "row");
      if (page.result.__isset.generated_key)
        text += fmt::format(", generated key {}", page.result.generated_key);
      print(fmt::format("{}{}\n", text, time_text(took_ms)));
      return ExitCode::kDone;
    }
    auto shown = static_cast<std::int64_t>(page.result.rows.size());
    std::int64_t first = 0;
    while (true) {
      if (pages()) {
        print_rows(page.result, first);
        if (page.more &&
            !wants_more(fmt::format("-- more: {} of {} rows; q: enough --", shown, page.result.affected_rows),
                        interrupts_)) {
          if (interrupts_.take() == Interrupt::kLeave) quit_ = true;
          break;
        }
      }
      if (!page.more) break;
      auto next = transaction_.fetch(resource, shown, pages() ? page_rows_ : kRowsAtOnce);
      if (std::holds_alternative<ShellTransaction::Interrupted>(next)) {
        if (!at_terminal_) return roll_back_interrupted(resource);
        static_cast<void>(interrupts_.take());
        break;
      }
      if (const auto* failure = std::get_if<ShellTransaction::Failure>(&next))
        return statement_failed(*failure);
      auto& more = std::get<wire::QueryResult>(next);
      if (pages()) {
        first = shown;
        shown += static_cast<std::int64_t>(more.result.rows.size());
        page = std::move(more);
      } else {
        shown += static_cast<std::int64_t>(more.result.rows.size());
        std::ranges::move(more.result.rows, std::back_inserter(page.result.rows));
        page.more = more.more;
      }
    }
    if (console_.wants_json()) {
      Json json{{"line", line_},
                {"resource", resource},
                {"statement", transaction_.number_in(resource)},
                {"transaction_id", transaction_.id()}};
      json.update(json_of(page.result));
      json["elapsed_ms"] = took_ms;
      print_json(json);
      return ExitCode::kDone;
    }
    if (!pages()) print_rows(page.result, 0);
    const auto all = page.result.affected_rows;
    print(fmt::format("({}{}{})\n", shown < all ? fmt::format("{} of ", shown) : "", counted(all, "row"),
                      time_text(took_ms)));
    return ExitCode::kDone;
  }

  void print_rows(const wire::StatementResult& result, std::int64_t first) {
    const std::size_t columns = at_terminal_ ? screen_size().columns : 0;
    const auto table = table_of(result);
    print(expanded_ ? table.expanded(static_cast<std::size_t>(first) + 1, columns) : table.text("", columns));
  }

  [[nodiscard]] bool pages() const { return at_terminal_ && page_rows_ > 0; }
  [[nodiscard]] std::string time_text(std::int64_t ms) const {
    return timing_ ? fmt::format(", {} ms", ms) : "";
  }

  ExitCode set_pages(const std::string& text) {
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

  ExitCode show_status() {
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

  ExitCode show_resources() {
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

  void greet() {
    std::string names;
    for (const auto& resource : resources_)
      names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", resource.name, resource.kind);
    print(fmt::format("cluster {}: {}\n\\help explains, \\quit leaves\n", cluster_,
                      names.empty() ? "no resource is registered, start an agent" : names));
  }

  ExitCode say(std::string_view text) {
    if (console_.wants_json()) {
      print_json({{"line", line_}, {"message", text}});
    } else {
      print(fmt::format("{}{}", text, text.ends_with('\n') ? "" : "\n"));
    }
    return ExitCode::kDone;
  }

  // For people only.
  void print(std::string_view text) {
    if (!console_.wants_json()) console_.print_text(text);
  }
  void print_json(const Json& json) {
    console_.print_json_line(json);
    console_.flush();
  }

  // What was typed asks for something impossible; nobody was asked.
  ExitCode refuse(const Error& error) {
    static_cast<void>(
        complain(error, {.effect = "nothing was asked for"}, transaction_.is_open() ? "goes on" : ""));
    return ExitCode::kUsage;
  }

  ExitCode complain(const Error& error, Console::Beside beside, std::string_view fate = {}) {
    const auto code = exit_code_of(error);
    if (console_.wants_json()) {
      Json json{{"line", line_}, {"error", json_of(error)}};
      if (!transaction_.id().empty()) json["transaction_id"] = transaction_.id();
      if (!fate.empty()) json["transaction"] = fate;
      print_json(json);
      return code;
    }
    if (!at_terminal_ && line_ > 0) beside.place = fmt::format("line {}", line_);
    return console_.complain(error, beside);
  }

  const ShellCommand& command_;
  ShellLink& link_;
  Interrupts& interrupts_;
  Console& console_;
  bool at_terminal_;
  ShellTransaction transaction_;
  ShellInput input_;

  std::vector<wire::ResourceStatus> resources_;
  std::string cluster_;
  std::string chosen_;
  std::int64_t page_rows_ = 0;
  bool expanded_ = false;
  bool timing_ = false;
  bool quit_ = false;
  std::size_t line_ = 0;
  ExitCode first_failure_ = ExitCode::kDone;
};

}  // namespace

ExitCode run(const ShellCommand& command, const Surroundings& around, Console& console) {
  auto coordinator = coordinator_at(around.coordinator);
  if (!coordinator) return console.refuse_usage(coordinator.error().message);
  Interrupts interrupts;
  ShellLink link(std::move(*coordinator), greeting_of_coordinator(), interrupts);
  return Shell(command, link, interrupts, console, is_at_terminal() && !console.wants_json()).run();
}

}  // namespace troth::recovery
