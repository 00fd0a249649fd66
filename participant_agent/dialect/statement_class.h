// participant_agent/dialect/statement_class.h
//
// What a client's statement is allowed to be. A branch belongs to Troth from its begin to its prepare, so
// whatever would end it, name another transaction, or change the session for the next branch is refused by
// its first keyword. The list is of what is allowed: an unknown keyword is refused.
//
// The first keyword is not the only guard: statements go through prepared statements (one statement each), a
// session's state is checked before every prepare, and MySQL itself refuses implicit commits inside XA
// (1399).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "participant_agent/dialect/database_kind.h"

namespace troth::agent {

struct StatementClass {
  enum class Kind : std::uint8_t {
    kRead,         // a plain read: takes no row lock, may run READ ONLY
    kLockingRead,  // FOR UPDATE and its kind: counts as a write, or its locks would go before all have voted
    kWrite,
  };
  Kind kind = Kind::kWrite;
  bool returning = false;  // a write that names RETURNING: MariaDB tells of its columns only when it runs
  std::uint32_t placeholders = 0;  // how many parameters it needs
  // It may leave something in its session (user variables, named locks): the session is closed after the
  // branch.
  bool touches_session = false;

  bool operator==(const StatementClass&) const = default;
};

// forbidden_statement, effect none, with the reason and the remedy, for what a branch may not contain.
[[nodiscard]] Result<StatementClass> classify(DatabaseKind kind, std::string_view sql);

}  // namespace troth::agent
