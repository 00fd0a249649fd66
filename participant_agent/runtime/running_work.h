// participant_agent/runtime/running_work.h
//
// A branch's work, or one step of an interactive branch, while a session has it: shared by the loop, which may cancel it, and the session's thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/runtime/clock.h"
#include "participant_agent/runtime/database_connection.h"
#include "participant_agent/runtime/deadline_watch.h"

namespace troth::agent {

class RunningWork {
 public:
  using Run = std::function<WorkResult(DatabaseConnection&)>;
  using Start = std::function<bool(DatabaseConnection&)>;  // what Run goes on with, then
  explicit RunningWork(Run run, Start start = {})
      : run_(std::move(run)), start_(std::move(start)), submitted_(boot_now()) {}

  // On the loop. False: nothing was started.
  [[nodiscard]] bool start(DatabaseConnection& connection) {
    if (!start_ || !bind(connection)) return false;
    const bool started = start_(connection);
    const std::lock_guard lock(mutex_);
    started_ = started;
    return started;
  }

  // On the session's thread, or where the loop has started it.
  void run(DatabaseConnection& connection) {
    if (!has_started() && !bind(connection)) {
      const std::lock_guard lock(mutex_);
      result_ = WorkResult{Refused{cancelled_before_start()}, {}, connection.session_identity()};
      return;
    }
    auto result = run_(connection);
    const std::lock_guard lock(mutex_);
    result_ = std::move(result);
    cancellation_.reset();  // the session's next branch is another's
  }

  // On the loop's thread: null while no session has it yet, which will then refuse to start it, and once it
  // has ended. The session is asked to stop here, under the lock: it sees so before it takes other work.
  [[nodiscard]] std::shared_ptr<Cancellation> cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (cancellation_) cancellation_->request();
    return cancellation_;
  }

  [[nodiscard]] WorkResult take_result() {
    const std::lock_guard lock(mutex_);
    return std::move(*result_);
  }

  // Where it runs or ran; none: no session has it yet.
  [[nodiscard]] std::optional<SessionIdentity> session() {
    const std::lock_guard lock(mutex_);
    return session_;
  }

  // How long it waited for its session; once it has ended.
  [[nodiscard]] Duration queued() {
    const std::lock_guard lock(mutex_);
    return queued_;
  }

  std::optional<DeadlineWatch::Ticket> cancel_ticket;  // the loop's

 private:
  // To its session; false: it was cancelled before.
  [[nodiscard]] bool bind(const DatabaseConnection& connection) {
    const std::lock_guard lock(mutex_);
    queued_ = boot_now() - submitted_;
    if (cancelled_) return false;
    cancellation_ = connection.cancellation();
    session_ = connection.session_identity();
    return true;
  }

  [[nodiscard]] bool has_started() {
    const std::lock_guard lock(mutex_);
    return started_;
  }

  static Error cancelled_before_start() {
    Error error;
    error.code = ErrorCode::kTimeout;
    error.effect = Effect::kNone;
    error.message = "the branch was cancelled before a session was free for it";
    error.retryable = true;
    return error;
  }

  const Run run_;
  const Start start_;
  const Instant submitted_;
  std::mutex mutex_;
  Duration queued_{};
  bool cancelled_ = false;
  bool started_ = false;
  std::optional<SessionIdentity> session_;
  std::shared_ptr<Cancellation> cancellation_;
  std::optional<WorkResult> result_;
};

}  // namespace troth::agent
