#include "participant_agent/runtime/postgres_answers.h"

#include <utility>

#include <openssl/ssl.h>

namespace troth::agent {

void PostgresAnswers::expect(std::size_t steps, bool up_to_sync) {
  steps_ = steps;
  up_to_sync_ = up_to_sync;
  inside_step_ = false;
}

PostgresResult PostgresAnswers::next() {
  if (arrived_.empty()) return {PQgetResult(connection_), &PQclear};
  PostgresResult first = std::move(arrived_.front());
  arrived_.pop_front();
  return first;
}

Arrival PostgresAnswers::take_arrived() {
  if (steps_ == 0 && !up_to_sync_) return Arrival::kWell;
  if (PQconsumeInput(connection_) == 0) return Arrival::kIll;
  while (steps_ > 0 || up_to_sync_) {
    if (PQisBusy(connection_) == 0) {
      if (!take_one()) return Arrival::kIll;
    } else if (!holds_more()) {
      return Arrival::kMore;
    } else if (PQconsumeInput(connection_) == 0) {
      return Arrival::kIll;
    }
  }
  return Arrival::kWell;
}

// Of a TLS record that libpq had no room for the descriptor tells nothing.
bool PostgresAnswers::holds_more() const {
  auto* const tls = static_cast<SSL*>(PQsslStruct(connection_, "OpenSSL"));
  return tls != nullptr && SSL_pending(tls) > 0;
}

// PQisBusy has said that this does not wait.
bool PostgresAnswers::take_one() {
  PostgresResult result(PQgetResult(connection_), &PQclear);
  const bool is_end = result == nullptr;
  const ExecStatusType status = is_end ? PGRES_EMPTY_QUERY : PQresultStatus(result.get());
  arrived_.push_back(std::move(result));
  if (PQstatus(connection_) != CONNECTION_OK) return false;
  if (steps_ == 0) {
    up_to_sync_ = false;
    return status == PGRES_PIPELINE_SYNC;
  }
  if (!is_end) {
    inside_step_ = true;
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  }
  --steps_;
  return std::exchange(inside_step_, false);
}

}  // namespace troth::agent
