// participant_agent/runtime/mysql_statements.h
//
// The clients' statements that a MySQL or MariaDB session keeps prepared, with what is known of them.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "participant_agent/dialect/column_shape.h"
#include "participant_agent/dialect/database_error.h"
#include "participant_agent/dialect/written_out.h"
#include "participant_agent/runtime/mysql_binding.h"
#include "participant_agent/runtime/statement_cache.h"

namespace troth::agent {

// What the catalogue told of the columns that a statement meets.
struct LearnedColumns {
  ParameterShapes shapes;  // of those that parameters go into
  std::optional<WritableText> writable;
};

struct PreparedText {
  MysqlStatement statement;
  unsigned parameters = 0;
  bool touches_session = false;
  bool writes = true;
  bool calls_stored_function = false;
  bool counts_rows = false;  // a write without RETURNING
  bool may_generate_key = false;
  bool ignores = false;  // IGNORE: what cannot be stored as it is becomes something else, with a warning
  ParameterShapes shapes;
  unsigned number = 0;  // under which the server itself has it prepared, for a branch in one trip; 0: not yet
  bool refused_number = false;           // it would not
  std::optional<WritableText> writable;  // with its values, in a branch in one trip

  // What is read before the branch's end, and what closes the session, goes step by step.
  [[nodiscard]] bool goes_whole(DatabaseKind kind) const {
    const bool looks_for_tables = kind == DatabaseKind::kMariadb && calls_stored_function;
    return counts_rows && !ignores && !touches_session && !looks_for_tables && !refused_number;
  }
};

class MysqlStatements {
 public:
  // `limit`: so many are kept, those unused for longest go.
  MysqlStatements(DatabaseKind kind, MYSQL& connection, std::size_t limit)
      : kind_(kind), connection_(connection), kept_(limit) {}

  // `sql`: what the client wrote, with casts around its decimals; `comment` goes in front of it.
  [[nodiscard]] std::expected<PreparedText, DatabaseError> prepare(const std::string& comment,
                                                                   const std::string& sql,
                                                                   LearnedColumns learned);
  // Keeps it under its text; valid until the next one is kept.
  PreparedText& keep(const std::string& sql, PreparedText prepared);
  // Null: not kept.
  [[nodiscard]] PreparedText* find(std::string_view sql) { return kept_.find(sql); }

  // The server's own, `troth_s1` and so on; one that is free again is prepared over.
  [[nodiscard]] unsigned take_number();
  void give_back(unsigned number) { free_numbers_.push_back(number); }

 private:
  const DatabaseKind kind_;
  MYSQL& connection_;
  StatementCache<PreparedText> kept_;
  unsigned last_number_ = 0;
  std::vector<unsigned> free_numbers_;
};

}  // namespace troth::agent
