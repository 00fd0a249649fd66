// What the shell shows: text for people, or one JSON object for each item.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "recovery/runtime/shell.h"
#include "recovery/runtime/shell_screen.h"
#include "recovery/runtime/statement_results.h"
#include "recovery/text_table.h"

namespace troth::recovery {

Error refusal(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message)).error();
}

ExitCode Shell::told_rolled_back(std::string_view why) {
  if (console_.wants_json()) {
    Json json{{"line", line_}, {"outcome", "rolled back"}, {"transaction_id", transaction_.id()}};
    if (!why.empty()) json["why"] = why;
    print_json(json);
  } else if (transaction_.id().empty()) {
    print("there was no transaction\n");
  } else {
    print(fmt::format("rolled back {}{}\n", transaction_.id(), why.empty() ? "" : fmt::format(": {}", why)));
  }
  return ExitCode::kDone;
}

ExitCode Shell::show_rows(const std::string& resource, wire::QueryResult page, std::int64_t took_ms) {
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

void Shell::print_rows(const wire::StatementResult& result, std::int64_t first) {
  const std::size_t columns = at_terminal_ ? screen_size().columns : 0;
  const auto table = table_of(result);
  print(expanded_ ? table.expanded(static_cast<std::size_t>(first) + 1, columns) : table.text("", columns));
}

bool Shell::pages() const {
  return at_terminal_ && page_rows_ > 0;
}

std::string Shell::time_text(std::int64_t ms) const {
  return timing_ ? fmt::format(", {} ms", ms) : "";
}

ExitCode Shell::say(std::string_view text) {
  if (console_.wants_json()) {
    print_json({{"line", line_}, {"message", text}});
  } else {
    print(fmt::format("{}{}", text, text.ends_with('\n') ? "" : "\n"));
  }
  return ExitCode::kDone;
}

void Shell::print(std::string_view text) {
  if (!console_.wants_json()) console_.print_text(text);
}

void Shell::print_json(const Json& json) {
  console_.print_json_line(json);
  console_.flush();
}

ExitCode Shell::refuse(const Error& error) {
  static_cast<void>(
      complain(error, {.effect = "nothing was asked for"}, transaction_.is_open() ? "goes on" : ""));
  return ExitCode::kUsage;
}

ExitCode Shell::complain(const Error& error, Console::Beside beside, std::string_view fate) {
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

}  // namespace troth::recovery
