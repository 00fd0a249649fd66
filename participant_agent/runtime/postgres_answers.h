// participant_agent/runtime/postgres_answers.h
//
// What libpq has to say, result after result: waited for, or taken as it comes where nobody may wait.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include <libpq-fe.h>

#include "participant_agent/runtime/database_connection.h"

namespace troth::agent {

using PostgresResult = std::unique_ptr<PGresult, decltype(&PQclear)>;

class PostgresAnswers {
 public:
  explicit PostgresAnswers(PGconn* connection) : connection_(connection) {}

  // So many steps are answered next, each by results and a null behind them; in a pipeline perhaps its Sync, too.
  void expect(std::size_t steps, bool up_to_sync = false);
  // Null: the end of a step, or of the connection. Waits for what has not been taken.
  [[nodiscard]] PostgresResult next();

  // Takes what is there, without waiting. kWell: all that is expected, and no error in it.
  [[nodiscard]] Arrival take_arrived();
  // Taken, and not read yet.
  [[nodiscard]] bool has_arrived() const { return !arrived_.empty(); }

 private:
  [[nodiscard]] bool take_one();
  [[nodiscard]] bool holds_more() const;

  PGconn* const connection_;
  std::deque<PostgresResult> arrived_;
  std::size_t steps_ = 0;
  bool up_to_sync_ = false;
  bool inside_step_ = false;
};

}  // namespace troth::agent
