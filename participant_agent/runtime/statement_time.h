// participant_agent/runtime/statement_time.h
//
// The time of one statement, where the server does not keep it.
#pragma once

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/deadline_watch.h"

namespace troth::agent {

// From its deadline on the session is asked to stop.
class StatementTime {
 public:
  StatementTime(const BranchWork& work, bool server_keeps_it, std::shared_ptr<Cancellation> cancellation)
      : watch_(server_keeps_it || work.start.statement_timeout.count() == 0 ? nullptr : work.watch),
        cancellation_(std::move(cancellation)) {
    if (watch_ == nullptr) return;
    deadline_ = boot_now() + work.start.statement_timeout;
    ticket_ = watch_->watch(deadline_, cancellation_);
  }
  ~StatementTime() {
    if (watch_ != nullptr) watch_->forget(ticket_);
  }
  StatementTime(const StatementTime&) = delete;
  StatementTime& operator=(const StatementTime&) = delete;

  // What the branch is refused with, once `is_up`.
  [[nodiscard]] static Error error(const BranchWork& work) {
    Error error;
    error.code = ErrorCode::kTimeout;
    error.effect = Effect::kNone;
    error.retryable = true;
    error.message = fmt::format(
        "the statement took longer than its {} ms; raise `statement_timeout_ms`, or see what it waits for",
        work.start.statement_timeout.count());
    return error;
  }

  // The request may be under way by then, whatever the statement came to: nothing else may run here.
  [[nodiscard]] bool is_up() {
    if (watch_ == nullptr || boot_now() < deadline_) return false;
    cancellation_->request();
    return true;
  }

 private:
  DeadlineWatch* const watch_;
  const std::shared_ptr<Cancellation> cancellation_;
  Instant deadline_{};
  DeadlineWatch::Ticket ticket_ = 0;
};

}  // namespace troth::agent
