// What the shell does in databases: statements, and the beginning and end of transactions.
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/runtime/clock.h"
#include "recovery/runtime/reports.h"
#include "recovery/runtime/shell.h"
#include "recovery/text_table.h"

namespace troth::recovery {
namespace {

std::string_view word_for(ShellTransaction::Left left) {
  switch (left) {
    case ShellTransaction::Left::kGoesOn: return "goes on";
    case ShellTransaction::Left::kOver: return "ended";
    case ShellTransaction::Left::kNotKnown: return "not known";
  }
  return "";
}

}  // namespace

ExitCode Shell::begin(const std::string& label) {
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

ExitCode Shell::begin_now(const std::string& label) {
  const auto outcome = transaction_.begin(label);
  if (std::holds_alternative<ShellTransaction::Interrupted>(outcome)) {
    static_cast<void>(interrupts_.take());
    interrupted_ = true;
    return complain(refusal("interrupted"), {.effect = "no transaction was begun that could commit"});
  }
  if (const auto* failure = std::get_if<ShellTransaction::Failure>(&outcome)) {
    return complain(failure->error, {.advice = "ROLLBACK, then begin anew",
                                     .effect = "no transaction was begun",
                                     .transaction = "none; what follows is refused until ROLLBACK or BEGIN"});
  }
  print(fmt::format("begun {}\n", transaction_.id()));
  return ExitCode::kDone;
}

ExitCode Shell::need_transaction() {
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

ExitCode Shell::run_statement(const TypedStatement& typed) {
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
  if (std::holds_alternative<ShellTransaction::Interrupted>(outcome)) return roll_back_interrupted(resource);
  if (const auto* failure = std::get_if<ShellTransaction::Failure>(&outcome))
    return statement_failed(*failure);
  return show_rows(resource, std::move(std::get<wire::QueryResult>(outcome)), took.count());
}

ExitCode Shell::statement_failed(const ShellTransaction::Failure& failure) {
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

ExitCode Shell::roll_back_interrupted(const std::string& resource) {
  static_cast<void>(interrupts_.take());
  interrupted_ = true;
  const auto id = transaction_.id();
  const auto number = transaction_.number_in(resource) + 1;
  const auto status = transaction_.roll_back();
  auto error = fail(ErrorCode::kTimeout, Effect::kNone, "the statement was interrupted").error();
  error.resource = resource;
  error.statement = static_cast<std::uint32_t>(number);
  // What was pasted behind it is not run as another transaction's.
  transaction_.fail();
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

ExitCode Shell::commit() {
  switch (transaction_.mark()) {
    case TransactionMark::kNone: return say("there is no transaction");
    case TransactionMark::kFailed:
      transaction_.forget();
      return complain(refusal("nothing was committed: the transaction had ended before, and was rolled back"),
                      {}, "ended");
    case TransactionMark::kOpen:
    case TransactionMark::kUnknown: break;
  }
  const auto outcome = transaction_.commit();
  return std::visit([this](const auto& end) { return show_commit(end); }, outcome);
}

ExitCode Shell::show_commit(const ShellTransaction::Committed& end) {
  if (console_.wants_json()) {
    print_json(
        {{"line", line_},
         {"outcome", "committed"},
         {"transaction_id", end.result.transaction_id},
         {"acknowledged", end.result.acknowledged == wire::Acknowledgement::DECIDED ? "decided" : "applied"},
         {"pending_resources", end.result.pending_resources}});
    return ExitCode::kDone;
  }
  print(fmt::format("committed {}\n", end.result.transaction_id));
  for (const auto& resource : end.result.pending_resources)
    print(fmt::format("not yet applied in {}: it will be, by itself\n", resource));
  return ExitCode::kDone;
}

ExitCode Shell::show_commit(const ShellTransaction::NotCommitted& end) {
  static_cast<void>(complain(
      end.error,
      {.advice = "begin anew", .transaction = fmt::format("{} is not committed anywhere", transaction_.id())},
      "ended"));
  // Also where the answer was lost, and the coordinator told it afterwards.
  return ExitCode::kRefused;
}

ExitCode Shell::show_commit(const ShellTransaction::GoesOn& end) {
  return complain(end.error,
                  {.effect = "nothing is committed yet",
                   .transaction = fmt::format("{} goes on; COMMIT tries again", transaction_.id())},
                  "goes on");
}

ExitCode Shell::show_commit(const ShellTransaction::NotKnown& end) {
  if (end.interrupted) static_cast<void>(interrupts_.take());
  interrupted_ = end.interrupted;
  interrupted_ = end.interrupted;
  return complain(end.error,
                  {.advice = fmt::format("COMMIT asks again (it commits at most once); or: troth status {}",
                                         transaction_.id()),
                   .effect = "commit was asked for, and it is not known whether it happened, or will",
                   .transaction = fmt::format("{}: not known", transaction_.id())},
                  "not known");
}

ExitCode Shell::show_commit(const ShellTransaction::Mixed& end) {
  console_.wants_json() ? print_json(json_of(end.status)) : print(text_of(end.status));
  return ExitCode::kAttention;
}

ExitCode Shell::roll_back() {
  switch (transaction_.mark()) {
    case TransactionMark::kNone: return say("there is no transaction");
    case TransactionMark::kFailed: transaction_.forget(); return told_rolled_back("it had ended before");
    case TransactionMark::kUnknown:
      return refuse(refusal(
          fmt::format("commit was called, and {} may have committed: COMMIT asks again", transaction_.id())));
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

void Shell::give_up_rest() {
  if (!transaction_.is_open()) {
    if (!was_end_ && transaction_.mark() == TransactionMark::kNone) transaction_.fail();
    return;
  }
  const auto status = transaction_.roll_back();
  transaction_.fail();
  if (status)
    told_rolled_back("of the error");
  else
    static_cast<void>(complain(status.error(), {}, "ended"));
}

ExitCode Shell::leave(std::string_view why) {
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

}  // namespace troth::recovery
