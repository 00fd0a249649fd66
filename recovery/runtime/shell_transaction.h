// recovery/runtime/shell_transaction.h
//
// The shell's one transaction, on this side of the wire:
//
//   none --begin--> open --commit answered, or rolled back--> none
//                    | '-- commit without an answer --> unanswered --asked again--> none
//                    '-- a statement that ended it, or could not begin one --> failed --rollback..--> none
//
// Failed is a state of its own so that what was typed or pasted behind the statement that failed does not
// begin a transaction of its own, and commits half of what was meant.
//
// [T10] A statement whose answer was lost is asked again under its number, and never runs twice; a commit is
// asked again until somebody knows. Only commit() lets anything commit: until it was called, a lost
// connection is a rollback.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "recovery/runtime/shell_link.h"
#include "recovery/shell_words.h"
#include "thrift/gen/transactions_types.h"

namespace troth::recovery {

class ShellTransaction {
 public:
  struct Options {
    std::string client_name;
    wire::BeginOptions begin;
    Duration wait;  // for an answer; longer than any that the coordinator makes
  };
  // Both outlive it.
  ShellTransaction(ShellLink& link, Options options) : link_(link), options_(std::move(options)) {}

  [[nodiscard]] TransactionMark mark() const;
  [[nodiscard]] bool is_open() const { return std::holds_alternative<Open>(state_); }
  [[nodiscard]] const std::string& id() const { return id_; }  // of the newest one; may be empty

  // What a failed statement left of the transaction.
  enum class Left : std::uint8_t {
    kGoesOn,
    kOver,      // nothing of it stands, and nothing will
    kNotKnown,  // nobody answers; it does not commit by itself
  };
  struct Failure {
    Error error;
    Left left = Left::kOver;
  };
  struct Interrupted {};
  template <typename T>
  using Outcome = std::variant<T, Failure, Interrupted>;

  // May be called when none is open, nor unanswered.
  [[nodiscard]] Outcome<std::monostate> begin(const std::string& label);
  // While one is open. Interrupted: it may still run; roll_back() ends it.
  [[nodiscard]] Outcome<wire::QueryResult> query(const std::string& resource, const std::string& sql,
                                                 std::int64_t page_rows);
  // More rows of that resource's last statement.
  [[nodiscard]] Outcome<wire::QueryResult> fetch(const std::string& resource, std::int64_t from_row,
                                                 std::int64_t page_rows);
  // The number of the last statement that was given to this resource.
  [[nodiscard]] std::int32_t number_in(const std::string& resource) const;

  struct Committed {
    wire::CommitResult result;
  };
  struct NotCommitted {
    Error error;
  };
  struct GoesOn {
    Error error;
  };
  struct NotKnown {  // nobody can tell now: commit() asks again
    Error error;
    bool interrupted = false;
  };
  struct Mixed {  // some branch ended otherwise than decided
    wire::StatusReply status;
  };
  using CommitOutcome = std::variant<Committed, NotCommitted, GoesOn, NotKnown, Mixed>;
  // While one is open or unanswered.
  [[nodiscard]] CommitOutcome commit();

  // An error: the coordinator does not know of it yet, but nothing will commit. Leaves none open.
  [[nodiscard]] Status roll_back();
  // Out of failed or unanswered; nothing is asked.
  void forget();
  // What follows is refused until ROLLBACK or BEGIN. While none is open.
  void fail();

  [[nodiscard]] std::optional<Result<wire::StatusReply>> status();

 private:
  struct None {};
  struct Open {
    std::map<std::string, std::int32_t> answered;  // statements, by resource
  };
  struct Failed {};
  struct Unanswered {};

  // The state as the coordinator tells it, asked until it answers, for a while. nullopt: it does not, or an
  // interrupt.
  [[nodiscard]] std::optional<wire::StatusReply> known_state();
  [[nodiscard]] Left what_is_left();
  template <typename Method, typename Request>
  [[nodiscard]] Outcome<wire::QueryResult> ask(const Request& request);

  ShellLink& link_;
  Options options_;
  std::string id_;
  std::variant<None, Open, Failed, Unanswered> state_;
};

}  // namespace troth::recovery
